"""A process that answers lines: `python backend_worker.py MODULE TASK MODEL TEXTS [NAME=VALUE...]`.

MODULE has the function `pipeline`: nlp_rnn, or nlp_rnn_lite where no torch may be imported. Each line of
standard input is answered by a line of JSON. The line BULK answers the lines of the file TEXTS at once.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

BULK = "\x02bulk"
"""The line that asks for all texts at once; "\\x02" is in no text."""


def main() -> None:
    """Answer until standard input ends."""
    module, task, model, texts, *options = sys.argv[1:]
    answerer = import_module(module).pipeline(task, model, **dict(option.split("=") for option in options))
    for line in sys.stdin:
        text = line.rstrip("\n")
        asked = Path(texts).read_text(encoding="utf-8").splitlines() if text == BULK else text
        print(json.dumps(answerer(asked)), flush=True)


if __name__ == "__main__":
    main()
