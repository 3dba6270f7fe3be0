"""What ends a command other than its result."""


class InputError(ValueError):
    """A user's mistake, told in one sentence.

    It names the flag, argument or file, the value it had, and what would be right. Commands print
    the sentence without a traceback.
    """


class Preempted(Exception):
    """A run was asked to stop, and has saved what it needs to go on.

    Args:
        step: how many steps it has taken.
    """

    def __init__(self, step):
        super().__init__(
            f"Stopped after step {step}, as asked: the same command goes on from there."
        )
        self.step = step
