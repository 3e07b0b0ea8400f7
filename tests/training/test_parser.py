"""The help of the verbs that take a configuration."""

import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Annotated, Literal

import pytest
import yaml

from nlp_rnn.settings import Choices, Column, Columns, LayerSize
from nlp_rnn.training.parser import Parser, readable_type, whole_numbers_first


def settings_in(text):
    """Setting -> what the help says of it."""
    described, key = {}, None
    for line in text.splitlines():
        if found := re.match(r"  +(?:-\w \w+, )?--([\w.]+)", line):
            key = found[1]
            described[key] = ""
        elif not line.startswith("    "):
            key = None
        if key is not None:
            rest = (
                re.split(r"\s{2,}", line.strip(), maxsplit=1) if line.lstrip().startswith("-") else ["", line]
            )
            described[key] += re.sub(r"\((required, )?(type|default).*", "", " ".join(rest[1:]).strip())
    return {name: text for name, text in described.items() if not name.endswith((".help", "+"))}


@pytest.mark.parametrize(
    ("flag", "name"),
    [
        (f"--{group}.help", f"{task}{end}")
        for group, end in (("model", ""), ("data", "Data"))
        for task in ("Sentiment", "Tagging", "Translation")
    ],
)
def test_help_has_a_line_for_every_setting_of_a_class(run, flag, name):
    code, out, _ = run("fit", flag, name)
    assert code == 0
    described = settings_in(out)
    group = flag.removesuffix(".help").removeprefix("--")
    own = {key: text for key, text in described.items() if key.startswith(f"{group}.")}
    nested = {"model": "optimization.lr", "data": "corpus.path"}[group]
    assert any(key.endswith(nested) for key in own)
    assert len(own) > 10
    assert not [key for key, text in own.items() if not text]


def test_help_names_the_settings_of_the_run(run):
    code, out, _ = run("fit", "--help")
    assert code == 0
    described = settings_in(out)
    for setting in (
        "config",
        "runs",
        "name",
        "output",
        "trainer.max_epochs",
        "checkpoint.monitor",
        "ckpt_path",
    ):
        assert described[setting]
    for setting in ("model", "data", "early_stopping.patience"):
        assert setting in described
    assert "weights_only" not in described
    assert "optimizer" not in described


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (LayerSize, "int, 1 to 65536"),
        (LayerSize | None, "int, 1 to 65536, or null"),
        (str | None, "str or null"),
        (Literal["a", "b"], "one of a, b"),
        (Literal["a", "b"] | None, "one of a, b, or null"),
        (Annotated[str, Choices({"x": 1, "y": 2})], "one of x, y"),
        (Column, "name of a column"),
        (Columns, "name of a column, or a list of names"),
        (Sequence[int], "Sequence[int]"),
    ],
)
def test_types_read_well(annotation, expected):
    assert readable_type(annotation) == expected


def test_the_help_on_a_class_shows_ranges_and_choices(run):
    _, out, _ = run("fit", "--model.help", "Sentiment")
    text = " ".join(out.split())
    assert "(type: int, 1 to 65536, default: 128)" in text
    assert "type: one of rnn, gru, lstm, mingru, minlstm, default: lstm" in text
    assert "Annotated" not in text
    assert "processor" not in text
    assert "usage" not in text


@pytest.mark.slow
def test_classes_are_found_by_name_in_a_fresh_process():
    command = [sys.executable, "-m", "nlp_rnn", "fit", "--data.help", "LongMemoryData"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--data.problem" in found.stdout


@pytest.mark.parametrize("hint", [float | int | None, None | float | int, int | float])
def test_a_whole_number_is_read_as_one_whatever_the_order_of_types(hint):
    parser = Parser()
    parser.add_argument("--batches", type=hint, default=None)
    whole_numbers_first(parser)
    read = {text: parser.parse_args([f"--batches={text}"]).batches for text in ("1", "1.0", "0.5")}
    assert {text: type(value) for text, value in read.items()} == {"1": int, "1.0": float, "0.5": float}
    assert parser.parse_args([]).batches is None


def test_the_trainers_limits_tell_one_batch_from_all(run):
    command = ("fit", "--config", "conf/hello.yaml", "--print_config")
    for value in ("1", "1.0"):
        code, out, _ = run(*command, "--trainer.limit_train_batches", value)
        assert (code, f"limit_train_batches: {value}\n" in out) == (0, True)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--data.corpus.config", "null"], None),
        (["--data.corpus.config=null"], None),
        (["--data.corpus.config", "~"], None),
        (["--data.corpus.config", " null "], None),
        (["--data.init_args.corpus.config", "null"], None),
        (["--data.corpus.config", "None"], "None"),
        (["--data.corpus.config", "'null'"], "'null'"),
        (["--data.vocabulary.sample=null"], None),
        (["--data.init_args.vocabulary.sample", "null"], None),
        (["--data.init_args.tags", "null"], None),
        (["--model.vectors", "null"], None),
        (["--model.init_args.vectors=null"], None),
    ],
)
def test_null_is_no_text(run, flags, expected):
    _, printed, _ = run("fit", "--config", "conf/tagging_ewt.yaml", "--print_config", *flags)
    group, *names = flags[0].partition("=")[0].removeprefix("--").replace("init_args.", "").split(".")
    value = yaml.safe_load(printed)[group]["init_args"]
    for name in names:
        value = value[name]
    assert value == expected
