"""Measure a trained model on a corpus: python scripts/evaluate.py MODEL --data CORPUS."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from nlp_rnn.console import quiet, reporting


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="model folder, .ckpt file or hub id")
    parser.add_argument("--data", default="builtin", help="corpus: builtin, a file or folder, or a hub id")
    parser.add_argument("--config-name", help="configuration of a hub corpus")
    parser.add_argument(
        "--split", default="test", help="train, validation or test (a single file is one split)"
    )
    parser.add_argument(
        "--columns",
        nargs="+",
        default=[],
        metavar="NAME=COLUMN",
        help="such as source=de target=en; text=review",
    )
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--beam", type=int, help="width of the beam, for translation")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--max-examples", type=int, help="measure on a random part")
    parser.add_argument("--output", type=Path, help="folder for report.json and pictures")
    arguments = parser.parse_args()
    with reporting("evaluate"):
        quiet()
        from nlp_rnn.data import Corpus
        from nlp_rnn.evaluation import evaluate

        if arguments.output is not None:
            arguments.output.mkdir(parents=True, exist_ok=True)
        columns = dict(pair.split("=", 1) for pair in arguments.columns)
        report = evaluate(
            arguments.model,
            Corpus(arguments.data, config=arguments.config_name, max_examples=arguments.max_examples),
            split=arguments.split,
            columns=columns,
            batch_size=arguments.batch_size,
            beam=arguments.beam,
            device=arguments.device,
            pictures=arguments.output,
        )
        print(report.table(), file=sys.stderr)
        print(json.dumps(report.figures, ensure_ascii=False, indent=2))
        if arguments.output is not None:
            half = arguments.output / ".report.json"
            half.write_text(json.dumps(report.figures, ensure_ascii=False, indent=2), encoding="utf-8")
            os.replace(half, arguments.output / "report.json")


if __name__ == "__main__":
    main()
