"""Converting a model of other people's code, checked against the original."""

from __future__ import annotations

from importlib import import_module

from nlp_rnn.conversion.imported import Imported, Request, largest_difference
from nlp_rnn.conversion.recipes import RECIPES
from nlp_rnn.errors import UsageError, join_names, one_line


def convert(name: str, request: Request) -> tuple[Imported, float]:
    """Convert a model.

    Args:
        name: a key of `nlp_rnn.conversion.recipes.RECIPES`.
        request: its files.

    Returns:
        The model, and the largest difference of its scores to those of the original, see
        `largest_difference`.

    Raises:
        UsageError: there is no such recipe, a file does not fit it, or the scores differ.

    Examples:
        >>> request = Request(Path("tut1-model.pt"), [Path("de.json"), Path("en.json")])
        >>> imported, difference = convert("seq2seq", request)
        >>> save_pretrained(imported.task, "translator")
    """
    if name not in RECIPES:
        raise UsageError(f"unknown model {name!r}: use one of {join_names(RECIPES)}")
    module = import_module(f"nlp_rnn.conversion.{RECIPES[name].module}")
    try:
        imported: Imported = module.RECIPES[name](request)
    except UsageError as error:
        where = str(request.weights)
        raise UsageError(str(error) if where in str(error) else f"{where}: {error}") from error
    except (LookupError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        reason = one_line(f"{type(error).__name__}: {error}")
        raise UsageError(f"{request.weights}: its tensors fit no {name} ({reason})") from error
    return imported, largest_difference(imported)
