"""python -m mentormix_tf.study: trains a grid of runs, and makes its tables and figures."""

import dataclasses
import math
import shlex
import sys
from collections.abc import Sequence
from typing import Literal

from mentormix_tf import command, console
from mentormix_tf.command import Given, Section
from mentormix_tf.errors import InputError

__all__ = ["StudyConfig", "main"]

_OF_RAY = ("ray_address", "cpus_per_run", "gpus_per_run")


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """How to run the study.

    Args:
        study_dir: folder for the runs; by default, a folder in runs/ named after the study's file.
            Finished runs in it are not repeated, and interrupted ones are resumed.
        jobs: how many runs to train at once on this machine.
        executor: where to train: on this machine (local), or on the nodes of a Ray cluster (ray).
        ray_address: HOST:PORT of the cluster's head node; auto for the cluster of this machine.
        cpus_per_run: how many CPUs a Ray cluster reserves for each run, which may be a fraction.
        gpus_per_run: how many GPUs each run gets on a Ray cluster, which may be a fraction: with
            0.25, four runs share a GPU.
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
    executor: Literal["local", "ray"] = "local"
    ray_address: str = "auto"
    cpus_per_run: float = 1.0
    gpus_per_run: float = 0.0
    tune: bool = False
    train: bool = True
    delete_checkpoints: bool = False
    report_dir: str = ""
    paper: bool = False

    def __post_init__(self):
        if self.jobs < 1:
            raise InputError(f"jobs={self.jobs} must be at least 1.")
        self._check_executor()
        if "://" in self.study_dir:
            raise InputError(
                f"study_dir={self.study_dir} must be a local folder, because of its logs."
            )
        if self.tune and not self.train:
            raise InputError("tune=true can't be set with --notrain: tuning trains trials.")

    def _check_executor(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            other = {"jobs": "ray", **dict.fromkeys(_OF_RAY, "local")}.get(field.name)
            if self.executor == other and value != field.default:
                raise InputError(
                    f"{field.name}={value} can't be set with executor={other}: omit it, or choose "
                    "the other executor."
                )
        if not 1e-4 <= self.cpus_per_run < math.inf:
            raise InputError(f"cpus_per_run={self.cpus_per_run} must be at least 0.0001.")
        gpus = self.gpus_per_run
        if not (gpus == 0 or 1e-4 <= gpus <= 1 or (gpus > 1 and gpus.is_integer())):
            raise InputError(
                f"gpus_per_run={gpus} must be a fraction from 0.0001 to 1, or a whole number."
            )


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
    settings = dataclasses.asdict(config)
    for name in ("executor", "jobs", *_OF_RAY):
        del settings[name]
    outcome = study_run.run(
        given.arguments[0], executor=_executor(config), command_line=line, **settings
    )
    print(console.printable(outcome.text, "\n"))
    if outcome.failures:
        raise InputError(outcome.failures)


def _executor(config):
    from mentormix_tf.studies.local_executor import LocalExecutor
    from mentormix_tf.studies.ray_executor import RayExecutor

    if config.executor == "ray":
        return RayExecutor(config.ray_address, config.cpus_per_run, config.gpus_per_run)
    return LocalExecutor(config.jobs)


if __name__ == "__main__":
    sys.exit(main())
