"""Run `nlp-rnn` with the same arguments, and end the process at the end of the first training step."""

from __future__ import annotations

import os
import sys
from typing import Any


def main() -> None:
    """Run the command line until the first training step has ended."""
    from nlp_rnn.cli.console import quiet

    quiet()  # before other imports, as on the command line
    from nlp_rnn.cli import main as cli
    from nlp_rnn.tasks.base import Task

    def exit_process(self: Task, *_: Any) -> None:
        os._exit(0)

    Task.on_train_batch_end = exit_process  # type: ignore[assignment, method-assign]
    cli.main(sys.argv[1:])
    sys.exit("no training step was run")


if __name__ == "__main__":
    # Python puts this folder first on the path, where modules have names like those of libraries.
    sys.path[0] = os.path.dirname(sys.path[0])
    main()
