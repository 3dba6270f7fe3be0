"""Compares a head trained on cached features with scikit-learn's logistic regression on them.

    python -m experiments.logistic_regression NETWORK.keras 112 RUN

RUN is the folder of a run of the train command on CIFAR-10 with clean labels (--noise_level=0), the
same network and image size, and --train_layers=head. Prints the test accuracies of both in percent.
"""

import sys

import sklearn.linear_model
import sklearn.pipeline
import sklearn.preprocessing

import mentormix_tf as mm
from mentormix_tf import networks
from mentormix_tf.config import DataConfig, TrainingConfig
from mentormix_tf.data import augment, examples, splits
from mentormix_tf.networks import trained_layers
from mentormix_tf.training.cached_features import with_features


def main(network, size, folder):
    training = TrainingConfig(
        network=network, image_size=int(size), train_layers="head", augmentation="none"
    )
    data = splits.prepare(DataConfig("cifar10", noise_level=0.0))
    backbone, _ = trained_layers.cut(networks.build(network, (int(size), int(size), 3), 10))
    data = with_features(data, training, backbone, augment.AUGMENTATIONS["none"])
    labels = {s: examples.columns(data, s, ["label"])["label"] for s in ("train", "test")}
    for penalty in (1.0, 0.01):
        regression = sklearn.pipeline.make_pipeline(
            sklearn.preprocessing.StandardScaler(),
            sklearn.linear_model.LogisticRegression(C=penalty, max_iter=200),
        )
        regression.fit(data.features["train"][:, 0], labels["train"])
        score = regression.score(data.features["test"][:, 0], labels["test"])
        print(f"LogisticRegression, C={penalty:g}: {100 * score:.2f}", flush=True)
    result = mm.open_run(folder).result
    print(f"head: {100 * result['final_accuracy']:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
