"""Reads a study from a YAML file and lists its runs."""

import collections
import dataclasses
import functools
import hashlib
import itertools
import math
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from mentormix_tf import methods, networks, shipped
from mentormix_tf.config import DataConfig, RoundsConfig, RunConfig, TrainingConfig, codec
from mentormix_tf.data import splits
from mentormix_tf.errors import InputError
from mentormix_tf.studies import results, yaml_file
from mentormix_tf.studies.settings import Settings

__all__ = ["KEYS", "TRAINING_SETTINGS", "TUNE_KEYS", "Point", "Study", "StudyRun", "Trials", "read"]

# Flags of training that a method can have for itself, instead of the study's.
TRAINING_SETTINGS = (
    *("learning_rate", "weight_decay", "label_smoothing", "logit_clip", "sam_rho", "ema_decay"),
    *("inference", "rog_layers"),
    *(field.name for field in dataclasses.fields(RoundsConfig)),
)
KEYS = ("title", "training", "data", "methods", "seeds", "tune")
_MOST_RUNS = 10_000
_LONGEST_NAME = 200  # bytes; file systems take 255
TUNE_KEYS = ("levels", "seeds", "validation_fraction", "settings")


@dataclasses.dataclass(frozen=True)
class Point:
    """Labels to train on: a cell of the grid.

    Attributes:
        data: the data, resolved.
        kind: data set and noise, as in digits-symmetric; tables have a column for each.
        level: fraction of wrong labels in [0, 1], which selects the settings; None if unknown.
    """

    data: DataConfig
    kind: str
    level: float | None


@dataclasses.dataclass(frozen=True)
class StudyRun:
    """A run of a study.

    Attributes:
        name: its folder, relative to the study's.
        config: its complete settings.
        point: its labels.
        own: those of `TRAINING_SETTINGS` that its method has for itself.
    """

    name: str
    config: RunConfig
    point: Point
    own: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Trials:
    """The trials by which settings are chosen.

    Attributes:
        levels: noise levels at which settings are chosen.
        seeds: seeds of each trial.
        validation_fraction: fraction of the noisy training examples held out to compare trials on.
        settings: for each method, the values to try of each hyperparameter.
    """

    levels: tuple[float, ...]
    seeds: tuple[int, ...]
    validation_fraction: float
    settings: Mapping[str, Mapping[str, tuple[Any, ...]]]

    def of(self, method: str) -> list[dict[str, Any]]:
        """The settings to try for a method; [{}] if there are none."""
        grid = self.settings.get(method, {})
        return [dict(zip(grid, each, strict=True)) for each in itertools.product(*grid.values())]


@dataclasses.dataclass(frozen=True)
class Study:
    """A grid of runs: methods x points x seeds.

    Attributes:
        title: title of its report.
        training: training settings of all runs, except for the seed.
        rounds: what is trained before each of them.
        points: the labels to train on.
        methods: settings of each method, by name.
        seeds: seeds of each cell.
        trials: trials to choose settings by, or None.
    """

    title: str
    training: TrainingConfig
    rounds: RoundsConfig
    points: tuple[Point, ...]
    methods: Mapping[str, Settings]
    seeds: tuple[int, ...]
    trials: Trials | None

    def runs(self, chosen: Callable[[str, str], Settings]) -> list[StudyRun]:
        """The runs of the grid.

        Args:
            chosen: maps (kind, method) to the settings that trials chose, which override the
                file's.
        """
        return [
            self._run(
                f"runs/{_place(point)}/{method}/seed{seed}",
                point,
                method,
                self.methods[method].at(point.level) | chosen(point.kind, method).at(point.level),
                seed,
            )
            for seed, point, method in itertools.product(self.seeds, self.points, self.methods)
        ]

    def trial_runs(self) -> list[tuple[dict[str, Any], StudyRun]]:
        """The trials: pairs of the settings to try and a run with them.

        A method with a single combination of settings has none; nor has a study without `tune`.
        """
        trials, runs = self.trials, []
        if trials is None:
            return []
        points = [point for point in self.points if point.level in trials.levels]
        for seed, point, method in itertools.product(trials.seeds, points, self.methods):
            held_out = dataclasses.replace(
                point.data, validation_fraction=trials.validation_fraction
            )
            tried = trials.of(method)
            for settings in tried if len(tried) > 1 else ():
                words = _folder_name("-".join(f"{k}_{value}" for k, value in settings.items()))
                name = f"trials/{_place(point)}/{method}/{words}/seed{seed}"
                at = dataclasses.replace(point, data=held_out)
                fixed = self.methods[method].at(point.level)
                runs.append((settings, self._run(name, at, method, fixed | settings, seed)))
        return runs

    def _run(self, name, point, method, settings, seed):
        hyperparameters, own = _apart(method, settings)
        training, rounds = _by_config(own)
        config = RunConfig(
            point.data,
            dataclasses.replace(self.training, seed=seed, **training),
            method,
            _complete(method, tuple(hyperparameters.items())),
            dataclasses.replace(self.rounds, **rounds),
        )
        return StudyRun(name, config, point, tuple(own))


