"""RoG: classes by robust Gaussians of a trained network's features, instead of its softmax.

Lee et al., "Robust Inference via Generative Classifiers for Handling Noisy Labels", ICML 2019. In
features, examples of a class lie together, even if the softmax has memorized wrong labels. With
robust means μ_c and one covariance Σ for all classes (`robust_gaussian.py`), and each class as
likely as another, log p(c | z) = zᵀΣ⁻¹μ_c - ½ μ_cᵀΣ⁻¹μ_c + constant: a dense layer on the features
z.

Differences from the paper: several layers have equal weights in the mean of their probabilities,
where the paper learns weights on a validation set (which its code takes from the test set); and the
covariance is shrunk (Ledoit and Wolf, 2004).
"""

import dataclasses
import math
from collections.abc import Sequence

import keras
import numpy as np

from mentormix_tf.errors import InputError
from mentormix_tf.inference import features, robust_gaussian
from mentormix_tf.inference.features import FeatureLayer
from mentormix_tf.inference.survey import Survey

__all__ = ["Head", "check", "fit", "of_gaussian", "with_heads"]


@dataclasses.dataclass(frozen=True)
class Head:
    """A dense layer that classifies by a network's features.

    Attributes:
        layer: which features.
        kernel: `[size, num_classes]`, float32.
        bias: `[num_classes]`, float32.
    """

    layer: FeatureLayer
    kernel: np.ndarray
    bias: np.ndarray


def check(
    network: keras.Model,
    layers: Sequence[FeatureLayer],
    labels: np.ndarray,
    class_names: Sequence[str],
) -> None:
    """Checks that a network and a training set have what `fit` needs, before any training.

    Args:
        network: the network.
        layers: which features.
        labels: `[examples]`, integers, the labels of the examples to train on.
        class_names: the name of each class.

    Raises:
        InputError: the network has no such features, or a class has fewer than two examples.
    """
    for layer in layers:
        if not features.has(network, layer):
            other = next((each for each in _LAYERS if features.has(network, each)), None)
            hint = f"choose --rog_layers={other}" if other else "leave out --inference=rog"
            raise InputError(f"rog_layers={layer}: {_LAYERS[layer].format(network.name)}; {hint}.")
    counts = np.bincount(labels, minlength=len(class_names))
    if counts.min() < 2:
        raise InputError(
            f"inference=rog needs at least two training examples of each class, but "
            f"{class_names[int(counts.argmin())]} has {counts.min()}: add some, or leave out "
            "--inference=rog."
        )


_LAYERS: dict[FeatureLayer, str] = {
    "convolution": "the network {} has no feature maps before its last layers",
    "penultimate": "the network {} does not end with a dense layer",
}


def fit(
    survey: Survey,
    labels: np.ndarray,
    layers: Sequence[FeatureLayer],
    kept: np.ndarray | None = None,
    seed: int = 0,
) -> list[Head]:
    """Fits robust Gaussians to the features of a training set.

    Args:
        survey: of the training set, not augmented, with the features of `layers`.
        labels: `[examples]`, integers, the label of each, of which some are wrong.
        layers: which features.
        kept: `[examples]`, bool, which of them to use; None for all.
        seed: see `robust_gaussian.fit`.

    Returns:
        A head for each layer.
    """
    used = np.ones(len(labels), bool) if kept is None else kept
    num_classes = survey.probabilities.shape[1]
    return [
        of_gaussian(layer, robust_gaussian.fit(z[used], labels[used], num_classes, seed=seed))
        for layer, z in zip(layers, survey.features, strict=True)
    ]


def of_gaussian(layer: FeatureLayer, gaussian: robust_gaussian.RobustGaussian) -> Head:
    """The dense layer whose softmax has each class's probability, all being equally likely.

    Args:
        layer: which features.
        gaussian: means and precision, of classes that all have examples.
    """
    # Relative to the mean of the means, which changes all logits alike and keeps them small.
    middle = gaussian.means.mean(axis=0)
    centered = gaussian.means - middle
    kernel = gaussian.precision @ centered.T
    bias = -0.5 * np.einsum("cd,dc->c", centered, kernel) - middle @ kernel
    return Head(layer, kernel.astype(np.float32), bias.astype(np.float32))


def with_heads(network: keras.Model, heads: Sequence[Head]) -> keras.Model:
    """Makes a network that classifies by heads on features, and shares the weights of another.

    Args:
        network: the network, from images to logits.
        heads: at least one.

    Returns:
        A network from images to logits: those of the head, or the logarithm of the heads' mean
        probabilities.

    Raises:
        InputError: the network has no such features.
    """
    layers: list[FeatureLayer] = [head.layer for head in heads]
    *found, _ = features.model(network, *layers).outputs
    logits = []
    for head, tensor in zip(heads, found, strict=True):
        dense = keras.layers.Dense(len(head.bias), dtype="float32", name=f"rog_{head.layer}")
        logits.append(dense(tensor))
        dense.set_weights([head.kernel, head.bias])
    if len(logits) == 1:
        return keras.Model(network.inputs, logits[0], name=network.name)
    ops = keras.ops
    stacked = ops.stack([ops.log_softmax(each) for each in logits], axis=0)
    mean = ops.subtract(ops.logsumexp(stacked, axis=0), math.log(len(heads)))
    return keras.Model(network.inputs, mean, name=network.name)
