"""The folder of a run: flags.txt, metrics.csv, result.json; and whether it may be gone on with."""

import contextlib
import csv
import dataclasses
import fcntl
import io
import json
import os
import pathlib
import platform
import subprocess

import keras
import numpy as np
import tensorflow as tf
from etils import epath

from mentormix_tf import methods, version
from mentormix_tf.config import RunConfig
from mentormix_tf.errors import InputError
from mentormix_tf.runs import flags_txt

# What result.json repeats of the split's manifest.
SPLIT_FACTS = (
    "dataset",
    "noise",
    "noise_level",
    "noise_seed",
    "realized_noise_rate",
    "split_sha256",
)
AT_THE_END = ("result.json", "confusion_matrix.csv", "confusion_matrix.png")
WRITTEN = ("metrics.csv", *AT_THE_END, "checkpoints", "tensorboard")
# What may change on the way: where the data is, how fast steps are taken, and that there are more.
HARMLESS = ("data_dir", "steps_per_execution", "jit_compile", "train_steps")


class RunFolder:
    """Writes what a run leaves behind, and never over what another run left.

    Args:
        path: the folder, which may be remote (gs://).
        config: `RunConfig` with all hyperparameters.
    """

    def __init__(self, path, config):
        self.path = epath.Path(path)
        self.config = config

    def check(self, resume="auto"):
        """Makes sure that this run may write to the folder, which need not be there.

        Args:
            resume: auto, if the folder may hold the same run; never, if it must be empty.

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
        for name in held if "flags.txt" not in held else ():
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
        path = self.path / "flags.txt"
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
    def held(self):
        """Makes the folder if it is missing, and keeps other processes from writing to it.

        Raises:
            InputError: another process writes to it, or it can't be made; or see `check`.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"model_dir={self.path} can't be made: {error.strerror}.") from error
        with _only_writer(self.path):
            self.check()
            yield

    def begin(self):
        """Writes flags.txt, and takes away what a run with fewer steps told at its end."""
        self.write("flags.txt", self.config.flagfile())
        for name in AT_THE_END:
            (self.path / name).unlink(missing_ok=True)

    def write_model(self, **facts):
        """Writes model.json: what it takes to use the network without the data it learned from.

        Args:
            **facts: its contents, `split_sha256` among them.

        Raises:
            InputError: the run was begun with another split.
        """
        try:
            begun = json.loads((self.path / "model.json").read_text())
        except FileNotFoundError:
            begun = facts
        except ValueError:
            begun = {}
        if begun.get("split_sha256") != facts["split_sha256"]:
            raise InputError(
                f"model_dir={self.path} holds a run on other labels: the split of dataset="
                f"{self.config.data.dataset} has changed since. Bring it back, or name a new "
                "folder."
            )
        self.write("model.json", json.dumps(facts, indent=2) + "\n")

    def result(self):
        """The contents of result.json if all steps of the run are done; None otherwise."""
        try:
            result = json.loads((self.path / "result.json").read_text())
        except (OSError, ValueError):
            return None
        return result if result["steps"] == self.config.training.train_steps else None

    def write_rows(self, rows):
        """Writes metrics.csv, as a whole: remote files can't be added to.

        Args:
            rows: list of dicts with the same keys.
        """
        table = io.StringIO()
        writer = csv.DictWriter(table, rows[0])
        writer.writeheader()
        writer.writerows(rows)
        self.write("metrics.csv", table.getvalue())

    def write_result(self, rows, **facts):
        """Writes result.json when the run is done.

        Args:
            rows: all evaluations.
            **facts: what else goes into it.

        Returns:
            The file's contents, a dict. Accuracies are fractions; peak and final are on the test
            split's clean labels. No test label chose anything.
        """
        config, training = self.config, self.config.training
        accuracies = [row["test_accuracy"] for row in rows]
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
        if "averaged_test_accuracy" in rows[0]:
            averaged = [row["averaged_test_accuracy"] for row in rows]
            result["averaged_peak_accuracy"] = max(averaged)
            result["averaged_final_accuracy"] = averaged[-1]
        if "validation_accuracy" in rows[0]:
            best = max(rows, key=lambda row: row["validation_accuracy"])
            result["final_validation_accuracy"] = rows[-1]["validation_accuracy"]
            result["best_validation_accuracy"] = best["validation_accuracy"]
            result["best_validation_step"] = best["step"]
            result["accuracy_at_best_validation"] = best["test_accuracy"]
        for name, value in rows[-1].items():
            if name.startswith("train_") or name.endswith("_top5_accuracy"):
                result[f"final_{name}"] = value
        result |= {**facts, "versions": _versions(), "git_revision": _git_revision()}
        self.write("result.json", json.dumps(result, indent=2) + "\n")
        return result

    def write(self, name, contents):
        """Replaces a file as a whole, so that it is never seen half written.

        Args:
            name: of the file.
            contents: text or bytes.
        """
        partial = self.path / f"{name}.partial"
        try:
            write = partial.write_text if isinstance(contents, str) else partial.write_bytes
            write(contents)
            partial.replace(self.path / name)
        except (OSError, tf.errors.OpError) as error:
            raise InputError(f"{self.path / name} can't be written: {error}.") from error


def _told(name, flags):
    return f"{name}={flags[name]}" if name in flags else f"no {name}"


@contextlib.contextmanager
def _only_writer(path):
    if "://" in str(path):  # no locks on remote storage
        yield
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some file systems of clusters have no locks either
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(
                    f"model_dir={path} is being written by another process: wait for it, or name "
                    "another."
                ) from error
        yield
    finally:
        os.close(descriptor)


def _versions():
    return {
        "mentormix_tf": version.__version__,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


def _git_revision():
    """The checkout's revision, with "-dirty" where files were changed; None outside a checkout."""
    package = pathlib.Path(__file__).parent
    describe = ["git", "-C", str(package), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        # An installed package may lie inside somebody else's checkout (a .venv, say).
        tracked = ["git", "-C", str(package), "ls-files", "--error-unmatch", "run_folder.py"]
        subprocess.run(tracked, check=True, capture_output=True)
        return subprocess.run(describe, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
