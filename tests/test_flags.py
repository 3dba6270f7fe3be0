"""The shipped flagfiles, read by the train command: the settings of each experiment."""

import pathlib

import pytest

from mentormix_tf import methods, networks, shipped
from tests.support import commands

FLAGS = pathlib.Path(shipped.__file__).parent / "flags"
FILES = sorted(path.relative_to(FLAGS) for path in FLAGS.rglob("*.flags"))
RELEASED = {
    "network": "resnet32",
    "augmentation": "cifar",
    "batch_size": "128",
    "train_steps": "200000",
    "learning_rate": "0.1",
    "schedule": "staircase",
    "decay_every": "11700",  # 30 epochs
    "decay_rate": "0.9",
    "momentum": "0.9",
    "weight_decay": "0.0001",
    "ema_decay": "0.9999",
    "method": "mentormix",
    "burn_in": "0.09",
    "loss_ema_decay": "0.5",
}
# gamma_p, alpha and second weighting by noise level, as the released code's commands have them.
CIFAR = {
    "cifar10": {
        20: (0.8, 2.0, "false"),
        40: (0.6, 8.0, "false"),
        60: (0.6, 8.0, "true"),
        80: (0.2, 4.0, "true"),
    },
    "cifar100": {
        20: (0.7, 2.0, "false"),
        40: (0.5, 8.0, "false"),
        60: (0.3, 4.0, "true"),
        80: (0.1, 8.0, "true"),
    },
}
LEVELS = (0, 5, 10, 15, 20, 30, 40, 50, 60, 80)
HUMAN = {  # noise, gamma_p and alpha
    "aggregate": ("human_aggre", 0.9, 2.0),
    "random1": ("human_random1", 0.8, 2.0),
    "random2": ("human_random2", 0.8, 2.0),
    "random3": ("human_random3", 0.8, 2.0),
    "worst": ("human_worse", 0.6, 8.0),
}
BY_LEVEL = [
    f"{dataset}/{color}_{how}.flags"
    for dataset in ("mini_imagenet", "stanford_cars")
    for color in ("red", "blue")
    for how in ("from_scratch", "fine_tuned")
]
OTHERS = sorted(path.stem for path in (FLAGS / "methods").glob("*.flags"))
CLASSES = {
    "cifar10": 10,
    "cifar10_n": 10,
    "cifar100": 100,
    "cifar100_n": 100,
    "mini_imagenet": 100,
    "stanford_cars": 196,
    "mini_webvision": 50,
    "webvision": 1000,
}


def by_level(level):
    """An experiment of Table 2 for a level: the levels cycle through the experiments."""
    path = BY_LEVEL[LEVELS.index(level) % len(BY_LEVEL)]
    return f"{path}", f"levels/{level:02d}.flags"


GIVEN = [
    *((f"{dataset}/symmetric_{level}.flags",) for dataset in CIFAR for level in CIFAR[dataset]),
    *((f"cifar10_n/{name}.flags",) for name in HUMAN),
    *((f"{name}.flags",) for name in ("cifar100_n/human", "webvision/mini", "webvision/full")),
    *(by_level(level) for level in LEVELS),
    ("mini_imagenet/red_32.flags",),
    *(("cifar10/symmetric_60.flags", f"methods/{name}.flags") for name in OTHERS),
    ("recipes/common.flags",),
    ("finetune/head.flags",),
    ("finetune/all.flags",),
]


@pytest.fixture(scope="module")
def resolved():
    """The settings that sequences of flagfiles give: a dict from their paths to a dict of flags."""
    asked = [["train", "--print_config", *(f"--flagfile={p}" for p in paths)] for paths in GIVEN]
    found = {}
    for paths, (status, text, errors) in zip(GIVEN, commands.run(*asked, cwd=FLAGS), strict=True):
        assert status == 0, (paths, errors)
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        found[paths] = dict(line.removeprefix("--").split("=", 1) for line in lines)
    return found


def test_all_flagfiles_are_tried():
    tried, more = set(), {FLAGS / path for paths in GIVEN for path in paths}
    while more:
        tried |= more
        more = {other for path in more for other in read(path)[2]} - tried
    assert tried == {FLAGS / path for path in FILES}


@pytest.mark.parametrize("dataset", CIFAR)
def test_cifar_is_as_released(resolved, dataset):
    for level, (gamma_p, alpha, second) in CIFAR[dataset].items():
        flags = resolved[f"{dataset}/symmetric_{level}.flags",]
        assert flags.items() >= RELEASED.items()
        assert (flags["dataset"], flags["noise"]) == (dataset, "symmetric")
        assert float(flags["noise_level"]) == level / 100
        assert (float(flags["gamma_p"]), float(flags["alpha"])) == (gamma_p, alpha)
        assert flags["second_reweight"] == second


