r"""Lowers train steps for `experiments.gpu_runs`, to train on a GPU without TensorFlow.

    python -m experiments.gpu_steps efficientnet_lite0.keras FOLDER

Writes FOLDER/STEP.mlir and FOLDER/STEP.npz for each step; FOLDER/labels.npz, the noisy labels of
CIFAR-10 and CIFAR-10N; and FOLDER/pixels.npz, their images, both in the order of TFDS's ids. A
step is the package's own: mixing, both passes, optimizer, BatchNorm and metrics. The settings below
are those of docs/results/gpu.
"""

import dataclasses
import pathlib
import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from mentormix_tf import methods
from mentormix_tf.config import RunConfig, TrainingConfig
from mentormix_tf.data import noise
from mentormix_tf.networks import trained_layers
from mentormix_tf.training import recipe, tpu_compiler
from mentormix_tf.training.model import build_model, build_network

EPOCH = 97  # steps of 512 in 50,000 images
SCRATCH = TrainingConfig(
    network="preact_resnet18",
    precision="bfloat16",
    augmentation="cifar_standard",
    batch_size=512,
    train_steps=25 * EPOCH,
    eval_every=EPOCH,
    learning_rate=0.1,
    warmup_steps=2 * EPOCH,
    weight_decay=2.5e-4,
)
# The released settings of MentorMix at 20, 40, 60 and 80 % noise, without their gamma_p, which is
# a variable here.
SCRATCH_STEPS = {
    "vanilla": ("vanilla", {}),
    "mixup": ("mixup", {"alpha": 8.0}),
    "mentornet": ("mentornet", {}),
    "mentormix_2": ("mentormix", {"alpha": 2.0}),
    "mentormix_8": ("mentormix", {"alpha": 8.0}),
    "mentormix_8_second": ("mentormix", {"alpha": 8.0, "second_reweight": True}),
    "mentormix_4_second": ("mentormix", {"alpha": 4.0, "second_reweight": True}),
    "mentormix_auto": ("mentormix", {"gamma_p": "auto", "alpha": 2.0}),
}
FINE_TUNED = TrainingConfig(image_size=112, batch_size=128, train_steps=390, eval_every=78)
FINE_TUNED_STEPS = {
    "vanilla": ("vanilla", {}),
    "mixup": ("mixup", {"alpha": 2.0}),
    "mentornet": ("mentornet", {}),
    "mentormix": ("mentormix", {"alpha": 2.0}),
}
PHOTOS = dataclasses.replace(FINE_TUNED, batch_size=64, train_steps=200, eval_every=50)
TEST_BATCH = 500


def main(backbone: str, folder: str) -> None:
    to = pathlib.Path(folder)
    to.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(to / "labels.npz", **labels())
    np.savez_compressed(to / "pixels.npz", **pixels())
    for name, (method, chosen) in SCRATCH_STEPS.items():
        write(to / f"scratch-{name}", SCRATCH, method, chosen, (32, 32, 3))
    tuned = dataclasses.replace(FINE_TUNED, network=backbone)
    network = build_network(RunConfig(training=tuned), (112, 112, 3), 10)
    weights = {f"{i:04}": w.numpy() for i, w in enumerate(network.variables)}
    np.savez_compressed(to / "backbone.npz", **weights)
    for name, (method, chosen) in FINE_TUNED_STEPS.items():
        write(to / f"tuned-{name}", tuned, method, chosen, (112, 112, 3))
    photos = dataclasses.replace(PHOTOS, network=backbone)
    for name in ("vanilla", "mentormix"):
        shape = (112, 112, 3)
        write(to / f"photos-{name}", photos, *FINE_TUNED_STEPS[name], shape)
        write(to / f"photos_frozen-{name}", photos, *FINE_TUNED_STEPS[name], shape, frozen=True)


def pixels() -> dict[str, np.ndarray]:
    """The images of both splits, uint8, and the true labels of the test split."""
    train, test = _rows("cifar10", "train"), _rows("cifar10", "test")
    images = {"train": train, "test": test}.items()
    found = {name: np.stack([row["image"] for row in rows]) for name, rows in images}
    return {**found, "test_label": np.array([row["label"] for row in test], np.int64)}


