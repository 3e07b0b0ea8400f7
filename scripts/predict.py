"""Ask a trained model: python scripts/predict.py MODEL < text > answers, one a line, in order."""

from __future__ import annotations

from nlp_rnn.console import ArgumentParser, importing, quiet, reporting


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("model", help="model folder, .ckpt file or hub id")
    parser.add_argument(
        "input",
        nargs="?",
        default="-",
        help="a file, or - for standard input: a text a line; for models of numbers, numbers or a JSON list",
    )
    parser.add_argument("--output", default="-", help="a file, or - for standard output")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, with scores")
    parser.add_argument(
        "--conllu",
        action="store_true",
        help="CoNLL-U in and out, for taggers (understood from .conllu files)",
    )
    parser.add_argument("--beam", type=int, help="width of the beam, where answers are text")
    parser.add_argument("--n-best", type=int, default=1, help="answers a sentence, with --json")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    arguments = parser.parse_intermixed_args()  # options may stand before
    with reporting("predict"):
        quiet()
        with importing():
            from nlp_rnn.machine import keep_memory
            from nlp_rnn.prediction import predict

        keep_memory()
        predict(
            arguments.model,
            arguments.input,
            arguments.output,
            as_json=arguments.json,
            conllu=arguments.conllu or arguments.input.endswith(".conllu"),
            beam=arguments.beam,
            n_best=arguments.n_best,
            batch_size=arguments.batch_size,
            device=arguments.device,
            precision=arguments.precision,
        )


if __name__ == "__main__":
    main()
