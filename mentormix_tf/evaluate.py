"""python -m mentormix_tf.evaluate: measures a run's network, or an exported one, on a split."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Literal

from mentormix_tf import command
from mentormix_tf.command import Given, Section
from mentormix_tf.config import DataConfig
from mentormix_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """What is measured.

    Args:
        model_dir: folder of the run.
        saved_model: instead of model_dir, an exported SavedModel: a version's folder.
        weights: last of training, best on the validation split, or their moving average; auto for
            averaged where the run kept it, else last.
        split: train, validation or test, or several, as in train+test.
        true_labels: compare with the true labels, where they are known, rather than with those
            that training sees; on test splits they are the same.
        batch_size: images that are classified at once.
        output_dir: folder for evaluation.json, confusion_matrix.csv and confusion_matrix.png; left
            out, one in evaluation/ in model_dir (for a saved_model, in the current folder) that is
            named after what is measured.
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
            raise InputError("Name either a run, as --model_dir=runs/..., or a --saved_model.")
        if self.batch_size < 1:
            raise InputError(f"batch_size={self.batch_size} must be at least 1.")


SECTIONS = (
    Section("What is measured", EvaluateConfig),
    Section("The split; flags left out are as the network was trained", DataConfig, (), False),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluates what a command line names; returns the exit status."""
    summary = "Measures a run's network, or an exported one, on a prepared split."
    return command.run(_evaluate, summary, SECTIONS, argv)


def _evaluate(given: Given) -> None:
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
    print(evaluated.table())
    print(f"More in {evaluated.folder}/")


if __name__ == "__main__":
    sys.exit(main())
