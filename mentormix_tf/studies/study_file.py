"""Reads a study from a YAML file and lists its runs."""

import collections
import dataclasses
import functools
import itertools
import math
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from mentormix_tf import methods, networks, shipped
from mentormix_tf.config import DataConfig, RunConfig, TrainingConfig, codec
from mentormix_tf.data import splits
from mentormix_tf.errors import InputError
from mentormix_tf.studies import results
from mentormix_tf.studies.settings import Settings

__all__ = ["KEYS", "TUNE_KEYS", "Point", "Study", "StudyRun", "Trials", "read"]

KEYS = ("title", "training", "data", "methods", "seeds", "tune")
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
    """

    name: str
    config: RunConfig
    point: Point


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
        points: the labels to train on.
        methods: settings of each method, by name.
        seeds: seeds of each cell.
        trials: trials to choose settings by, or None.
    """

    title: str
    training: TrainingConfig
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
                words = "-".join(f"{name}_{value}" for name, value in settings.items())
                name = f"trials/{_place(point)}/{method}/{words}/seed{seed}"
                at = dataclasses.replace(point, data=held_out)
                fixed = self.methods[method].at(point.level)
                runs.append((settings, self._run(name, at, method, fixed | settings, seed)))
        return runs

    def _run(self, name, point, method, settings, seed):
        config = RunConfig(
            data=point.data,
            training=dataclasses.replace(self.training, seed=seed),
            method=method,
            hyperparameters=_complete(method, tuple(settings.items())),
        )
        return StudyRun(name, config, point)


def read(path: str | pathlib.Path) -> Study:
    """Reads a study's file.

    Its keys:

    - `title`, of the report;
    - `training`: flags of the train command that all runs share;
    - `data`: a mapping, or a list of mappings, of flags of the noisy split, in which a list stands
      for each of its values; `level` gives the fraction of wrong labels of noise without levels;
    - `methods`: maps methods to settings, or to a list of settings that each have a `level`;
    - `seeds`;
    - `tune`: `levels`, `seeds`, `validation_fraction`, and `settings`, which maps methods to lists
      of values of their hyperparameters.

    Args:
        path: a YAML file, or the name of a shipped one.

    Raises:
        InputError: the file can't be read, or describes runs that are not possible.
    """
    path = shipped.find(path)
    try:
        found = yaml.load(path.read_text(), _Loader)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise InputError(f"{path} can't be read: {reason}.") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error
    try:
        return _study(found, path.stem)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


class _Loader(yaml.SafeLoader):
    """Refuses duplicate keys, of which YAML would keep the last."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key} is given twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def _study(found, name):
    _check_keys("a study", found, KEYS)
    for key in ("data", "methods"):
        if not found.get(key):
            raise InputError(f"{key} is missing.")
    training = TrainingConfig(**_fields(TrainingConfig, found.get("training") or {}))
    networks.check(training.network)
    if "seed" in (found.get("training") or {}):
        raise InputError("training: seed can't be set: a study has seeds.")
    entries = found["data"] if isinstance(found["data"], list) else [found["data"]]
    points = tuple(point for entry in entries for point in _points(entry))
    settings = {
        method: Settings.parse(given or {}, lambda each, m=method: _hyperparameters(m, each))
        for method, given in _mapping("methods", found["methods"]).items()
    }
    study = Study(
        title=str(found.get("title", name)),
        training=training,
        points=points,
        methods=settings,
        seeds=_seeds(found.get("seeds", [0])),
        trials=_trials(found["tune"], points, settings) if found.get("tune") else None,
    )
    runs = study.runs(lambda kind, method: Settings({None: {}}))
    runs += [run for _, run in study.trial_runs()] if study.trials else []
    for name, count in collections.Counter(run.name for run in runs).items():
        if count > 1:
            raise InputError(
                f"{name} would be two runs: list the same data, seed or settings once."
            )
    return study


def _points(entry):
    entry = dict(_mapping("data", entry))
    level = entry.pop("level", None)
    columns = [
        _list(name, value) if isinstance(value, list) else [value] for name, value in entry.items()
    ]
    for values in itertools.product(*columns):
        given = _fields(DataConfig, dict(zip(entry, values, strict=True)))
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
    for method, grid in _mapping("tune: settings", found.get("settings") or {}).items():
        if method not in study_methods:
            raise InputError(f"tune: settings: {method} is not among the study's methods.")
        columns = [
            [_hyperparameters(method, {name: value})[name] for value in _list(name, values)]
            for name, values in _mapping(method, grid).items()
        ]
        tried[method] = dict(zip(grid, map(tuple, columns), strict=True))
        if math.prod(map(len, columns)) < 2:
            raise InputError(
                f"tune: settings: {method} has nothing to choose from: give it under methods."
            )
    fraction = codec.from_yaml(
        float, found.get("validation_fraction", 0.1), "tune: validation_fraction"
    )
    if not 0.0 < fraction < 1.0:
        raise InputError(f"tune: validation_fraction={fraction} must lie in (0, 1).")
    return Trials(levels, _seeds(found.get("seeds", [100])), fraction, tried)


def _place(point):
    """The folder of a point's runs: its name distinguishes the point's labels from the others."""
    data = point.data
    parts = [data.dataset, data.noise]
    parts += [] if data.noise_level is None else [f"{data.noise_level:g}"]
    parts += [f"noise_seed{data.noise_seed}"] if data.noise_seed else []
    parts += [f"train{data.train_examples}"] if data.train_examples else []
    parts += [pathlib.Path(data.noise_file).stem] if data.noise_file else []
    return re.sub(r"[^\w.-]+", "_", "-".join(parts))


def _fields(config_class: type, given: Any) -> dict[str, Any]:
    """Converts values from YAML to the types of a dataclass's fields."""
    kinds = {field.name: field.kind for field in codec.fields(config_class)}
    what = "training" if config_class is TrainingConfig else "data"
    given = {codec.RENAMED.get(str(k), k): value for k, value in _mapping(what, given).items()}
    _check_keys(what, given, tuple(kinds))
    return {name: codec.from_yaml(kinds[name], value, name) for name, value in given.items()}


@functools.cache
def _complete(method, settings):
    return methods.resolve(method, dict(settings))


def _hyperparameters(method, given):
    known = {field.name: field.kind for field in methods.hyperparameters_of(method)}
    given = {str(name): value for name, value in _mapping(method, given).items()}
    if given.keys() - known.keys():
        methods.resolve(method, given)  # raises an InputError that names them
    values = {name: codec.from_yaml(known[name], value, name) for name, value in given.items()}
    _complete(method, tuple(values.items()))
    return values


def _seeds(found):
    return tuple(codec.from_yaml(int, seed, "seeds") for seed in _list("seeds", found))


def _list(name, found):
    if not isinstance(found, list) or not found:
        raise InputError(f"{name}={found} must be a list, as in [1, 2].")
    return found


def _mapping(name, found):
    if not isinstance(found, Mapping):
        raise InputError(f"{name}={found} must be a mapping from names to values.")
    return found


def _check_keys(what, found, known):
    for key in _mapping(what, found):
        if key not in known:
            raise InputError(f"{what} has no key {key}: choose from {', '.join(known)}.")
