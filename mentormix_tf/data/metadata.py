"""The JSON files of a prepared split, checked before TFDS reads them.

TFDS imports the classes that features.json names and reads the files that dataset_info.json names,
so a folder from somebody else could run code. Only what `writer.NoisyLabels` writes is accepted.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Set
from typing import Any

from etils import epath

from mentormix_tf import files
from mentormix_tf.data import sources
from mentormix_tf.errors import InputError, excerpt

__all__ = ["MANIFEST", "read"]

MANIFEST = "manifest.json"
_FEATURES = "features.json"
_INFO = "dataset_info.json"
_NAMES = "label.labels.txt"
_SPLITS = ("train", "validation", "test")
_MOST_CLASSES = 10**6
_LONGEST_SIDE = 2**16
_LEAST_RECORD = 16  # bytes around the contents of a record

_FILE = re.compile(rf"noisy_labels-({'|'.join(_SPLITS)})\.tfrecord-\d{{5,}}-of-\d{{5,}}")
_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
_INFO_KEYS = {
    "citation",
    "configDescription",
    "configName",
    "description",
    "downloadSize",
    "fileFormat",
    "location",
    "moduleName",
    "name",
    "redistributionInfo",
    "releaseNotes",
    "splits",
    "supervisedKeys",
    "version",
}
_INTEGER = ("tensor_feature.Tensor", "tensor")
_CLASSES = {  # feature: (class in tensorflow_datasets.core.features, key of its settings)
    "id": ("text_feature.Text", "text"),
    "image": ("image_feature.Image", "image"),
    "is_clean": _INTEGER,
    "label": ("class_label_feature.ClassLabel", "classLabel"),
    "true_label": _INTEGER,
    "verified": _INTEGER,
    "annotators": _INTEGER,
    "disagreeing": _INTEGER,
}
# Features that only some splits have, by the entry of the manifest that those have.
_IF = {"num_verified": {"verified"}, "mean_disagreement": {"annotators", "disagreeing"}}
_CORRECTION = {"base_sha256", "dropped", "file_sha256", "kept", "relabeled"}
_MODULE = "tensorflow_datasets.core.features."


def read(path: epath.Path) -> dict[str, Any]:
    """Reads the manifest of a split, and checks it and the files that TFDS will read.

    Args:
        path: the folder of the split.

    Returns:
        The contents of manifest.json. Those of older versions have no `label_names` and no
        `fingerprints`; only those of splits with verified labels have `num_verified`, only
        those of corrected splits `corrections`, only those with --verified_fraction the settings
        of this, and only those of several people's labels `mean_disagreement`.

    Raises:
        InputError: a file can't be read, or has something that no split of this package has.
    """
    manifest = _read(path, MANIFEST, _check_manifest)
    lacking = [features for entry, features in _IF.items() if entry not in manifest]
    wanted = _CLASSES.keys() - set().union(*lacking)
    found = _read(path, _FEATURES, lambda features: _check_features(features, wanted))
    features = found["featuresDict"]["features"]
    _read(path, _INFO, lambda info: _check_info(info, manifest))
    names = _label_names(path)
    stored = int(features["label"]["classLabel"]["numClasses"])
    if names != manifest.get("label_names", names) or len(names) != stored:
        raise InputError(
            f"{path / _NAMES} has {len(names)} names that are not those of the {stored} classes of "
            f"the split: delete {path} and prepare it again."
        )
    return manifest


def _read(path: epath.Path, name: str, check: Callable[[Any], str | None]) -> Any:
    """Reads a file of the split and checks its contents."""
    contents, problem = None, None
    try:
        contents = json.loads(files.contents(path / name))
    except OSError as error:
        problem = f"can't be read ({error.strerror})"
    except (ValueError, RecursionError) as error:
        problem = f"is not valid JSON ({error})"
    try:
        problem = problem or check(contents)
    except (TypeError, ValueError, LookupError, AttributeError):
        problem = "does not have the form that this package writes"
    if problem:
        raise InputError(
            f"{path} is not a prepared split, since its {name} {problem}: delete the folder and "
            "prepare it again."
        )
    return contents


def _check_manifest(manifest: Any) -> str | None:
    """Says what is wrong with a manifest; None if nothing is."""
    if not isinstance(manifest, dict):
        return "is not a JSON object"
    checks: dict[str, Callable[[Any], bool]] = {
        "dataset": lambda value: isinstance(value, str),
        "noise": lambda value: isinstance(value, str),
        "noise_level": lambda value: value is None or _is_fraction(value),
        "noise_seed": _is_count,
        "validation_fraction": _is_fraction,
        "num_examples": _are_counts,
        "realized_noise_rate": lambda value: value is None or _is_fraction(value),
        "split_sha256": lambda value: re.fullmatch("[0-9a-f]{64}", value) is not None,
        "files": lambda value: _are_counts(value) and all(map(_FILE.fullmatch, value)),
    }
    later: dict[str, Callable[[Any], bool]] = {
        "train_examples": _is_count,
        "corrections": lambda value: isinstance(value, list) and all(map(_is_correction, value)),
        "num_verified": _is_count,
        "verified_fraction": _is_fraction,
        "verified_classes": lambda value: all(isinstance(name, str) for name in value),
        "verified_seed": _is_count,
        "mean_disagreement": _is_fraction,
        "label_names": lambda value: all(isinstance(name, str) for name in value),
        "fingerprints": lambda value: (
            value.keys() == manifest["files"].keys()
            and all(re.fullmatch("[0-9a-f]{16}", each) for each in value.values())
        ),
    }
    for name, is_right in (checks | later).items():
        if name not in manifest and name in later:
            continue
        if name not in manifest:
            return f"has no {name}"
        try:
            right = is_right(manifest[name])
        except (TypeError, AttributeError, KeyError):
            right = False
        if not right:
            return f"has {name}={excerpt(json.dumps(manifest[name]), 80)}"
    says_why = bool({"corrections", "verified_fraction"} & manifest.keys())
    if "num_verified" not in manifest and says_why:
        return "does not have the number of verified labels"
    if "num_verified" in manifest and not (says_why or _has_verified(manifest["dataset"])):
        return "has verified labels, but does not say why"
    foreign = manifest["num_examples"].keys() - set(_SPLITS)
    if foreign or "train" not in manifest["num_examples"]:
        return f"has num_examples of {', '.join(manifest['num_examples'])}"
    return None


def _has_verified(dataset: str) -> bool:
    """Whether a data set may say itself which labels a person has checked."""
    entries = {**sources.SOURCES, **sources.FAMILIES}
    name = dataset.partition(":")[0]
    return name in entries and entries[name].has_verified


def _check_features(features: Any, wanted: Set[str]) -> str | None:
    """Says what is wrong with the features; None if they are those of `writer.NoisyLabels`."""
    parts = dict(features["featuresDict"]["features"])
    if features.keys() != {"featuresDict", "pythonClassName"} or parts.keys() != wanted:
        return f"has other features than {', '.join(sorted(wanted))}"
    named = {"all": (features, "features_dict.FeaturesDict", "featuresDict")}
    named |= {name: (parts[name], *_CLASSES[name]) for name in parts}
    for name, (feature, class_name, content) in named.items():
        if feature["pythonClassName"] != _MODULE + class_name:
            return f"has the class {feature['pythonClassName']!r} for {name}"
        if feature.keys() != {"pythonClassName", content}:
            return f"has other settings than {content} for {name}"
    label, image = parts["label"]["classLabel"], parts["image"]["image"]
    if not 1 <= int(label["numClasses"]) <= _MOST_CLASSES:
        return f"has {label['numClasses']} classes"
    sides = [int(side) for side in image["shape"]["dimensions"]]
    is_shape = len(sides) == 3 and all(-1 <= side <= _LONGEST_SIDE for side in sides)
    if not is_shape or not 1 <= sides[2] <= 4 or image["dtype"] != "uint8":
        return f"has images of the shape {sides} and the type {image['dtype']}"
    return None


def _check_info(info: Any, manifest: Mapping[str, Any]) -> str | None:
    """Says what is wrong with the list of splits and files; None if it fits the manifest."""
    foreign = info.keys() - _INFO_KEYS
    if foreign:
        return f"has the entry {min(foreign)}"
    fixed = {"name": "noisy_labels", "version": "1.0.0", "fileFormat": "tfrecord"}
    for name, value in fixed.items():
        if info[name] != value:
            return f"has {name}={info[name]!r}"
    if not re.fullmatch(r"mentormix_tf(\.\w+)*", info.get("moduleName", "mentormix_tf")):
        return f"has moduleName={info['moduleName']!r}"
    counts: dict[str, int] = {}
    sizes = dict(manifest["files"])
    for split in info["splits"]:
        name, lengths = split["name"], [int(n) for n in split["shardLengths"]]
        if split.keys() - {"name", "numBytes", "shardLengths", "filepathTemplate"}:
            return f"has other settings of {name} than its files"
        if split.get("filepathTemplate", _TEMPLATE) != _TEMPLATE or name in counts:
            return f"has files of {name} with other names"
        counts[name] = sum(lengths)
        for i, length in enumerate(lengths):
            file = f"noisy_labels-{name}.tfrecord-{i:05d}-of-{len(lengths):05d}"
            if not 0 <= length * _LEAST_RECORD <= sizes.pop(file, -1):
                return f"has {length} records in {file}"
        if not 0 <= int(split["numBytes"]) < 2**63:
            return f"has {split['numBytes']} bytes of {name}"
    if sizes or counts != manifest["num_examples"]:
        return f"has other files than its {MANIFEST}"
    return None


def _label_names(path: epath.Path) -> list[str]:
    """The class names that TFDS will read: lines without spaces around them."""
    try:
        lines = files.contents(path / _NAMES).decode().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path / _NAMES}, which has the names of the classes, can't be read "
            f"({files.reason(error)}): restore it, or delete {path} and "
            "prepare it again."
        ) from error
    return [line.strip() for line in lines if line.strip()]


def _is_correction(value: Any) -> bool:
    """Whether a value is what `corrections.apply` says of a file."""
    hashes = [value[name] for name in ("base_sha256", "file_sha256")]
    return (
        value.keys() == _CORRECTION
        and all(re.fullmatch("[0-9a-f]{64}", each) for each in hashes)
        and all(_is_count(value[name]) for name in ("relabeled", "dropped", "kept"))
    )


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _are_counts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_count, value.values()))


def _is_fraction(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and 0 <= value <= 1
