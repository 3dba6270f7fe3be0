"""Runs a study, from its file to its report."""

import dataclasses
import logging
import pathlib
from collections.abc import Mapping

from mentormix_tf import files
from mentormix_tf.data import splits
from mentormix_tf.errors import InputError
from mentormix_tf.studies import report, results, run_process, runner, study_file, tuning
from mentormix_tf.studies.executor import Executor
from mentormix_tf.studies.local_executor import LocalExecutor

__all__ = ["Outcome", "run"]

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of a study.

    Attributes:
        text: its main table, and the path of its report.
        failures: a message about the runs that failed; "" if none did.
    """

    text: str
    failures: str


def run(
    path: str,
    study_dir: str = "",
    executor: Executor | None = None,
    tune: bool = False,
    train: bool = True,
    delete_checkpoints: bool = False,
    report_dir: str = "",
    paper: bool = False,
    command_line: str = "",
) -> Outcome:
    """Trains the unfinished runs of a study and writes its report.

    Args:
        path: the study's file.
        study_dir: folder for the runs; "" for a folder in runs/ named after the file.
        executor: where to train, and how many runs at once; None for one by one on this machine.
        tune: whether to choose settings first, by accuracy on noisy validation labels.
        train: whether to train; if not, the report covers the runs that are finished.
        delete_checkpoints: whether to delete the checkpoints of finished runs.
        report_dir: folder for the report; "" for study_dir.
        paper: whether to show published numbers, too.
        command_line: the command line that the report names.

    Returns:
        The outcome. Runs that failed are left out of the report.

    Raises:
        InputError: the file describes runs that are not possible, a folder can't be used, or no run
            is finished.
        Preempted: the process received SIGTERM. The active runs have saved their state.
    """
    study = study_file.read(path)
    if tune and study.trials is None:
        raise InputError(f"tune=true can't be set: {path} has no tune section.")
    folder = files.expanded(study_dir or f"runs/{pathlib.Path(path).stem}", "study_dir")
    reports = files.expanded(report_dir or folder, "report_dir")
    failed: Mapping[str, str] = {}
    if train:
        for data in {point.data for point in study.points}:
            splits.folder(data)  # which lists the images of a folder: or a CSV file, if they exist
        _make_folder("study_dir", folder)
        _make_folder("report_dir", reports)  # before hours of training
        failed = _train(
            study, folder, executor or LocalExecutor(jobs=1), tune, not delete_checkpoints
        )
    planned = study.runs(tuning.chosen(folder))
    kept = _kept(folder)
    runs, curves = results.join(folder, planned, kept)
    if not runs and not (folder / "runs").exists():
        runs, curves = kept  # of an earlier version, which did not say which run a row is of
    if not runs:
        raise InputError(_describe(failed, folder) or f"study_dir={folder} has no finished run.")
    _make_folder("report_dir", reports)
    text = report.write(reports, runs, curves, study.title, command_line, len(planned), paper)
    for name in (tuning.TRIED, tuning.CHOSEN):
        if (folder / name).exists() and reports != folder:
            (folder / name).copy(reports / name, overwrite=True)
    where = (
        f"{len(runs)} of {len(planned)} runs are done; the report is {reports}/{report.REPORT}\n"
        f"Next: open {reports}/{report.PAGE} in a browser."
    )
    return Outcome(f"{text}\n{where}", _describe(failed, folder))


def _train(study, folder, executor, tune, keeps_checkpoints):
    """Trains trials and runs; returns the last line that each failed run printed, by name."""
    failed: dict[str, str] = {}
    if tune:
        trials = [run for _, run in study.trial_runs()]
        failed |= runner.train(trials, folder, executor, "trials", keeps_checkpoints)
        tuning.choose(study, folder)
    runs = study.runs(tuning.chosen(folder))
    there = results.kept_runs(runs, _kept(folder))
    left = [run for run in runs if run.name not in there or (folder / run.name).exists()]
    if len(left) < len(runs):
        count = f"{len(runs) - len(left)} of {len(runs)} runs"
        _log.info("%s are done already: %s has their results", count, folder / results.RUNS)
    return failed | runner.train(left, folder, executor, "runs", keeps_checkpoints)


def _kept(folder):
    """The results that the study's folder has as tables."""
    return results.read(folder) if (folder / results.RUNS).exists() else ([], [])


def _describe(failed, folder):
    """A message about failed runs; "" if none failed."""
    if not failed:
        return ""
    what = (
        "1 run failed; the same command tries it"
        if len(failed) == 1
        else f"{len(failed)} runs failed; the same command tries them"
    )
    lines = [f"{folder / name / run_process.LOG}: {line}" for name, line in failed.items()]
    return "\n  ".join([f"{what} again:", *lines])


def _make_folder(flag, path):
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{flag}={path} can't be created: {error.strerror}.") from error
