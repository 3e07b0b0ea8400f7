"""The task registry: its rows are true, and reading it costs nothing."""

import subprocess
import sys

import pytest

import nlp_rnn.tasks
from nlp_rnn.data.module import DataModule
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks import TASKS, Task
from nlp_rnn.tasks.registry import ROWS, TaskRow, data_classes, find_class, load_tasks, task_name


@pytest.mark.parametrize("name", ROWS)
def test_each_row_names_what_exists(name):
    row = ROWS[name]
    task = TASKS[name]
    assert issubclass(task, Task)
    assert (task.name, task.__name__) == (name, row.model)
    assert [data.__name__ for data in data_classes(name)] == list(row.data)
    for data in data_classes(name):
        assert issubclass(data, DataModule)
        assert issubclass(task.processor_class, data.processor_class)
    assert task.data_classes() == data_classes(name)
    assert " -> " in row.summary


def test_names_and_aliases_are_unique():
    names = [name.replace("-", "_") for name, row in ROWS.items() for name in (name, *row.aliases)]
    assert sorted(set(names)) == sorted(names)
    classes = [name for row in ROWS.values() for name in (row.model, *row.data)]
    assert sorted(set(classes)) == sorted(classes)


@pytest.mark.parametrize("name", ROWS)
def test_a_task_is_found_by_name_and_alias(name):
    for alias in (name, *ROWS[name].aliases):
        assert task_name(alias) == name
        assert task_name(alias.replace("-", "_")) == name
        assert task_name(alias.replace("_", "-")) == name


def test_the_hubs_names_of_tasks_are_understood():
    aliases = {
        "sentiment-analysis": "sentiment",
        "text-classification": "sentiment",
        "token-classification": "tagging",
        "pos-tagging": "tagging",
        "text2text-generation": "translation",
        "text-generation": "language_modeling",
        "image-to-text": "captioning",
        "time-series-forecasting": "forecasting",
        "natural-language-inference": "text_pairs",
        "multi-label-classification": "multi_label",
    }
    assert {alias: task_name(alias) for alias in aliases} == aliases
    assert {alias for row in ROWS.values() for alias in row.aliases} == aliases.keys()


def test_unregistered_class_is_none():
    assert task_name("parsing") is None
    assert find_class("Parsing") is None
    with pytest.raises(KeyError):
        TASKS["parsing"]
    with pytest.raises(AttributeError, match="no attribute 'Parsing'"):
        _ = nlp_rnn.tasks.Parsing


@pytest.mark.parametrize("name", nlp_rnn.tasks.__all__)
def test_each_public_name_is_imported_when_it_is_used(name):
    assert name == "TASKS" or getattr(nlp_rnn.tasks, name).__name__ == name


def test_classes_are_found_by_name():
    for row in ROWS.values():
        for name in (row.model, *row.data):
            assert find_class(name) is getattr(nlp_rnn.tasks, name)
            assert name in dir(nlp_rnn.tasks)
            assert name in nlp_rnn.tasks.__all__


def test_a_row_that_is_added_counts_everywhere(monkeypatch):
    monkeypatch.setitem(ROWS, "again", ROWS["sentiment"])
    assert "again" in TASKS
    assert TASKS["again"] is TASKS["sentiment"]
    assert len(TASKS) == len(ROWS)


@pytest.mark.parametrize(
    ("module", "model"), [("no_such_module", "Sentiment"), ("nlp_rnn.tasks.sentiment", "NoSuchClass")]
)
def test_a_row_without_its_class_is_named(monkeypatch, module, model):
    monkeypatch.setitem(ROWS, "wrong", TaskRow("a -> b", model, (), module))
    with pytest.raises(UsageError, match=rf"the row of task 'wrong' names {module}\.{model}: "):
        load_tasks()


def test_an_alias_of_two_tasks_is_refused(monkeypatch):
    row = TaskRow("a -> b", "Pairs", (), "pairs", aliases=("text-classification", "sentiment"))
    monkeypatch.setitem(ROWS, "pairs", row)
    assert task_name("sentiment") == "sentiment"  # a name wins over an alias
    with pytest.raises(UsageError, match="alias of several tasks: use one of sentiment, pairs"):
        task_name("text-classification")


@pytest.mark.parametrize("module", ["nlp_rnn", "nlp_rnn.tasks", "nlp_rnn.tasks.registry"])
def test_importing_it_imports_neither_torch_nor_lightning(module):
    code = f"import sys, {module}; sys.exit(bool({{'torch', 'pytorch_lightning'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
