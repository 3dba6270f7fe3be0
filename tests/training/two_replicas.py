"""Trains a head on cached features by a method, on one replica and on two.

    python -m tests.training.two_replicas METHOD NETWORK.keras FOLDER

Prints, for each, whether the network's other layers have the file's weights, bit for bit; and the
largest difference between the features that one replica and two have computed.
"""

import pathlib
import sys

import keras
import numpy as np

import mentormix_tf as mm
from mentormix_tf import methods
from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, StrategyConfig, TrainingConfig
from mentormix_tf.distribution import strategies
from mentormix_tf.training.run import run


def main(method, network, folder):
    two = strategies.get(StrategyConfig(strategy="mirrored", num_virtual_devices=2))
    original = keras.models.load_model(network).get_weights()[:-2]
    training = TrainingConfig(
        network=network, train_layers="head", train_steps=6, eval_every=6, batch_size=32,
        learning_rate=0.01,
    )  # fmt: skip
    features = {}
    for name, strategy in (("two", two), ("one", None)):
        data = DataConfig(data_dir=f"{folder}/data-{name}")
        config = RunConfig(data, training, method, methods.resolve(method, {}))
        run(config, OutputConfig(f"{folder}/{name}"), strategy)
        found = mm.open_run(f"{folder}/{name}").network().get_weights()
        is_same = all(map(np.array_equal, original, found))
        print(name, "frozen" if is_same else "changed")
        for path in pathlib.Path(folder, f"data-{name}").glob("*/features/*/*.npz"):
            with np.load(path) as stored:
                features.setdefault(path.name, []).append(stored["features"])
    print(max(np.abs(one - other).max() for one, other in features.values()))


if __name__ == "__main__":
    main(*sys.argv[1:])
