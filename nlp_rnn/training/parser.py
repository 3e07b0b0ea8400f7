"""The parser of the verbs that train and measure, and how its help reads."""

from __future__ import annotations

from argparse import SUPPRESS, Action
from argparse import HelpFormatter as ArgparseFormatter
from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin

from jsonargparse import DefaultHelpFormatter
from pytorch_lightning.cli import LightningArgumentParser
from typing_extensions import override

from nlp_rnn.settings import Choices, ColumnName, setting_types
from nlp_rnn.training.common_settings import describe


class HelpFormatter(DefaultHelpFormatter):
    """Keeps the lines of descriptions, and shows the ranges and choices of this package's settings."""

    annotations: dict[str, Any] = {}
    """The annotations of settings by their full names."""

    @override
    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "".join(indent + line for line in text.splitlines(keepends=True))

    @override
    def _get_type_str(self, action: Action) -> str | None:
        if action.dest in self.annotations:
            return readable_type(self.annotations[action.dest])
        return super()._get_type_str(action)


_NULLS = ("null", "Null", "NULL", "~")  # of YAML
_NULL = "nlp-rnn-null"


class Parser(LightningArgumentParser):
    """Lightning's parser, with the help of this package.

    The help of a verb begins with the settings that people change. The help on the settings of a class has no
    usage line, which would fill a screen.
    """

    verb: str | None = None
    """The verb that this parses; None for the settings of a class."""

    @override
    def _get_option_tuples(self, option_string: str) -> list[Any]:
        # No abbreviations: `allow_abbrev` does not reach the parsers of nested classes.
        if option_string.startswith("--"):
            return []
        return list(super()._get_option_tuples(option_string))  # type: ignore[no-untyped-call]

    @override
    def _parse_optional(self, arg_string: str) -> Any:
        # jsonargparse gives --config=VALUE to the parser of the class, after it has read VALUE and made it
        # text again; of null it makes "None".
        if arg_string.endswith(f"={_NULL}"):
            arg_string = f"{arg_string.removesuffix(_NULL)}null"
        return super()._parse_optional(arg_string)  # type: ignore[no-untyped-call]

    @override
    def format_help(self, formatter: ArgparseFormatter | None = None) -> str:
        if self.verb is None:
            self.usage = SUPPRESS
        else:
            self.usage = f"nlp-rnn {self.verb} --config FILE [--config FILE ...] [--SETTING VALUE ...]"
            self.description = describe(self.verb, {a.dest: a.default for a in self._actions})
        owners = {name: getattr(group, "group_class", None) for name, group in (self.groups or {}).items()}
        annotations = {
            f"{group}.{name}": hint
            for group, owner in owners.items()
            if owner is not None and owner.__module__.partition(".")[0] != "pytorch_lightning"
            for name, hint in setting_types(owner).items()
        }
        self.formatter_class = type("Formatter", (HelpFormatter,), {"annotations": annotations})
        for action in self._actions:
            if ".processor" in action.dest:  # linked from the data, never set
                action.help = SUPPRESS
        return super().format_help(formatter)


def mark_nulls(arguments: Sequence[str]) -> list[str]:
    """Mark the nulls of settings within settings, which jsonargparse hands on as the text None.

    Args:
        arguments: flags and values, such as --data.corpus.config null.

    Returns:
        The arguments, with marks that `Parser` reads as null; --FLAG=null becomes two.
    """
    marked: list[str] = []
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if equals and value.strip() in _NULLS and _is_nested(flag):
            marked += [flag, _NULL]
        elif argument.strip() in _NULLS and marked and _is_nested(marked[-1]):
            marked.append(_NULL)
        else:
            marked.append(argument)
    return marked


def _is_nested(flag: str) -> bool:
    """Whether a flag is that of a setting within a setting of the model or data."""
    group, _, setting = flag.partition(".")
    return group in ("--model", "--data") and "." in setting.removeprefix("init_args.") and "=" not in flag


def whole_numbers_first(parser: LightningArgumentParser) -> None:
    """Let settings that may be a whole number or a fraction read "1" as the whole number.

    Of `Optional[Union[int, float]]` Python returns `Union[float, int, None]` if any library asked for that
    before. Then `limit_train_batches 1`, one batch, would be read as 1.0, all batches.
    """
    for action in parser._actions:
        types = get_args(getattr(action, "_typehint", None))
        if {int, float} <= set(types):
            hint = cast(Any, Union)[tuple(sorted(types, key=lambda choice: choice is not int))]
            cast(Any, action)._typehint = hint


def readable_type(hint: Any) -> str:
    """An annotation in words: `Annotated[int, Range(1, 64)] | None` is "int, 1 to 64, or null"."""
    if hint is NoneType:
        return "null"
    if hasattr(hint, "__metadata__"):
        rules = hint.__metadata__
        if any(isinstance(rule, Choices) for rule in rules):
            return " and ".join(f"one of {rule!r}" for rule in rules)
        if any(isinstance(rule, ColumnName) for rule in rules):
            return "name of a column" if hint.__origin__ is str else "name of a column, or a list of names"
        return ", ".join([readable_type(hint.__origin__), *map(repr, rules)])
    arguments = get_args(hint)
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if get_origin(hint) in (Union, UnionType):
        parts = [readable_type(part) for part in arguments]
        return (", or " if "," in "".join(parts) else " or ").join(parts)
    name = getattr(get_origin(hint) or hint, "__name__", str(hint))
    return f"{name}[{', '.join(map(readable_type, arguments))}]" if arguments else name
