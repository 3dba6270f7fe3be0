"""Metrics as pictures."""

import io

import numpy as np
from matplotlib.figure import Figure

MOST_NUMBERED = 20  # classes up to which a picture has a number in each cell
MOST_NAMED = 100  # classes up to which it has their names


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
