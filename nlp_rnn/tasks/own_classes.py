"""Classes of the user's own in a model folder: how they are named, and found again.

A folder can come from a stranger, so nothing is imported because a folder names it: a class is found if its
module has been imported already, by the program or by `--trust`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from torch import nn

from nlp_rnn.errors import UsageError
from nlp_rnn.settings import Configured, restore_settings


def class_name(owner: type) -> str:
    """The name of a class in a model folder, `package.module:Class`."""
    return f"{owner.__module__}:{owner.__qualname__}"


def check_importable(owner: type) -> None:
    """Refuse a class that no other program could find by its name.

    Raises:
        UsageError: it is local to a function, or belongs to a script or a notebook.
    """
    if owner.__module__ == "__main__" or _lookup(class_name(owner)) is not owner:
        raise UsageError(
            "the model cannot be saved: no other program could find its class "
            f"{owner.__qualname__}; define it at the top level of a module"
        )


def find_class(name: Any, base: type, known: type | None = None) -> type:
    """The class that a folder names.

    Args:
        name: as `class_name` gives it; from a stranger it may be anything.
        base: what it must be a subclass of.
        known: a class that need not be importable.

    Raises:
        UsageError: there is none in the modules that have been imported, or it is something else.
    """
    found = known if known is not None and class_name(known) == name else _lookup(name)
    if not isinstance(found, type):
        module = str(name).partition(":")[0]
        raise UsageError(f"its class {name!r} is not known here: import it first, or --trust {module}")
    if not issubclass(found, base):
        raise UsageError(f"its class {name!r} is no {base.__name__}")
    return found


def _lookup(name: Any) -> Any:
    """What a name stands for in the modules that have been imported; None without it."""
    module, _, path = str(name).partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return found


def describe_module(module: nn.Module) -> dict[str, Any]:
    """What is stored of a module that took the place of a task's own model.

    Raises:
        UsageError: it cannot be built again.
    """
    if not isinstance(module, Configured):
        raise UsageError(
            f"{type(module).__name__} took the place of the task's own model, and its arguments are not "
            "known: make its class a subclass of nlp_rnn.settings.Configured too, which records them"
        )
    check_importable(type(module))
    return {"class": class_name(type(module)), "settings": module.settings}


def restore_module(described: Any) -> nn.Module:
    """A new module as `describe_module` described it.

    Raises:
        UsageError: its class is not known here, or does not take these settings.
    """
    if not isinstance(described, Mapping) or not isinstance(described.get("settings"), Mapping):
        raise UsageError("its model is not described by a class and settings")
    owner = find_class(described.get("class"), nn.Module)
    if not issubclass(owner, Configured):
        raise UsageError(f"its class {described['class']!r} is no Configured")
    module: nn.Module = owner(**restore_settings(owner, described["settings"], owner.__name__))  # type: ignore[assignment]
    return module
