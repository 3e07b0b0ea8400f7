"""Every command of scripts/benchmark.py with tiny models, and what nlp_rnn is compared with."""

import json
import os
import random
import sys
from importlib.metadata import version
from pathlib import Path
from statistics import median

import benchmark
import pytest
import torch
from benchmarks import commands, scaling, tutorial
from benchmarks.flops import flops_per_row, training_products
from benchmarks.inference import load_texts
from benchmarks.interleaving import Contestant, Result, make_contestant, run_in_turns
from benchmarks.options import Options
from benchmarks.recipes import make_data, make_task
from benchmarks.report import result_rows
from benchmarks.training import heaviest_batches_first
from benchmarks.tutorial_contestants import build_tutorial_model, load_translator, source_ids
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.vocabulary import BOS, EOS
from nlp_rnn.errors import UsageError
from nlp_rnn.models.search import greedy
from nlp_rnn.tasks.pretrained import save_pretrained

SCRIPTS = Path(__file__).parents[2] / "scripts"
TRAIN = ["tutorial loop", "nlp_rnn fp32", "nlp_rnn bf16"]
SLOW = {"startup": pytest.mark.slow}
NOT_EVERYWHERE = {"limit: bare nn.LSTM bf16"}  # a CPU without bfloat16 has no such kernel
ROWS = {
    "train": [
        *TRAIN,
        "nlp_rnn bf16, teacher forcing 0.5",
        "limit: square products fp32",
        "limit: bare nn.LSTM bf16",
    ],
    "train --task sentiment": ["tutorial loop", "tutorial loop, not packed"],
    "train --task tagging": ["tutorial loop", "nlp_rnn fp32", "limit: products of the step bf16"],
    "cells --task sentiment": ["rnn fp32", "gru bf16", "lstm fp32"],
    "attention": ["plain fp32", "context fp32", "luong bf16", "bahdanau fp32"],
    "decode": ["tutorial loop, greedy, one at a time", "nlp_rnn bf16, greedy", "nlp_rnn fp32, beam 5"],
    "tag": ["tutorial loop", "nlp_rnn fp32", "nlp_rnn bf16"],
    "classify": ["tutorial loop", "tutorial loop, not packed", "nlp_rnn bf16"],
    "stream": ["whole text again", "nlp_rnn fp32", "nlp_rnn bf16"],
    "tokenize": ["split and dictionary", "tokenizers library", "nlp_rnn"],
    "startup": [
        "nlp-rnn --version",
        "nlp-rnn predict, one text",
        "nlp-rnn fit, to the end of the first step",
    ],
    "memory": [*TRAIN, "nlp_rnn loss, 200 target words, 2 x 5"],
    "scaling": ["8 rows", "64 rows", "8 tokens", "16 tokens"],
}


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """A corpus of random words for each task: task -> path."""
    folder = tmp_path_factory.mktemp("corpora")
    random.seed(0)
    words = [f"{letter}{number}" for letter in "abcde" for number in range(6)]
    sentences = {
        split: [random.choices(words, k=random.randint(2, 7)) for _ in range(rows)]
        for split, rows in (("train", 64), ("val", 12), ("test", 12))
    }
    for task in ("translation", "sentiment", "tagging"):
        (folder / task).mkdir()
    for split, rows in sentences.items():
        lines = [" ".join(row) for row in rows]
        for side in ("de", "en"):
            (folder / "translation" / f"{split}.{side}").write_text("\n".join(lines) + "\n")
        labeled = [f"{line},{'yes' if row[0] < 'c' else 'no'}" for line, row in zip(lines, rows, strict=True)]
        (folder / "sentiment" / f"{split}.csv").write_text("\n".join(["text,label", *labeled]) + "\n")
        tagged = [
            "".join(
                f"{at}\t{word}\t_\t{word[0].upper()}\t_\t_\t0\t_\t_\t_\n" for at, word in enumerate(row, 1)
            )
            for row in rows
        ]
        (folder / "tagging" / f"{split}.conllu").write_text("\n".join(tagged) + "\n")
    return {task: str(folder / task) for task in ("translation", "sentiment", "tagging")}


def make_options(corpora, command="train", task="translation", **others):
    values = {"batch_size": 8, "quick": True, "repeat": 1, "seconds": 0.0} | others
    return Options(command, task, corpora[task], **values)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *arguments])
    benchmark.main()


