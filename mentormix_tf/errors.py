"""What ends a command other than its result."""


class InputError(ValueError):
    """A user's mistake, told in one sentence.

    It names the flag, argument or file, the value it had, and what would be right. Commands print
    the sentence without a traceback.
    """


class BackendError(ImportError):
    """TensorFlow is missing, or Keras runs on something else."""


class Preempted(Exception):
    """A command was asked to stop, and has saved what it needs to continue.

    Args:
        when: what it had done, such as "after step 20".
    """

    def __init__(self, when: str):
        super().__init__(f"Stopped {when}, as asked: the same command goes on from there.")
