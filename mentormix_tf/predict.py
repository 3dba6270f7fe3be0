"""python -m mentormix_tf.predict: says which classes images show."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Literal

from tqdm import tqdm

from mentormix_tf import command
from mentormix_tf.command import Given, Section
from mentormix_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class PredictConfig:
    """How images are classified, and what is said of them.

    Args:
        model_dir: folder of the run.
        weights: last of training, best on the validation split, or their moving average; auto for
            averaged where the run kept it, else last.
        top_k: how many classes to name for each image, the most probable first.
        format: csv, or jsonl for a JSON object on each line.
        output: file to write; left out, what is found is printed.
        batch_size: images that are classified at once.
    """

    model_dir: str = ""
    weights: Literal["auto", "last", "best", "averaged"] = "auto"
    top_k: int = 1
    format: Literal["csv", "jsonl"] = "csv"
    output: str = ""
    batch_size: int = 64

    def __post_init__(self):
        if not self.model_dir:
            raise InputError("model_dir is missing: name a run's folder, as --model_dir=runs/...")
        for name in ("top_k", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)} must be at least 1.")


def main(argv: Sequence[str] | None = None) -> int:
    """Classifies the images that a command line names; returns the exit status."""
    summary = "Says which classes images show: files, folders or patterns."
    return command.run(_predict, summary, (Section("Predicting", PredictConfig),), argv, "IMAGE...")


def _predict(given: Given) -> None:
    from mentormix_tf.runs import saved_run
    from mentormix_tf.serving import classifier, image_files, prediction_writer

    config, names = given.config(PredictConfig), given.arguments
    if not names:
        raise InputError("No image is named: give files, folders or patterns, as photos/*.jpg.")
    run = saved_run.read(config.model_dir)
    if config.top_k > len(run.class_names):
        raise InputError(
            f"top_k={config.top_k} must be at most {len(run.class_names)}, the classes."
        )
    trained = saved_run.load_network(run, config.weights)
    images = image_files.find(names)
    rows = image_files.classify(
        images, classifier.of_run(run, trained), config.top_k, config.batch_size
    )
    with prediction_writer.open_output(config.output) as file:
        bar = tqdm(rows, "Classifying", len(images), unit=" images", disable=None)
        failed = prediction_writer.write(bar, file, config.format, config.top_k)
    if failed:
        print(f"{failed} of {len(images)} have a reason instead of a class.", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