def read(path: str | pathlib.Path) -> Study:
    """Reads a study's file.

    Its keys:

    - `title`, of the report;
    - `training`: flags of the train command that all runs share;
    - `data`: a mapping, or a list of mappings, of flags of the noisy split, in which a list stands
      for each of its values; `level` gives the fraction of wrong labels of noise without levels;
    - `methods`: maps methods to settings, or to a list of settings that each have a `level`;
      settings are hyperparameters of the method and those of `TRAINING_SETTINGS`;
    - `seeds`;
    - `tune`: `levels`, `seeds`, `validation_fraction`, and `settings`, which maps methods to lists
      of values of their settings.

    Args:
        path: a YAML file, or the name of a shipped one.

    Raises:
        InputError: the file can't be read, or describes runs that are not possible.
    """
    path = shipped.find(path)
    found = yaml_file.read(path)
    try:
        return _study(found, path.stem)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _study(found, name):
    found = {} if found is None else found
    _check_keys("a study", found, KEYS)
    for key in ("data", "methods"):
        if not found.get(key):
            raise InputError(f"{key} is missing.")
    title = found.get("title", name)
    if isinstance(title, (list, Mapping)):
        raise InputError(f"title={title} must be text.")
    training, rounds = _training(_given(found, "training"))
    networks.check(training.network)
    if "seed" in _given(found, "training"):
        raise InputError("training: seed can't be set: a study has seeds.")
    entries = found["data"] if isinstance(found["data"], list) else [found["data"]]
    seeds = _seeds(found.get("seeds", [0]))
    each = len(_mapping("methods", found["methods"])) * len(seeds)
    _check_count(each * sum(map(_count, entries)))
    points = tuple(point for entry in entries for point in _points(entry))
    settings = {
        method: Settings.parse(
            {} if given is None else given, lambda each, m=method: _settings(m, each)
        )
        for method, given in found["methods"].items()
    }
    tune = found.get("tune")
    trials = None if tune is None else _trials(tune, points, settings)
    study = Study(str(title), training, rounds, points, settings, seeds, trials)
    runs = study.runs(lambda kind, method: Settings({None: {}}))
    runs += [run for _, run in study.trial_runs()] if study.trials else []
    for name, count in collections.Counter(run.name for run in runs).items():
        if count > 1:
            raise InputError(
                f"{name} would be two runs: list the same data, seed or settings once."
            )
    return study


def _count(entry):
    """How many points an entry of `data` stands for."""
    values = _mapping("data", entry).values()
    return math.prod(len(value) for value in values if isinstance(value, list))


def _check_count(count):
    """Raises an InputError if there are more runs than a list of them should hold."""
    if count > _MOST_RUNS:
        raise InputError(f"the values stand for more than {_MOST_RUNS} runs: list fewer.")


def _points(entry):
    entry = dict(_mapping("data", entry))
    level = entry.pop("level", None)
    columns = [
        _list(name, value) if isinstance(value, list) else [value] for name, value in entry.items()
    ]
    for values in itertools.product(*columns):
        given = _fields("data", dict(zip(entry, values, strict=True)), DataConfig)
        data = splits.resolve(DataConfig(**given))
        if level is not None and data.noise_level is not None:
            raise InputError(f"level={level} can't be set: noise={data.noise} takes a noise_level.")
        known = data.noise_level if level is None else codec.from_yaml(float, level, "level")
        if known is not None and not 0 <= known <= 1:
            raise InputError(f"level={known} must lie in [0, 1].")
        yield Point(data, results.kind(data.dataset, data.noise), known)


def _trials(found, points, study_methods):
    _check_keys("tune", found, TUNE_KEYS)
    given = _list("tune: levels", found.get("levels"))
    levels = tuple(codec.from_yaml(float, each, "tune: levels") for each in given)
    foreign = set(levels) - {point.level for point in points}
    if foreign:
        raise InputError(f"tune: levels: data has no level {min(foreign):g}.")
    for kind in {point.kind for point in points}:
        if not {point.level for point in points if point.kind == kind} & set(levels):
            raise InputError(f"tune: levels={list(levels)} has none of the levels of {kind}.")
    tried = {}
    for method, grid in _mapping("tune: settings", _given(found, "settings")).items():
        if method not in study_methods:
            raise InputError(f"tune: settings: {method} is not among the study's methods.")
        columns = [
            [_settings(method, {name: value})[name] for value in _list(name, values)]
            for name, values in _mapping(method, grid).items()
        ]
        tried[method] = dict(zip(grid, map(tuple, columns), strict=True))
        if math.prod(map(len, columns)) < 2:
            raise InputError(
                f"tune: settings: {method} has nothing to choose from: give it under methods."
            )
    seeds = _seeds(found.get("seeds", [100]))
    trials = sum(math.prod(map(len, grid.values())) for grid in tried.values())
    _check_count(trials * len(seeds) * len(points))
    fraction = codec.from_yaml(
        float, found.get("validation_fraction", 0.1), "tune: validation_fraction"
    )
    if not 0.0 < fraction < 1.0:
        raise InputError(f"tune: validation_fraction={fraction} must lie in (0, 1).")
    return Trials(levels, seeds, fraction, tried)


