"""The README's commands are run, those on the built-in corpus in small, and its Python too."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nlp_rnn.cli import main

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(bash|python)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
PYTHON = "".join(block for kind, block in BLOCKS if kind == "python")
COMMANDS = [line for kind, block in BLOCKS if kind == "bash" for line in block.strip().splitlines()]
FITS = [line for line in COMMANDS if line.startswith("nlp-rnn fit")]
SMALL = (
    "--model.hidden_dim 16 --data.batching.size 16 --trainer.max_epochs 1 --trainer.limit_train_batches 2 "
    "--trainer.check_val_every_n_epoch 1 --trainer.enable_progress_bar false --data.corpus.max_examples 200"
)
SHORT = "--steps 2 --train 64 --validation 64 --test 64 --length 10"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in which the README's relative paths mean something."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("conf", "scripts"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "sentences.de").write_text("das ist gut .\nich weiß nicht .\n", encoding="utf-8")
    (folder / "my_reviews.csv").write_text("review,stars\ngood,5\nbad,1\nfine,5\nawful,1\n" * 9)
    (folder / "test.conllu").write_text("1\tgood\t_\t_\t_\t_\t0\troot\t_\t_\n\n")
    return folder


def run(command, place):
    """Run one line as a shell in a checkout would."""
    command = re.sub(r"^nlp-rnn", f"{sys.executable} -m nlp_rnn.cli", command)
    command = re.sub(r"(^|\| )python ", rf"\1{sys.executable} ", command)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, shell=True, cwd=place, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def test_there_are_commands_of_every_kind():
    assert len(FITS) >= 8
    assert {line.split()[1] for line in COMMANDS if line.startswith("python")} == {
        "scripts/evaluate.py",
        "scripts/generate.py",
        "scripts/inspect_model.py",
        "scripts/long_memory.py",
        "scripts/predict.py",
        "scripts/quantize.py",
    }


@pytest.mark.parametrize("command", FITS)
def test_every_fit_is_understood(command, capsys, monkeypatch, place):
    monkeypatch.chdir(place)
    with pytest.raises(SystemExit) as stop:
        main([*command.split()[1:], *([] if "--print_config" in command else ["--print_config"])])
    assert stop.value.code in (0, None)
    assert "class_path: nlp_rnn.tasks." in capsys.readouterr().out


def fit_in_small(name, place):
    """Run the command of the page that leaves `runs/NAME`."""
    named = [line for line in FITS if f"--name {name}" in line]
    fit = (named or [line for line in FITS if line == f"nlp-rnn fit --config conf/{name}.yaml"])[0]
    hub = " --data.corpus.path builtin --data.corpus.config null" if name == "tagging_ewt" else ""
    main(f"{fit} {SMALL}{hub} --runs {place / 'runs'}".split()[1:])


def test_the_path_from_training_to_an_answer(place, monkeypatch):
    monkeypatch.chdir(place)
    after = [line for line in COMMANDS if not line.startswith(("nlp-rnn fit", "pip", "pytest"))]
    for name in dict.fromkeys(re.findall(r"runs/(\w+)/latest/model", " ".join(after))):
        fit_in_small(name, place)
    outputs = {line: run(f"{line} {SHORT}" if "long_memory" in line else line, place) for line in after}
    assert len(next(out for line, out in outputs.items() if line.startswith("echo")).splitlines()) == 1
    assert (place / "report" / "bleu_by_length.png").stat().st_size > 1000
    assert len((place / "tagged.conllu").read_text().splitlines()) == 2
    assert {path.suffix for path in (place / "inside").iterdir()} == {".png", ".csv"}
    assert next((place / "memory").glob("*.png")).stat().st_size > 1000


def test_the_python(place, monkeypatch):
    monkeypatch.chdir(place)
    for name in dict.fromkeys(re.findall(r"runs/(\w+)/latest/model", PYTHON)):
        fit_in_small(name, place)
    source, target = torch.zeros(3, 1, dtype=torch.long), torch.zeros(4, 1, dtype=torch.long)
    for kind, block in BLOCKS:
        if kind == "python":
            block = block.replace("max_examples=2000", "max_examples=100").replace(
                "max_epochs=3", "max_epochs=1"
            )
            names = {"source": source, "target": target}
            exec(compile(block, "README.md", "exec"), names)
            if "logits" in names:
                assert names["logits"].shape == (4, 1, 5893)
    assert (place / "my_model" / "model.safetensors").is_file()
