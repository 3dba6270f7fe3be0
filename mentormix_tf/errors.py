"""The exceptions that end a command."""

__all__ = ["BackendError", "InputError", "Preempted", "excerpt"]


class InputError(ValueError):
    """A user's mistake, described in one sentence.

    The sentence names the flag, argument or file, its value, and what would be right. Commands
    print it without a traceback.
    """


class BackendError(ImportError):
    """TensorFlow is not installed, or Keras runs on another backend."""


class Preempted(Exception):
    """A command was asked to stop, and has saved its state to be resumed.

    Args:
        when: how far the command got, such as "after step 20".
    """

    def __init__(self, when: str):
        super().__init__(f"Stopped {when}, as requested: run the same command again to resume.")


def excerpt(text: str, longest: int = 200) -> str:
    """Returns a text as an error shows it: printable, on one line, and not too long."""
    text = "".join(c if c.isprintable() else " " for c in " ".join(text[: 2 * longest].split()))
    return text if len(text) <= longest else f"{text[:longest]}..."
