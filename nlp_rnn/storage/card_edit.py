"""Reading and changing the card of a model folder, of which the user's own edits are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_rnn.errors import UsageError
from nlp_rnn.files import atomic_write
from nlp_rnn.lite.folder import CARD, read_text
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


def add_result(folder: str | Path, measured: Measured) -> None:
    """State a result in a model's card: in its metadata, in the hub's own form too, and in its table.

    What it stated of the same split of the same corpus is replaced, and all else stays as it is.

    Raises:
        UsageError: the card cannot be read or written.
    """
    with _changed(Path(folder).expanduser()) as card:
        ours = _ours(card)
        training = ours.get("training")
        training_path = training.get("data", {}).get("path") if isinstance(training, Mapping) else None
        kept = [old for old in _results(card) if old.key != measured.key]
        card.data[_OURS] = {**ours, "results": [result.state() for result in [*kept, measured]]}
        task = card.data.get("pipeline_tag") or str(ours.get("task", "other"))
        others = [
            old
            for old in card.data.get("eval_results") or []
            if (old.dataset_type, str(old.dataset_config), old.dataset_split) != measured.key
        ]
        card.data["model_name"] = card.data.get("model_name") or _OURS
        card.data["eval_results"] = [*others, *measured.eval_results(task)]
        label = row_label(measured, training_path)
        card.text = _with_rows(card.text, label, table_rows(label, measured.metrics))


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


def _with_rows(text: str, label: str, rows: list[str]) -> str:
    """The text of a card, whose table has these rows in the place of those of the same label."""
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
    kept = [line for line in lines[start:end] if not line.startswith(f"| {label} |")]
    return "\n".join([*lines[:start], *kept, *rows, *lines[end:]]) + "\n"
