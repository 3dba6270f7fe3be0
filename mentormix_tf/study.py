"""python -m mentormix_tf.study: runs a grid of runs, and makes its tables and figures."""

import dataclasses
import pathlib
import shlex
import sys

from etils import epath

from mentormix_tf import command
from mentormix_tf.errors import InputError
from mentormix_tf.studies import report, results, runner, study_file, tuning


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """What is done.

    Args:
        study_dir: folder for the runs; left out, one in runs/ that is named after the study's file.
            What is done there is not done again, and what was cut goes on.
        jobs: how many runs to train at once.
        tune: choose settings first, by accuracy on noisy validation, from what the study's file
            says under `tune`. What was chosen holds from then on.
        train: train what is not done yet; --notrain makes tables and figures of what there is, if
            only runs.csv and curves.csv are left of it.
        delete_checkpoints: keep no checkpoints of runs that are done.
        report_dir: folder for tables and figures; left out, study_dir.
        paper: set the paper's published numbers beside the measured ones.
    """

    study_dir: str = ""
    jobs: int = 1
    tune: bool = False
    train: bool = True
    delete_checkpoints: bool = False
    report_dir: str = ""
    paper: bool = False

    def __post_init__(self):
        if self.jobs < 1:
            raise InputError(f"jobs={self.jobs} must be at least 1.")
        if "://" in self.study_dir:
            raise InputError(
                f"study_dir={self.study_dir} must be a folder of this machine, for its logs."
            )
        if self.tune and not self.train:
            raise InputError("tune=true can't be set with --notrain: trials are trained.")


def main(arguments):
    """Runs the study that is named, and writes its report."""
    config = command.read_config(StudyConfig)
    if len(arguments) != 1:
        raise InputError(f"Name one study's file, as in studies/digits.yaml, not {len(arguments)}.")
    study = study_file.read(arguments[0])
    if config.tune and study.trials is None:
        raise InputError(f"tune=true can't be set: {arguments[0]} has no tune, with what to try.")
    folder = epath.Path(config.study_dir or f"runs/{pathlib.Path(arguments[0]).stem}").expanduser()
    report_dir = epath.Path(config.report_dir or folder).expanduser()
    failed = _train(study, folder, report_dir, config) if config.train else {}
    planned = study.runs(tuning.chosen(folder))
    is_kept = not (folder / "runs").exists() and (folder / results.RUNS).exists()
    runs, curves = results.read(folder) if is_kept else results.collect(folder, planned)
    if not runs:
        raise InputError(_told(failed, folder) or f"study_dir={folder} has no run that is done.")
    _make_folder("report_dir", report_dir)
    command_line = shlex.join(["python", "-m", "mentormix_tf.study", *sys.argv[1:]])
    facts = dict(title=study.title, command=command_line, planned=len(planned))
    print(report.write(report_dir, runs, curves, **facts, paper=config.paper))
    for name in (tuning.TRIED, tuning.CHOSEN):
        if (folder / name).exists() and report_dir != folder:
            (folder / name).copy(report_dir / name, overwrite=True)
    print(
        f"{len(runs)} of {len(planned)} runs are done; the report is {report_dir}/{report.REPORT}"
    )
    if failed:
        raise InputError(_told(failed, folder))


def _make_folder(flag, path):
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{flag}={path} can't be made: {error.strerror}.") from error


def _train(study, folder, report_dir, config):
    """Returns a dict from those runs that failed to what they said last."""
    _make_folder("study_dir", folder)
    _make_folder("report_dir", report_dir)  # before hours of training
    failed, keeps = {}, not config.delete_checkpoints
    if config.tune:
        trials = [run for _, run in study.trial_runs()]
        failed |= runner.train(trials, folder, config.jobs, "trials", keeps)
        tuning.choose(study, folder)
    runs = study.runs(tuning.chosen(folder))
    return failed | runner.train(runs, folder, config.jobs, "runs", keeps)


def _told(failed, folder):
    if not failed:
        return ""
    what = (
        "1 run failed; the same command tries it"
        if len(failed) == 1
        else (f"{len(failed)} runs failed; the same command tries them")
    )
    lines = [f"{folder / name / runner.LOG}: {line}" for name, line in failed.items()]
    return "\n  ".join([f"{what} again:", *lines])


command.define_config("The study", StudyConfig)

if __name__ == "__main__":
    command.run(main, "Runs a grid of runs, and makes its tables and figures.", "STUDY.yaml")
