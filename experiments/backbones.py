"""Measures whether better features are better under label noise, too (the paper's finding 3).

    python -m experiments.backbones efficientnet_lite0.keras runs/backbones RESULTS.csv

Trains the head on frozen features of 10,000 CIFAR-10 images, plainly and by MentorMix, with and
without 40 % symmetric noise. The backbones are the network with its own weights, at several image
sizes, and with random ones, whose BatchNorm layers have the statistics of 256 training images: with
those of a new network, 0 and 1, features vanish. Repeats no run that is done, and prints how
accuracies correlate.
"""

import pathlib
import sys

import numpy as np

from mentormix_tf import backend, files, train
from mentormix_tf.runs import contents

RANDOM = 112  # pixels
BACKBONES = [("own", 32), ("own", 48), ("own", 64), ("own", 112), ("own", 160), ("random", RANDOM)]
FLAGS = (
    *("--dataset=cifar10", "--train_examples=10000", "--train_layers=head", "--augmentation=none"),
    *("--train_steps=1000", "--eval_every=250", "--learning_rate=0.01"),
)
METHODS = ("vanilla", "mentormix")
GAMMA_P = {0.0: 0.95, 0.4: 0.6}


def _draw(network, path):
    """Writes a network with random weights to a file."""
    backend.load()
    import keras

    import mentormix_tf as mm

    keras.utils.set_random_seed(0)
    drawn = keras.models.clone_model(keras.models.load_model(network))
    batches = mm.load_split("cifar10", noise_level=0.0, train_examples=10_000).batches(
        "train", 256, augmentation="none"
    )
    images = keras.ops.image.resize(next(iter(batches))["image"], (RANDOM, RANDOM))
    for layer in drawn.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    drawn(images, training=True)
    drawn.save(path)


def main(network, folder, path):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = folder / "random.keras"
    if not drawn.exists():
        _draw(network, drawn)
    rows = []
    for weights, size in BACKBONES:
        for method in METHODS:
            row = {"weights": weights, "image_size": size, "method": method, "seed": 0}
            for level in (0.0, 0.4):
                model_dir = folder / f"{weights}-{size}-{method}-{level}"
                file = network if weights == "own" else drawn
                flags = [*FLAGS, f"--network={file}", f"--image_size={size}", f"--method={method}"]
                flags += [f"--noise_level={level}", f"--model_dir={model_dir}"]
                if method == "mentormix":
                    flags += ["--alpha=2", f"--gamma_p={GAMMA_P[level]}"]
                if status := train.main(flags):
                    sys.exit(status)
                row[f"final_{level}"] = contents.result(model_dir / "result.json")["final_accuracy"]
            rows.append(row)
            print(*row.values(), flush=True)
            files.write_csv(path, rows)
    for method in METHODS:
        clean, noisy = (
            [row[f"final_{level}"] for row in rows if row["method"] == method]
            for level in (0.0, 0.4)
        )
        print(f"{method}: Pearson's r {np.corrcoef(clean, noisy)[0, 1]:.3f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
