"""The commands of `scripts/benchmark.py`: who takes part, and what the results are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import startup as startup_commands
from benchmarks.interleaving import Contestant, Result, make_contestant, run_in_turns, run_unmeasured
from benchmarks.options import Options
from benchmarks.report import Report, result_rows
from benchmarks.scaling import fit_exponent

_TUTORIAL = "tutorial loop"
_NOT_PACKED = "tutorial loop, not packed"
_NOT_PACKED_NOTE = "not packed: the layers read the padding too, so results for short texts are wrong"


def train(options: Options) -> Report:
    """Measure training steps of the tutorial, nlp_rnn and peers, and the machine's limit."""
    facts = _corpus_facts(options)
    contestants = [make_contestant(_TUTORIAL, "tutorial_contestants:train", options)]
    notes = [
        f"one of the unit is a row of average length, {facts['tokens_a_row']:.1f} tokens without BOS and EOS",
        f"limit: {facts['flops_a_row'] / 1e9:.3f} GFLOP per row, at the rate of the faster square product",
    ]
    if options.task == "sentiment":
        contestants.append(
            make_contestant(_NOT_PACKED, "tutorial_contestants:train", options, {"packed": False})
        )
        notes.append(_NOT_PACKED_NOTE)
    for precision in options.precisions:
        contestants.append(_trainer(f"nlp_rnn {precision}", options, {"precision": precision}))
    if options.task == "translation":
        for precision in options.precisions:
            name = f"nlp_rnn {precision}, teacher forcing 0.5"
            contestants.append(_trainer(name, options, {"precision": precision, "teacher_forcing": 0.5}))
    with TemporaryDirectory() as folder:
        peers, missing = _peers(options, folder)
        results = run_in_turns([*contestants, *peers, *_limits(options, facts)], options)
    limit_rows = [row for row in result_rows(results, None) if row["name"].startswith("limit: square")]
    limit = max((row["rate"] for row in limit_rows), default=None)
    rows = result_rows(results, _TUTORIAL, limit, facts["tokens_a_row"])
    title = f"training, {options.task}, {options.data}, batch {options.batch_size}, {options.device}"
    return Report(title, rows, facts, [*notes, *missing])


def _trainer(name: str, options: Options, arguments: dict[str, Any]) -> Contestant:
    return make_contestant(name, "training:train", options, arguments)


def _limits(options: Options, facts: dict[str, Any]) -> Iterator[Contestant]:
    for precision in ("fp32", "bf16"):
        for name, function, argument in (
            ("square products", "square_products", {"flops": facts["flops_a_row"]}),
            ("products of the step", "training_step_products", {}),
            ("bare nn.LSTM", "bare_lstm", {"shapes": facts["average_batch"]}),
        ):
            if function == "bare_lstm" and precision == "bf16" and not _has_bfloat16_lstm(options.device):
                continue
            arguments = {"precision": precision, **argument}
            yield make_contestant(
                f"limit: {name} {precision}", f"hardware_limit:{function}", options, arguments
            )


def _has_bfloat16_lstm(device: str) -> bool:
    """Return whether torch's own LSTM computes in bfloat16 there: not with cuDNN, nor on every CPU."""
    import torch

    from nlp_rnn.models.layers.devices import autocast_is_right

    with torch.autocast(torch.device(device).type, torch.bfloat16):
        return autocast_is_right(torch.device(device))


def cells(options: Options) -> Report:
    """Measure training steps of the same model with each recurrent cell."""
    from nlp_rnn.models.layers.cells import CELLS

    facts = _corpus_facts(options)
    contestants = [
        _trainer(f"{cell} {precision}", options, {"precision": precision, "cell": cell})
        for precision in options.precisions
        for cell in CELLS
    ]
    results = run_in_turns(contestants, options)
    rows = result_rows(results, f"lstm {options.precisions[0]}", None, facts["tokens_a_row"])
    title = (
        f"training with each cell, {options.task}, {options.data}, batch {options.batch_size}, "
        f"{options.device}"
    )
    return Report(title, rows, facts)


def attention(options: Options) -> Report:
    """Measure training steps of translation with each variant of the model."""
    facts = _corpus_facts(options)
    variants: dict[str, dict[str, Any]] = {
        "plain": {},
        "context": {"context": True},
        "luong": {"attention": "luong"},
        "bahdanau": {"attention": "bahdanau"},
    }
    contestants = [
        _trainer(f"{name} {precision}", options, {"precision": precision, "variant": variant})
        for precision in options.precisions
        for name, variant in variants.items()
    ]
    results = run_in_turns(contestants, options)
    rows = result_rows(results, f"plain {options.precisions[0]}", None, facts["tokens_a_row"])
    title = f"training variants, {options.data}, batch {options.batch_size}, {options.device}"
    return Report(title, rows, facts)


