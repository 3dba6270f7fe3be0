"""Sends a run's evaluations to Weights & Biases or MLflow, if their packages are installed."""

import importlib
import json
import logging
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from mentormix_tf import files
from mentormix_tf.errors import InputError, Preempted, excerpt
from mentormix_tf.runs import layout
from mentormix_tf.runs.run_folder import RunFolder
from mentormix_tf.training.tensorboard import tag

__all__ = ["PROJECT", "Service", "Tracker", "check", "start"]

_log = logging.getLogger(__name__)

PROJECT = "mentormix_tf"  # W&B's project and MLflow's experiment, unless the environment names one
_PACKAGES = {"wandb": "wandb", "mlflow": "mlflow-skinny"}
_UPLOADED_WITHIN = 300  # seconds that W&B may take to upload what is left at the end of a run


def check(name: str) -> None:
    """Checks that a tracker can be used, before anything long starts.

    Args:
        name: none, wandb or mlflow.

    Raises:
        InputError: its package is not installed, its server can't be reached, or it needs a login.
    """
    if name == "none":
        return
    module = _module(name)
    try:
        if name == "mlflow":
            # MLflow's own 7 attempts take four minutes, and this module tries again by itself.
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
            module.MlflowClient().search_experiments(max_results=1)
        elif module.setup().settings.mode == "online":
            module.login()
    except Exception as error:  # whatever the library raises
        raise _unusable(name, error) from error


def start(name: str, folder: RunFolder, rows: Sequence[Mapping[str, Any]]) -> "Tracker":
    """Starts tracking a run, or goes on with it.

    Args:
        name: none, wandb or mlflow.
        folder: the run's folder, where tracker.json gets the id of the tracker's run.
        rows: the evaluations so far, of which the tracker gets those that it lacks.

    Returns:
        The tracker, as a context that ends the tracker's run.

    Raises:
        InputError: the tracker can't be used.
    """
    if name == "none":
        return Tracker("none", None)
    try:
        service = (_WandB if name == "wandb" else _MLflow)(_module(name), folder)
    except InputError:
        raise
    except Exception as error:  # whatever the library raises
        raise _unusable(name, error) from error
    tracker = Tracker(name, service)
    tracker.write_rows(rows)
    return tracker


class Service(Protocol):
    """The run of a tracker.

    Attributes:
        logged: the last step that the tracker has.
    """

    logged: int

    def log(self, points: Mapping[str, float], step: int) -> None:
        """Adds the points of a step."""
        ...

    def end(self, status: str) -> None:
        """Ends the run as FINISHED, FAILED or KILLED, by MLflow's names."""
        ...

    def summarize(self, summary: Mapping[str, float], step: int) -> None:
        """Adds what a finished run is summarized by."""
        ...


class Tracker:
    """Sends rows of metrics.csv to a tracker; a context that ends the tracker's run.

    No failure of the tracker ends the training: rows that it did not get are sent with a later one.

    Args:
        name: the tracker.
        service: the tracker's run; None to track nothing.
    """

    def __init__(self, name: str, service: Service | None):
        self._name, self._service = name, service
        self._not_before = 0.0
        self._status = "FAILED"

    def write_rows(self, rows: Sequence[Mapping[str, Any]], at_once: bool = False) -> None:
        """Sends the rows that the tracker lacks.

        Args:
            rows: all evaluations, as in metrics.csv.
            at_once: whether to send them even soon after a failure. Otherwise the next attempt
                waits for ten times as long as the failed one took, as libraries may try again for
                minutes.
        """
        service = self._service
        if service is None or (time.monotonic() < self._not_before and not at_once):
            return
        missing = [row for row in rows if row["step"] > service.logged]

        def send():
            for row in missing:
                service.log(_points(row), row["step"])

        self._try(send)

    def finish(self, rows: Sequence[Mapping[str, Any]], result: Mapping[str, Any]) -> None:
        """Sends the rows that the tracker lacks, and the fractions and rates of result.json.

        Args:
            rows: all evaluations.
            result: the contents of result.json.
        """
        service = self._service
        if service is None:
            return
        self.write_rows(rows, at_once=True)
        summary = {name: value for name, value in result.items() if isinstance(value, float)}
        self._try(lambda: service.summarize(summary, rows[-1]["step"]))
        self._status = "FINISHED"

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        service = self._service
        if service is not None:
            status = "KILLED" if isinstance(error, Preempted) else self._status
            self._try(lambda: service.end(status))

    def _try(self, send):
        started = time.monotonic()
        try:
            send()
        except Exception as error:  # whatever the library raises
            ended = time.monotonic()
            self._not_before = ended + 10 * (ended - started)
            reason = excerpt(files.reason(error))
            _log.warning("tracker=%s failed (%s): training goes on", self._name, reason)


