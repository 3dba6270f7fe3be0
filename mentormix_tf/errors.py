"""The one exception that means: the input is wrong, not the program."""


class InputError(ValueError):
    """A user's mistake, told in one sentence that names what is wrong and what would be right.

    Commands print the sentence without a traceback and exit with status 1; in a library it is an
    ordinary `ValueError`.
    """
