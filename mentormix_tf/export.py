"""python -m mentormix_tf.export: writes a run's network as a SavedModel for serving."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Literal

from mentormix_tf import command
from mentormix_tf.command import Given, Section
from mentormix_tf.errors import InputError

__all__ = ["ExportConfig", "main"]


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """What to export, and where to.

    Args:
        model_dir: the run's folder.
        export_dir: folder for the numbered versions of the model; by default, export/ in model_dir.
        weights: last, those of the last step; best, the best on the validation split; averaged,
            their moving average; or auto, averaged if the run kept an average, else last.
        version: number of the version, at least 1; by default, the highest existing one plus 1.
        license: license of the model, for its card; it must agree with the data's license.
        keras_file: a new file, with a name that ends with .keras, to write the network to as well:
            for Keras, or for --network of a run that trains it further.
        hub_folder: a new folder to write for the Hugging Face Hub as well: the network for Keras,
            the SavedModel, and a README with the Hub's metadata. Nothing is uploaded.
    """

    model_dir: str = ""
    export_dir: str = ""
    weights: Literal["auto", "last", "best", "averaged"] = "auto"
    version: int = 0
    license: str = ""
    keras_file: str = ""
    hub_folder: str = ""

    def __post_init__(self):
        if not self.model_dir:
            raise InputError("model_dir is missing: name a run's folder, like --model_dir=runs/...")
        if not 0 <= self.version < 2**63:
            raise InputError(f"version={self.version} must lie in [1, 2**63).")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the export command; returns its exit status.

    Args:
        argv: the words after the command; None for those that the process was started with.
    """
    summary = "Writes a run's network as a SavedModel, ready for TensorFlow Serving."
    return command.run(_export, summary, (Section("Exporting", ExportConfig),), argv)


def _export(given: Given) -> None:
    command.load_backend()
    from mentormix_tf.runs import saved_run
    from mentormix_tf.serving import hub_folder, keras_file, saved_model

    config = given.config(ExportConfig)
    if config.keras_file:
        keras_file.check(config.keras_file)
    if config.hub_folder:
        hub_folder.check(config.hub_folder)
    run = saved_run.read(config.model_dir)
    trained = saved_run.load_network(run, config.weights)
    path = saved_model.export(run, trained, config.export_dir, config.version, config.license)
    print(f"Exported the {trained.weights} weights of step {trained.step:,} to {path}/")
    if config.keras_file:
        print(f"Keras file: {keras_file.write(trained, config.keras_file)}")
    if config.hub_folder:
        folder = hub_folder.write(run, trained, path, config.hub_folder, config.license)
        print(
            f"Folder for the Hugging Face Hub: {folder}/; read its README.md and flags.txt, which "
            f"anybody will see, and upload it with: hf upload USER/NAME {folder}"
        )
    print(f"Inspect the model with: saved_model_cli show --dir {path} --all")


if __name__ == "__main__":
    sys.exit(main())
