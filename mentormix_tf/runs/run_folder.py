"""Writing a run's folder, and only one's own: what another run left there is never replaced."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from mentormix_tf import files, methods
from mentormix_tf.config import RunConfig
from mentormix_tf.errors import InputError
from mentormix_tf.metrics import classification
from mentormix_tf.runs import flags_txt, layout, result

AT_THE_END = (layout.RESULT, layout.CONFUSION_MATRIX, layout.CONFUSION_PICTURE)
WRITTEN = (layout.METRICS, *AT_THE_END, layout.CHECKPOINTS, layout.TENSORBOARD)
# What a run that continues may change: where the data is, how fast steps are taken, how many.
HARMLESS = ("data_dir", "steps_per_execution", "jit_compile", "train_steps")


class RunFolder:
    """Writes a run's folder.

    Args:
        path: the folder, which may be remote (gs://).
        config: the run, with all hyperparameters.
    """

    def __init__(self, path: epath.PathLike, config: RunConfig):
        self.path = epath.Path(path)
        self.config = config

    def check(self, resume: str = "auto") -> None:
        """Makes sure that this run may write to the folder, which need not be there.

        Args:
            resume: auto if the folder may hold the same run; never if it must be empty.

        Raises:
            InputError: the folder holds something else, or can't be read.
        """
        try:
            held = sorted(file.name for file in self.path.iterdir()) if self.path.exists() else []
        except OSError as error:
            raise InputError(f"model_dir={self.path} can't be used: {error.strerror}.") from error
        if held and resume == "never":
            raise InputError(
                f"model_dir={self.path} is not empty, and resume=never: name a new folder, or go "
                "on with --resume=auto."
            )
        for name in held if layout.FLAGS not in held else ():
            if name in WRITTEN:
                raise InputError(
                    f"model_dir={self.path} holds another run's {name}: name a new folder, or move "
                    "that one away."
                )
        begun = self.begun()
        if begun is None:
            return
        before, now = begun.flags(), self.config.flags()
        for name in (*before, *now):
            if before.get(name) != now.get(name) and name not in HARMLESS:
                raise InputError(
                    f"model_dir={self.path} holds a run with {_told(name, before)}, and now it is "
                    f"{_told(name, now)}: give the flags in its flags.txt to continue it, or name "
                    "a new folder."
                )

    def begun(self) -> RunConfig | None:
        """The run that the folder holds, with all hyperparameters; None where there is none.

        Raises:
            InputError: its flags.txt can't be read as a run's flags.
        """
        path = self.path / layout.FLAGS
        try:
            if not path.exists():
                return None
        except NotADirectoryError:
            return None
        begun = flags_txt.read(path)
        known = methods.hyperparameters_of(begun.method)
        defaults = {field.name: field.default for field in known}
        return dataclasses.replace(begun, hyperparameters={**defaults, **begun.hyperparameters})

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """A context that makes the folder if it is missing, and keeps other processes out of it.

        Raises:
            InputError: another process writes to it, or it can't be made; or see `check`.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"model_dir={self.path} can't be made: {error.strerror}.") from error
        busy = (
            f"model_dir={self.path} is being written by another process: wait for it, or name "
            "another."
        )
        with files.lock(self.path, busy):
            self.check()
            yield

    def begin(self) -> None:
        """Writes flags.txt, and deletes what a run with fewer steps wrote at its end."""
        files.write(self.path / layout.FLAGS, self.config.flagfile())
        for name in AT_THE_END:
            (self.path / name).unlink(missing_ok=True)

    def write_model(self, **facts: Any) -> None:
        """Writes model.json: what it takes to use the network without the data it learned from.

        Args:
            **facts: its contents, `split_sha256` among them.

        Raises:
            InputError: the run was begun with another split.
        """
        path = self.path / layout.MODEL
        try:
            begun = files.read_json(path) if path.exists() else facts
        except InputError:  # unreadable, so that nothing shows that the split is the same
            begun = {}
        if begun.get("split_sha256") != facts["split_sha256"]:
            raise InputError(
                f"model_dir={self.path} holds a run on other labels: the split of dataset="
                f"{self.config.data.dataset} has changed since. Restore it, or name a new folder."
            )
        files.write(path, json.dumps(facts, indent=2) + "\n")

    def write_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes metrics.csv as a whole, since nothing can be appended to remote files.

        Args:
            rows: all evaluations, mappings with the same keys.
        """
        files.write_csv(self.path / layout.METRICS, rows, line_end="\r\n")

    def write_result(self, rows: Sequence[Mapping[str, Any]], **facts: Any) -> dict[str, Any]:
        """Writes result.json when the run is done, and returns its contents.

        Args:
            rows: all evaluations.
            **facts: further entries.
        """
        summary = result.summarize(self.config, rows, facts)
        files.write(self.path / layout.RESULT, json.dumps(summary, indent=2) + "\n")
        return summary

    def rows(self) -> list[dict[str, str]]:
        """The rows of metrics.csv, as text; none before the first evaluation.

        Raises:
            InputError: the file can't be read.
        """
        path = self.path / layout.METRICS
        return files.read_csv(path) if path.exists() else []

    def result(self) -> dict[str, Any] | None:
        """The contents of result.json if all steps of the run are done; None otherwise."""
        try:
            found = files.read_json(self.path / layout.RESULT)
        except InputError:
            return None
        return found if found["steps"] == self.config.training.train_steps else None


def write_confusion_matrix(
    folder: epath.Path, matrix: np.ndarray, class_names: Sequence[str], picture: bytes
) -> None:
    """Writes confusion_matrix.csv and confusion_matrix.png.

    Args:
        folder: a run's folder, or that of an evaluation.
        matrix: `[num_classes, num_classes]`, see `classification.confusion_matrix`.
        class_names: a name for each class.
        picture: the matrix as a PNG file.

    Raises:
        InputError: a file can't be written.
    """
    table = classification.confusion_rows(matrix, class_names)
    files.write(folder / layout.CONFUSION_MATRIX, files.csv_text(table, line_end="\r\n"))
    files.write(folder / layout.CONFUSION_PICTURE, picture)


def _told(name, flags):
    return f"{name}={flags[name]}" if name in flags else f"no {name}"
