"""The completion script, run by bash."""

import shutil
import subprocess

import pytest

from nlp_rnn.cli.completion import bash_script

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """Completes the last word of a command line."""
    script = tmp_path_factory.mktemp("completion") / "script"
    script.write_text(bash_script())

    def call(*words):
        program = (
            f'source {script}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _nlp_rnn; echo "${{COMPREPLY[@]}}"'
        )
        found = subprocess.run(
            ["bash", "-c", program, "bash", "nlp-rnn", *words], capture_output=True, text=True, check=True
        )
        assert found.stderr == ""
        return found.stdout.split()

    return call


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        (["ev"], ["evaluate"]),
        (["fit", "--model.optimization.l"], ["--model.optimization.lr", "--model.optimization.layer_decay"]),
        (["fit", "--early_stopping.pat"], ["--early_stopping.patience"]),
        (["fit", "--data.corpus.pa"], ["--data.corpus.path"]),
        (["fit", "--config", "conf/hello"], ["conf/hello.yaml"]),
        (["predict", "--n-"], ["--n-best"]),
        (["predict", "--ck"], ["--ckpt_path"]),
        (["evaluate", "folder", "--precision", ""], ["fp32", "bf16"]),
        (["evaluate", "some_fi"], []),  # left to bash, which completes files
        (["completion", ""], ["bash"]),
    ],
)
def test_completions(complete, words, completions):
    assert complete(*words) == completions


def test_the_verb_prints_the_script(run):
    assert run("completion", "bash") == (0, bash_script(), "")
