"""The README's commands are run, those on the built-in corpora in small, and its Python too."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nlp_rnn.cli.main import main

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(bash|python)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
PYTHON = "".join(block for kind, block in BLOCKS if kind == "python")
COMMANDS = [line for kind, block in BLOCKS if kind == "bash" for line in block.strip().splitlines()]
FITS = [line for line in COMMANDS if line.startswith("nlp-rnn fit")]
SMALL = (
    "--model.hidden_dim 16 --data.batching.size 16 --trainer.max_epochs 1 --trainer.limit_train_batches 2 "
    "--trainer.check_val_every_n_epoch 1 --trainer.enable_progress_bar false "
    "--data.corpus.max_examples 200 --data.corpus.validation_fraction 0.2"
)
LESS = {
    "nlp-rnn test": " --data.corpus.max_examples 20",
    "python scripts/evaluate.py": " --max-examples 20",
    "python scripts/long_memory.py": " --steps 2 --train 64 --validation 64 --test 64 --length 10",
}
SCRIPT = re.compile(
    r"((?P<writer>(echo|printf) .*) \| )?python (?P<script>\S+) (?P<arguments>.*?)( < (?P<file>\S+))?"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in which the README's relative paths mean something."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("conf", "scripts"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "sentences.de").write_text("das ist gut .\nich weiß nicht .\n", encoding="utf-8")
    (folder / "my_reviews.csv").write_text("review,stars\ngood,5\nbad,1\nfine,5\nawful,1\n" * 9)
    hours = "".join(f"{hour},{hour % 24},{hour % 7}\n" for hour in range(600))
    (folder / "weather.csv").write_text(f"hour,temperature,wind\n{hours}")
    (folder / "test.conllu").write_text("1\tgood\t_\t_\t_\t_\t0\troot\t_\t_\n\n")
    return folder


def run_as_a_shell_would(command, place):
    command = re.sub(r"(^|\| )python ", rf"\1{sys.executable} ", command)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, shell=True, cwd=place, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def run_here(command, place, monkeypatch):
    """What a line of the README prints, without the seconds that a process of its own takes to start."""
    if command.startswith("nlp-rnn "):
        return main(command.split()[1:])
    found = SCRIPT.fullmatch(command)
    given, taken = place / "given.txt", place / "taken.txt"
    if found["writer"]:
        given.write_bytes(subprocess.run(found["writer"], shell=True, capture_output=True).stdout)
    arguments = subprocess.run(
        f"printf '%s\\0' {found['arguments']}", shell=True, capture_output=True, text=True
    ).stdout.split("\0")[:-1]
    source = place / found["file"] if found["file"] else given
    source.touch()
    with source.open() as stdin, taken.open("w") as stdout, monkeypatch.context() as patch:
        patch.setattr(sys, "argv", [found["script"], *arguments])
        patch.setattr(sys, "stdin", stdin)
        patch.setattr(sys, "stdout", stdout)
        runpy.run_path(found["script"], run_name="__main__")
    return taken.read_text(encoding="utf-8")


def test_there_are_commands_of_every_kind():
    assert len(FITS) >= 8
    assert set(re.findall(r"python (scripts/\w+\.py)", "\n".join(COMMANDS))) == {
        f"scripts/{name}.py"
        for name in ("evaluate", "generate", "inspect_model", "long_memory", "predict", "quantize")
    }


@pytest.mark.parametrize("command", FITS)
def test_every_fit_is_understood(command, capsys, monkeypatch, place):
    monkeypatch.chdir(place)
    with pytest.raises(SystemExit) as stop:
        main([*command.split()[1:], *([] if "--print_config" in command else ["--print_config"])])
    assert stop.value.code in (0, None)
    assert "class_path: nlp_rnn.tasks." in capsys.readouterr().out


def fit_in_small(name):
    """Run the command of the page that leaves `runs/NAME`."""
    named = [line for line in FITS if f"--name {name}" in line]
    fit = named[0] if named else f"nlp-rnn fit --config conf/{name}.yaml"
    hub = " --data.corpus.path builtin --data.corpus.config null" if name == "tagging_ewt" else ""
    main(f"{fit} {SMALL}{hub}".split()[1:])


def test_the_path_from_training_to_an_answer(place, monkeypatch):
    monkeypatch.chdir(place)
    after = [line for line in COMMANDS if not line.startswith(("nlp-rnn fit", "pip", "pytest"))]
    for name in dict.fromkeys(re.findall(r"runs/(\w+)/latest/model", " ".join(after))):
        fit_in_small(name)
    (first,) = (line for line in after if line.startswith("echo"))
    assert len(run_as_a_shell_would(first, place).splitlines()) == 1
    for line in after:
        run_here(line + LESS.get(" ".join(line.split()[:2]), ""), place, monkeypatch)
    assert (place / "report" / "bleu_by_length.png").stat().st_size > 1000
    assert len((place / "tagged.conllu").read_text().splitlines()) == 2
    assert {path.suffix for path in (place / "inside").iterdir()} == {".png", ".csv"}
    assert next((place / "memory").glob("*.png")).stat().st_size > 1000


def test_the_python(place, monkeypatch):
    monkeypatch.chdir(place)
    for name in dict.fromkeys(re.findall(r"runs/(\w+)/latest/model", PYTHON)):
        fit_in_small(name)
    source, target = torch.zeros(3, 1, dtype=torch.long), torch.zeros(4, 1, dtype=torch.long)
    for kind, block in BLOCKS:
        if kind == "python":
            block = block.replace("max_examples=8000", "max_examples=100").replace(
                "max_epochs=10", "max_epochs=1"
            )
            names = {"source": source, "target": target}
            exec(compile(block, "README.md", "exec"), names)
            if "logits" in names:
                assert names["logits"].shape == (4, 1, 5893)
    assert (place / "my_model" / "model.safetensors").is_file()
