"""What the network of a round says of all training examples, and its file."""

import dataclasses
import io
from typing import Any

import numpy as np
from etils import epath

from mentormix_tf import files, npz
from mentormix_tf.errors import InputError
from mentormix_tf.inference.survey import Survey

__all__ = ["Opinion", "of_survey", "read", "write"]

_MOST_BYTES = 2**36  # of a file, uncompressed


@dataclasses.dataclass(frozen=True)
class Opinion:
    """What a trained network says of all training examples.

    Attributes:
        predicted: `[n]`, integers, the most probable class.
        losses: `[n]`, float, the cross-entropy with the label.
        confusion: `[num_classes, num_classes]`, float64, or None if unknown; [i, j] is the sum of
            the probabilities of class i of the examples with label j that are trained on.
        features: `[n, size]`, float32, or None if they were not asked for.
    """

    predicted: np.ndarray
    losses: np.ndarray
    confusion: np.ndarray | None = None
    features: np.ndarray | None = None


def of_survey(found: Survey, labels: np.ndarray, kept: np.ndarray | None = None) -> Opinion:
    """Makes an opinion of a survey.

    Args:
        found: the survey, of the features that are needed.
        labels: `[n]`, integers in [0, num_classes).
        kept: `[n]`, bool, which examples the confusion matrix counts; None for all.
    """
    probabilities = found.probabilities
    own = probabilities[np.arange(len(labels)), labels]
    confusion = np.zeros([probabilities.shape[1]] * 2)
    counted = slice(None) if kept is None else kept
    np.add.at(confusion.T, labels[counted], probabilities[counted])
    return Opinion(
        probabilities.argmax(axis=1).astype(np.int32),
        -np.log(own + 1e-8),
        confusion,
        found.features[0] if found.features else None,
    )


def write(path: epath.Path, opinion: Opinion, steps: int, split_sha256: str) -> None:
    """Writes an opinion to a .npz file.

    Args:
        path: the file.
        opinion: the opinion.
        steps: how many steps its network was trained for.
        split_sha256: that of the split.

    Raises:
        InputError: it can't be written.
    """
    arrays = {k: v for k, v in vars(opinion).items() if v is not None}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays, steps=steps, split_sha256=split_sha256)
    files.write(path, buffer.getvalue())


def read(path: epath.Path, count: int, split_sha256: str) -> tuple[Opinion, int]:
    """Reads what `write` wrote.

    Args:
        path: the file.
        count: number of training examples.
        split_sha256: that of the split.

    Returns:
        The opinion, and how many steps its network was trained for.

    Raises:
        InputError: the file can't be read, or is about other labels.
    """
    try:
        stored: dict[str, Any] = npz.arrays(files.contents(path), _MOST_BYTES)
        names = [field.name for field in dataclasses.fields(Opinion)]
        opinion = Opinion(**{name: stored[name] for name in names if name in stored})
        steps, split = int(stored["steps"]), str(stored["split_sha256"])
    except (*npz.UNREADABLE, TypeError) as error:
        raise InputError(
            f"{path} can't be read ({files.reason(error)}): delete it, and it is made again."
        ) from error
    lengths = [opinion.predicted.shape, opinion.losses.shape]
    lengths += [] if opinion.features is None else [opinion.features.shape[:1]]
    if any(each != (count,) for each in lengths) or split != split_sha256:
        raise InputError(
            f"{path} is of a run on other labels: restore the split, or name a new folder for "
            f"--model_dir instead of {path.parent.parent}."
        )
    return opinion, steps
