"""What predictions are worth: pure functions of NumPy arrays.

Their arguments are named alike: `label` `[n]`, the right classes; `predicted` `[n]`, the classes
with the highest score; `rank` `[n]`, how many classes score higher than the label; `confidence`
`[n]`, the probability of the class that was predicted, in [0, 1]. All have n of at least 1.
"""

import csv
import io

import numpy as np
import sklearn.metrics
from matplotlib.figure import Figure

MOST_NUMBERED = 20  # classes up to which a picture has a number in each cell
MOST_NAMED = 100  # classes up to which it has their names


def label_rank(scores, label):
    """How many classes score higher than the label; of equal scores the first class is higher.

    Args:
        scores: `[n, num_classes]`, floats.
        label: `[n]`, integers in [0, num_classes).

    Returns:
        `[n]`, int64: 0 where the label has the highest score.
    """
    order = np.argsort(-np.asarray(scores), axis=1, kind="stable")
    return np.argmax(order == np.asarray(label)[:, None], axis=1)


def accuracy(label, predicted):
    """The fraction of predictions that are right: a float in [0, 1]."""
    return float(np.mean(np.equal(label, predicted)))


def top_k_accuracy(rank, k):
    """The fraction of examples whose label is among the k highest scores: a float in [0, 1]."""
    return float(np.mean(np.less(rank, k)))


def expected_calibration_error(label, predicted, confidence, num_bins=15):
    """How far confidence and accuracy lie apart, in the mean over the examples.

    Confidences are sorted into bins of equal width, each with its upper end; a bin counts
    |accuracy - mean confidence|, by its share of the examples. Source: Guo, Pleiss, Sun and
    Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, equation 3.

    Returns:
        A float in [0, 1]; 0 is best.
    """
    confidence = np.asarray(confidence, np.float64)
    bins = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    gaps = np.bincount(bins, np.equal(label, predicted) - confidence)
    return float(np.abs(gaps).sum() / len(confidence))


def confusion_matrix(label, predicted, num_classes):
    """How many examples of each class were taken for each.

    Returns:
        `[num_classes, num_classes]`, int64: a row for each label, a column for each prediction.
    """
    return sklearn.metrics.confusion_matrix(label, predicted, labels=np.arange(num_classes))


def class_accuracies(matrix, class_names):
    """The accuracy on the examples of each class.

    Args:
        matrix: what `confusion_matrix` gave.
        class_names: a name for each class.

    Returns:
        Dict from name to a float in [0, 1]; None for a class without an example.
    """
    counts = matrix.sum(axis=1)
    return {
        name: float(right / count) if count else None
        for name, right, count in zip(class_names, matrix.diagonal(), counts, strict=True)
    }


def confusion_csv(matrix, class_names):
    """A confusion matrix as the text of a CSV file: a row for each label, with its class's name."""
    table = io.StringIO()
    csv.writer(table).writerow(["label", *class_names])
    rows = zip(class_names, matrix.tolist(), strict=True)
    csv.writer(table).writerows([name, *row] for name, row in rows)
    return table.getvalue()


def png(figure):
    """A `matplotlib.figure.Figure` as the bytes of a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def draw_confusion_matrix(matrix, class_names):
    """A picture of a confusion matrix, coloured by the fraction of each row.

    Up to 20 classes, cells have numbers; up to 100, rows and columns have names; beyond, they
    have some classes' numbers.

    Args:
        matrix: `[num_classes, num_classes]` counts, a row for each label.
        class_names: a name for each class.

    Returns:
        `matplotlib.figure.Figure`; `savefig(path)` writes it.
    """
    num_classes = len(class_names)
    fractions = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(0.5 * num_classes + 2, 5, 14))
    figure = Figure((side + 1, side), dpi=120, layout="compressed")
    axes = figure.add_subplot()
    image = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(image, label="fraction of the row", shrink=0.8)
    axes.set(xlabel="predicted", ylabel="label")
    if num_classes <= MOST_NAMED:
        size = 10 if num_classes <= MOST_NUMBERED else 5
        # Names are the user's: matplotlib shall not read a $ in them as mathematics.
        names = [name if len(name) <= 25 else f"{name[:24]}…" for name in class_names]
        style = {"fontsize": size, "parse_math": False}
        axes.set_xticks(range(num_classes), names, rotation=90, **style)
        axes.set_yticks(range(num_classes), names, **style)
    if num_classes <= MOST_NUMBERED:
        for (row, column), count in np.ndenumerate(matrix):
            color = "white" if fractions[row, column] > 0.5 else "black"
            axes.text(column, row, f"{count}", ha="center", va="center", fontsize=8, color=color)
    return figure
