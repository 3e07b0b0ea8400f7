"""The exceptions of which programs show the user one line, without a traceback."""


class UsageError(ValueError):
    """A file, setting or argument of the user is wrong.

    The message is one line: what is wrong, where, and what to do. Command-line programs print it without a
    traceback and exit with code 2.
    """


class RunError(RuntimeError):
    """A run cannot go on, though its files, settings and arguments are in order.

    The message is one line, as that of a `UsageError`. Command-line programs exit with code 1.
    """


class Interrupted(BaseException):
    """A signal ended the work. Not an `Exception`: no handler of errors is to catch it.

    Args:
        number: the signal.
        message: what became of the work, and how it goes on.
    """

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(number, message)
        self.number = number
        self.message = message
