"""The exceptions whose message is all that a user needs to read."""


class UsageError(ValueError):
    """A file, setting or argument of the user is wrong.

    The message is one line: what is wrong, where, and what to do. Command-line programs print it without a
    traceback and exit with code 2.
    """


class RunError(RuntimeError):
    """A run cannot go on, though its files, settings and arguments are in order.

    The message is one line, as that of a `UsageError`. Command-line programs exit with code 1.
    """
