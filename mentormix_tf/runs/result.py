"""Summarizes a finished run for result.json."""

from collections.abc import Mapping, Sequence
from typing import Any

from mentormix_tf.config import RunConfig
from mentormix_tf.runs import provenance

__all__ = ["SPLIT_FACTS", "summarize"]

# Entries copied from the split's manifest.
SPLIT_FACTS = (
    "dataset",
    "noise",
    "noise_level",
    "noise_seed",
    "realized_noise_rate",
    "split_sha256",
)


def summarize(
    config: RunConfig,
    rows: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any],
    end: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Summarizes a run.

    Args:
        config: the run's config.
        rows: all evaluations, as in metrics.csv.
        facts: further entries.
        end: the evaluation of the network that the run ends with, if that is not the last of
            `rows`, because its inference is not softmax.

    Returns:
        The contents of result.json. Accuracies are fractions; peak and final accuracy are on the
        test split's clean labels. Test labels choose nothing.
    """
    training = config.training
    ends = [*rows, end] if end else rows
    last, accuracies = ends[-1], [row["test_accuracy"] for row in ends]
    result = {
        "method": config.method,
        "hyperparameters": dict(config.hyperparameters),
        "network": training.network,
        "precision": training.precision,
        "batch_size": training.batch_size,
        "seed": training.seed,
        "steps": rows[-1]["step"],
        "peak_accuracy": max(accuracies),
        "final_accuracy": accuracies[-1],
        "accuracy_drop": max(accuracies) - accuracies[-1],
    }
    if end:
        result["softmax_final_accuracy"] = rows[-1]["test_accuracy"]
    if "averaged_test_accuracy" in rows[0]:
        averaged = [row["averaged_test_accuracy"] for row in ends]
        result["averaged_peak_accuracy"] = max(averaged)
        result["averaged_final_accuracy"] = averaged[-1]
    if "validation_accuracy" in rows[0]:
        best = max(rows, key=lambda row: row["validation_accuracy"])
        result["final_validation_accuracy"] = last["validation_accuracy"]
        result["best_validation_accuracy"] = best["validation_accuracy"]
        result["best_validation_step"] = best["step"]
        result["accuracy_at_best_validation"] = best["test_accuracy"]
    for name, value in last.items():
        if name.startswith("train_") or name.endswith("_top5_accuracy"):
            result[f"final_{name}"] = value
    return {
        **result,
        **facts,
        "versions": provenance.versions(),
        "git_revision": provenance.git_revision(),
    }
