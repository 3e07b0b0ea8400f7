"""Reading and changing the card of a model folder, of which the user's own edits are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_rnn.errors import UsageError
from nlp_rnn.files import atomic_write
from nlp_rnn.lite.folders.folder import CARD, read_text
from nlp_rnn.storage.card import NOT_MEASURED, TABLE, row_label, table_rows
from nlp_rnn.storage.results import Measured

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

_OURS = "nlp_rnn"  # the key of what the hub does not know


def read_results(folder: str | Path) -> list[Measured]:
    """The measured results that a model's card states.

    Args:
        folder: the model folder.

    Returns:
        One per corpus and split; none for a card that states none that can be measured again.

    Raises:
        UsageError: the card cannot be read.
    """
    path = Path(folder).expanduser() / CARD
    try:
        return _results(_parsed(path))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def training_facts(folder: str | Path) -> dict[str, Any]:
    """What a model's card states of its training: command, seed, versions, as far as they are known.

    Raises:
        UsageError: the card cannot be read.
    """
    facts = _ours(_parsed(Path(folder).expanduser() / CARD)).get("training")
    return dict(facts) if isinstance(facts, Mapping) else {}


def unbacked_rows(folder: str | Path) -> tuple[list[str], list[str]]:
    """What the table and the hub's part of a card state otherwise than its results, or without them.

    The table is what people read, and the metadata of the hub is what the hub shows; both can be edited.

    Args:
        folder: the model folder.

    Returns:
        Statements that contradict the results, and those that no result is of, such as metrics of single
        classes; each as "where, metric value".

    Raises:
        UsageError: the card cannot be read.
    """
    card = _parsed(Path(folder).expanduser() / CARD)
    results = _results(card)
    training_path = _training_path(_ours(card))
    rows = _table(card.text)
    stated: dict[tuple[str, str], float] = {}
    hub: dict[tuple[tuple[str, ...], str], float] = {}
    for result in results:
        label = _label_in(card.text, result, training_path)
        stated |= {(label, name): value for name, value in result.metrics.items()}
        hub |= {(result.key, name): value for name, value in result.metrics.items()}
    wrong: list[str] = []
    others: list[str] = []
    for label, metric, text in rows:
        value = stated.get((label, metric))
        if value is None or text != f"{value:.4f}":
            (others if value is None else wrong).append(f"{label}, {metric} {text}")
    for entry in card.data.get("eval_results") or []:
        key = (entry.dataset_type, str(entry.dataset_config), entry.dataset_split)
        value = hub.get((key, entry.metric_type))
        if value is None or value != entry.metric_value:
            text = f"model-index, {entry.dataset_split} of {entry.dataset_type}, {entry.metric_type}"
            (others if value is None else wrong).append(f"{text} {entry.metric_value}")
    return wrong, others


def add_result(folder: str | Path, measured: Measured) -> None:
    """State a result in a model's card: in its metadata, in the hub's own form too, and in its table.

    What it stated of the same split of the same corpus is replaced, and all else stays as it is.

    Raises:
        UsageError: the card cannot be read or written.
    """
    with _changed(Path(folder).expanduser()) as card:
        ours = _ours(card)
        results = _results(card)
        kept = [old for old in results if old.key != measured.key]
        card.data[_OURS] = {**ours, "results": [result.state() for result in [*kept, measured]]}
        task = card.data.get("pipeline_tag") or str(ours.get("task", "other"))
        others = [
            old
            for old in card.data.get("eval_results") or []
            if (old.dataset_type, str(old.dataset_config), old.dataset_split) != measured.key
        ]
        card.data["model_name"] = card.data.get("model_name") or _OURS
        card.data["eval_results"] = [*others, *measured.eval_results(task)]
        path = _training_path(ours)
        label = row_label(measured, path)
        replaced = {_label_in(card.text, old, path) for old in results if old.key == measured.key}
        card.text = _with_rows(card.text, {label, *replaced}, table_rows(label, measured.metrics))


def set_metadata(folder: str | Path, values: Mapping[str, Any]) -> None:
    """Set metadata of a model's card, such as its license.

    Args:
        folder: the model folder.
        values: by the hub's names, such as license, language and datasets.

    Raises:
        UsageError: the card cannot be read or written.
    """
    with _changed(Path(folder).expanduser()) as card:
        for name, value in values.items():
            card.data[name] = value


@contextmanager
def _changed(folder: Path) -> Iterator[ModelCard]:
    path = folder / CARD
    card = _parsed(path)
    try:
        yield card
        text = str(card)
    except (UsageError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def _parsed(path: Path) -> ModelCard:
    import yaml
    from huggingface_hub import ModelCard

    text = read_text(path, path.parent) if path.exists() else ""
    if not text.lstrip().startswith("---"):
        text = f"---\n{{}}\n---\n{text}"  # the library warns of a card without metadata
    try:
        return ModelCard(text)
    except (ValueError, TypeError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: its metadata, above the second ---, cannot be read: {error}") from error


def _ours(card: ModelCard) -> dict[str, Any]:
    value = card.data.get(_OURS)
    return dict(value) if isinstance(value, Mapping) else {}


def _results(card: ModelCard) -> list[Measured]:
    states = _ours(card).get("results", [])
    if not isinstance(states, list):
        raise UsageError("its results cannot be read: they are no list")
    return [Measured.from_state(state) for state in states]


def _training_path(ours: Mapping[str, Any]) -> str | None:
    """The path of the training's data, if the card states it."""
    training = ours.get("training")
    data = training.get("data") if isinstance(training, Mapping) else None
    path = data.get("path") if isinstance(data, Mapping) else None
    return path if isinstance(path, str) else None


def _table(text: str) -> list[tuple[str, str, str]]:
    """The rows of the table of results: label, metric and value."""
    lines = text.splitlines()
    start = lines.index(TABLE[0]) + len(TABLE) if TABLE[0] in lines else len(lines)
    rows = takewhile(lambda line: line.startswith("|"), lines[start:])
    cells = [[cell.strip() for cell in row.strip("| ").rsplit("|", 2)] for row in rows]
    return [(row[0], row[1], row[2]) for row in cells if len(row) == 3]


def _label_in(text: str, result: Measured, training_path: str | None) -> str:
    """What the table of a card calls a result; `fit` calls a part of a split by the split's name too."""
    label = row_label(result, training_path)
    return label if any(label == row[0] for row in _table(text)) else result.split_name


def _with_rows(text: str, labels: set[str], rows: list[str]) -> str:
    """The text of a card, whose table has these rows in the place of those of the labels."""
    lines = text.splitlines()
    if TABLE[0] not in lines:
        if NOT_MEASURED in lines:
            place = lines.index(NOT_MEASURED)
            lines[place : place + 1] = TABLE
        else:
            lines += ["", "## Results", "", *TABLE]
    start = end = lines.index(TABLE[0])
    while end < len(lines) and lines[end].startswith("|"):
        end += 1
    old = tuple(f"| {label} |" for label in labels)
    kept = [line for line in lines[start:end] if not line.startswith(old)]
    return "\n".join([*lines[:start], *kept, *rows, *lines[end:]]) + "\n"
