"""The one exception for errors that the user can fix."""


class UsageError(ValueError):
    """A file, setting or argument of the user is wrong.

    The message is one line: what is wrong, where, and what to do. Command-line programs print it without a
    traceback and exit with code 2.
    """
