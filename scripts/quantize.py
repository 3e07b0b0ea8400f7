"""Give a trained model int8 weights: python scripts/quantize.py MODEL OUTPUT."""

from __future__ import annotations

import os

from nlp_rnn.console import ArgumentParser, quiet, reporting
from nlp_rnn.errors import UsageError


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("model", help="model folder, .ckpt file or hub id")
    parser.add_argument("output", help="model folder to write, about a quarter of the size")
    arguments = parser.parse_args()
    with reporting("quantize"):
        quiet()
        if os.path.lexists(arguments.output):
            raise UsageError(f"{arguments.output} exists: give another place, or remove it first")
        from nlp_rnn.pretrained import from_pretrained, save_pretrained
        from nlp_rnn.quantization import quantize

        task = from_pretrained(arguments.model)
        quantize(task.model)
        print(save_pretrained(task, arguments.output))


if __name__ == "__main__":
    main()
