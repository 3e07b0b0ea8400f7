"""Measure a trained model on a corpus: python scripts/evaluate.py MODEL --data CORPUS."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from nlp_rnn.console import ArgumentParser, importing, quiet, reporting


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("model", help="model folder, .ckpt file or hub id")
    parser.add_argument("--data", default="builtin", help="corpus: builtin, a file or folder, or a hub id")
    parser.add_argument("--config-name", help="configuration of a hub corpus")
    parser.add_argument("--revision", help="revision of a hub corpus")
    parser.add_argument(
        "--split", default="test", help="train, validation, test or the corpus's own name for one"
    )
    parser.add_argument(
        "--columns",
        nargs="+",
        default=[],
        metavar="NAME=COLUMN",
        help="such as source=de target=en; text=review",
    )
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--beam", type=int, help="width of the beam, where answers are text")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--max-examples", type=int, help="measure on a random part")
    parser.add_argument("--output", type=Path, help="folder for report.json and pictures")
    arguments = parser.parse_args()
    with reporting("evaluate"):
        quiet()
        with importing():
            from nlp_rnn.data import Corpus
            from nlp_rnn.errors import UsageError
            from nlp_rnn.evaluation import evaluate
            from nlp_rnn.machine import keep_memory
            from nlp_rnn.rundir import written_whole

        keep_memory()
        for pair in arguments.columns:
            if "=" not in pair:
                raise UsageError(f"--columns {pair}: give NAME=COLUMN, such as text=review")
        try:
            if arguments.output is not None:
                arguments.output.mkdir(parents=True, exist_ok=True)
            report = evaluate(
                arguments.model,
                Corpus(
                    arguments.data,
                    config=arguments.config_name,
                    revision=arguments.revision,
                    max_examples=arguments.max_examples,
                ),
                split=arguments.split,
                columns=dict(pair.split("=", 1) for pair in arguments.columns),
                batch_size=arguments.batch_size,
                beam=arguments.beam,
                device=arguments.device,
                precision=arguments.precision,
                pictures=arguments.output,
            )
            text = json.dumps(report.figures, ensure_ascii=False, indent=2, allow_nan=False)
            if arguments.output is not None:
                with written_whole(arguments.output / "report.json") as half:
                    half.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            if error.filename is None:
                raise
            raise UsageError(f"{error.filename}: {error.strerror}") from error
        print(report.table(), file=sys.stderr)
        print(text)


if __name__ == "__main__":
    main()
