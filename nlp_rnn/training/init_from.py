"""`fit --init_from MODEL`: train a model on with other data, by its own settings where none are given."""

from __future__ import annotations

import json
from typing import Any

from nlp_rnn.settings import setting_types
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.pretrained import from_pretrained

_FLAG = "--init_from"


def with_settings_of_model(arguments: list[str]) -> list[str]:
    """Put the settings of the model that `--init_from` names before all other settings, which win over them.

    Args:
        arguments: a verb and its flags; other verbs than fit stay as they are.

    Raises:
        UsageError: there is no such model.
    """
    source = _value(arguments)
    if arguments[:1] != ["fit"] or source is None:
        return arguments
    settings = _settings(from_pretrained(source))
    return ["fit", *(f"--{name}={json.dumps(value)}" for name, value in settings.items()), *arguments[1:]]


def _value(arguments: list[str]) -> str | None:
    """The value of the flag; None without it."""
    for place, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag == _FLAG:
            return value if equals else next(iter(arguments[place + 1 :]), None)
    return None


def _settings(task: Task) -> dict[str, Any]:
    """The settings of a model and of its data, as a configuration has them."""
    data_class = task.data_classes()[0]
    known = setting_types(data_class)
    data = {**task.processor.chosen_settings(), **task.data_columns}
    data = {name: value for name, value in data.items() if name in known}
    vocabularies = list(task.processor.vocabularies().values())
    if "vocabulary" in known and vocabularies:
        first = vocabularies[0]
        data["vocabulary"] = {"level": first.level, "lowercase": first.lowercase}
    settings = {name: value for name, value in task.settings.items() if name not in task.fitted}
    classes = {"model": (type(task), settings), "data": (data_class, data)}
    return {
        name: {"class_path": f"{owner.__module__}.{owner.__qualname__}", "init_args": values}
        for name, (owner, values) in classes.items()
    }
