"""python -m mentormix_tf.audit: says which labels of a run's training set are probably wrong."""

import dataclasses
import sys
import types
from collections.abc import Sequence
from typing import Any, Literal

from mentormix_tf import command, console
from mentormix_tf.command import Given, Section
from mentormix_tf.errors import InputError

__all__ = ["AuditConfig", "main"]


@dataclasses.dataclass(frozen=True)
class AuditConfig:
    """What to audit.

    Args:
        model_dir: the folder of a run, best of one that was trained with --audit.
        features: features of the trained network to judge by: penultimate, the input of its last
            layer; convolution, its last feature maps; or none. auto is none if the run was trained
            with --audit, else convolution.
        weights: weights that features come from: last, those of the last step; best, the best on
            the validation split; averaged, their moving average; or auto, averaged if the run kept
            an average, else last.
        top: number of examples to show with their images in audit.html, the most suspicious.
        output_dir: folder for audit.csv, audit.html, audit.json and transition_matrix.csv; by
            default, audit/ in model_dir.
    """

    model_dir: str = ""
    features: Literal["auto", "none", "penultimate", "convolution"] = "auto"
    weights: Literal["auto", "last", "best", "averaged"] = "auto"
    top: int = 500
    output_dir: str = ""

    def __post_init__(self):
        if not self.model_dir:
            raise InputError("model_dir is missing: name a run's folder, like --model_dir=runs/...")
        if not 0 <= self.top <= 100_000:
            raise InputError(f"top={self.top} must lie in [0, 100000].")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the audit command; returns its exit status.

    Args:
        argv: the words after the command; None for those that the process was started with.
    """
    summary = "Says which labels of a run's training set are probably wrong."
    return command.run(_audit, summary, (Section("The audit", AuditConfig),), argv)


def _audit(given: Given) -> None:
    command.load_backend()
    from mentormix_tf.serving import run

    config = given.config(AuditConfig)
    report = run.open_run(config.model_dir).audit(config.features, config.weights)
    folder = report.save(config.output_dir or None, config.top)
    print(console.printable(report.text(), "\n"))
    print(f"More in {folder}/")
    print(
        "Next: open audit.html in a browser, decide there which labels are wrong, and train with "
        "--corrections=FILE, the file that it saves."
    )


class _CallableModule(types.ModuleType):
    """Importing this module must not hide the function of its name, `mentormix_tf.audit`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from mentormix_tf.auditing import subjects

        return subjects.audit(*args, **kwargs)


_this = sys.modules[__name__]
_this.__class__ = _CallableModule

if __name__ == "__main__":
    sys.exit(main())
