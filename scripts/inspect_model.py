"""Look inside a trained model: python scripts/inspect_model.py MODEL "a sentence" --output FOLDER."""

from __future__ import annotations

from nlp_rnn.console import ArgumentParser, importing, quiet, reporting


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("model", help="model folder, .ckpt file or hub id; of a task that reads text")
    parser.add_argument("text", help="one sentence")
    parser.add_argument("--output", required=True, help="folder for pictures and tables")
    parser.add_argument("--format", choices=["csv", "parquet"], default="csv", help="of the tables")
    arguments = parser.parse_args()
    with reporting("inspect_model"):
        quiet()
        with importing():
            from nlp_rnn.inspection import inspect
            from nlp_rnn.inspection_files import write

        for path in write(inspect(arguments.model, arguments.text), arguments.output, arguments.format):
            print(path)


if __name__ == "__main__":
    main()
