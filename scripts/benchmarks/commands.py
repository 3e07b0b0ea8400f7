"""Who competes in each command, and what their figures are compared with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import scaling as picture_of
from benchmarks import startup as starts
from benchmarks.arena import Contestant, Result, alone, compete, own
from benchmarks.given import Given
from benchmarks.report import Report, rows_of

_TUTORIAL = "tutorial loop"
_WRONG = "tutorial loop, padded and wrong at the ends"


def train(given: Given) -> Report:
    """Training steps: the tutorial loop, ours, peers, and the limit."""
    facts = alone(own("corpus", "train:prepare", given), given)
    flops, shapes = facts["flops_a_row"], facts["average_batch"]
    contestants = [own(_TUTORIAL, "loops:tutorial_loop", given)]
    if given.task == "sentiment":
        contestants.append(own(_WRONG, "loops:tutorial_loop", given, packed=False))
    contestants += [own(f"nlp_rnn {kind}", "train:ours", given, precision=kind) for kind in given.precisions]
    if given.task == "translation":
        contestants += [
            own(
                f"nlp_rnn {kind}, teacher forcing 0.5",
                "train:ours",
                given,
                precision=kind,
                teacher_forcing=0.5,
            )
            for kind in given.precisions
        ]
    limits = []
    for kind in ("fp32", "bf16"):
        limits += [
            own(f"limit: square products {kind}", "limit:square", given, precision=kind, flops=flops),
            own(f"limit: bare products {kind}", "limit:products", given, precision=kind),
            own(f"limit: bare nn.LSTM {kind}", "limit:lstm", given, precision=kind, shapes=shapes),
        ]
    with TemporaryDirectory() as folder:
        rivals, missing = _peers(given, folder)
        results = compete([*contestants, *rivals, *limits], given)
    best = max(row["rate"] for row in rows_of(results, None) if row["name"].startswith("limit: square"))
    unit = results[0].measurements[0]["unit"]
    notes = [
        f"{unit}: of the corpus's average length, {facts['tokens_a_row']:.1f} tokens without marks",
        f"limit: {flops / 1e9:.3f} GFLOP each, at the rate of the faster square product",
    ]
    title = f"training, {given.task}, {given.data}, batch {given.batch_size}, {given.device}"
    return Report(title, rows_of(results, _TUTORIAL, best, facts["tokens_a_row"]), facts, [*notes, *missing])


def cells(given: Given) -> Report:
    """Training steps of the same model with each cell of the table."""
    from nlp_rnn.models.layers.cells import CELLS

    facts = alone(own("corpus", "train:prepare", given), given)
    contestants = [
        own(f"{cell} {kind}", "train:ours", given, precision=kind, cell=cell)
        for kind in given.precisions
        for cell in CELLS
    ]
    rows = rows_of(compete(contestants, given), f"lstm {given.precisions[0]}", None, facts["tokens_a_row"])
    title = f"training with each cell, {given.task}, {given.data}, batch {given.batch_size}, {given.device}"
    return Report(title, rows, facts)


def decode(given: Given) -> Report:
    """Translating the test split, one sentence at a time and in bulk, greedy and with a beam of 5."""
    one = "tutorial loop, greedy, one at a time"
    with TemporaryDirectory() as folder:
        facts, model = _model(given, folder)
        contestants = [own(one, "answering:tutorial_translation", given, model=model)]
        for name, weights, kind in _ours(given, model):
            options: dict[str, Any] = {"model": weights, "precision": kind}
            contestants += [
                own(f"{name}, greedy, one at a time", "answering:ours", given, beam=1, bulk=False, **options),
                own(f"{name}, greedy", "answering:ours", given, beam=1, **options),
                own(f"{name}, beam 5, one at a time", "answering:ours", given, beam=5, bulk=False, **options),
                own(f"{name}, beam 5", "answering:ours", given, beam=5, **options),
            ]
        rivals, missing = _peers(given, folder)
        results = compete([*contestants, *rivals], given)
    notes = [f"model: {given.model or 'trained for a moment'}; peers train for a moment, too", *missing]
    return Report(f"translating, {given.data}, {given.device}", rows_of(results, one), facts, notes)


def tag(given: Given) -> Report:
    """Tagging the test split in bulk."""
    return _forward(given, "tagging")


def classify(given: Given) -> Report:
    """Classifying texts of the test split in bulk."""
    return _forward(given, "classifying")


def stream(given: Given) -> Report:
    """A text that comes a word at a time, classified after each."""
    anew = "all of the text anew"
    with TemporaryDirectory() as folder:
        facts, model = _model(given, folder)
        contestants = [own(anew, "answering:word_by_word", given, model=model, anew=True)]
        for name, weights, kind in _ours(given, model):
            contestants.append(own(name, "answering:word_by_word", given, model=weights, precision=kind))
        results = compete(contestants, given)
    return Report(f"after each word, {given.data}, {given.device}", rows_of(results, anew), facts)


def _forward(given: Given, title: str) -> Report:
    with TemporaryDirectory() as folder:
        facts, model = _model(given, folder)
        contestants = [
            own(name, "answering:tutorial_forward", given, model=model, packed=packed)
            for name, packed in ((_TUTORIAL, True), (_WRONG, False))
        ]
        for name, weights, kind in _ours(given, model):
            contestants.append(own(name, "answering:ours", given, model=weights, precision=kind))
        rivals, missing = _peers(given, folder) if given.command == "tag" else ([], [])
        results = compete([*contestants, *rivals], given)
    return Report(f"{title}, {given.data}, {given.device}", rows_of(results, _TUTORIAL), facts, missing)


def tokenize(given: Given) -> Report:
    """The train split's text to ids."""
    facts = alone(own("corpus", "train:prepare", given), given)
    names = {"split": "split and dictionary", "library": "tokenizers library", "ours": "nlp_rnn"}
    results = compete(
        [own(name, "tokenization:encode", given, how=how) for how, name in names.items()], given
    )
    return Report(f"tokenizing, {given.task}, {given.data}", rows_of(results, names["split"]), facts)


