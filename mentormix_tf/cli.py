"""mentormix: all commands under one name, as in `mentormix train --noise_level=0.2`."""

import difflib
import importlib
import sys
from collections.abc import Sequence

from mentormix_tf import console, version

__all__ = ["COMMANDS", "RENAMED", "main"]

COMMANDS = {  # in the order in which a person needs them
    "train": "train a network on noisy labels and measure it on clean ones",
    "audit": "say which labels of a training set are probably wrong",
    "evaluate": "measure a run's network, or an exported one, on a split",
    "predict": "classify image files",
    "export": "write a run's network as a SavedModel for serving",
    "prepare": "make a noisy split as TFRecords",
    "verify": "read every record of a prepared split and report damage",
    "study": "train a grid of runs, and make its tables and figures",
    "train_mentor": "train MentorNet-PD on its curriculum",
    "data_service": "make training batches for a trainer on another host",
    "aot_compile": "compile a train step for a TPU, without a TPU",
    "completion": "print a script for bash or zsh that completes commands and flags",
}
RENAMED = {"doctor": "verify", "teach": "train_mentor"}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command named by the first word, with the words after it.

    Args:
        argv: the words after `mentormix`; None for those that the process was started with.

    Returns:
        The command's exit status; 2 if there is no such command.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    if not words or words[0] in ("-h", "--help", "help"):
        return console.exit_status(lambda: print(_help(), flush=True))
    if words[0] == "--version":
        print(f"mentormix_tf {version.__version__}")
        return 0
    name = words[0].replace("-", "_")
    if name not in (*COMMANDS, *RENAMED):
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        meant = f", perhaps {close[0]}" if close else ""
        print(f"error: {words[0]} is not a command: see mentormix --help{meant}.", file=sys.stderr)
        return 2
    return importlib.import_module(f"mentormix_tf.{name}").main(words[1:])


def _help() -> str:
    lines = ["Trains image classifiers on noisy labels, and serves them.", ""]
    lines += ["mentormix COMMAND [--flag=value ...]; see also mentormix COMMAND --help.", ""]
    lines += [f"  {name:<14}{text}" for name, text in COMMANDS.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
