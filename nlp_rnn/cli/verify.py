"""`nlp-rnn verify FOLDER`: measure again what a model's card states."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nlp_rnn.cli.console import add_trust_argument, importing, path_argument
from nlp_rnn.errors import RunError
from nlp_rnn.files import printed, printing

if TYPE_CHECKING:
    from nlp_rnn.evaluation.verifying import Figure, Verification, Verified

_SHOWN = 20  # of what has no data; JSON has all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("folder", type=path_argument, help="model folder")
    parser.add_argument(
        "--data",
        nargs="+",
        default=[],
        metavar="PATH",
        help="where the same data lies here: a path, or STATED=PATH where the card names several; default: "
        "where the card says",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1e-4,
        help="largest relative difference that counts as reproduced; default: 1e-4",
    )
    parser.add_argument("--device", default="cpu", help="such as cpu, cuda or cuda:1; default: cpu")
    parser.add_argument("--json", action="store_true", help="print the outcomes as JSON")
    add_trust_argument(parser)


def run(options: argparse.Namespace) -> None:
    """Print one line per figure; what is read is named on standard error before.

    Raises:
        RunError: something differs, or could not be measured, so that the exit code is 1.
    """
    with importing():
        from nlp_rnn.cpu import retain_freed_memory
        from nlp_rnn.evaluation.verifying import verify

    retain_freed_memory()
    found = verify(
        options.folder,
        options.data,
        options.tolerance,
        options.device,
        lambda source: print(printed(f"measuring {source}"), file=sys.stderr),
    )
    with printing():
        if options.json:
            report = {"folder": options.folder, "tolerance": options.tolerance, **_report(found)}
            print(printed(json.dumps(report, ensure_ascii=False, indent=2)))
        else:
            print(*(printed(line) for line in _lines(found)), sep="\n")
    if not found.is_reproduced:
        number, total = sum(figure.reproduced for figure in found.figures), len(found.figures)
        also = "; the card contradicts itself" if found.contradictions else ""
        raise RunError(f"{options.folder}: {number} of {total} figures were reproduced{also}")


def _lines(found: Verification) -> list[str]:
    """The report as text: one line per figure, and below what explains those that were not reproduced."""
    lines = []
    for result in found.results:
        where = f"{result.stated.split_name} of {result.stated.path}"
        lines += [f"{_state(result, figure):<14} {where}, {_words(figure)}" for figure in result.figures]
        lines += [f"{'':<14} {text}" for text in _explanations(result)]
    lines += [
        f"{'contradiction':<14} {text}: the card's results say otherwise" for text in found.contradictions
    ]
    if found.unchecked:
        texts = "; ".join([*found.unchecked[:_SHOWN], *(["..."] if len(found.unchecked) > _SHOWN else [])])
        lines.append(f"{'not checked':<14} stated without the data it was measured on: {texts}")
    return lines


def _state(result: Verified, figure: Figure) -> str:
    if figure.reproduced:
        return "reproduced"
    return "not measured" if figure.measured is None else "differs" if result.same_data else "other data"


def _words(figure: Figure) -> str:
    stated = f"{figure.metric} {figure.stated:.6g}"
    if figure.measured is None:
        return stated
    difference = abs(figure.measured - figure.stated)
    if figure.reproduced:
        return f"{stated} {f'within ± {difference:.1e}' if difference else 'exactly'}"
    return f"{stated} stated, {figure.measured:.6g} measured"


def _explanations(result: Verified) -> list[str]:
    """The data and the versions then and now, where not all is reproduced; and what is not as it was."""
    stated, measured = result.stated, result.measured
    if measured is None:
        return [result.problem]
    lines = []
    if not result.same_data:
        lines.append(
            f"data: {stated.rows:,} rows, hash {stated.data_hash:.12} then; {measured.rows:,} rows, "
            f"hash {measured.data_hash:.12} now, from {result.source}"
        )
    for kind, then, now in (
        ("versions", stated.versions, measured.versions),
        ("signatures", stated.signatures, measured.signatures),
    ):
        changed = [name for name in {**then, **now} if then.get(name) != now.get(name)]
        if changed:
            texts = (
                f"{name} {then.get(name, 'unknown')} then, {now.get(name, 'none')} now" for name in changed
            )
            lines.append(f"{kind}: {'; '.join(texts)}")
        elif not all(figure.reproduced for figure in result.figures) and now:
            lines.append(f"{kind}: {', '.join(f'{name} {text}' for name, text in now.items())}, as then")
    return lines


def _report(found: Verification) -> dict[str, Any]:
    """The report as plain values."""
    return {
        "reproduced": found.is_reproduced,
        "results": [
            {
                "source": result.source,
                "same_data": result.same_data,
                "problem": result.problem or None,
                "figures": [asdict(figure) for figure in result.figures],
                "stated": result.stated.state(),
                "measured": None if result.measured is None else result.measured.state(),
            }
            for result in found.results
        ],
        "contradictions": list(found.contradictions),
        "unchecked": list(found.unchecked),
    }
