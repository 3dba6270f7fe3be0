"""Figures of a run: its confusion matrix and its mixed images."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

__all__ = [
    "MIXED_COLUMNS",
    "MOST_NAMED",
    "MOST_NUMBERED",
    "draw_confusion_matrix",
    "draw_mixed",
    "png",
]

MOST_NUMBERED = 20  # the most classes for which each cell shows its count
MOST_NAMED = 100  # the most classes for which rows and columns show their names
MIXED_COLUMNS = 4  # columns, and rows, of the figure of mixed images


def png(figure: Figure) -> bytes:
    """Encodes a figure as a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def draw_confusion_matrix(matrix: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Draws a confusion matrix, colored by the fraction of each row.

    With up to 20 classes, cells show their counts; with up to 100, rows and columns are labeled
    with the classes' names, with more by the numbers of some.

    Args:
        matrix: `[num_classes, num_classes]` counts, a row for each label.
        class_names: a name for each class.

    Returns:
        The figure; `savefig(path)` writes it.
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
        # A $ in a user's class name must not start mathematics.
        names = [name if len(name) <= 25 else f"{name[:24]}…" for name in class_names]
        style = {"fontsize": size, "parse_math": False}
        axes.set_xticks(range(num_classes), names, rotation=90, **style)
        axes.set_yticks(range(num_classes), names, **style)
    if num_classes <= MOST_NUMBERED:
        for (row, column), count in np.ndenumerate(matrix):
            color = "white" if fractions[row, column] > 0.5 else "black"
            axes.text(column, row, f"{count}", ha="center", va="center", fontsize=8, color=color)
    return figure


def draw_mixed(
    images: np.ndarray, labels: np.ndarray, lam: np.ndarray, class_names: Sequence[str]
) -> Figure:
    """Draws the first 16 mixed images of a batch, each with its label.

    Args:
        images: `[batch, height, width, channels]`, float32, in [0, 255].
        labels: `[batch, num_classes]`, float32, probabilities.
        lam: `[batch]`, float32, λ of each; NaN where none was drawn.
        class_names: a name for each class.

    Returns:
        The figure; `savefig(path)` writes it.
    """
    figure = Figure((8, 10.8), dpi=100)
    side, unit = 1 / MIXED_COLUMNS, 1.35 / MIXED_COLUMNS  # width and height of a cell
    # All images share one axes: 16 axes would take a second.
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    for i, (image, label) in enumerate(zip(images[: MIXED_COLUMNS**2], labels, strict=False)):
        left, top = side * (i % MIXED_COLUMNS), unit * (MIXED_COLUMNS - i // MIXED_COLUMNS)
        tall, wide = (0.95 * side * part / max(image.shape[:2]) for part in image.shape[:2])
        extent = (left + (side - wide) / 2, left + (side + wide) / 2, top - tall, top)
        shown = np.clip(image / 255.0, 0.0, 1.0)
        shown = shown.repeat(3, axis=-1) if shown.shape[-1] == 1 else shown
        axes.imshow(shown, extent=extent, aspect="auto", interpolation="nearest")
        likeliest = [c for c in np.argsort(-label, kind="stable")[:2] if label[c] > 0.005]
        title = "\n".join(f"{label[c]:.2f} {class_names[c][:24]}" for c in likeliest)
        title += "" if np.isnan(lam[i]) else f"\nλ = {lam[i]:.2f}"
        middle = left + side / 2
        axes.text(
            middle, top - tall - 0.01, title, ha="center", va="top", fontsize=8.5, parse_math=False
        )
    axes.set(xlim=(0, 1), ylim=(0, 1.36))
    return figure
