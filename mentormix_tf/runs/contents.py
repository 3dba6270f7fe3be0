"""Checks what a run's JSON files hold, as anybody may have edited them."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from etils import epath

from mentormix_tf import files
from mentormix_tf.errors import InputError, excerpt

__all__ = ["model", "result"]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31


def _is_bool_or_none(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)


def _is_number_or_none(value: Any) -> bool:
    return value is None or _is_number(value)


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_is_size, value))


def _is_stored_shape(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(side is None or _is_size(side) for side in value[:2])
        and _is_size(value[2])
    )


def _are_names(value: Any) -> bool:
    return (
        isinstance(value, list) and all(map(_is_text, value)) and len(set(value)) == len(value) > 1
    )


def _are_versions(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


_MODEL = {
    "class_names": _are_names,
    "image_shape": _is_shape,
    "stored_image_shape": _is_stored_shape,
    "augmentation": _is_text,
    "split_sha256": _is_text,
}
_LATER = {  # which older runs do not have
    "examples_sha256": _is_text,
    "backbone_sha256": _is_text,
    "onednn": _is_bool_or_none,
}
_RESULT = {
    "method": _is_text,
    "steps": _is_size,
    "peak_accuracy": _is_number,
    "final_accuracy": _is_number,
    "accuracy_drop": _is_number,
    "images_per_second": _is_number_or_none,
    "realized_noise_rate": _is_number_or_none,
    "split_sha256": _is_text,
    "device": _is_text,
    "versions": _are_versions,
}


def model(path: epath.Path) -> dict[str, Any]:
    """Reads a model.json.

    Raises:
        InputError: it can't be read, or an entry is missing or of another kind.
    """
    found = _read(path, _MODEL | _LATER)
    _check_whole(path, found, _MODEL)
    return found


def result(path: epath.Path, is_whole: bool = True) -> dict[str, Any]:
    """Reads a result.json.

    Args:
        path: the file.
        is_whole: whether all entries must be there that a run writes today.

    Raises:
        InputError: see `model`.
    """
    found = _read(path, _RESULT)
    if is_whole:
        _check_whole(path, found, _RESULT)
    return found


def _read(path: epath.Path, kinds: Mapping[str, Callable[[Any], bool]]) -> dict[str, Any]:
    found = files.read_json(path)
    if not isinstance(found, dict):
        raise InputError(f"{path} is not an object in JSON, as a run writes it: restore it.")
    for name, is_right in kinds.items():
        if name in found and not is_right(found[name]):
            value = excerpt(repr(found[name]), 100)
            raise InputError(f"{path} has {name}={value}, as no run writes it: restore it.")
    return found


def _check_whole(path: epath.Path, found: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
    for name in kinds:
        if name not in found:
            raise InputError(f"{path} lacks {name}, which each run writes: restore it.")
