"""python -m mentormix_tf.export: writes a run's network as a SavedModel for serving."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Literal

from mentormix_tf import command
from mentormix_tf.command import Given, Section
from mentormix_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """What is exported, and where to.

    Args:
        model_dir: folder of the run.
        export_dir: folder for the numbered versions of the model; left out, export/ in model_dir.
        weights: last of training, best on the validation split, or their moving average; auto for
            averaged where the run kept it, else last.
        version: number of the version, at least 1; left out, the next that is free.
        license: licence of the model, for its card; mind that of the data.
    """

    model_dir: str = ""
    export_dir: str = ""
    weights: Literal["auto", "last", "best", "averaged"] = "auto"
    version: int = 0
    license: str = ""

    def __post_init__(self):
        if not self.model_dir:
            raise InputError("model_dir is missing: name a run's folder, as --model_dir=runs/...")
        if self.version < 0:
            raise InputError(f"version={self.version} must be at least 1.")


def main(argv: Sequence[str] | None = None) -> int:
    """Exports the run that a command line names; returns the exit status."""
    summary = "Writes a run's network as a SavedModel, ready for TensorFlow Serving."
    return command.run(_export, summary, (Section("Exporting", ExportConfig),), argv)


def _export(given: Given) -> None:
    from mentormix_tf.runs import saved_run
    from mentormix_tf.serving import saved_model

    config = given.config(ExportConfig)
    run = saved_run.read(config.model_dir)
    trained = saved_run.load_network(run, config.weights)
    path = saved_model.export(run, trained, config.export_dir, config.version, config.license)
    print(f"Exported the {trained.weights} weights of step {trained.step:,} to {path}/")
    print(f"See them with: saved_model_cli show --dir {path} --all")


if __name__ == "__main__":
    sys.exit(main())
