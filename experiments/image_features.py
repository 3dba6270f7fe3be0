"""Computes features of CIFAR-10 by a network that is a Keras file, for `experiments.audit cifar10`.

    python -m experiments.image_features NETWORK.keras 112 features.npz

The network takes pixels 0-255, `[batch, size, size, 3]`, and returns features. Images are resized
to 112 pixels here. The .npz has the features, float16, and true labels of train and test, in the
order of TFDS's ids.
"""

import sys

import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

BATCH_SIZE = 250


def main(network, size, path):
    size, found = int(size), {}
    model = keras.models.load_model(network)

    @tf.function
    def features(images):
        shown = tf.image.resize(
            tf.cast(images, tf.float32), (size, size), method="bicubic", antialias=True
        )
        return model(shown, training=False)

    for split in ("train", "test"):
        rows, labels, ids = [], [], []
        for batch in tfds.load("cifar10", split=split).batch(BATCH_SIZE).prefetch(2):
            rows.append(features(batch["image"]).numpy().astype(np.float16))
            labels.append(batch["label"].numpy())
            ids += [int(each.decode().rpartition("_")[2]) for each in batch["id"].numpy()]
        order = np.argsort(ids)
        found[f"{split}_features"] = np.concatenate(rows)[order]
        found[f"{split}_label"] = np.concatenate(labels)[order]
    np.savez(path, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
