"""The verb generate, run as its script: the continuation of a prompt, and its single steps."""

import runpy
import sys
from pathlib import Path

import pytest
import torch

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.tasks import LanguageModeling, Sentiment
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.pretrained import save_pretrained
from nlp_rnn.tasks.sentiment.data import SentimentProcessor

SCRIPT = Path(__file__).parents[2] / "scripts" / "generate.py"
TEXTS = ["the film is not good", "the wörk"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(2)
    vocabulary = Vocabulary.train(TEXTS, VocabularySettings(min_frequency=1))
    task = LanguageModeling(LanguageModelingProcessor(vocabulary), 8, 8)
    return save_pretrained(task, tmp_path_factory.mktemp("model") / "model")


@pytest.fixture
def script(monkeypatch, capsys):
    """The script's exit code, standard output and standard error, run in this process."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
        code = 0
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as leave:
            code = leave.code
        return code, *capsys.readouterr()

    monkeypatch.setattr(type(sys.stdout), "reconfigure", lambda *_, **__: None, raising=False)
    return run


def test_the_prompt_and_what_follows_it(model, script):
    writer = pipeline("language_modeling", model)
    expected = "the film" + "".join(writer.generate("the film", 7))
    assert len(expected.split()) > 3
    assert script(model, "the film", "--max-output", 7) == (0, expected + "\n", "")
    drawn = "the film" + "".join(writer.generate("the film", 7, 2.0, 5, 0.9, 4))
    options = ("--temperature", 2, "--top-k", 5, "--top-p", 0.9, "--seed", 4, "--max-output", 7)
    assert script(model, "the film", *options) == (0, drawn + "\n", "")
    assert script(model, *options, "the film") == (0, drawn + "\n", "")


def test_steps(model, script):
    steps = list(pipeline("language_modeling", model).steps("the film", 3))
    code, out, err = script(model, "the film", "--max-output", 3, "--steps")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert rows == [[s.read, "->", s.predicted, f"{s.probability:.4f}"] for s in steps]
    assert [row[0] for row in rows][:2] == ["the", "film"]


def test_each_step_prints_one_line(tmp_path, script):
    vocabulary = Vocabulary.train(["a\nb\n'"], VocabularySettings("char", min_frequency=1))
    task = LanguageModeling(LanguageModelingProcessor(vocabulary), 8, 8)
    out = script(save_pretrained(task, tmp_path / "model"), "a\nb'", "--max-output", 1, "--steps")[1]
    assert [line.split()[0] for line in out.splitlines()] == ["a", "\\n", "b", "'"]


def test_errors_are_one_line(model, script, tmp_path):
    for arguments, message in (
        ((model, "--temperature", 0), "temperature must be between"),
        (
            (model, "--temperature", "hot"),
            "argument --temperature: invalid float value: 'hot'; nlp-rnn generate --help lists",
        ),
        ((tmp_path / "none",), "no such model folder"),
        ((model, "the \udc80"), "lone surrogate"),
        ((model, "the \udc80", "--steps"), "lone surrogate"),
    ):
        code, out, err = script(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("nlp-rnn: error: ")
        assert message in err
        assert len(err.splitlines()) == 1
    vocabulary = Vocabulary.train(TEXTS, VocabularySettings(min_frequency=1))
    other = save_pretrained(Sentiment(SentimentProcessor(vocabulary, ["0", "1"], ["a", "b"])), tmp_path / "s")
    assert "texts are continued by language_modeling; this model is for sentiment" in script(other)[2]
