"""Judging labels by what a network says of them, without training: scores and noise rate."""

import numpy as np

from benchmarks import harness
from benchmarks.harness import Measurement, Size
from mentormix_tf.auditing import judgment
from mentormix_tf.inference.survey import Survey

__all__ = ["measure"]

CLASSES = 10


def measure(size: Size) -> list[Measurement]:
    """Measures made-up predictions of 5,000 and 50,000 examples."""
    random, made = np.random.RandomState(0), {}
    for count in (500,) if size.is_quick else (5_000, 50_000):
        labels = random.randint(CLASSES, size=count)
        logits = random.normal(size=(count, CLASSES)) + 4 * np.eye(CLASSES)[labels]
        given = np.where(
            random.uniform(size=count) < 0.4, random.randint(CLASSES, size=count), labels
        )
        odds = np.exp(logits)
        survey = Survey(odds / odds.sum(axis=1, keepdims=True))
        names, ids = [str(i) for i in range(CLASSES)], [f"train_{i}" for i in range(count)]
        made[f"{count:,} examples"] = lambda n=names, i=ids, g=given, s=survey: judgment.judge(
            n, i, g, "", survey=s
        )
    return harness.summary(harness.alternate(made, size.repetitions))
