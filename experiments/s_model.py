"""Measures how well S-Model recovers the noise transition matrix: digits, three ways to start.

python -m experiments.s_model docs/results/digits/s_model.csv
"""

import csv
import sys
import tempfile

import numpy as np

import mentormix_tf as mm
from mentormix_tf import methods
from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.data import augment, noise, pipeline, splits
from mentormix_tf.inference.survey import survey
from mentormix_tf.rounds import confusion, opinion
from mentormix_tf.training.model import build_model, build_network
from mentormix_tf.training.run import run

NOISES = {"symmetric": 0.4, "asymmetric": 0.3}
ROUND_STEPS, STEPS = 50, 600


def build(method, data, seed):
    """A model of small_cnn, compiled as the train command does."""
    config = RunConfig(
        training=TrainingConfig(seed=seed),
        method=method,
        hyperparameters=methods.resolve(method, {}),
    )
    network = build_network(config, data.image_shape, 10)
    return build_model(config, network, data.num_examples("train"))


def starts(config, data, batches, images, labels, seed):
    """Estimates of the matrix that S-Model can start with, by name; None for its default."""
    yield "symmetric 10 %", None
    plain = build("vanilla", data, seed)
    plain.fit(batches, steps_per_epoch=ROUND_STEPS, verbose=0)
    found = opinion.of_survey(survey(plain.network, [images], len(images)), labels)
    yield f"confusion, {ROUND_STEPS} steps", confusion.transition_matrix(found.confusion)
    with tempfile.TemporaryDirectory() as folder:
        training = TrainingConfig(seed=seed, audit=True)
        config = RunConfig(config, training, hyperparameters={"gamma_p": "auto"})
        run(config, OutputConfig(f"{folder}/run"))
        found = mm.open_run(f"{folder}/run").audit("none")
    yield "audit", found.noise_rate.transition_matrix()


def rows(kind, seed):
    """Measures the matrix's mean absolute error before and after 600 steps of 128 examples."""
    config = splits.resolve(DataConfig(noise=kind, noise_level=NOISES[kind]))
    data = splits.prepare(config)
    plain = augment.AUGMENTATIONS["none"]
    batches = pipeline.train_batches(data, 128, seed, plain, data.image_shape)
    stored = list(data.builder.as_dataset(split="train").as_numpy_iterator())
    true, labels = (np.array([e[name] for e in stored]) for name in ("true_label", "label"))
    images = np.array([e["image"] for e in stored], np.float32)
    expected = noise.transition_matrix(labels, true, 10)
    for name, start in starts(config, data, batches, images, labels, seed):
        model = build("s_model", data, seed)
        if start is not None:
            model.set_transition_matrix(start)
        row = {"noise": kind, "seed": seed, "start": name}
        row["error_before"] = np.abs(model.transition_probabilities() - expected).mean()
        model.fit(batches, steps_per_epoch=STEPS, verbose=0)
        row["error_after"] = np.abs(model.transition_probabilities() - expected).mean()
        row["diagonal_after"] = np.diag(model.transition_probabilities()).mean()
        yield {k: f"{v:.4f}" if "_" in k else v for k, v in row.items()}


def main(path):
    """Writes a row for each noise, seed and start."""
    found = [row for kind in NOISES for seed in range(3) for row in rows(kind, seed)]
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, found[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)


if __name__ == "__main__":
    main(sys.argv[1])
