"""python -m mentormix_tf.evaluate: measures a run's network, or an exported one, on a split."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Literal

from mentormix_tf import command, console
from mentormix_tf.command import Given, Section
from mentormix_tf.config import DataConfig
from mentormix_tf.errors import InputError

__all__ = ["SECTIONS", "EvaluateConfig", "main"]


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """What to evaluate.

    Args:
        model_dir: the run's folder.
        saved_model: a version's folder of an exported SavedModel, instead of model_dir.
        weights: last, those of the last step; best, the best on the validation split; averaged,
            their moving average; or auto, averaged if the run kept an average, else last.
        split: train, validation or test, or several joined by "+", as in train+test.
        true_labels: compare predictions with the true labels, where they are known, rather than
            with the labels that training sees; on test splits both are the same.
        batch_size: images per batch.
        output_dir: folder for evaluation.json, confusion_matrix.csv and confusion_matrix.png; by
            default, a subfolder of evaluation/, in model_dir or, for a saved_model, in the current
            folder, named after model, data and split.
    """

    model_dir: str = ""
    saved_model: str = ""
    weights: Literal["auto", "last", "best", "averaged"] = "auto"
    split: str = "test"
    true_labels: bool = False
    batch_size: int = 100
    output_dir: str = ""

    def __post_init__(self):
        if bool(self.model_dir) == bool(self.saved_model):
            raise InputError("Name either a run, like --model_dir=runs/..., or a --saved_model.")
        if not 1 <= self.batch_size < 2**31:
            raise InputError(f"batch_size={self.batch_size} must lie in [1, 2**31).")


SECTIONS = (
    Section("What to evaluate", EvaluateConfig),
    Section("The split; by default, the one used in training", DataConfig, (), False),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the evaluate command; returns its exit status.

    Args:
        argv: the words after the command; None for those that the process was started with.
    """
    summary = "Measures a run's network, or an exported one, on a prepared split."
    return command.run(_evaluate, summary, SECTIONS, argv)


def _evaluate(given: Given) -> None:
    command.load_backend()
    from mentormix_tf.runs import saved_run
    from mentormix_tf.serving import evaluation, saved_model

    config = given.config(EvaluateConfig)
    if config.model_dir:
        model = saved_run.read(config.model_dir)
        trained_on = model.config.data
    else:
        model = saved_model.load(config.saved_model)
        trained_on = model.data
    evaluated = evaluation.evaluate(
        model,
        evaluation.data_config(trained_on, **given.fields_given(DataConfig)),
        config.split,
        config.weights,
        config.true_labels,
        config.batch_size,
        config.output_dir,
    )
    print(console.printable(evaluated.table(), "\n"))
    print(f"More in {evaluated.folder}/")


if __name__ == "__main__":
    sys.exit(main())