def startup(given: Given) -> Report:
    """Cold commands, to their end."""
    rows = [
        {
            "name": result.name,
            "seconds": median(one["seconds"] for one in result.measurements),
            "first_seconds": result.first_step_s,
            "facts": result.facts,
            "measurements": result.measurements,
        }
        for result in starts.update_metrics(given)
    ]
    return Report(f"starting, {given.task}, {given.data}", rows)


def memory(given: Given) -> Report:
    """Most memory held in training, its heaviest batches first; and by the loss over many target words."""
    alone(own("corpus", "train:prepare", given), given)
    contestants = [own(_TUTORIAL, "loops:tutorial_loop", given, heaviest_first=True)]
    for kind in given.precisions:
        contestants.append(own(f"nlp_rnn {kind}", "train:ours", given, precision=kind, heaviest_first=True))
    rows = _memory_rows(compete(contestants, given), _TUTORIAL)
    length, size, words = (4, 2, 200) if given.quick else (20, given.batch_size, 50_000)
    plain = f"plain loss, {words:,} target words, {size} x {length + 1}"
    losses = [
        own(name, "synthetic:loss", given, how=how, length=length, size=size, words=words)
        for name, how in ((plain, "plain"), (plain.replace("plain", "nlp_rnn"), "ours"))
    ]
    rows += _memory_rows(compete(losses, given), plain)
    notes = [
        "ratio: of peak memory; added: what the peak holds above the model, its gradients and the program"
    ]
    return Report(f"memory, {given.task}, {given.data}, {given.device}", rows, {}, notes)