def test_human_labels(resolved):
    for name, (noise, gamma_p, alpha) in HUMAN.items():
        flags = resolved[f"cifar10_n/{name}.flags",]
        assert flags.items() >= {**RELEASED, "dataset": "cifar10_n", "noise": noise}.items()
        assert "noise_level" not in flags
        assert (float(flags["gamma_p"]), float(flags["alpha"])) == (gamma_p, alpha)
    flags = resolved["cifar100_n/human.flags",]
    assert flags.items() >= {**RELEASED, "dataset": "cifar100_n", "noise": "human"}.items()


@pytest.mark.parametrize("level", LEVELS)
def test_table_2(resolved, level):
    flags, path = resolved[by_level(level)], by_level(level)[0]
    dataset, _, name = path.partition("/")
    assert (flags["dataset"], flags["noise"]) == (dataset, name.partition("_")[0])
    assert float(flags["noise_level"]) == level / 100
    assert flags["pretrained"] == str("fine_tuned" in name).lower()
    assert (flags["network"], flags["image_size"]) == ("inception_resnet_v2", "299")
    assert float(flags["gamma_p"]) == pytest.approx(0.9 - level / 100)
    released = CIFAR["cifar100"][min(other for other in CIFAR["cifar100"] if other >= level)]
    assert float(flags["alpha"]) == released[1]
    assert flags["second_reweight"] == "false"


def test_small_mini_imagenet_and_webvision(resolved):
    small = {**RELEASED, "dataset": "mini_imagenet", "noise": "red", "image_size": "32"}
    flags = resolved["mini_imagenet/red_32.flags",]
    assert flags.items() >= {**small, "noise_level": "0.4", "gamma_p": "0.5"}.items()
    assert (float(flags["alpha"]), flags["second_reweight"]) == (8.0, "false")
    for name, dataset, batch_size in (("mini", "mini_webvision", 64), ("full", "webvision", 512)):
        flags = resolved[f"webvision/{name}.flags",]
        assert (flags["dataset"], flags["noise"]) == (dataset, "web")
        assert flags["batch_size"] == str(batch_size) and flags["weight_decay"] == "2e-05"
        assert (flags["gamma_p"], flags["alpha"]) == ("0.85", "0.2")


@pytest.mark.parametrize("name", OTHERS)
def test_other_methods_take_an_experiment_without_its_settings(resolved, name):
    flags = resolved["cifar10/symmetric_60.flags", f"methods/{name}.flags"]
    recipe = {k: v for k, v in RELEASED.items() if k not in ("method", "burn_in", "loss_ema_decay")}
    assert flags.items() >= {**recipe, "method": name, "noise_level": "0.6"}.items()
    chosen = {"alpha": 8.0} if name == "mixup" else {}
    for hyperparameter, value in methods.resolve(name, chosen).items():
        assert flags.get(hyperparameter) == (None if value is None else str(value))


def test_fine_tuning_in_two_phases(resolved):
    head, everything = (resolved[f"finetune/{name}.flags",] for name in ("head", "all"))
    assert (head["train_layers"], everything["train_layers"]) == ("head", "all")
    assert float(head["learning_rate"]) == 0.01 > float(everything["learning_rate"])
    assert everything["freeze_batch_norm"] == "true"


def read(path):
    """The flags that a file sets, those that its comments say it overrides, and its includes."""
    own, overridden, included, is_overriding = {}, set(), [], False
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            is_overriding = line.startswith("# Overrides")
            continue
        name, _, value = line.removeprefix("--").partition("=")
        if name == "flagfile":
            included.append((path.parent / value).resolve())
            continue
        own[name] = value
        overridden |= {name} if is_overriding else set()
    return own, overridden, included


def inherited(path):
    """The flags that a file has from its includes."""
    flags = {}
    for other in read(path)[2]:
        flags |= {**inherited(other), **read(other)[0]}
    return flags


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_value_stands_once(path):
    own, overridden, _ = read(FLAGS / path)
    assert own.keys() & inherited(FLAGS / path).keys() == overridden
    assert all(value != inherited(FLAGS / path).get(name) for name, value in own.items())


def experiments(is_small):
    """The network, image size and number of classes of each experiment, without duplicates."""
    found = set()
    for path in FILES:
        flags = {**inherited(FLAGS / path), **read(FLAGS / path)[0]}
        if "dataset" in flags:
            size = int(flags.get("image_size", 32))
            found.add((flags["network"], size, CLASSES[flags["dataset"]], "pretrained" in flags))
    return sorted(each for each in found if (each[1] == 32) == is_small)


@pytest.mark.parametrize(
    ("network", "size", "classes", "pretrained"),
    [
        *experiments(is_small=True),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in experiments(is_small=False)),
    ],
)
def test_networks_can_be_built(network, size, classes, pretrained):
    if pretrained:  # the same network, and its weights are not downloaded here
        assert network in networks.APPLICATIONS
        return
    assert networks.build(network, (size, size, 3), classes).output_shape == (None, classes)