def decode(options: Options) -> Report:
    """Measure translating the test split: one sentence at a time and in bulk, greedy and with a beam of 5."""
    baseline = "tutorial loop, greedy, one at a time"
    with TemporaryDirectory() as folder:
        facts, model = _model(options, folder)
        contestants = [make_contestant(baseline, "tutorial_contestants:translate", options, {"model": model})]
        for name, arguments in _own_models(options, model):
            for variant, decoding in (
                ("greedy, one at a time", {"beam": 1, "bulk": False}),
                ("greedy", {"beam": 1}),
                ("beam 5, one at a time", {"beam": 5, "bulk": False}),
                ("beam 5", {"beam": 5}),
            ):
                contestants.append(
                    make_contestant(
                        f"{name}, {variant}", "inference:run_pipeline", options, {**arguments, **decoding}
                    )
                )
        peers, missing = _peers(options, folder)
        results = run_in_turns([*contestants, *peers], options)
    notes = [f"model: {options.model or 'trained for 300 steps'}; peers are trained for 100 steps", *missing]
    title = f"translating, {options.data}, {options.device}"
    return Report(title, result_rows(results, baseline), facts, notes)


def tag(options: Options) -> Report:
    """Measure tagging the test split in bulk."""
    return _tag_or_classify(options, "tagging")


def classify(options: Options) -> Report:
    """Measure classifying the texts of the test split in bulk."""
    return _tag_or_classify(options, "classifying")


def _tag_or_classify(options: Options, title: str) -> Report:
    with TemporaryDirectory() as folder:
        facts, model = _model(options, folder)
        contestants = [
            make_contestant(
                name, "tutorial_contestants:tag_or_classify", options, {"model": model, "packed": packed}
            )
            for name, packed in ((_TUTORIAL, True), (_NOT_PACKED, False))
        ]
        for name, arguments in _own_models(options, model):
            contestants.append(make_contestant(name, "inference:run_pipeline", options, arguments))
        peers, missing = _peers(options, folder)
        results = run_in_turns([*contestants, *peers], options)
    rows = result_rows(results, _TUTORIAL)
    return Report(f"{title}, {options.data}, {options.device}", rows, facts, [_NOT_PACKED_NOTE, *missing])


def stream(options: Options) -> Report:
    """Measure the classification of a text after each of its words."""
    baseline = "whole text again"
    with TemporaryDirectory() as folder:
        facts, model = _model(options, folder)
        contestants = [
            make_contestant(baseline, "inference:run_stream", options, {"model": model, "recompute": True})
        ]
        for name, arguments in _own_models(options, model):
            contestants.append(make_contestant(name, "inference:run_stream", options, arguments))
        results = run_in_turns(contestants, options)
    title = f"classifying after each word, {options.data}, {options.device}"
    return Report(title, result_rows(results, baseline), facts)


def tokenize(options: Options) -> Report:
    """Measure turning the text of the train split into ids."""
    facts = _corpus_facts(options)
    methods = {"split": "split and dictionary", "library": "tokenizers library", "processor": "nlp_rnn"}
    contestants = [
        make_contestant(name, "tokenization:encode", options, {"method": method})
        for method, name in methods.items()
    ]
    rows = result_rows(run_in_turns(contestants, options), methods["split"])
    return Report(f"tokenizing, {options.task}, {options.data}", rows, facts)


def startup(options: Options) -> Report:
    """Measure commands from a new process to its end."""
    rows = [
        {
            "name": result.name,
            "seconds": median(measurement["seconds"] for measurement in result.measurements),
            "first_seconds": result.first_step_s,
            "facts": result.facts,
            "measurements": result.measurements,
        }
        for result in startup_commands.measure(options)
    ]
    return Report(f"startup, {options.task}, {options.data}", rows)


def memory(options: Options) -> Report:
    """Measure peak memory: of training on the heaviest batches, and of the loss with many target words."""
    _corpus_facts(options)
    contestants = [
        make_contestant(_TUTORIAL, "tutorial_contestants:train", options, {"heaviest_first": True})
    ]
    for precision in options.precisions:
        arguments = {"precision": precision, "heaviest_first": True}
        contestants.append(_trainer(f"nlp_rnn {precision}", options, arguments))
    rows = _memory_rows(run_in_turns(contestants, options), _TUTORIAL)
    length, batch_size, vocabulary_size = (4, 2, 200) if options.quick else (20, options.batch_size, 50_000)
    sizes = {"length": length, "batch_size": batch_size, "vocabulary_size": vocabulary_size}
    suffix = f"loss, {vocabulary_size:,} target words, {batch_size} x {length + 1}"
    losses = [
        make_contestant(f"{name} {suffix}", "synthetic:compute_loss", options, {"method": method, **sizes})
        for name, method in (("plain", "plain"), ("nlp_rnn", "task"))
    ]
    rows += _memory_rows(run_in_turns(losses, options), f"plain {suffix}")
    notes = ["ratio: of peak memory; added: peak memory minus program, model and gradients"]
    return Report(f"memory, {options.task}, {options.data}, {options.device}", rows, {}, notes)


