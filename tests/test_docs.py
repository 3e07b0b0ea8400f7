"""Every block of README.md and of docs/ is run, page by page, in a folder of its own, with small trainings.

Blocks marked `bash` and `python` are run in order, and blocks with a title are files. Commands that need the
hub, a GPU or several devices, and commands in blocks marked `text`, are parsed only.
"""

import argparse
import io
import re
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import benchmark
import pytest
from forked import fork_fits

from nlp_rnn.cli.main import main
from nlp_rnn.cli.verbs import VERBS
from nlp_rnn.models import CELLS
from nlp_rnn.tasks.registry import ROWS
from nlp_rnn.training.common_settings import all_settings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', re.MULTILINE | re.DOTALL)
LINK = re.compile(r'\]\(([^)#\s]+)(?:#[^)]*)?\)|src="([^"]+)"')

NOT_RUN = ("pip ", "pytest", "python3 -m venv", ". .venv", "lint-imports", "ruff ", "mypy", "mkdocs ")
ON_THE_HUB = re.compile(r"(conf|runs)/\w+_(imdb|multi30k|ewt|sst2|nsmc)(_\w+)?\b")
DEVICES = " --config conf/trainer/ddp.yaml"
PLACEHOLDERS = {"NAME": "sentiment_imdb", "CORPUS": "builtin", "SEED": "0", "path/to/multi30k": "builtin"}

SMALL_RUN = (
    "--model.hidden_dim 16 --data.batching.size 16 --trainer.limit_train_batches 2 "
    "--trainer.limit_val_batches 2 --trainer.check_val_every_n_epoch 1 --trainer.enable_progress_bar false"
)
SMALL_CORPUS = "--data.corpus.max_examples 200 --data.corpus.validation_fraction 0.2"
SMALL_DRAWN = "--data.train 64 --data.validation 64 --data.test 64"
SMALL = {
    "test": "--data.corpus.max_examples 20 --trainer.enable_progress_bar false",
    "validate": "--data.corpus.max_examples 20 --trainer.enable_progress_bar false",
    "evaluate": "--max-examples 20",
    "compare": "--max-examples 20 --resamples 20 --trials 20",
    "distill": "--max-examples 20",
    "sweep": "--trainer.max_epochs 2",
    "long-memory": "--steps 2 --train 64 --validation 64 --test 64 --length 10",
}
SMALL_PYTHON = {
    r"max_epochs([= ])\d+": r"max_epochs\g<1>1",
    r"max_examples([= ])\d+": r"max_examples\g<1>200",
}


