"""The folder that a run leaves behind: flags.txt, metrics.csv, result.json, tensorboard/."""

import csv
import io
import json
import pathlib
import platform
import subprocess

import keras
import numpy as np
import tensorflow as tf
from etils import epath

import mentormix_tf
from mentormix_tf.errors import InputError

# What result.json repeats of the split's manifest.
SPLIT_FACTS = (
    "dataset",
    "noise",
    "noise_level",
    "noise_seed",
    "realized_noise_rate",
    "split_sha256",
)


class RunFolder:
    """Writes what a run leaves behind, and never over what another run left.

    Args:
        path: the folder, which may be remote (gs://); made if missing.
        config: `RunConfig` with all hyperparameters.

    Raises:
        InputError: the folder holds a run's files already, or can't be made.
    """

    def __init__(self, path, config):
        self.path = epath.Path(path)
        self.rows = []
        self.config = config
        refuse_if_taken(self.path)
        flags = "".join(f"--{name}={value}\n" for name, value in config.flags().items())
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / "flags.txt").write_text(flags)
        except OSError as error:
            raise InputError(f"model_dir={path} can't be written: {error.strerror}.") from error
        self._tensorboard = tf.summary.create_file_writer(str(self.path / "tensorboard"))

    def write_row(self, row):
        """Adds an evaluation to metrics.csv and to TensorBoard.

        Args:
            row: dict of numbers, `step` among them; each row of a run has the same keys.
        """
        self.rows.append(row)
        table = io.StringIO()
        writer = csv.DictWriter(table, row)
        writer.writeheader()
        writer.writerows(self.rows)
        self._write("metrics.csv", table.getvalue())  # whole: remote files can't be added to
        with self._tensorboard.as_default(step=row["step"]):
            for name, value in row.items():
                if name != "step" and value is not None:
                    tf.summary.scalar(name, value)
        self._tensorboard.flush()

    def write_result(self, data, images_per_second, device):
        """Writes result.json when the run is done.

        Args:
            data: `NoisySplits`.
            images_per_second: over the whole run, or None.
            device: what the run ran on, in words.

        Returns:
            The file's contents, a dict. Accuracies are fractions; peak and final are on the test
            split's clean labels. No test label chose anything.
        """
        rows, config = self.rows, self.config
        accuracies = [row["test_accuracy"] for row in rows]
        result = {
            "method": config.method,
            "hyperparameters": dict(config.hyperparameters),
            **{name: data.manifest[name] for name in SPLIT_FACTS},
            "network": config.training.network,
            "precision": config.training.precision,
            "batch_size": config.training.batch_size,
            "seed": config.training.seed,
            "steps": rows[-1]["step"],
            "peak_accuracy": max(accuracies),
            "final_accuracy": accuracies[-1],
            "accuracy_drop": max(accuracies) - accuracies[-1],
            "images_per_second": images_per_second,
            "device": device,
            "versions": _versions(),
            "git_revision": _git_revision(),
        }
        if config.training.average_decay:
            averaged = [row["averaged_test_accuracy"] for row in rows]
            result["averaged_peak_accuracy"] = max(averaged)
            result["averaged_final_accuracy"] = averaged[-1]
        if "validation" in data:
            best = max(rows, key=lambda row: row["validation_accuracy"])
            result["final_validation_accuracy"] = rows[-1]["validation_accuracy"]
            result["best_validation_accuracy"] = best["validation_accuracy"]
            result["accuracy_at_best_validation"] = best["test_accuracy"]
        self._write("result.json", json.dumps(result, indent=2) + "\n")
        return result

    def _write(self, name, text):
        """Replaces a file as a whole, so that it is never seen half written."""
        partial = self.path / f"{name}.partial"
        partial.write_text(text)
        partial.replace(self.path / name)


def refuse_if_taken(path):
    """Raises InputError if a folder holds another run's files."""
    for name in ("flags.txt", "metrics.csv", "result.json", "tensorboard"):
        try:
            taken = (epath.Path(path) / name).exists()
        except OSError as error:
            raise InputError(f"model_dir={path} can't be used: {error.strerror}.") from error
        if taken:
            raise InputError(
                f"model_dir={path} holds another run's {name}: name a new folder, or move that "
                "one away."
            )


def _versions():
    return {
        "mentormix_tf": mentormix_tf.__version__,
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
