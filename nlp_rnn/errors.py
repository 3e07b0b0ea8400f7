"""The exceptions of which programs show the user one line, without a traceback, and its form.

They are defined in `nlp_rnn.lite.errors`, so that models can answer without torch.
"""

from nlp_rnn.lite.errors import (
    Interrupted,
    RunError,
    UsageError,
    join_names,
    naming_memory,
    one_line,
    own_cause,
    printable,
)

__all__ = [
    "Interrupted",
    "RunError",
    "UsageError",
    "join_names",
    "naming_memory",
    "one_line",
    "own_cause",
    "printable",
]
