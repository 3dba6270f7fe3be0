"""python -m mentormix_tf.study: runs a grid of runs, and makes its tables and figures."""

import dataclasses
import shlex
import sys
from collections.abc import Sequence

from mentormix_tf import command
from mentormix_tf.command import Given, Section
from mentormix_tf.errors import InputError


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


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the study that a command line names; returns the exit status."""
    summary = "Runs a grid of runs, and makes its tables and figures."
    return command.run(_study, summary, (Section("The study", StudyConfig),), argv, "STUDY.yaml")


def _study(given: Given) -> None:
    from mentormix_tf.studies import study_run

    if len(given.arguments) != 1:
        count = len(given.arguments)
        raise InputError(f"Name one study's file, as in studies/digits.yaml, not {count}.")
    config = given.config(StudyConfig)
    line = shlex.join(["python", "-m", "mentormix_tf.study", *given.words])
    outcome = study_run.run(given.arguments[0], **dataclasses.asdict(config), command_line=line)
    print(outcome.text)
    if outcome.failures:
        raise InputError(outcome.failures)


if __name__ == "__main__":
    sys.exit(main())
