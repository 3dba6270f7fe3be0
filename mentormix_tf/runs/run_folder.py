"""Writes a run's folder, and never replaces the files of another run."""

import contextlib
import dataclasses
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from etils import epath

from mentormix_tf import files, methods, networks
from mentormix_tf.config import RunConfig
from mentormix_tf.errors import InputError
from mentormix_tf.metrics import classification
from mentormix_tf.networks import trained_layers
from mentormix_tf.runs import contents, flags_txt, layout, result

__all__ = ["AT_THE_END", "HARMLESS", "WRITTEN", "RunFolder", "write_confusion_matrix"]

AT_THE_END = (
    layout.RESULT,
    layout.CONFUSION_MATRIX,
    layout.CONFUSION_PICTURE,
    layout.EXAMPLES,
    layout.ROG,
)
WRITTEN = (layout.METRICS, *AT_THE_END, layout.CHECKPOINTS, layout.TENSORBOARD)
# Flags that may change when a run resumes: where the data is, how steps run, how many there are.
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
        """Checks that this run may write to the folder, which need not exist.

        Args:
            resume: `auto` if the folder may hold the same run; `never` if it must be empty.

        Raises:
            InputError: the folder holds another run's files, is not empty though `resume` is
                `never`, or can't be read.
        """
        try:
            is_there = files.exists(self.path, "model_dir")
            held = sorted(file.name for file in self.path.iterdir()) if is_there else []
        except (OSError, ValueError) as error:
            raise InputError(
                f"model_dir={self.path} can't be used: {files.reason(error)}."
            ) from error
        if held and resume == "never":
            raise InputError(
                f"model_dir={self.path} is not empty, and resume=never: name a new folder, or "
                "resume with --resume=auto."
            )
        for name in held if layout.FLAGS not in held else ():
            of_rounds = name == layout.ROUNDS and self.config.rounds.rounds == "none"
            if name in WRITTEN or of_rounds:
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
                    f"model_dir={self.path} holds a run with {_setting(name, before)}, but this "
                    f"run has {_setting(name, now)}: give the flags in its flags.txt to resume it, "
                    "or name a new folder."
                )

    def begun(self) -> RunConfig | None:
        """The config of the run in the folder, with all hyperparameters; None if there is no run.

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
        """A context that makes the folder if it is missing, and locks out other processes.

        Raises:
            InputError: another process is writing to it, it can't be made, or `check` refuses it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (OSError, RecursionError) as error:  # the latter for a path of thousands of folders
            raise InputError(
                f"model_dir={self.path} can't be made: {files.reason(error)}."
            ) from error
        busy = (
            f"model_dir={self.path} is being written by another process: wait for it, or name "
            "a new folder."
        )
        with files.lock(self.path, busy):
            self.check()
            yield

    def begin(self) -> None:
        """Writes flags.txt, and deletes the final results of the same run with fewer steps.

        Also deletes what killed writes left.
        """
        files.write(self.path / layout.FLAGS, self.config.flagfile())
        for name in (layout.MODEL, layout.METRICS, *AT_THE_END):
            files.partial(self.path / name).unlink(missing_ok=True)
        for name in AT_THE_END:
            (self.path / name).unlink(missing_ok=True)

    def write_model(self, **facts: Any) -> None:
        """Writes model.json: what is needed to use the network without its training data.

        Args:
            **facts: its contents, including `split_sha256`.

        Raises:
            InputError: the run started with other labels or kernels.
        """
        path = self.path / layout.MODEL
        try:
            begun = contents.model(path) if path.exists() else facts
        except InputError:  # unreadable: nothing shows that the labels are the same
            begun = {}
        if begun.get("split_sha256") != facts["split_sha256"]:
            raise InputError(
                f"model_dir={self.path} holds a run on other labels, as the split of dataset="
                f"{self.config.data.dataset} has changed since: restore it, or name a new folder."
            )
        if begun.get("examples_sha256", "") != facts.get("examples_sha256", ""):
            raise InputError(
                f"model_dir={self.path} holds a run with other contents of its examples_file: "
                "restore the file, or name a new folder."
            )
        if begun.get("backbone_sha256", "") != facts.get("backbone_sha256", ""):
            raise InputError(
                f"model_dir={self.path} holds a run on features of other weights of network="
                f"{self.config.training.network}: restore it, or name a new folder."
            )
        kernels = begun.get("onednn"), facts.get("onednn")
        if None not in kernels and kernels[0] != kernels[1]:
            raise InputError(
                f"model_dir={self.path} holds a run that began with{'' if kernels[0] else 'out'} "
                "oneDNN's kernels, and would end with other numbers: set TF_ENABLE_ONEDNN_OPTS="
                f"{1 if kernels[0] else 0} before TensorFlow is imported, or name a new folder."
            )
        files.write(path, json.dumps(facts, indent=2) + "\n")

    def write_network(self, network: keras.Model) -> None:
        """Writes what of the network the checkpoints lack.

        network.json has its layers, if it came from a file; backbone.npz the weights before its
        head, if that trains alone.

        Args:
            network: the network, from images to logits.

        Raises:
            InputError: a file can't be written.
        """
        if networks.keeps_layers(self.config.training.network):
            files.write(self.path / layout.NETWORK, network.to_json(indent=1) + "\n")
        if self.config.training.uses_cached_features:
            weights, buffer = trained_layers.backbone_weights(network), io.BytesIO()
            values = {str(i): weight.numpy() for i, weight in enumerate(weights)}
            np.savez(buffer, **values)
            files.write(self.path / layout.BACKBONE, buffer.getvalue())

    def write_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes metrics.csv as a whole, since remote files can't be appended to.

        Args:
            rows: all evaluations, with the same keys.
        """
        files.write_csv(self.path / layout.METRICS, rows, line_end="\r\n")

    def write_result(
        self,
        rows: Sequence[Mapping[str, Any]],
        end: Mapping[str, Any] | None = None,
        **facts: Any,
    ) -> dict[str, Any]:
        """Writes result.json when the run is done.

        Args:
            rows: all evaluations.
            end: see `result.summarize`.
            **facts: further entries.

        Returns:
            The contents of result.json.
        """
        summary = result.summarize(self.config, rows, facts, end)
        files.write(self.path / layout.RESULT, json.dumps(summary, indent=2) + "\n")
        return summary

    def rows(self) -> list[dict[str, str]]:
        """Reads the rows of metrics.csv, as text; none before the first evaluation.

        Raises:
            InputError: the file can't be read.
        """
        path = self.path / layout.METRICS
        return files.read_csv(path) if path.exists() else []

    def result(self) -> dict[str, Any] | None:
        """Reads result.json if all steps of the run are done; returns None otherwise."""
        try:
            found = files.read_json(self.path / layout.RESULT)
        except InputError:
            return None
        is_done = isinstance(found, dict) and found.get("steps") == self.config.training.train_steps
        return found if is_done else None


def write_confusion_matrix(
    folder: epath.Path, matrix: np.ndarray, class_names: Sequence[str], picture: bytes
) -> None:
    """Writes confusion_matrix.csv and confusion_matrix.png.

    Args:
        folder: a run's folder, or an evaluation's.
        matrix: `[num_classes, num_classes]` counts, from `classification.confusion_matrix`.
        class_names: a name for each class.
        picture: the matrix as a PNG file.

    Raises:
        InputError: a file can't be written.
    """
    table = classification.confusion_rows(matrix, class_names)
    files.write(folder / layout.CONFUSION_MATRIX, files.csv_text(table, line_end="\r\n"))
    files.write(folder / layout.CONFUSION_PICTURE, picture)


def _setting(name, flags):
    return f"{name}={flags[name]}" if name in flags else f"no {name}"
