"""Which labels a person has checked: the column `verified` of a split.

1 means that the label was checked and is right, 0 that it was checked and is wrong, and -1 that
nobody has checked it.
"""

import difflib
from collections.abc import Sequence

import numpy as np

from mentormix_tf.config import DataConfig
from mentormix_tf.errors import InputError, excerpt

__all__ = ["RIGHT", "UNVERIFIED", "WRONG", "after_noise", "parse", "sampled"]

RIGHT, WRONG, UNVERIFIED = 1, 0, -1
_CELLS = {"1": RIGHT, "0": WRONG, "-1": UNVERIFIED, "": UNVERIFIED}


def parse(cell: str, line: str) -> int:
    """Reads a cell of a column `verified` of a person's own table.

    Args:
        cell: 1, 0, or -1 or nothing for a label that nobody has checked.
        line: the flag and the line, for errors.

    Raises:
        InputError: it is anything else.
    """
    if cell.strip() not in _CELLS:
        raise InputError(
            f"{line}, has verified={excerpt(cell)!r}: write 1 for a label that was checked and is "
            "right, 0 for one that is wrong, or nothing."
        )
    return _CELLS[cell.strip()]


def after_noise(verified: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """What is known of labels after noise has changed some of them.

    Args:
        verified: `[n]`, integers, of the labels before.
        before: `[n]`, integers, the labels that were checked.
        after: `[n]`, integers, those after the noise.

    Returns:
        `[n]`: where a label has changed, 0 if it was right, and -1 if it was wrong, since it may
        have become right.
    """
    changed = np.where(verified == RIGHT, WRONG, UNVERIFIED)
    return np.where(before == after, verified, changed)


def sampled(
    config: DataConfig,
    class_names: Sequence[str],
    labels: np.ndarray,
    is_clean: np.ndarray,
    train: np.ndarray,
) -> np.ndarray:
    """Verifies a random sample of the training labels, as if a person had checked them.

    With the same seed, a larger fraction has the examples of a smaller one, and more.

    Args:
        config: the settings, with the fraction, the classes and the seed.
        class_names: the name of each class.
        labels: `[n]`, integers, of all examples of the source.
        is_clean: `[n]`, integers: 1 for a right label, 0 for a wrong one, -1 if that is unknown.
        train: `[n]`, bool, which examples are in train.

    Returns:
        `[n]`, int64.

    Raises:
        InputError: a class is unknown, it is unknown whether a label is right, or the sample is
            empty.
    """
    flag = f"verified_fraction={config.verified_fraction}"
    inside = train & _in_classes(config.verified_classes, class_names, labels)
    unknown = int((is_clean[inside] < 0).sum())
    if unknown:
        raise InputError(
            f"{flag} takes from the true labels which labels are right, but dataset="
            f"{config.dataset} lacks those of {unknown:,} training examples: leave it out, or give "
            "a column verified in a CSV file or in a file of corrections."
        )
    assert config.verified_fraction is not None
    # A random stream of its own, so that the sample says nothing about which labels are wrong.
    order = np.random.RandomState([config.verified_seed, 4]).permutation(len(labels))
    found = order[inside[order]]
    count = round(config.verified_fraction * len(found))
    if not count:
        raise InputError(
            f"{flag} of {len(found):,} training examples is less than one: choose a larger "
            "fraction."
        )
    verified = np.full(len(labels), UNVERIFIED)
    verified[found[:count]] = is_clean[found[:count]]
    return verified


def _in_classes(
    chosen: Sequence[str], class_names: Sequence[str], labels: np.ndarray
) -> np.ndarray:
    """`[n]`, bool: which labels are among some classes, by their names; no names are all."""
    names = list(class_names)
    for name in chosen:
        if name not in names:
            nearest = difflib.get_close_matches(excerpt(name), names, n=1, cutoff=0.0)[0]
            raise InputError(
                f"verified_classes has {excerpt(name)!r}, which is no class: the nearest is "
                f"{nearest!r}."
            )
    return np.isin(labels, [names.index(name) for name in chosen or names])
