"""CleanNet: learns from a few verified labels which of the others are right.

Lee, He, Zhang and Yang, "CleanNet: Transfer Learning for Scalable Image Classifier Training with
Label Noise", CVPR 2018. One encoder embeds an image's features, another embeds its label's class as
a set of references, the centers of k-means of the class's features. Their cosine similarity s says
how well image and label fit. It is learned from verified labels; what is learned carries over to
classes that have none, if there are many others.

Differences from the authors' code: features are standardized after the logarithm and before
k-means, without which layers whose features vary little can't be used; x may be negative, where
-log(1 - x) stands for log(1 + x); there are far fewer steps by default, for data sets of a few
thousand examples; and a class is embedded once in a batch, with the same dropout for all of its
examples.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import sklearn.cluster
import tensorflow as tf
from tqdm import tqdm

from mentormix_tf.config import RunConfig
from mentormix_tf.data.prepared import NoisySplits
from mentormix_tf.errors import InputError
from mentormix_tf.rounds.clean_net_encoders import Encoders, example_losses
from mentormix_tf.rounds.rounds_folder import Outcome, RoundsFolder

__all__ = [
    "check",
    "check_labels",
    "class_references",
    "prepare",
    "scores",
    "soft_weights",
    "transformed",
]

_LEARNING_RATE, _MOMENTUM, _DECAY, _DECAY_EVERY = 0.01, 0.9, 0.1, 30_000
_EACH = 32  # verified examples in a batch, and as many that are not
_CHUNK = 100  # steps between updates of the progress bar
_BLOCK = 10_000  # examples that are scored at once


def soft_weights(similarity: np.ndarray) -> np.ndarray:
    """Weights of examples for training a classifier: w_soft = max(0, s).

    Args:
        similarity: `[n]`, s as `scores` returns it.

    Returns:
        `[n]`, float32, in [0, 1].
    """
    return np.clip(similarity, 0.0, 1.0).astype(np.float32)


def check(config: RunConfig, data: NoisySplits, columns: Mapping[str, np.ndarray]) -> None:
    """Checks that there are verified labels to learn from.

    Args:
        config: the run.
        data: its split.
        columns: `label` and `verified` of the examples to train on, `[n]`.

    Raises:
        InputError: a class has no examples, or no label was found right or none wrong.
    """
    check_labels(columns["label"], columns["verified"], data.class_names)


def prepare(rounds: RoundsFolder, config: RunConfig) -> Outcome:
    """Weights examples by a CleanNet on the features of one round's network.

    Verified labels have weight 1 or 0, whatever the CleanNet makes of them.

    Args:
        rounds: trains the round.
        config: the run.

    Raises:
        InputError: see `scores` and `RoundsFolder.train`.
    """
    settings = config.rounds
    found = rounds.train("plain", layers=[settings.round_features])
    kept = slice(None) if rounds.kept is None else rounds.kept

    def compute():
        assert found.features is not None
        similarity = np.zeros(len(rounds.labels), np.float32)
        similarity[kept] = scores(
            found.features[kept],
            rounds.labels[kept],
            rounds.verified[kept],
            rounds.num_classes,
            references=settings.clean_net_references,
            steps=settings.clean_net_steps,
            seed=config.training.seed,
        )
        return similarity

    weights = soft_weights(rounds.computed("scores", compute))
    weights = np.where(rounds.verified < 0, weights, rounds.verified).astype(np.float32)
    facts = {"verified_labels": int((rounds.verified >= 0).sum())}
    return Outcome(weights=weights, facts=facts)


def scores(
    features: npt.ArrayLike,
    labels: npt.ArrayLike,
    verified: npt.ArrayLike,
    num_classes: int,
    *,
    references: int = 32,
    steps: int = 1000,
    seed: int = 0,
) -> np.ndarray:
    """Trains a CleanNet, and computes how well each example fits its label.

    Args:
        features: `[n, size]`, float, of a network that was trained on these labels.
        labels: `[n]`, integers in [0, num_classes), of which some are wrong.
        verified: `[n]`, integers: 1 for a label that was checked and is right, 0 for one that is
            wrong, -1 for one that was not checked.
        num_classes: number of classes.
        references: number of references of a class; fewer for one with fewer different examples.
        steps: number of training steps, of 32 verified and 32 other examples each.
        seed: seed of the references, the initial weights, the batches and the dropout.

    Returns:
        `[n]`, float32, the similarity s in [-1, 1].

    Raises:
        InputError: a class has no examples, no label was found right or none wrong, or a feature
            is not finite.
    """
    x, y, known = np.asarray(features), np.asarray(labels), np.asarray(verified)
    check_labels(y, known, [f"number {i}" for i in range(num_classes)])
    _check_finite(x)
    x = transformed(x)
    sets, present = class_references(x, y, num_classes, references, seed)
    encoders = Encoders(x.shape[1], seed)
    _train(encoders, x, y, known, (sets, present), steps, seed)
    of_classes = encoders.embed_classes(sets, present).numpy()
    found = []
    for start in range(0, len(x), _BLOCK):
        embedded, _ = encoders.embed_queries(x[start : start + _BLOCK])
        found.append(np.sum(embedded.numpy() * of_classes[y[start : start + _BLOCK]], axis=1))
    return np.clip(np.concatenate(found), -1.0, 1.0)


def transformed(features: np.ndarray) -> np.ndarray:
    """Computes what a CleanNet sees of features: logarithms that have mean 0 and deviation 1.

    Args:
        features: `[n, size]`, finite.

    Returns:
        `[n, size]`, float32; 0 for a feature that is the same everywhere.
    """
    logs = (np.sign(features) * np.log1p(np.abs(features))).astype(np.float32)
    mean, deviation = (f(logs, axis=0, dtype=np.float64) for f in (np.mean, np.std))
    scale = np.where(deviation > 1e-6, deviation, np.inf)
    return (logs - mean.astype(np.float32)) / scale.astype(np.float32)


def class_references(
    features: np.ndarray, labels: np.ndarray, num_classes: int, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the references of each class: the centers of k-means of its features.

    Args:
        features: `[n, size]`, transformed.
        labels: `[n]`, integers in [0, num_classes), each class at least once.
        num_classes: number of classes.
        count: number of references of a class.
        seed: seed of k-means.

    Returns:
        `[num_classes, count, size]`, float32, and `[num_classes, count]`, bool, which of them are
        there: all, unless the class has fewer different examples. Those that are not are 0.
    """
    sets = np.zeros([num_classes, count, features.shape[1]], np.float32)
    present = np.zeros([num_classes, count], bool)
    for label in range(num_classes):
        # In float64, so that the order in which threads add up does not show.
        own = features[labels == label].astype(np.float64)
        clusters = min(count, len(np.unique(own, axis=0)))
        tries: Any = 10  # of which the best counts
        means = sklearn.cluster.KMeans(clusters, n_init=tries, max_iter=50, random_state=seed)
        sets[label, :clusters] = means.fit(own).cluster_centers_
        present[label, :clusters] = True
    return sets, present


