"""python -m mentormix_tf.predict: says which classes images show."""

import contextlib
import csv
import dataclasses
import json
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import Literal

from tqdm import tqdm

from mentormix_tf import command
from mentormix_tf.command import Given, Section
from mentormix_tf.errors import InputError
from mentormix_tf.runs import saved_run
from mentormix_tf.serving import classifier, image_files


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
    config, names = given.config(PredictConfig), given.arguments
    if not names:
        raise InputError("No image is named: give files, folders or patterns, as photos/*.jpg.")
    run = saved_run.read(config.model_dir)
    if config.top_k > len(run.class_names):
        raise InputError(
            f"top_k={config.top_k} must be at most {len(run.class_names)}, the classes."
        )
    trained = saved_run.load_network(run, config.weights)
    classify = classifier.of_run(run, trained)
    images = image_files.find(names)
    failed = 0
    with _output(config.output) as file:
        write = _writer(file, config)
        found = image_files.classify(images, classify, config.top_k, config.batch_size)
        for row in tqdm(found, "Classifying", len(images), unit=" images", disable=None):
            failed += row.reason is not None
            write(row)
    if failed:
        print(f"{failed} of {len(images)} have a reason instead of a class.", file=sys.stderr)


def _output(path):
    if not path:
        return contextlib.nullcontext(sys.stdout)
    try:
        return pathlib.Path(path).expanduser().open("x", newline="", encoding="utf-8")
    except FileExistsError as error:
        raise InputError(f"output={path} exists: name a new file.") from error
    except OSError as error:
        raise InputError(f"output={path} can't be written: {error.strerror}.") from error


def _writer(file, config):
    """A function that writes a `Row` to a file, in the format that is wanted."""
    if config.format == "jsonl":

        def write(row):
            top = [{"class": name, "probability": value} for name, value in row.top]
            what = {**top[0], "top": top} if top else {"reason": row.reason}
            print(json.dumps({"image": _text(row.image), **what}, ensure_ascii=False), file=file)

        return write

    table = csv.writer(file, lineterminator="\n")
    further = [
        f"{kind}_{i}" for i in range(2, config.top_k + 1) for kind in ("class", "probability")
    ]
    table.writerow(["image", "class", "probability", *further, "reason"])

    def write(row):
        top = [text for name, value in row.top for text in (name, f"{value:.6f}")]
        table.writerow([_text(row.image), *(top or [""] * 2 * config.top_k), row.reason or ""])

    return write


def _text(path):
    """A path as text that can be written, whatever bytes the file system has."""
    return os.fsencode(path).decode(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
