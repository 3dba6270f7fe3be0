"""Measures how well S-Model recovers the noise transition matrix: digits, 40 % wrong labels.

python -m experiments.s_model docs/results/digits/s_model.csv
"""

import csv
import sys

import numpy as np

from mentormix_tf import methods
from mentormix_tf.config import DataConfig, RunConfig, TrainingConfig
from mentormix_tf.data import augment, noise, pipeline, splits
from mentormix_tf.training.model import build_model, build_network


def errors(kind, seed):
    """Measures the matrix's mean absolute error before and after 600 steps of 128 examples."""
    data = splits.prepare(DataConfig(noise=kind))
    train = pipeline.train_batches(data, 128, seed, augment.AUGMENTATIONS["none"], data.image_shape)
    examples = list(data.builder.as_dataset(split="train").as_numpy_iterator())
    true, noisy = (np.array([e[name] for e in examples]) for name in ("true_label", "label"))
    expected = noise.transition_matrix(noisy, true, 10)
    config = RunConfig(
        training=TrainingConfig(seed=seed),
        method="s_model",
        hyperparameters=methods.resolve("s_model", {}),
    )
    network = build_network(config, data.image_shape, 10)
    model = build_model(config, network, len(examples))
    row = {"noise": kind, "seed": seed}
    row["error_before"] = np.abs(model.transition_probabilities() - expected).mean()
    model.fit(train, steps_per_epoch=600, verbose=0)
    row["error_after"] = np.abs(model.transition_probabilities() - expected).mean()
    row["diagonal_after"] = np.diag(model.transition_probabilities()).mean()
    return {name: f"{v:.4f}" if "_" in name else v for name, v in row.items()}


if __name__ == "__main__":
    rows = [errors(kind, seed) for kind in ("symmetric", "asymmetric") for seed in range(3)]
    with open(sys.argv[1], "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