def check_labels(labels: np.ndarray, verified: np.ndarray, class_names: Sequence[str]) -> None:
    """Checks that there is something to learn from.

    Args:
        labels: `[n]`, integers.
        verified: `[n]`, integers, see `scores`.
        class_names: the names of the classes.

    Raises:
        InputError: a class has no examples, or no label was found right or none wrong.
    """
    counts = np.bincount(labels, minlength=len(class_names))
    if not counts.all():
        lacking = class_names[int(counts.argmin())]
        raise InputError(
            f"rounds=clean_net needs examples of each class, but class {lacking} has none: add "
            "some, or leave out the class."
        )
    right, wrong = int((verified == 1).sum()), int((verified == 0).sum())
    if not right or not wrong:
        raise InputError(
            "rounds=clean_net learns from labels that were found right and others that were found "
            f"wrong, but of the training labels {right:,} are verified as right and {wrong:,} as "
            "wrong: verify more, in a column verified of a csv file or of corrections."
        )


def _check_finite(features):
    if not np.isfinite(features).all():
        raise InputError(
            "CleanNet can't use features that are infinite or not a number: train the network that "
            "computes them with a smaller learning rate."
        )


def _train(
    encoders: Encoders,
    features: np.ndarray,
    labels: np.ndarray,
    verified: np.ndarray,
    references: Sequence[np.ndarray],
    steps: int,
    seed: int,
) -> None:
    """Trains both encoders by gradient descent with momentum."""
    rate: Any = keras.optimizers.schedules.ExponentialDecay(
        _LEARNING_RATE, _DECAY_EVERY, _DECAY, staircase=True
    )
    optimizer = keras.optimizers.SGD(rate, momentum=_MOMENTUM)
    variables = encoders.variables
    optimizer.build(variables)
    sets, present = map(tf.constant, references)

    @tf.function(reduce_retracing=True)
    def learn(x, y, known):
        for step in tf.range(tf.shape(y)[0]):
            classes, places = tf.unique(y[step])
            with tf.GradientTape() as tape:
                own, error = encoders.embed_queries(x[step])
                chosen = tf.gather(sets, classes), tf.gather(present, classes)
                of_classes = encoders.embed_classes(*chosen, training=True)
                # A product with one-hot rows, whose gradient is the same each time.
                rows = tf.one_hot(places, tf.size(classes)) @ of_classes
                similarity = tf.reduce_sum(own * rows, axis=1)
                loss = tf.reduce_mean(example_losses(similarity, error, known[step]))
                loss += encoders.regularization()
            gradients = tape.gradient(loss, [variable.value for variable in variables])
            optimizer.apply([tf.convert_to_tensor(g) for g in gradients], variables)

    batches = _batches(labels, verified, steps, seed)
    with tqdm(total=steps, desc="Training CleanNet", unit="step", disable=None) as bar:
        for start in range(0, steps, _CHUNK):
            chunk = batches[start : start + _CHUNK]
            learn(*(tf.constant(values[chunk]) for values in (features, labels, verified)))
            bar.update(len(chunk))


def _batches(labels: np.ndarray, verified: np.ndarray, steps: int, seed: int) -> np.ndarray:
    """Draws the examples of each step, `[steps, batch]`: half of them are verified.

    The others are a random one of a random class, so that rare classes have as many.
    """
    random = np.random.RandomState([seed, 2])
    known, others = np.flatnonzero(verified >= 0), np.flatnonzero(verified < 0)
    first = known[random.randint(len(known), size=(steps, _EACH))]
    if not len(others):
        return first
    others = others[np.argsort(labels[others], kind="stable")]
    _, begins, counts = np.unique(labels[others], return_index=True, return_counts=True)
    classes = random.randint(len(begins), size=(steps, _EACH))
    places = (random.random_sample((steps, _EACH)) * counts[classes]).astype(np.int64)
    return np.concatenate([first, others[begins[classes] + places]], axis=1)
