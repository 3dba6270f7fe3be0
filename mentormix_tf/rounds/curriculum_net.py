"""CurriculumNet's curriculum: the examples of a class that lie close together come first.

Guo, Huang, Zhang, Zhuang, Dong, Scott and Huang, "CurriculumNet: Weakly Supervised Learning from
Large-Scale Web Images", ECCV 2018. In the features of a network that was trained on all examples,
those with right labels look alike, so many of their class are near. The density of an example is
ρᵢ = #{j of its class: Dᵢⱼ < d} - 1, with the Euclidean distances D and their 60 % quantile d. Three
clusters of these densities are the clean, the noisy and the highly noisy subset of the class, as in
the authors' code; training turns them on one after the other.

Only the code of the subsets was released. Ours: a random sample of the distances gives d where a
class has many examples; each subset begins at a third of training; batches are not balanced over
classes.
"""

from collections.abc import Mapping

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances_chunked
from sklearn.metrics.pairwise import euclidean_distances

from mentormix_tf.config import RunConfig
from mentormix_tf.data.prepared import NoisySplits
from mentormix_tf.errors import InputError
from mentormix_tf.rounds.rounds_folder import Outcome, RoundsFolder

__all__ = [
    "SUBSETS",
    "check",
    "curriculum",
    "cutoff",
    "densities",
    "design",
    "prepare",
]

SUBSETS = ("clean", "noisy", "highly noisy")
_MOST_PAIRS = 2**24  # of a class, whose distances are held at once: 128 MiB
_SAMPLED = 2**18  # pairs of a class with more; their quantile is off by about a thousandth
_BLOCK = 2**14  # sampled pairs at once
_ROUNDING = 1e-9  # relative, more than that of a distance


def design(
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    *,
    density_quantile: float = 0.6,
    most_features: int = 256,
    seed: int = 0,
) -> np.ndarray:
    """Sorts the examples of each class by density into subsets.

    A class with fewer different densities than subsets has fewer subsets, the first ones: all its
    examples are clean if all are in equally dense places, as one or two examples always are.

    Args:
        features: `[n, size]`, float32, of a trained network.
        labels: `[n]`, integers in [0, num_classes), of which some are wrong.
        num_classes: number of classes, of which some may have no examples.
        density_quantile: see `cutoff`.
        most_features: longer features are projected on so many principal components of their class.
        seed: seed of the sampled distances, the projection and the clusters.

    Returns:
        `[n]`, int64, positions in `SUBSETS`: 0 for the examples in the densest places.
    """
    subsets = np.zeros(len(labels), np.int64)
    for label in range(num_classes):
        members = np.flatnonzero(labels == label)
        if len(members):
            z = _projected(np.asarray(features[members], np.float64), most_features, seed)
            found = densities(z, cutoff(z, density_quantile, seed))
            subsets[members] = _clusters(found, seed)
    return subsets


def cutoff(features: np.ndarray, density_quantile: float = 0.6, seed: int = 0) -> float:
    """The distance below which two examples of a class are near each other.

    Args:
        features: `[examples, size]`, float64, of the class.
        density_quantile: the share of all distances, in [0, 1), that are smaller, counting those of
            examples to themselves.
        seed: seed of the sample of 2**18 pairs that decides where there are more than 2**24.
    """
    count = len(features)
    if count**2 <= _MOST_PAIRS:
        distances = euclidean_distances(features).ravel()
    else:
        pairs = np.random.RandomState(seed).randint(count, size=(2, _SAMPLED))
        blocks = [pairs[:, start : start + _BLOCK] for start in range(0, _SAMPLED, _BLOCK)]
        distances = np.concatenate(
            [np.linalg.norm(features[i] - features[j], axis=1) for i, j in blocks]
        )
    position = int(density_quantile * len(distances))
    return float(np.partition(distances, position)[position])


def densities(features: np.ndarray, cutoff: float, block_mebibytes: float = 128) -> np.ndarray:
    """Counts how many other examples are near each one.

    Args:
        features: `[examples, size]`, float64, of a class.
        cutoff: the distance below which an example is near; exactly there, it is not.
        block_mebibytes: most memory for distances; those of a whole row are always held.

    Returns:
        `[examples]`, int64. It is -1 for a cutoff of 0, as not even the example itself is nearer.
    """
    # The pair that the cutoff comes from must not count if its distance is rounded otherwise here.
    nearer = cutoff * (1.0 - _ROUNDING)
    counts = pairwise_distances_chunked(
        features,
        reduce_func=lambda distances, start: (distances < nearer).sum(axis=1),
        working_memory=block_mebibytes,
    )
    return np.concatenate(list(counts)) - 1


def curriculum(
    subsets: np.ndarray,
    *,
    weights: tuple[float, float, float] = (1.0, 0.5, 0.5),
    starts: tuple[float, float, float] = (0.0, 1 / 3, 2 / 3),
) -> tuple[np.ndarray, np.ndarray]:
    """What training does with each example, as an examples file says it.

    Args:
        subsets: `[n]`, from `design`.
        weights: the weight of the loss in each subset.
        starts: the share of all steps, in [0, 1), from which on each subset takes part.

    Returns:
        `[n]`, float32, the weight of each example, and `[n]`, float64, its start.
    """
    return np.array(weights, np.float32)[subsets], np.array(starts, np.float64)[subsets]


def check(config: RunConfig, data: NoisySplits, columns: Mapping[str, np.ndarray]) -> None:
    """Checks that the first subset can fill a batch, which a third of the examples must be able to.

    Args:
        config: the run.
        data: its split.
        columns: `label` of the examples to train on, `[n]`.

    Raises:
        InputError: there are too few examples.
    """
    labels = columns["label"]
    least = len(SUBSETS) * config.training.batch_size
    if len(labels) < least:
        raise InputError(
            f"batch_size={config.training.batch_size} is too large for rounds=curriculum_net, "
            f"which begins with a part of the {len(labels):,} training examples: at least "
            f"{least:,} are needed, or a smaller batch_size."
        )


def prepare(rounds: RoundsFolder, config: RunConfig) -> Outcome:
    """Designs the curriculum of a run by the features of one round's network.

    Args:
        rounds: trains the round.
        config: the run.

    Raises:
        InputError: see `RoundsFolder.train`.
    """
    found = rounds.train("plain", layers=[config.rounds.round_features])
    kept = slice(None) if rounds.kept is None else rounds.kept

    def compute():
        assert found.features is not None
        subsets, own = np.zeros(len(rounds.labels), np.int64), found.features[kept]
        labels, seed = rounds.labels[kept], config.training.seed
        subsets[kept] = design(own, labels, rounds.num_classes, seed=seed)
        return subsets

    subsets = rounds.computed("subsets", compute)
    weights, starts = curriculum(subsets)
    counts = np.bincount(subsets[kept], minlength=len(SUBSETS)).tolist()
    return Outcome(weights=weights, starts=starts, facts={"subset_examples": counts})


def _projected(features, most, seed):
    """The principal components of a class, unless its examples span no more than these."""
    if min(features.shape) <= most:
        return features
    return PCA(most, random_state=seed).fit_transform(features)


def _clusters(found, seed):
    """The subset of each example of a class, by its density."""
    values = found[:, None].astype(np.float64)
    count = min(len(SUBSETS), len(np.unique(found)))
    clusters = KMeans(count, n_init=10, random_state=seed)  # pyright: ignore[reportArgumentType]
    clusters.fit(values)
    rank = np.argsort(np.argsort(-clusters.cluster_centers_[:, 0]))
    return rank[clusters.labels_]
