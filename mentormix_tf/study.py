"""python -m mentormix_tf.study: runs a grid of runs, and makes its tables and figures."""

import dataclasses
import pathlib

from etils import epath

from mentormix_tf import command
from mentormix_tf.errors import InputError
from mentormix_tf.studies import runner, study_file, tuning


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """What is done.

    Args:
        study_dir: folder for the runs, the tables and the figures; left out, one in runs/ that is
            named after the study's file. What is done there is not done again.
        jobs: how many runs to train at once.
        tune: choose settings first, by accuracy on noisy validation, from what the study's file
            says under `tune`. What was chosen in study_dir holds from then on.
        train: train what is not done yet; --notrain makes tables and figures of what there is.
        paper: set the paper's published numbers beside the measured ones.
        delete_checkpoints: keep no checkpoints of runs that are done.
    """

    study_dir: str = ""
    jobs: int = 1
    tune: bool = False
    train: bool = True
    paper: bool = False
    delete_checkpoints: bool = False

    def __post_init__(self):
        if self.jobs < 1:
            raise InputError(f"jobs={self.jobs} must be at least 1.")


def main(arguments):
    """Runs the study that is named."""
    config = command.read_config(StudyConfig)
    if len(arguments) != 1:
        raise InputError("Name one study's file, as in studies/digits.yaml.")
    study = study_file.read(arguments[0])
    folder = epath.Path(config.study_dir or f"runs/{pathlib.Path(arguments[0]).stem}").expanduser()
    if config.tune and study.trials is None:
        raise InputError(f"tune: {arguments[0]} does not say under tune what to try.")
    folder.mkdir(parents=True, exist_ok=True)
    failed = {}
    if config.tune:
        trials = [run for _, run in study.trial_runs()]
        failed |= runner.train(trials, folder, config.jobs, "trials")
        tuning.choose(study, folder)
    runs = study.runs(tuning.chosen(folder))
    failed |= runner.train(runs, folder, config.jobs, "runs")
    print(failed)


command.define_config("The study", StudyConfig)

if __name__ == "__main__":
    command.run(main, "Runs a grid of runs, and makes its tables and figures.", "STUDY.yaml")