def labels() -> dict[str, np.ndarray]:
    """True and noisy labels: symmetric noise of seed 0, and people's."""
    rows, found = _rows("cifar10_n", "train"), {}
    for column in ("label", "aggre_label", "worse_label", "random_label1"):
        found[column] = np.array([row[column] for row in rows], np.int8)
    for level in (0.2, 0.4, 0.6, 0.8):
        noisy = noise.symmetric(found["label"].astype(np.int64), 10, level, seed=0)
        found[f"symmetric_{level}"] = noisy.astype(np.int8)
    return found


def _rows(dataset, split):
    """The examples, in the order of their ids."""
    rows: list[Any] = list(tfds.load(dataset, split=split).as_numpy_iterator())
    return sorted(rows, key=lambda row: int(row["id"].decode().rpartition("_")[2]))


def write(
    path: pathlib.Path,
    training: TrainingConfig,
    method: str,
    chosen: dict[str, Any],
    shape: tuple[int, int, int],
    frozen: bool = False,
) -> None:
    """Writes a step and the network's inference, with the variables they use and what these are."""
    config = RunConfig(
        training=training, method=method, hyperparameters=methods.resolve(method, chosen)
    )
    network = build_network(config, shape, 10)
    if frozen:
        for layer in trained_layers.inside(network):
            layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    model = build_model(config, network, 50_000)
    named: dict[str, Any] = {}
    if "gamma_p" in config.hyperparameters and chosen.get("gamma_p") != "auto":
        named["gamma_p"] = tf.Variable(0.5)
        for name in ("mentor", "second_mentor"):
            if hasattr(model, name):
                getattr(model, name).gamma_p = named["gamma_p"]
    if training is not SCRATCH:
        named |= {"learning_rate": tf.Variable(0.01), "ratio": tf.Variable(1.0)}
        cosine = keras.optimizers.schedules.CosineDecay(
            named["learning_rate"], training.train_steps
        )
        head = network.layers[-1].weights
        backbone = [w.path for w in network.weights if all(w is not own for own in head)]
        optimizer = recipe.BackboneSGD(cosine, 0.9, ratio=named["ratio"], backbone=backbone)
        model.compile(optimizer, weighted_metrics=["accuracy"])
    size = training.batch_size
    spec = {name: tf.TensorSpec([size], tf.int64) for name in ("is_clean", "label")}
    spec["image"] = tf.TensorSpec([size, *shape], tf.float32)
    model.build_for(spec)
    model.begin_training(training.train_steps)
    step = tf.function(lambda **batch: model.train_step(batch))
    shown = tf.function(lambda image: model.network(image, training=False))
    facts, variables = _lowered(path, step, spec)
    tests = {"image": tf.TensorSpec([TEST_BATCH, *shape], tf.float32)}
    _, evaluated = _lowered(path.with_name(f"{path.name}-test"), shown, tests)
    place = {id(v): i for i, v in enumerate(variables)}
    own = {id(v.value) for v in network.variables}
    initial = {
        f"{i:04}": _initial(v) if training is SCRATCH else v.numpy()
        for i, v in enumerate(variables)
        if training is SCRATCH or id(v) not in own
    }
    np.savez_compressed(
        path.with_suffix(".npz"),
        logs=sorted(facts.structured_outputs),
        network=[place[id(v.value)] for v in network.variables],
        test=[place[id(v)] for v in evaluated],
        variables=len(variables),
        steps=training.train_steps,
        eval_every=training.eval_every,
        batch_size=size,
        image_size=shape[0],
        **{f"at_{name}": place[id(v)] for name, v in named.items() if id(v) in place},
        **initial,
    )
    print(path.name, len(variables), "variables", flush=True)


def _lowered(path, function, spec):
    """Writes a function's StableHLO; returns its trace and the variables, in argument order."""
    concrete = function.get_concrete_function(**spec)
    by_handle = {id(v.handle): v for v in concrete.graph.variables}
    path.with_suffix(".mlir").write_text(tpu_compiler.stablehlo(function, spec))
    return concrete, [by_handle[id(handle)] for handle in concrete.captured_inputs]


def _initial(variable):
    """A variable's value; of a kernel that He's initializer drew, shape and standard deviation."""
    value = variable.numpy()
    if value.ndim != 4 or not value.any():
        return value
    return np.array([*value.shape, value.std()], np.float64)


if __name__ == "__main__":
    main(*sys.argv[1:])
