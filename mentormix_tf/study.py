"""python -m mentormix_tf.study: trains a grid of runs, and makes its tables and figures."""

import dataclasses
import shlex
import sys
from collections.abc import Sequence

from mentormix_tf import command, console
from mentormix_tf.command import Given, Section
from mentormix_tf.errors import InputError

__all__ = ["StudyConfig", "main"]


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """How to run the study.

    Args:
        study_dir: folder for the runs; by default, a folder in runs/ named after the study's file.
            Finished runs in it are not repeated, and interrupted ones are resumed.
        jobs: how many runs to train at once.
        tune: choose settings first, by accuracy on noisy validation labels, from those under `tune`
            in the study's file. Once chosen, settings are kept.
        train: train the runs that are not finished; --notrain makes tables and figures of the
            finished runs, even if only their runs.csv and curves.csv are left.
        delete_checkpoints: delete the checkpoints of finished runs.
        report_dir: folder for tables and figures; by default, study_dir.
        paper: show the paper's published numbers, too.
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
                f"study_dir={self.study_dir} must be a local folder, because of its logs."
            )
        if self.tune and not self.train:
            raise InputError("tune=true can't be set with --notrain: tuning trains trials.")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the study command; returns its exit status.

    Args:
        argv: the words after the command; None for those that the process was started with.
    """
    summary = "Trains a grid of runs, and makes its tables and figures."
    return command.run(_study, summary, (Section("The study", StudyConfig),), argv, "STUDY.yaml")


def _study(given: Given) -> None:
    command.load_backend()
    from mentormix_tf.studies import study_run

    if len(given.arguments) != 1:
        count = len(given.arguments)
        raise InputError(f"Name one study's file, such as studies/digits.yaml, not {count}.")
    config = given.config(StudyConfig)
    line = shlex.join(["python", "-m", "mentormix_tf.study", *given.words])
    outcome = study_run.run(given.arguments[0], **dataclasses.asdict(config), command_line=line)
    print(console.printable(outcome.text, "\n"))
    if outcome.failures:
        raise InputError(outcome.failures)


if __name__ == "__main__":
    sys.exit(main())
