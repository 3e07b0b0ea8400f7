"""The one exception for faults a user can mend."""


class UsageError(ValueError):
    """Something the user gave is wrong; the message is one line that says what, where, and what to do.

    Command-line programs print the message without a traceback and exit with code 2.
    """
