"""Trains many runs, each in its own process, several at once."""

import contextlib
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from etils import epath
from tqdm import tqdm

from mentormix_tf import console
from mentormix_tf.config import OutputConfig, StrategyConfig
from mentormix_tf.distribution import strategies
from mentormix_tf.errors import InputError, Preempted
from mentormix_tf.rounds import comparison
from mentormix_tf.runs import layout
from mentormix_tf.runs.run_folder import RunFolder
from mentormix_tf.studies.study_file import StudyRun

__all__ = ["LOG", "SECONDS_BETWEEN_LOOKS", "train", "unfinished"]

_log = logging.getLogger(__name__)

LOG = "log.txt"
SECONDS_BETWEEN_LOOKS = 0.5


def unfinished(runs: Sequence[StudyRun], folder: epath.PathLike) -> list[StudyRun]:
    """The runs that have no result yet.

    Args:
        runs: runs of a study.
        folder: the study's folder.

    Raises:
        InputError: a run's folder holds a run with other settings.
    """
    folders = [RunFolder(epath.Path(folder) / run.name, run.config) for run in runs]
    for each in folders:
        try:
            each.check()
        except InputError as error:
            raise InputError(f"study_dir={folder} holds another study: {error}") from error
        steps, begun = each.config.training.train_steps, each.begun()
        held = begun.training.train_steps if begun else steps
        # A single run may be continued for more steps; the runs of a table must share a schedule.
        if held != steps:
            raise InputError(
                f"study_dir={folder} holds {each.path} with train_steps={held}, "
                f"but the study says {steps}: name another study_dir."
            )
    return [run for run, each in zip(runs, folders, strict=True) if not each.result()]


def train(
    runs: Sequence[StudyRun],
    folder: epath.PathLike,
    jobs: int,
    title: str = "",
    keeps_checkpoints: bool = True,
) -> dict[str, str]:
    """Trains the runs that are not finished; interrupted ones resume from their checkpoints.

    Each trains like `mentormix_tf.train`, in a process forked from one that has imported
    TensorFlow, and prints to log.txt in its folder. If one fails, the others are still trained.

    Args:
        runs: runs of a study.
        folder: the study's folder.
        jobs: how many to train at once.
        title: title of the progress bar, which counts steps.
        keeps_checkpoints: whether to keep the checkpoints of finished runs.

    Returns:
        The names of the runs that failed, with the last line that each printed.

    Raises:
        InputError: a run's folder holds a run with other settings.
        Preempted: the process received SIGTERM. The active runs have saved their state and ended.
    """
    folder = epath.Path(folder)
    todo = unfinished(runs, folder)
    if not keeps_checkpoints:
        for run in runs:
            _check_is_own(folder, folder / run.name / layout.CHECKPOINTS)
    for run in runs:
        if run not in todo:
            _tidy(folder, run, keeps_checkpoints)
    # Not forked from this process: the copy would have its threads' locks without the threads.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mentormix_tf.studies.child"])
    waiting, failed = todo[::-1], {}
    slots: list[tuple[StudyRun, Any] | None] = [None] * jobs
    done, steps = len(runs) - len(todo), 0
    total = sum(run.config.training.train_steps for run in todo)
    bar = tqdm(total=total, desc=title, unit="step", disable=None if todo else True)
    with bar, _Stop() as stop, _ending(slots):
        while waiting or any(slots):
            for slot, under_way in enumerate(slots):
                if under_way is None and waiting:
                    run = waiting.pop()
                    slots[slot] = run, _start(context, run, folder / run.name, slot, jobs)
                elif under_way is not None and not under_way[1].is_alive():
                    run, process = under_way
                    slots[slot] = None
                    steps += run.config.training.train_steps
                    if process.exitcode:
                        failed[run.name] = _reason(process.exitcode, folder / run.name / LOG)
                    else:
                        done += 1
                        _tidy(folder, run, keeps_checkpoints)
                    ended = f"{done + len(failed)}/{len(runs)} {run.name}"
                    _log.info("%s: %s", ended, failed.get(run.name, "done"))
            under_way = sum(_steps_done(folder, run) for run, _ in filter(None, slots))
            bar.update(steps + under_way - bar.n)
            stop.wait(SECONDS_BETWEEN_LOOKS)
    return failed


def _tidy(folder, run, keeps_checkpoints):
    if not keeps_checkpoints:
        checkpoints = folder / run.name / layout.CHECKPOINTS
        _check_is_own(folder, checkpoints)
        checkpoints.rmtree(missing_ok=True)


def _check_is_own(folder, path):
    """Raises an InputError if a folder to delete lies elsewhere, behind a link."""
    inside = os.path.join(os.path.realpath(folder), path.relative_to(folder))
    real = os.path.realpath(path)
    if real != inside:
        raise InputError(
            f"delete_checkpoints=true can't be set: {path} is a link to {real}, which is not the "
            "study's: delete the link, or keep the checkpoints."
        )
    if os.path.lexists(path) and not os.path.isdir(path):
        raise InputError(f"delete_checkpoints=true can't be set: {path} is not a folder.")


def _start(context, run, path, slot, jobs):
    path.mkdir(parents=True, exist_ok=True)
    # Concurrent runs get one of the named GPUs each, in turn; a single run gets all of them.
    gpus = list(filter(None, os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")))
    gpu = gpus[slot % len(gpus)] if gpus and jobs > 1 else None
    process = context.Process(target=_train, args=(run.config, str(path), gpu))
    process.start()
    return process


def _train(config, path, gpu):
    """Runs in a process of its own: trains a run and exits."""
    output = os.open(f"{path}/{LOG}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # runs may share a GPU's memory
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    sys.exit(console.exit_status(lambda: _train_one(config, path)))


def _train_one(config, path):
    strategy = strategies.get(StrategyConfig())
    runs, outputs = {config.method: config}, {config.method: OutputConfig(model_dir=path)}
    _log.info("%s", comparison.table(comparison.train(runs, outputs, strategy)))


def _stop_with_parent():
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


class _Stop:
    """Defers SIGTERM to a point where no process is being started."""

    def __enter__(self):
        self._arrived = False
        self._previous = signal.signal(signal.SIGTERM, self._remember)
        return self

    def __exit__(self, *error):
        signal.signal(signal.SIGTERM, self._previous)

    def wait(self, seconds):
        """Sleeps, then raises `Preempted` if SIGTERM has arrived."""
        time.sleep(seconds)
        if self._arrived:
            raise Preempted("before all runs were done")

    def _remember(self, *_):
        self._arrived = True


@contextlib.contextmanager
def _ending(slots):
    """Ends all processes when the context is left; SIGTERM lets each save a checkpoint."""
    try:
        yield
    finally:
        for _, process in filter(None, slots):
            process.terminate()
        for _, process in filter(None, slots):
            process.join()


def _steps_done(folder, run):
    try:
        rows = RunFolder(folder / run.name, run.config).rows()
        return int(rows[-1]["step"]) if rows else 0
    except InputError:  # some shared storage lacks a file while it is being replaced
        return 0


def _reason(exitcode, log):
    """Why a run failed, in one line."""
    if exitcode < 0:
        return f"killed by {signal.Signals(-exitcode).name}"
    try:
        *_, last = log.read_bytes().decode(errors="replace").strip().splitlines()
    except (OSError, ValueError):
        return f"it ended with status {exitcode} and printed nothing"
    return last
