"""Save a trained model as a model folder; load one from a folder, a Lightning checkpoint or the hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nlp_rnn.data.corpus.corpus import REMEMBERED, Corpus
from nlp_rnn.data.corpus.drawing import Drawn, differ
from nlp_rnn.data.processor import Processor
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import shorten
from nlp_rnn.lite.folders.folder import check_fingerprint
from nlp_rnn.models.layers.quantization import INT8, quantize
from nlp_rnn.settings import check_settings, column_settings
from nlp_rnn.storage.hub import HubAccess
from nlp_rnn.storage.reading import read_model
from nlp_rnn.storage.stored import StoredModel, check_checksums, check_shapes, check_weights
from nlp_rnn.storage.writing import write_model
from nlp_rnn.tasks.own_classes import check_importable, find_class, restore_module
from nlp_rnn.tasks.registry import TASKS

if TYPE_CHECKING:
    from nlp_rnn.tasks.base import Task


def save_pretrained(task: Task, folder: str | Path, card: str | None = None) -> Path:
    """Write a model folder, completely or not at all; a model folder at that place is replaced.

    Args:
        task: a trained model with its processor.
        folder: where to write.
        card: the text of its README.md; a card without metrics if left out.

    Returns:
        The folder.

    Raises:
        UsageError: `folder` exists and is not a model folder, or holds other files too, or cannot be written;
            or the model could not be loaded again, as with a weight that is NaN or infinite.
    """
    task.check_single("saved")
    weights = task.model.state_dict()
    check_storable(task, weights)
    if "class" in task.stored():
        check_importable(type(task))
    check_weights(weights, weights, Path(folder))
    text = task.card() if card is None else card
    return write_model(folder, task.stored(), task.processor.vocabularies(), weights, text)


def check_storable(task: Task, weights: Mapping[str, Tensor], prefix: str = "") -> None:
    """Refuse to store a model that could not be loaded again, such as one that was replaced.

    Args:
        task: the task, whose settings describe the model.
        weights: its tensors by name; on other processes than the first there may be none.
        prefix: what begins the names of the model's own tensors; others are not looked at.

    Raises:
        UsageError: names the first tensor that its settings do not account for.
    """
    own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    if not own:
        return
    if any("_orig_mod." in name for name in own):
        raise UsageError(
            "the model cannot be saved: it is wrapped by torch.compile; compile it in place instead, with "
            "task.model.compile()"
        )
    try:
        with torch.random.fork_rng(devices=[]):  # saving must not change what training draws next
            check_shapes(own, _expected_weights(type(task), task.processor, task.stored()))
    except UsageError as error:
        raise UsageError(f"the model cannot be saved: {error}") from error


def from_pretrained(
    source: str | Path,
    own: type[Task] | None = None,
    *,
    revision: str | None = None,
    token: str | None = None,
    local_files_only: bool = False,
    timeout: float | None = None,
) -> Task:
    """Load a trained model on the CPU.

    Args:
        source: a model folder, a Lightning checkpoint (.ckpt) of this package, or the id of a model folder on
            the hub.
        own: the class of the model, if it is your own and belongs to a script or a notebook. Others of your
            own are found if their modules have been imported.
        revision: branch, tag or commit of a model on the hub; its main branch if left out.
        token: for a private model on the hub; that of HF_TOKEN or of `hf auth login` if left out.
        local_files_only: of a model on the hub, read the local cache alone, as HF_HUB_OFFLINE=1 does.
        timeout: seconds to wait for each answer of the hub; HF_HUB_ETAG_TIMEOUT, or 10, if left out.

    Returns:
        The task, in evaluation mode.

    Raises:
        UsageError: there is no such model, or it is damaged, unsafe or of a newer format; the message names
            the file and says what to do.

    Examples:
        >>> task = from_pretrained("runs/sentiment_builtin/latest/model")
        >>> task.model  # the nn.Module
    """
    return _build(read_model(source, HubAccess(revision, token, local_files_only, timeout)), own)


def check_same_processor(stored: Processor, current: Processor) -> None:
    """Refuse to continue from a checkpoint whose processor differs from that of the data.

    Args:
        stored: the processor in the checkpoint.
        current: the processor made from the data.

    Raises:
        UsageError: names the settings that differ, or the hashes where only vocabulary or labels do.
    """
    if stored.fingerprint == current.fingerprint:
        return
    old, new = stored.chosen_settings(), current.chosen_settings()
    if changed := [f"{name} {new.get(name)} (was {old[name]})" for name in old if old[name] != new.get(name)]:
        raise UsageError(
            f"the checkpoint was trained on data with other settings: {', '.join(changed)}; "
            "use those it was trained with"
        )
    raise UsageError(
        f"the checkpoint was trained with another vocabulary or labels (hash {stored.fingerprint}) "
        f"than the data gives (hash {current.fingerprint}): use the corpus and settings "
        "it was trained with"
    )


def check_same_draw(stored: Any, current: Drawn | None) -> None:
    """Refuse to continue from a checkpoint whose data was divided into splits in another way.

    Args:
        stored: the record of the drawn splits in the checkpoint; None if it has none.
        current: that of the data.

    Raises:
        UsageError: other rows of the same data were drawn.
    """
    if current is None:
        return
    if stored is None:
        if "test" in current.split_rows():
            raise UsageError(
                "the checkpoint was trained without a test split, and one was drawn from its data now: set "
                "data.corpus.test_fraction to 0"
            )
        return
    if differ(Drawn.from_state(stored), current):
        raise UsageError(
            f"the checkpoint was trained on other rows of {current.source}: use the seed, the fractions, the "
            "group and max_examples of data.corpus that it was trained with"
        )


@dataclass(frozen=True)
class Described:
    """What a configuration describes: all but the weights.

    Args:
        task_class: the class of the task.
        processor: turns inputs into ids.
        expected: the tensors of the model by name, without values.
        data_columns: the columns that it was trained on.
        drawn: which rows of its data were drawn for which split, if any were.
    """

    task_class: type[Task]
    processor: Processor
    expected: dict[str, Tensor]
    data_columns: dict[str, Any]
    drawn: Drawn | None


def describe(config: Mapping[str, Any], where: Path, own: type[Task] | None = None) -> Described:
    """Understand a configuration, with the texts of its tokenizers.

    Args:
        config: the configuration; from a stranger it may hold anything.
        where: its file, for messages.
        own: see `from_pretrained`.

    Raises:
        UsageError: it describes no model.
    """
    name = config.get("task")
    if name not in list(TASKS):  # a list, for the name may be anything that JSON holds
        raise UsageError(
            f"{where}: unknown task {name!r}; there are {', '.join(TASKS)}, and those of a package that "
            "--trust PACKAGE imports"
        )
    task_class = TASKS[name]
    try:
        if "class" in config:
            task_class = find_class(config["class"], task_class, own)
        processor = task_class.processor_class.from_state(config["processor"])
        expected = _expected_weights(task_class, processor, config)
        data_columns = _data_columns(task_class, config.get("data_columns", {}))
        drawn = Drawn.from_state(config["drawn"]) if "drawn" in config else None
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{where}: its settings fit no model ({error!r})") from error
    return Described(task_class, processor, expected, data_columns, drawn)


def checks_of_stored(stored: StoredModel, described: Described) -> dict[str, Callable[[], None]]:
    """The checks of a model that was read and understood, by what they check; each raises UsageError.

    Args:
        stored: what was read.
        described: what its configuration describes.
    """
    return {
        "tensors": lambda: check_weights(stored.weights, described.expected, stored.weights_file),
        "vocabularies and labels": lambda: check_fingerprint(stored.config, stored.config_file),
        "checksums": lambda: check_checksums(stored),
    }


def _build(stored: StoredModel, own: type[Task] | None) -> Task:
    described = describe(stored.config, stored.config_file, own)
    for check in checks_of_stored(stored, described).values():
        check()
    task = _untrained(described.task_class, described.processor, stored.config)
    task.model.load_state_dict(stored.weights)
    task.data_columns, task.drawn = described.data_columns, described.drawn
    return task.eval()


def _data_columns(task_class: type[Task], stored: Any) -> dict[str, Any]:
    """The columns that a model remembers, of which a folder from a stranger may hold anything.

    Raises:
        UsageError: they are none of this task.
    """
    if not isinstance(stored, dict) or not isinstance(stored.get("corpus", {}), dict):
        raise UsageError("data_columns must be names of columns; delete them, and name the columns yourself")
    names, corpus = dict(stored), stored.get("corpus", {})
    names.pop("corpus", None)
    data_class = task_class.data_classes()[0]
    for values, known in ((names, column_settings(data_class)), (corpus, REMEMBERED)):
        if unknown := [str(name) for name in values if name not in known]:
            raise UsageError(
                f"data_columns: {shorten(unknown[0])} is none of {join_names(known)}: upgrade nlp_rnn"
            )
    check_settings(data_class, names, "data_columns.")
    check_settings(Corpus, corpus, "data_columns.corpus.")
    return stored


def _expected_weights(
    task_class: type[Task], processor: Processor, config: Mapping[str, Any]
) -> dict[str, Tensor]:
    """The tensors of the model that `config` describes, without values."""
    with torch.device("meta"):  # takes no memory, whatever sizes the settings name
        return _untrained(task_class, processor, config).model.state_dict()


def _untrained(task_class: type[Task], processor: Processor, config: Mapping[str, Any]) -> Task:
    """The task that `config` describes, its weights yet to be loaded."""
    weights = config.get("weights")
    if weights not in (None, INT8):
        raise UsageError(f"unknown type of weights {weights!r}: upgrade nlp_rnn")
    task = task_class.from_settings(processor, config["settings"])
    if "model" in config:
        task.model = restore_module(config["model"])
    if weights == INT8:
        quantize(task.model)
    return task
