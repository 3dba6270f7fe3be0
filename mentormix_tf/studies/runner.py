"""Trains the unfinished runs of a study, several at once, and shows their progress."""

import logging
import os
import signal
import time
from collections.abc import Sequence

from etils import epath
from tqdm import tqdm

from mentormix_tf.errors import InputError, Preempted
from mentormix_tf.runs import layout
from mentormix_tf.runs.run_folder import RunFolder
from mentormix_tf.studies.executor import Executor
from mentormix_tf.studies.study_file import StudyRun

__all__ = ["SECONDS_BETWEEN_LOOKS", "train", "unfinished"]

_log = logging.getLogger(__name__)

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
    executor: Executor,
    title: str = "",
    keeps_checkpoints: bool = True,
) -> dict[str, str]:
    """Trains the runs that are not finished; interrupted ones resume from their checkpoints.

    Each trains like `mentormix_tf.train`, in a process of its own, and prints to log.txt in its
    folder. If one fails, the others are still trained.

    Args:
        runs: runs of a study.
        folder: the study's folder.
        executor: where to train them, and how many at once.
        title: title of the progress bar, which counts steps.
        keeps_checkpoints: whether to keep the checkpoints of finished runs.

    Returns:
        The names of the runs that failed, with the last line that each printed.

    Raises:
        InputError: a run's folder holds a run with other settings, or the executor can't train.
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
    if not todo:
        return {}
    waiting, under_way, failed = todo[::-1], {}, {}
    done, steps = len(runs) - len(todo), 0
    total = sum(run.config.training.train_steps for run in todo)
    with (
        _Stop() as stop,
        executor.session(folder),
        tqdm(total=total, desc=title, unit="step", disable=None) as bar,
    ):
        while waiting or under_way:
            for run in [waiting.pop() for _ in range(min(executor.room(), len(waiting)))]:
                executor.start(run.name, run.config, folder / run.name)
                under_way[run.name] = run
            for name, reason in executor.ended():
                run = under_way.pop(name)
                steps += run.config.training.train_steps
                if reason:
                    failed[name] = reason
                else:
                    done += 1
                    _tidy(folder, run, keeps_checkpoints)
                ended = f"{done + len(failed)}/{len(runs)} {name}"
                _log.info("%s: %s", ended, reason or "done")
            so_far = sum(_steps_done(folder, run) for run in under_way.values())
            bar.update(steps + so_far - bar.n)
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


def _steps_done(folder, run):
    try:
        rows = RunFolder(folder / run.name, run.config).rows()
        return int(rows[-1]["step"]) if rows else 0
    except InputError:  # some shared storage lacks a file while it is being replaced
        return 0