@pytest.mark.parametrize("command", [pytest.param(row, marks=SLOW.get(row, ())) for row in ROWS])
def test_each_command_measures_its_contestants(command, corpora, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SCRIPTS.parent), os.environ.get("PYTHONPATH", "")]))
    verb, *flags = command.split()
    task = (
        flags[-1]
        if flags
        else {"tag": "tagging", "classify": "sentiment", "stream": "sentiment"}.get(verb, "translation")
    )
    output = tmp_path / "measured.json"
    picture = ["--picture", str(tmp_path / "scaling.png")] if verb == "scaling" else []
    repeat = 1 if verb == "startup" else 2
    wanted = ["--quick", "--repeat", str(repeat), "--precision", "both", "--output", str(output), *picture]
    run(monkeypatch, verb, *flags, "--data", corpora[task], *wanted)

    document = json.loads(output.read_text())
    rows = {row["name"]: row for row in document["rows"]}
    assert set(ROWS[command]) - NOT_EVERYWHERE <= set(rows)
    assert document["machine"]["versions"]["torch"] == version("torch")  # without that of the build
    assert document["settings"]["task"] == task
    table = capsys.readouterr().out
    for name, row in rows.items():
        assert name in table
        assert len(row["measurements"]) == repeat
        assert all(one["seconds"] > 0 for one in row["measurements"])
        if "rate" in row:
            average = (
                document["facts"].get("tokens_a_row") if verb in ("train", "cells", "attention") else None
            )
            rates = [
                (one["tokens"] / average if average and "tokens" in one else one["units"]) / one["seconds"]
                for one in row["measurements"]
            ]
            assert row["rate"] == pytest.approx(median(rates))
    if verb == "train":
        assert rows["tutorial loop"]["ratio"] == 1.0
        assert rows["nlp_rnn fp32"]["padding"] < rows["tutorial loop"]["padding"]
        best = max(row["rate"] for name, row in rows.items() if name.startswith("limit: square"))
        assert rows["nlp_rnn bf16"]["share"] == pytest.approx(rows["nlp_rnn bf16"]["rate"] / best)
    if picture:
        assert Path(picture[1]).read_bytes().startswith(b"\x89PNG")


def test_ratios_compare_within_each_round():
    def result(name, seconds):
        return Result(name, {}, 1.0, 1, [{"unit": "pairs", "units": 6, "seconds": one} for one in seconds])

    base, fast = result_rows([result("base", [1, 2, 30]), result("fast", [0.5, 0.5, 10])], "base", limit=24.0)
    assert base["ratio"] == 1.0
    assert fast["ratio"] == pytest.approx(3)  # the median of 2, 4 and 3
    assert fast["rate"] == 12.0
    assert fast["share"] == 0.5


def test_rates_account_for_the_length_of_rows():
    long = {"unit": "pairs", "units": 6, "tokens": 60, "seconds": 2.0}
    (row,) = result_rows([Result("long ones", {}, 1.0, 1, [long])], None, tokens_per_row=5.0)
    assert row["rate"] == 6.0


@pytest.mark.slow
def test_contestants_run_in_processes(corpora):
    options = make_options(corpora, "tokenize", quick=False, repeat=2)
    (result,) = run_in_turns(
        [make_contestant("split", "tokenization:encode", options, {"method": "split"})], options
    )
    assert [one["units"] for one in result.measurements] == [64, 64]
    assert result.peak["peak_mib"] > 50
    assert result.first_step_s > 0.1


@pytest.mark.parametrize("message", ["out of luck", ""])
def test_a_failed_contestant_is_reported_with_its_last_message(message, corpora):
    program = f"import sys; print({message!r}, file=sys.stderr)"
    contestant = Contestant("broken", [sys.executable, "-c", program])
    with pytest.raises(UsageError, match=f"'broken' failed: {message or 'it wrote no error message'}"):
        run_in_turns([contestant], make_options(corpora))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--repeat", "3"], "--repeat 3"),
        (["train", "--output", "nowhere/at/all.json"], "--output nowhere/at/all.json: there is no folder"),
        (["memory", "--profile", "trace.json"], "--profile: memory has no trace"),
        (["train", "--picture", "x.png"], "--picture: train has no plot"),
        (["tag", "--peer", "flair"], "--peer flair: give NAME=PYTHON"),
    ],
)
def test_usage_errors_are_one_line(arguments, message, monkeypatch, capsys):
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, *arguments)
    assert stop.value.code == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error


def test_profile_writes_a_trace(corpora, tmp_path):
    commands.profile(make_options(corpora), tmp_path / "trace.json")
    names = {event.get("name") for event in json.loads((tmp_path / "trace.json").read_text())["traceEvents"]}
    assert any("backward" in str(name).lower() for name in names)