def blocks(page, *languages):
    return [found for found in BLOCK.findall(page.read_text(encoding="utf-8")) if found[0] in languages]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs by their command: a model that several pages train is trained once."""
    return tmp_path_factory.mktemp("trained"), {}


@pytest.fixture
def registries():
    """What a page adds to the registries is gone after it."""
    kept = [(registry, dict(registry)) for registry in (ROWS, CELLS)]
    yield
    for registry, rows in kept:
        registry.clear()
        registry.update(rows)
    for name in [
        name for name in sys.modules if name.partition(".")[0] in ("agreement", "mgu", "my_package")
    ]:
        del sys.modules[name]


def run_verb(arguments, stdin, monkeypatch):
    """Run a verb in this process, without the seconds that a process of its own takes to start."""
    reading = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", reading)
        try:
            main(arguments)
        except SystemExit as stop:  # --help and --print_config
            if stop.code:
                pytest.fail(f"{shlex.join(arguments)} exits with {stop.code}")


def trains(arguments):
    return bool({"--config", "--model"} & {*arguments}) and "--print_config" not in arguments


def small(arguments):
    verb = arguments[0]
    if verb == "fit" and trains(arguments):
        corpus = SMALL_DRAWN if "LongMemoryData" in arguments else SMALL_CORPUS
        epochs = 2 if "--ckpt_path" in arguments else 1
        return [*arguments, *f"{SMALL_RUN} {corpus} --trainer.max_epochs {epochs}".split()]
    if verb == "predict" and "--config" in arguments:
        verb = "test"
    return [*arguments, *SMALL.get(verb, "").split()]


def fit_once(arguments, trained, monkeypatch):
    """Train, or copy what another page trained by the same command."""
    folder, runs = trained
    given = dict(reversed([*pairwise(arguments)]))  # of two configurations the first
    name = given.get("--name") or Path(given["--config"]).stem
    shared = not {"--data.corpus.path", "--model.init_encoder", "--ckpt_path"} & {*arguments}
    key = shlex.join(arguments)
    if shared and key in runs and not Path("runs", name).exists():
        shutil.copytree(runs[key], Path("runs", name), symlinks=True)
        return
    run_verb(small(arguments), b"", monkeypatch)
    if shared and Path("runs", name).exists():
        runs[key] = folder / str(len(runs))
        shutil.copytree(Path("runs", name), runs[key], symlinks=True)


def parse(line):
    """Check the verb and the flags of a command without running it."""
    for placeholder, value in PLACEHOLDERS.items():
        line = re.sub(rf"\b{placeholder}\b", value, line)
    program, *arguments = shlex.split(line.partition(" > ")[0])
    if program == "python":
        benchmark.make_parser().parse_args(arguments[1:])
    elif "--config" in arguments:
        with pytest.raises(SystemExit) as stop:
            main([*arguments, "--print_config"])
        assert stop.value.code in (0, None), line
    elif VERBS[arguments[0]].module is None:  # of a run that is not there
        flags = {argument[2:] for argument in arguments if argument.startswith("--")}
        assert flags <= {*all_settings(arguments[0])}, line
    else:
        parser = argparse.ArgumentParser(exit_on_error=False)
        import_module(VERBS[arguments[0]].module).add_arguments(parser)
        parser.parse_intermixed_args(arguments[1:])


def run_line(line, trained, monkeypatch):
    """Run one line of a bash block as a shell would."""
    if variable := re.fullmatch(r"([A-Z_]+)=([^\s$]+) (.*)", line):
        with monkeypatch.context() as patch:
            patch.setenv(variable[1], variable[2])
            run_line(variable[3], trained, patch)
        return
    if line.startswith(NOT_RUN):
        return
    if ON_THE_HUB.search(line):
        parse(line)
        return
    if DEVICES in line:
        parse(line)
        line = line.replace(DEVICES, "")
    found = re.fullmatch(r"(?:(.*?) \| )?nlp-rnn (.*?)(?: < (\S+))?", line)
    if found is None:
        command = line.replace("python scripts/", f"{sys.executable} {ROOT}/scripts/")
        subprocess.run(["bash", "-euc", command], check=True, capture_output=True)
        return
    writer, text, file = found.groups()
    arguments = shlex.split(text)
    if arguments[0] == "fit" and trains(arguments):
        fit_once(arguments, trained, monkeypatch)
        return
    stdin = subprocess.run(["bash", "-c", writer], check=True, capture_output=True).stdout if writer else b""
    run_verb(small(arguments), Path(file).read_bytes() if file else stdin, monkeypatch)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:\\s*Hit failing import")  # of classes that a page before this one made
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            page,
            id=page.relative_to(ROOT).as_posix(),
            marks=pytest.mark.curves if page.name == "plots.md" else (),
        )
        for page in PAGES
    ],
)
def test_page_runs(page, tmp_path, monkeypatch, trained, registries):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    # Translators that are hardly trained write without an end.
    monkeypatch.setattr("nlp_rnn.tasks.translation.task.find_flaw", lambda text, finished: "")
    fork_fits(monkeypatch)
    monkeypatch.setattr("nlp_rnn.evaluation.measuring._MAX_TRAIN", 200)  # rows for the baselines
    names = {"__name__": "__main__"}
    for language, title, block in blocks(page, "bash", "python", "yaml", "text"):
        if title:
            file = tmp_path / title
            file.parent.mkdir(exist_ok=True)
            file.write_text(block, encoding="utf-8")
        elif language == "python":
            for pattern, replacement in SMALL_PYTHON.items():
                block = re.sub(pattern, replacement, block)
            exec(compile(block, str(page), "exec"), names)
        elif language == "bash":
            for line in block.strip().splitlines():
                run_line(line, trained, monkeypatch)
        elif language == "text":
            for line in block.splitlines():
                if line.startswith(("nlp-rnn ", "python scripts/benchmark.py ")):
                    parse(line)


@pytest.mark.slow
def test_first_answer_in_a_shell(tmp_path, monkeypatch, trained):
    monkeypatch.chdir(tmp_path)
    _, fit, ask = blocks(ROOT / "README.md", "bash")[0][2].strip().splitlines()
    run_line(fit, trained, monkeypatch)
    command = f"export PYTHONPATH={ROOT}\n{ask.replace('nlp-rnn', f'{sys.executable} -m nlp_rnn')}"
    done = subprocess.run(["bash", "-euc", command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_every_verb_and_task_is_documented():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = "\n".join(block for page in PAGES for _, _, block in blocks(page, "bash", "text"))
    for verb in VERBS:
        assert f"`nlp-rnn {verb}" in readme
        assert f"nlp-rnn {verb} " in shown
    for task in ROWS:
        assert f"docs/tasks/{task.replace('_', '-')}.md" in readme


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 160


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(name):
    for link in LINK.findall((ROOT / name).read_text(encoding="utf-8")):
        target = "".join(link)
        assert target.startswith("https://") or (ROOT / target).exists(), target