def _place(point):
    """The folder of a point's runs: its name distinguishes the point's labels from the others."""
    data = point.data
    parts = [data.dataset, data.noise]
    parts += [] if data.noise_level is None else [f"{data.noise_level:g}"]
    parts += [f"noise_seed{data.noise_seed}"] if data.noise_seed else []
    parts += [f"train{data.train_examples}"] if data.train_examples else []
    if data.verified_fraction is not None:
        parts += [f"verified{data.verified_fraction:g}", *data.verified_classes]
        parts += [f"verified_seed{data.verified_seed}"] if data.verified_seed else []
    parts += [pathlib.Path(data.noise_file).stem] if data.noise_file else []
    parts += [pathlib.Path(name).stem for name in data.corrections.split(",") if name]
    parts += [pathlib.Path(data.examples_file).stem] if data.examples_file else []
    return _folder_name("-".join(parts))


def _folder_name(text):
    """A name that any text can give a folder; a long one ends with its hash."""
    name = re.sub(r"[^\w.-]+", "_", text)
    if len(name.encode()) <= _LONGEST_NAME and name.strip("."):
        return name
    return f"{name[:40]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _training(given):
    """What `training` stands for: the settings of a run's training, and of those before it."""
    training, rounds = _by_config(_fields("training", given, TrainingConfig, RoundsConfig))
    return TrainingConfig(**training), RoundsConfig(**rounds)


def _by_config(settings):
    """Settings of training as those of `TrainingConfig` and those of `RoundsConfig`."""
    of_rounds = {field.name for field in dataclasses.fields(RoundsConfig)}
    rounds = {name: settings[name] for name in settings if name in of_rounds}
    return {name: settings[name] for name in settings if name not in rounds}, rounds


def _fields(what: str, given: Any, *config_classes: type) -> dict[str, Any]:
    """Converts values from YAML to the types of the fields of dataclasses."""
    kinds = {field.name: field.kind for each in config_classes for field in codec.fields(each)}
    given = {codec.RENAMED.get(str(k), k): value for k, value in _mapping(what, given).items()}
    _check_keys(what, given, tuple(kinds))
    return {name: codec.from_yaml(kinds[name], value, name) for name, value in given.items()}


@functools.cache
def _complete(method, settings):
    return methods.resolve(method, dict(settings))


def _apart(method, settings):
    """A method's settings as its hyperparameters and as flags of training."""
    own = {field.name for field in methods.hyperparameters_of(method)}
    training = {k: v for k, v in settings.items() if k in TRAINING_SETTINGS and k not in own}
    return {k: v for k, v in settings.items() if k not in training}, training


def _settings(method, given):
    known = {field.name: field.kind for field in methods.hyperparameters_of(method)}
    given = {str(name): value for name, value in _mapping(method, given).items()}
    hyperparameters, training = _apart(method, given)
    if hyperparameters.keys() - known.keys():
        methods.resolve(method, hyperparameters)  # raises an InputError that names them
    values = {k: codec.from_yaml(known[k], value, k) for k, value in hyperparameters.items()}
    _complete(method, tuple(values.items()))
    training = _fields("training", training, TrainingConfig, RoundsConfig)
    for config_class, own in zip((TrainingConfig, RoundsConfig), _by_config(training), strict=True):
        config_class(**own)
    return {**values, **training}


def _seeds(found):
    return tuple(codec.from_yaml(int, seed, "seeds") for seed in _list("seeds", found))


def _list(name, found):
    if not isinstance(found, list) or not found:
        raise InputError(f"{name}={found} must be a list, as in [1, 2].")
    return found


def _given(found, name):
    """The value of a key, {} if it has none."""
    return {} if found.get(name) is None else found[name]


def _mapping(name, found):
    if not isinstance(found, Mapping):
        raise InputError(f"{name}={found} must be a mapping from names to values.")
    return found


def _check_keys(what, found, known):
    for key in _mapping(what, found):
        if key not in known:
            raise InputError(f"{what} has no key {key}: choose from {', '.join(known)}.")