def _memory_rows(results: list[Result], baseline: str) -> list[dict[str, Any]]:
    """Make rows whose ratios are of peak memory, on the GPU where it is used."""
    on_device = all("peak_device_mib" in result.peak for result in results)
    key = "peak_device_mib" if on_device else "peak_mib"
    baseline_peak = next(result.peak[key] for result in results if result.name == baseline)
    rows = result_rows(results, None)
    for row in rows:
        for name in ("rate", "tokens_per_s", "padding"):  # those of the heaviest batches are not typical
            row.pop(name, None)
        row["ratio"] = row[key] / baseline_peak
        if "base_mib" in row["facts"]:
            row["added_mib"] = row["peak_mib"] - row["facts"]["base_mib"]
    return rows


def scaling(options: Options) -> Report:
    """Measure training on 1/8, 1/4, 1/2 and all of the data, and on sentences of 16 to 512 tokens."""
    num_rows = options.max_examples or 4000
    _corpus_facts(replace(options, max_examples=num_rows))
    one_epoch = replace(options, seconds=0.0)
    precision = options.precisions[-1]
    sizes = [num_rows // divisor for divisor in (8, 4, 2, 1)]
    subsets = [
        _trainer(f"{size} rows", one_epoch, {"precision": precision, "epochs": True, "max_examples": size})
        for size in sizes
    ]
    rows = _scaling_rows(run_in_turns(subsets, one_epoch), "data", sizes)
    lengths = [8, 16] if options.quick else [16, 32, 64, 128, 256, 512]
    batch_size, vocabulary_size = (2, 200) if options.quick else (16, 8000)
    steps = [
        make_contestant(
            f"{length} tokens",
            "synthetic:train",
            options,
            {"length": length, "batch_size": batch_size, "vocabulary_size": vocabulary_size},
        )
        for length in lengths
    ]
    rows += _scaling_rows(run_in_turns(steps, options), "length", lengths)
    notes = []
    for kind, variable in (("data", "number of rows"), ("length", "length")):
        points = [(row["size"], row["seconds"]) for row in rows if row["kind"] == kind]
        notes.append(f"{kind}: time grows with the power {fit_exponent(points):.2f} of the {variable}")
    notes.append(
        f"seconds: rows, per epoch; tokens, per step of {batch_size} pairs with as many tokens on both sides"
    )
    return Report(f"scaling, {options.data}, {options.device}", rows, {}, notes)


def _scaling_rows(results: list[Result], kind: str, sizes: list[int]) -> list[dict[str, Any]]:
    """Make rows with `kind`, `size`, and `seconds` per epoch or step."""
    rows = result_rows(results, None)
    for row, size, result in zip(rows, sizes, results, strict=True):
        row |= {"kind": kind, "size": size}
        del row["rate"]
        row["seconds"] = median(measurement["seconds"] / result.turn for measurement in result.measurements)
    return rows


def profile(options: Options, file: Path) -> None:
    """Write a trace of nlp_rnn: of five training steps, or of one pass over the test split."""
    arguments = {"precision": options.precisions[-1], "profile": str(file)}
    with TemporaryDirectory() as folder:
        if options.command == "train":
            run_unmeasured(_trainer("profile", options, arguments), options, turns=[2, 5])
            return
        arguments["model"] = _model(options, folder)[1]
        contestant = make_contestant("profile", "inference:run_pipeline", options, arguments)
        run_unmeasured(contestant, options, turns=[1])


def _corpus_facts(options: Options) -> dict[str, Any]:
    """Fill the cache with the corpus; return what is known about training on it."""
    return run_unmeasured(make_contestant("corpus", "training:prepare", options), options)


def _model(options: Options, folder: str) -> tuple[dict[str, Any], str]:
    """Return what is known about corpus and model, and the folder of the model."""
    contestant = make_contestant("corpus and model", "inference:prepare", options, {"folder": folder})
    facts = run_unmeasured(contestant, options)
    return facts, options.model or facts["model"]


def _own_models(options: Options, model: str) -> list[tuple[str, dict[str, Any]]]:
    """List name and arguments of each way to run nlp_rnn's model."""
    variants: list[tuple[str, dict[str, Any]]] = [
        (f"nlp_rnn {precision}", {"model": model, "precision": precision}) for precision in options.precisions
    ]
    if options.model_int8:
        variants.append(("nlp_rnn int8", {"model": options.model_int8, "precision": "fp32"}))
    return variants


def _peers(options: Options, folder: str) -> tuple[list[Contestant], list[str]]:
    """Return the installed peers as contestants, and one line for each other peer."""
    if options.quick or options.task == "sentiment":
        return [], []
    contestant = make_contestant("peers", "baselines:prepare", options, {"folder": folder})
    facts = run_unmeasured(contestant, options)
    return [Contestant(name, command) for name, command in facts["commands"].items()], facts["missing"]
