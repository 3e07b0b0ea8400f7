"""What a command imports before it answers: most of the time of a short command."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

CLI = "from nlp_rnn.cli.main import main; main({})"
SCRIPT = "import runpy; sys.argv = [{0!r}, '--help']; runpy.run_path({0!r}, run_name='__main__')"
SECOND_START = (
    "from nlp_rnn.data import Corpus, TranslationData; "
    "print({name: len(rows) for name, rows in TranslationData(Corpus(max_examples=20)).splits.items()})"
)

# Nothing of this is needed to say what there is, or that a word is wrong.
HEAVY = {"torch", "numpy", "pyarrow", "yaml", "jsonargparse", "pytorch_lightning", "datasets", "tokenizers"}
# And of this nothing to read settings, a cached corpus or a model folder. (Lightning itself imports
# matplotlib, and scipy where it is there.)
LATE = {"datasets", "pandas", "huggingface_hub", "sklearn", "tensorboard"}


def imported(program):
    """(exit code, standard output, top-level modules that are loaded at the end) of a program."""
    program = f"import sys, atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); {program}"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    modules = found.stderr.rstrip("\n").rpartition("\n")[2].split()
    assert "sys" in modules, found.stderr
    return found.returncode, found.stdout, {name.partition(".")[0] for name in modules}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "code", "said", "absent"),
    [
        (CLI.format(["--version"]), 0, "nlp-rnn ", HEAVY),
        (CLI.format(["--help"]), 0, "conf/translation_builtin.yaml", HEAVY),
        (CLI.format(["-h"]), 0, "nlp-rnn fit --model.help Translation", HEAVY),
        (CLI.format([]), 2, "", HEAVY),
        (CLI.format(["fitt"]), 2, "", HEAVY),
        (CLI.format(["fit", "--config", "conf/none.yaml"]), 2, "", HEAVY - {"yaml"}),
        (SCRIPT.format("scripts/predict.py"), 0, "--beam", HEAVY),
        (SCRIPT.format("scripts/evaluate.py"), 0, "--columns", HEAVY),
        (SCRIPT.format("scripts/inspect_model.py"), 0, "--format", HEAVY),
        (CLI.format(["fit", "--config", "conf/tagging_builtin.yaml", "--print_config"]), 0, "lr:", LATE),
        ("import nlp_rnn.inference.prediction", 0, "", LATE),
        (SECOND_START, 0, "'train': 20", LATE),
    ],
)
def test_a_command_imports_what_it_needs(program, code, said, absent):
    if program == SECOND_START:  # so that it is one
        exec(SECOND_START)
    ended, out, modules = imported(program)
    assert ended == code
    assert said in out
    assert not modules & absent


@pytest.mark.parametrize("loaded", [False, True])
def test_imported_objects_are_exempt_from_garbage_collection(loaded):
    program = (
        f"import gc, sys, types; sys.modules.update({{'torch': types}} if {loaded} else {{}})\n"
        "from nlp_rnn.cli.console import importing\n"
        "with importing(): print(gc.isenabled())\n"
        "print(gc.isenabled(), gc.get_freeze_count() > 0)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    # In a program that has all it needs already, nothing is gained, and garbage must not stay for ever.
    assert found.stdout.split() == (["True", "True", "False"] if loaded else ["False", "True", "True"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_amid_an_import_ends_the_program(number):
    # Python drops exceptions in the callbacks of weak references, of which its import system has one.
    program = (
        "import signal, weakref\n"
        "from nlp_rnn.cli.console import importing\n"
        "class Module: pass\n"
        "module = Module()\n"
        f"gone = weakref.ref(module, lambda _: signal.raise_signal({number:d}))\n"
        "with importing(): del module\n"
        "print('went on')"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (128 + number, "")
    assert found.stderr == f"nlp-rnn: stopped by {number.name}\n"


def test_the_help_names_every_ready_made_configuration():
    _, out, _ = imported(CLI.format(["--help"]))
    for path in Path("conf").rglob("*.yaml"):
        assert f"  {path}\n" in out
