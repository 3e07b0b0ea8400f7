"""Give a trained model int8 weights: python scripts/quantize.py MODEL OUTPUT."""

from __future__ import annotations

import argparse

from nlp_rnn.console import quiet, reporting


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="model folder, .ckpt file or hub id")
    parser.add_argument("output", help="model folder to write, about a quarter of the size")
    arguments = parser.parse_args()
    with reporting("quantize"):
        quiet()
        from nlp_rnn.pretrained import from_pretrained, save_pretrained
        from nlp_rnn.quantization import quantize

        task = from_pretrained(arguments.model)
        quantize(task.model)
        print(save_pretrained(task, arguments.output))


if __name__ == "__main__":
    main()
