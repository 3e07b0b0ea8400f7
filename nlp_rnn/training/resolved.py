"""All settings of a fit, as its flags and configurations give them, without building anything."""

from __future__ import annotations

from pydoc import locate
from typing import Any, cast

import yaml
from typing_extensions import override

from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.registry import load_tasks
from nlp_rnn.training.arguments import ConfiguredCLI
from nlp_rnn.training.checks import trust_only_own_classes
from nlp_rnn.training.init_from import with_settings_of_model
from nlp_rnn.training.monitoring import better

_NESTED = ("model", "data")
"""Groups whose settings stand below `init_args`, which flags leave out."""


class Resolved:
    """The complete settings of a fit.

    Args:
        arguments: `fit` and its flags, the configurations among them already found.
        trusted: packages whose classes they may name, already imported.

    Raises:
        UsageError: a setting is unknown or out of range, or settings do not fit together.
    """

    def __init__(self, arguments: list[str], trusted: list[str]) -> None:
        trust_only_own_classes(trusted)
        load_tasks()
        parsed = _ParserOnly(with_settings_of_model(arguments))
        config = parsed.config.fit
        self.name = parsed._run_name(config)
        """The name of the run."""
        self.runs = str(config.runs)
        self.settings: dict[str, Any] = yaml.safe_load(parsed._parser("fit").dump(config, skip_none=False))
        """As a configuration has them."""
        self.monitor = str(config.checkpoint.monitor)
        """The metric by which the best checkpoint is chosen, or the validation loss for one of training."""
        if not self.monitor.startswith("val/"):
            self.monitor = "val/loss"
        self.mode = better(cast(type[Task], locate(config.model.class_path)), self.monitor)

    def yaml(self, **changed: Any) -> str:
        """The settings as the text of a configuration.

        Args:
            changed: settings of the run that differ, such as `seed_everything`.
        """
        return yaml.safe_dump({**self.settings, **changed}, sort_keys=False, allow_unicode=True)


class _ParserOnly(ConfiguredCLI):
    """Parses and checks settings, and does nothing with them."""

    @override
    def instantiate_classes(self) -> None:
        pass

    @override
    def _run_subcommand(self, subcommand: str) -> None:
        pass


def has_setting(settings: dict[str, Any], path: str) -> bool:
    """Whether the settings of a fit have one of a path such as `model.optimization.lr`."""
    group, _, rest = path.partition(".")
    value: Any = settings.get(group, {}).get("init_args", {}) if group in _NESTED else settings.get(group, {})
    if not rest:
        return group in settings and not isinstance(settings[group], dict)
    for part in rest.split("."):
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return True


def setting_paths(settings: dict[str, Any], prefix: str = "") -> list[str]:
    """The paths of all settings, as flags name them."""
    paths = []
    for name, value in settings.items():
        path = f"{prefix}{'' if name == 'init_args' else name}"
        if isinstance(value, dict):
            paths += setting_paths(value, prefix if name == "init_args" else f"{path}.")
        elif name != "class_path":
            paths.append(path)
    return paths
