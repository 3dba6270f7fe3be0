"""python -m mentormix_tf.predict: classifies image files."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Literal

from tqdm import tqdm

from mentormix_tf import command
from mentormix_tf.command import Given, Section
from mentormix_tf.config.data import DataConfig, check_max_image_pixels
from mentormix_tf.errors import InputError

__all__ = ["PredictConfig", "main"]


@dataclasses.dataclass(frozen=True)
class PredictConfig:
    """How to classify images, and the form of the output.

    Args:
        model_dir: the run's folder.
        weights: last, those of the last step; best, the best on the validation split; averaged,
            their moving average; or auto, averaged if the run kept an average, else last.
        top_k: how many classes to name for each image, the most probable first.
        format: csv, or jsonl for a JSON object on each line.
        output: new file for the results; by default, they are printed.
        batch_size: images per batch.
        max_image_pixels: most pixels, height times width, of an image; larger ones are not decoded.
    """

    model_dir: str = ""
    weights: Literal["auto", "last", "best", "averaged"] = "auto"
    top_k: int = 1
    format: Literal["csv", "jsonl"] = "csv"
    output: str = ""
    batch_size: int = 64
    max_image_pixels: int = DataConfig.max_image_pixels

    def __post_init__(self):
        if not self.model_dir:
            raise InputError("model_dir is missing: name a run's folder, like --model_dir=runs/...")
        for name in ("top_k", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)} must be at least 1.")
        check_max_image_pixels(self.max_image_pixels)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the predict command; returns its exit status.

    Args:
        argv: the words after the command; None for those that the process was started with.
    """
    summary = "Classifies images, given as files, folders or patterns."
    return command.run(_predict, summary, (Section("Predicting", PredictConfig),), argv, "IMAGE...")


def _predict(given: Given) -> None:
    command.load_backend()
    from mentormix_tf.runs import saved_run
    from mentormix_tf.serving import classifier, image_files, prediction_writer

    config, names = given.config(PredictConfig), given.arguments
    if not names:
        raise InputError("No image is named: give files, folders or patterns, like photos/*.jpg.")
    run = saved_run.read(config.model_dir)
    if config.top_k > len(run.class_names):
        raise InputError(
            f"top_k={config.top_k} must be at most {len(run.class_names)}, the number of classes."
        )
    trained = saved_run.load_network(run, config.weights)
    images = image_files.find(names)
    rows = image_files.classify(
        images,
        classifier.of_run(run, trained),
        config.top_k,
        config.batch_size,
        config.max_image_pixels,
    )
    with prediction_writer.open_output(config.output) as file:
        bar = tqdm(rows, "Classifying", len(images), unit=" images", disable=None)
        failed = prediction_writer.write(bar, file, config.format, config.top_k)
    if failed:
        print(f"{failed} of {len(images)} images could not be classified.", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