def _memory_rows(results: list[Result], baseline: str) -> list[dict[str, Any]]:
    on_card = all("peak_device_mib" in result.peak for result in results)
    which = "peak_device_mib" if on_card else "peak_mib"
    reference = next(result.peak[which] for result in results if result.name == baseline)
    rows = rows_of(results, None)
    for row in rows:
        for name in ("rate", "tokens_per_s", "padding"):  # of the heaviest batches: no measure of speed
            row.pop(name, None)
        row["ratio"] = row[which] / reference
        if "base_mib" in row["facts"]:
            row["added_mib"] = row["peak_mib"] - row["facts"]["base_mib"]
    return rows


def scaling(given: Given) -> Report:
    """The same run on 1, 2, 4 and 8 parts of the data, and on sentences of 16 to 512 tokens."""
    whole = given.max_examples or 4000
    alone(own("corpus", "train:prepare", replace(given, max_examples=whole)), given)
    once = replace(given, seconds=0.0)
    kind = given.precisions[-1]
    sizes = [whole // part for part in (8, 4, 2, 1)]
    parts = [
        own(f"{size} rows", "train:ours", once, precision=kind, epochs=True, max_examples=size)
        for size in sizes
    ]
    rows = _scaling_rows(compete(parts, once), "data", sizes)
    lengths = [8, 16] if given.quick else [16, 32, 64, 128, 256, 512]
    size, words = (2, 200) if given.quick else (16, 8000)
    steps = [
        own(f"{length} tokens", "synthetic:steps", given, length=length, size=size, words=words)
        for length in lengths
    ]
    rows += _scaling_rows(compete(steps, given), "length", lengths)
    notes = [
        f"{what}: cost grows with the power {picture_of.exponent(points):.2f} of {by}"
        for what, by in (("data", "the rows"), ("length", "the length"))
        for points in [[(row["size"], row["seconds"]) for row in rows if row["kind"] == what]]
    ]
    notes.append(f"seconds: of an epoch; of a step with {size} pairs, so many tokens on both sides")
    return Report(f"scaling, {given.data}, {given.device}", rows, {}, notes)


def _scaling_rows(results: list[Result], kind: str, sizes: list[int]) -> list[dict[str, Any]]:
    """With `seconds`: an epoch, or a step of the same number of sentences."""
    rows = rows_of(results, None)
    for row, size, result in zip(rows, sizes, results, strict=True):
        turn = result.turn
        row |= {"kind": kind, "size": size}
        del row["rate"]
        row["seconds"] = median(one["seconds"] / turn for one in result.measurements)
    return rows


def profile(given: Given, file: Path) -> None:
    """Write a trace of five of our steps (or sentences, or passes)."""
    kind = given.precisions[-1]
    with TemporaryDirectory() as folder:
        if given.command == "train":
            contestant = own("profile", "train:ours", given, precision=kind, profile=str(file))
        else:
            model = _model(given, folder)[1]
            contestant = own(
                "profile", "answering:ours", given, model=model, precision=kind, profile=str(file)
            )
        alone(contestant, given, turns=[2, 5] if given.command == "train" else [1])


def _model(given: Given, folder: str) -> tuple[dict[str, Any], str]:
    """What is known of corpus and model, and the model's folder."""
    facts = alone(own("corpus and model", "answering:prepare", given, folder=folder), given)
    return facts, given.model or facts["model"]


def _ours(given: Given, model: str) -> list[tuple[str, str, str]]:
    """Name, folder and precision of each of ours."""
    found = [(f"nlp_rnn {kind}", model, kind) for kind in given.precisions]
    return [*found, ("nlp_rnn int8", given.model_int8, "fp32")] if given.model_int8 else found


def _peers(given: Given, folder: str) -> tuple[list[Contestant], list[str]]:
    """The peers that are installed, and a line for each that is not."""
    if given.quick or given.task == "sentiment":
        return [], []
    facts = alone(own("peers", "rivals:find", given, folder=folder), given)
    return [Contestant(name, command) for name, command in facts["commands"].items()], facts["missing"]
