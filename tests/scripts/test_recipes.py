"""scripts/recipes/, with tiny models and corpora."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from recipes.treebank_text import sentences

from nlp_rnn.data.builtin.sentences import generate

SMALL = [
    "--model.embedding_dim",
    "32",
    "--model.hidden_dim",
    "64",
    "--model.num_layers",
    "1",
    "--model.dropout",
    "0.0",
    "--data.batching.size",
    "32",
    "--trainer.max_epochs",
    "6",
    "--trainer.precision",
    "32-true",
    "--trainer.accelerator",
    "cpu",
]


@pytest.fixture
def corpora(tmp_path):
    """A parallel corpus of few pairs, which are soon known by heart, and sentences of each language."""
    pairs = [(" ".join(example.german), " ".join(example.english)) for example in generate(50, seed=0)]
    for split, rows in {"train": pairs[:30] * 20, "val": pairs[30:40], "test": pairs[40:]}.items():
        for language, texts in zip(("de", "en"), zip(*rows, strict=True), strict=True):
            write_lines(tmp_path / "corpus" / f"{split}.{language}", texts)
    write_lines(tmp_path / "captions" / "de.txt", [source for source, _ in pairs[:20]])
    write_lines(tmp_path / "captions" / "en.txt", [target for _, target in pairs[:20]])
    return tmp_path / "corpus", tmp_path / "captions"


def write_lines(path: Path, lines) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


@pytest.mark.nightly
def test_multi30k(corpora, tmp_path):
    script = Path("scripts/recipes/multi30k.sh").resolve()
    command = [script, *corpora, *SMALL]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=1_800)
    assert first.returncode == 0, first.stderr[-3_000:]
    reports = {
        path.parent.parent.parent.name: json.loads(path.read_text())
        for path in tmp_path.glob("runs/*/1/test/report.json")
    }
    students = {"student", "student_context", "student_captions", "student_captions_context"}
    assert set(reports) == {f"m30k_{name}" for name in students | {"attention_0", "context"}}
    assert all(report["rows"] == 10 and report["bleu"] >= 0 for report in reports.values())
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert again.returncode == 0
    assert "epoch 1/" not in again.stderr  # nothing is trained again


def test_usage_is_shown():
    done = subprocess.run(["scripts/recipes/multi30k.sh"], capture_output=True, text=True)
    assert done.returncode == 2
    assert {"CORPUS", "CAPTIONS"} <= set(done.stdout.split())


def test_reviews_are_spelled_as_a_treebank():
    review = 'I don\'t think it\u2019s "well-made" (1998).<br />Mr. X: 10/10!'
    assert list(sentences([review])) == [
        "i do n't think it 's `` well-made '' -lrb- 1998 -rrb- .",
        "mr.",
        "x: 10/10!",
    ]


def test_treebank_text(tmp_path):
    write_lines(tmp_path / "train.tsv", ["A film isn't <br /> a good film.\t1", "A film.\t0"] * 100)
    output = tmp_path / "film.txt"
    command = [sys.executable, "scripts/recipes/treebank_text.py", output, tmp_path / "train.tsv"]
    subprocess.run(command, check=True, timeout=300)
    assert set(output.read_text().splitlines()) == {"a film is n't a good film.", "a film."}