class _WandB:
    """A run of Weights & Biases. Where it is kept and sent to is for W&B's own settings to say."""

    def __init__(self, wandb: Any, folder: RunFolder):
        path = folder.path
        self._path, known = path, _known(path, "wandb")
        self._id = known.get("id") or uuid.uuid4().hex[:8]
        self._record(int(known.get("step", 0)))
        is_own = files.is_remote(path) or "WANDB_DIR" in os.environ
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=_name(path),
            id=self._id,
            resume="allow",
            reinit="create_new",
            dir=None if is_own else str(path),
            settings=wandb.Settings(finish_timeout=_UPLOADED_WITHIN),
        )
        self._run.config.update(folder.config.values(), allow_val_change=True)
        if not self._run.offline:  # then the server knows better
            self.logged = self._run.step - 1

    def log(self, points: Mapping[str, float], step: int) -> None:
        self._run.log(dict(points), step=step, commit=True)
        self._record(step)

    def summarize(self, summary: Mapping[str, float], step: int) -> None:
        self._run.summary.update(dict(summary))

    def end(self, status: str) -> None:
        self._run.finish(exit_code=0 if status == "FINISHED" else 1)

    def _record(self, step):
        self.logged = step
        _remember(self._path, "wandb", {"id": self._id, "step": step})


class _MLflow:
    """A run of MLflow."""

    def __init__(self, mlflow: Any, folder: RunFolder):
        self._mlflow, self._client = mlflow, mlflow.MlflowClient()
        self._id, path = _known(folder.path, "mlflow").get("id"), folder.path
        if self._id:
            self._client.update_run(self._id, status="RUNNING")
        else:
            experiment = _experiment(self._client)
            self._id = self._client.create_run(experiment, run_name=_name(path)).info.run_id
            _remember(path, "mlflow", {"id": self._id})
        had = self._client.get_run(self._id).data.params  # which can't be changed
        flags = folder.config.flags().items()
        params = [mlflow.entities.Param(k, v) for k, v in flags if k not in had]
        self._client.log_batch(self._id, params=params)
        history = self._client.get_metric_history(self._id, tag("test_accuracy"))
        self.logged = max((point.step for point in history), default=0)

    def log(self, points: Mapping[str, float], step: int) -> None:
        self.summarize(points, step)
        self.logged = step

    def summarize(self, summary: Mapping[str, float], step: int) -> None:
        metric, now = self._mlflow.entities.Metric, round(time.time() * 1000)
        metrics = [metric(name, value, now, step) for name, value in summary.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def end(self, status: str) -> None:
        self._client.set_terminated(self._id, status)


def _experiment(client):
    """The id of the experiment that the environment names, which is made if it is missing."""
    if "MLFLOW_EXPERIMENT_ID" in os.environ:
        return os.environ["MLFLOW_EXPERIMENT_ID"]
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
    found = client.get_experiment_by_name(name)
    if found is not None:
        return found.experiment_id
    try:
        return client.create_experiment(name)
    except Exception:  # another run may have made it meanwhile
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return found.experiment_id


def _module(name):
    try:
        module = importlib.import_module(name)
        if module.__file__ is None:  # a folder of that name, such as W&B's own
            raise ModuleNotFoundError(f"No module named '{name}'")
        return module
    except ImportError as error:
        raise InputError(
            f"tracker={name} needs the package {_PACKAGES[name]} ({error}): pip install "
            f"'mentormix-tf[{name}]'."
        ) from error


def _unusable(name, error):
    reason = excerpt(files.reason(error)).rstrip(".")
    return InputError(
        f"tracker={name} can't be used ({reason}): correct its settings, or train with "
        "--tracker=none."
    )


def _name(path):
    """A run's name in a tracker: the last two parts of its folder's path, as in runs/mine."""
    return "/".join(path.parts[-2:])


def _points(row):
    """A row of metrics.csv by TensorBoard's names, which trackers group by as TensorBoard does."""
    return {tag(k): v for k, v in row.items() if k != "step" and v is not None}


def _known(path, name):
    """What tracker.json says of a tracker's run; an empty dict if there is none."""
    file = path / layout.TRACKER
    found = files.read_json(file) if file.exists() else {}
    known = found.get(name, {}) if isinstance(found, dict) else None
    if not (
        isinstance(known, dict)
        and isinstance(known.get("id", ""), str)
        and isinstance(known.get("step", 0), int)
    ):
        raise InputError(f"{file} has other contents than a run writes: delete or restore it.")
    return known


def _remember(path, name, known):
    file = path / layout.TRACKER
    others = files.read_json(file) if file.exists() else {}
    files.write(file, json.dumps({**others, name: known}, indent=2) + "\n")