# What nlp_rnn is compared with.


@pytest.mark.parametrize("task", ["translation", "sentiment", "tagging"])
def test_tutorial_models_have_as_many_parameters_as_ours(task, corpora):
    options = make_options(corpora, task=task)
    model = make_task(options, make_data(options))
    theirs = build_tutorial_model(task, model)
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.numel() for p in model.model.parameters())


def test_the_tutorial_decodes_the_same_tokens(corpora, tmp_path):
    options = make_options(corpora)
    torch.manual_seed(1)
    task = make_task(options, make_data(options))
    for parameter in task.model.parameters():  # far enough from uniform that outputs differ and end
        parameter.data.mul_(4)
    save_pretrained(task, tmp_path / "model")
    task, translator = load_translator(str(tmp_path / "model"))
    task.eval()
    sentences = [source_ids(task.processor, text) for text in load_texts(options)]
    found = [translator.translate(ids, 12) for ids in sentences]
    for ids, theirs in zip(sentences, found, strict=True):
        with torch.no_grad():
            state = task.model.encoder(torch.tensor(ids)[:, None])
        (mine,) = greedy(task.model.decoder.step, state, bos_id=BOS, eos_id=EOS, max_length=12)
        assert theirs == mine.tokens
    assert len({tuple(ids) for ids in found}) > 1


def test_flops_equal_those_counted_by_torch(corpora):
    options = make_options(corpora)
    data = make_data(options)
    task = make_task(options, data)
    model = build_tutorial_model("translation", task)
    source, target = torch.randint(4, 20, (5, 3)), torch.randint(4, 20, (7, 3))
    # Kernels for whole recurrent layers are not counted; the plain ones consist of matrix products.
    with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
        output = model(source, target, teacher_forcing=1.0)
        F.cross_entropy(output[1:].flatten(0, 1), target[1:].flatten(), ignore_index=IGNORED).backward()
    lengths = {"lengths": torch.full((3,), 5), "target_lengths": torch.full((3,), 6)}
    assert sum(product.flops for product in training_products(task, lengths)) == counter.get_total_flops()
    assert flops_per_row(task, [lengths]) == counter.get_total_flops() / 3


def test_flops_exclude_padding(corpora):
    options = make_options(corpora, task="sentiment")
    task = make_task(options, make_data(options))

    def total(*lengths):
        return sum(one.flops for one in training_products(task, {"lengths": torch.tensor(lengths)}))

    assert total(5, 2) == total(5) + total(2)


def test_the_tutorial_classifier_is_exact_only_when_packed():
    torch.manual_seed(0)
    tokens, lengths = torch.randint(4, 9, (6, 2)), torch.tensor([6, 3])
    tokens[3:, 1] = 0
    for packed in (True, False):
        model = tutorial.Classifier(9, 2, 4, 5, 2, packed).eval()
        together, alone = model(tokens, lengths)[1], model(tokens[:3, 1:], lengths[1:])[0]
        assert torch.allclose(together, alone, atol=1e-6) == packed


def test_the_heaviest_batch_comes_first(corpora):
    batches = list(heaviest_batches_first(make_data(make_options(corpora))))
    sizes = [batch.source.numel() + batch.target.numel() for batch in batches]
    assert max(sizes) <= 1.2 * sizes[0]
    assert sizes[0] > sizes[-1]


def test_exponents():
    assert scaling.fit_exponent([(1, 3), (2, 12), (4, 48)]) == pytest.approx(2)


def test_a_time_limit_ends_a_benchmark_early_and_what_was_measured_is_printed(corpora, capsys):
    options = make_options(corpora, "tokenize", repeat=3, time_limit=0)
    arguments = ("tokenization:encode", options, {"method": "split"})
    (result,) = run_in_turns([make_contestant(name, *arguments) for name in ("one", "two")], options)
    assert (result.name, len(result.measurements)) == ("one", 1)
    error = capsys.readouterr().err
    assert "left out two: --time-limit\n" in error
    assert "stopped after 1 rounds: --time-limit\n" in error
    assert 'one: {"' in error


def test_the_report_of_training_does_without_contestants_that_were_left_out(corpora, monkeypatch, capsys):
    monkeypatch.setattr(commands, "_limits", lambda *_: [])
    report = commands.train(make_options(corpora, time_limit=0))
    assert [row["name"] for row in report.rows] == [commands._TUTORIAL]
    assert commands._TUTORIAL in report.table()
