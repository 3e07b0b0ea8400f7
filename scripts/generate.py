"""Let a language model write: python scripts/generate.py MODEL [PROMPT], printed as it is made."""

from __future__ import annotations

import sys

from nlp_rnn.console import ArgumentParser, importing, quiet, reporting


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("model", help="model folder, .ckpt file or hub id")
    parser.add_argument("prompt", nargs="?", default="", help="what to go on from")
    parser.add_argument("--max-output", type=int, default=100, help="most tokens")
    parser.add_argument("--temperature", type=float, help="draw tokens; the likeliest are taken without it")
    parser.add_argument("--top-k", type=int, help="draw among so many of the likeliest")
    parser.add_argument("--top-p", type=float, help="draw among the likeliest that have this probability")
    parser.add_argument("--seed", type=int, help="of the draws")
    parser.add_argument(
        "--steps", action="store_true", help="show what each step read and foretold, and how surely"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    arguments = parser.parse_intermixed_args()  # options may stand before
    with reporting("generate"):
        quiet()
        with importing():
            from nlp_rnn.machine import keep_memory
            from nlp_rnn.pipelines import pipeline

        keep_memory()
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        writer = pipeline(
            "language_modeling", arguments.model, device=arguments.device, precision=arguments.precision
        )
        how = (arguments.max_output, arguments.temperature, arguments.top_k, arguments.top_p, arguments.seed)
        if arguments.steps:
            for step in writer.steps(arguments.prompt, *how):
                read, written = repr(step.read)[1:-1], repr(step.written)[1:-1]  # a line break as such
                print(f"{read:>12} -> {written:<12} {step.probability:.4f}", flush=True)
            return
        pieces = writer.generate(arguments.prompt, *how)
        print(arguments.prompt, end="", flush=True)
        for piece in pieces:
            print(piece, end="", flush=True)
        print()


if __name__ == "__main__":
    main()
