"""A model folder as a task that answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from .errors import UsageError
from .folders.folder import (
    CONFIG,
    WEIGHTS,
    check_fingerprint,
    check_hashes,
    check_is_model,
    current_folder,
    read_config,
    read_unchanged,
)
from .folders.graph_files import check_graphs, holds_graphs
from .folders.tensors import StoredTensor, Tensors, model_hashes, read_tensors
from .models.builder import Builder
from .tasks.task import Task
from .text.vocabulary import Vocabulary

_TASKS = {
    "sentiment": (".tasks.labeling", "Sentiment"),
    "tagging": (".tasks.tagging", "Tagging"),
    "translation": (".tasks.writing", "Translation"),
    "language_modeling": (".tasks.writing", "LanguageModeling"),
    "captioning": (".tasks.writing", "Captioning"),
    "forecasting": (".tasks.labeling", "Forecasting"),
    "series_tagging": (".tasks.labeling", "SeriesTagging"),
    "text_pairs": (".tasks.labeling", "TextPairs"),
    "multi_label": (".tasks.labeling", "MultiLabel"),
}
"""The module and the class of each task, which is imported when a model of it is loaded."""

_INT8 = "int8"
_ENGINES = ("numpy", "onnx")


@dataclass(frozen=True)
class _Files:
    """What is in a model folder."""

    config: dict[str, Any]
    vocabularies: dict[str, Vocabulary]
    tensors: dict[str, StoredTensor] | None
    """None of a folder with ONNX graphs."""
    folder: Path


def load(source: str | Path, engine: str | None = None) -> Task:
    """Load a trained model.

    Args:
        source: a model folder, or a folder that `nlp-rnn export` wrote for ONNX.
        engine: what computes: numpy, or onnx, which needs onnxruntime and an exported folder; by what the
            folder holds if left out.

    Returns:
        The model.

    Raises:
        UsageError: there is no such folder, it is damaged, unsafe or of a newer format, or needs torch; the
            message names the file and says what to do.
    """
    if engine not in (None, *_ENGINES):
        raise UsageError(f"engine must be one of {', '.join(_ENGINES)}, not {engine!r}")
    path = current_folder(Path(source).expanduser())
    if not path.is_dir():
        kind = "is a file" if path.exists() else "no such folder"
        raise UsageError(f"{source}: {kind}; without torch give a model folder that is on this machine")
    check_is_model(source, path)
    files = read_unchanged(path, path, lambda folder, root: _read(folder, root, engine))
    where = files.folder / CONFIG
    try:
        task = _build(files)
    except UsageError as error:
        named = str(error).startswith(str(files.folder))
        raise error if named else UsageError(f"{where}: {error}") from error
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError) as error:
        raise UsageError(f"{where}: its settings fit no model ({error!r})") from error
    check_fingerprint(files.config, where)
    if "checksums" in files.config:
        hashes = model_hashes(files.config, files.tensors or {})
        if files.tensors is None:  # the checksum of the weights is that of the folder that was exported
            hashes.pop("weights")
        check_hashes(files.config, hashes, where)
    names = files.config.get("data_columns")
    task.data_columns = names if isinstance(names, dict) else {}
    return task


def _read(folder: Path, root: Path, engine: str | None) -> _Files:
    config, vocabularies = read_config(folder, root)
    has_weights = (folder / WEIGHTS).exists()
    has_graphs = holds_graphs(folder)
    if engine == "onnx" and not has_graphs:
        raise UsageError(f"{folder}: holds no ONNX graph; write one with nlp-rnn export --format onnx")
    if engine == "numpy" and has_graphs and not has_weights:
        raise UsageError(f"{folder}: holds ONNX graphs, not {WEIGHTS}: take the engine onnx")
    computes_graphs = engine == "onnx" or (has_graphs and not has_weights)
    if computes_graphs:
        check_graphs(config, folder, root)
    tensors = None if computes_graphs else read_tensors(folder / WEIGHTS, root)
    return _Files(config, vocabularies, tensors, folder)


def _build(files: _Files) -> Task:
    config = files.config
    task_class = _find(config)
    stored = config["processor"]["settings"]
    if not isinstance(stored, Mapping):
        raise UsageError("the settings of its processor are none")
    stored = {**stored, **files.vocabularies}
    settings = task_class.complete(config["settings"])
    reader = task_class.make_reader(files.vocabularies, stored)
    if files.tensors is None:
        from .models.graphs import ENGINES

        return task_class(reader, ENGINES[task_class.name](files.folder), settings, stored)
    tensors = Tensors(files.tensors, files.folder / WEIGHTS)
    build = Builder(tensors, config.get("weights") == _INT8)
    engine = task_class.make_engine(build, reader, settings, stored)
    tensors.check_all_taken()
    return task_class(reader, engine, settings, stored)


def find_task(name: object) -> type[Task]:
    """The class of a task.

    Raises:
        UsageError: there is none of that name here.
    """
    if not isinstance(name, str) or name not in _TASKS:
        raise UsageError(f"unknown task {name!r}: without torch there are {', '.join(_TASKS)}")
    module, owner = _TASKS[name]
    found: type[Task] = getattr(import_module(module, __package__), owner)
    return found


def _find(config: Mapping[str, Any]) -> type[Task]:
    """The task of a configuration.

    Raises:
        UsageError: it needs torch, or a newer version.
    """
    for key in ("class", "model"):
        if key in config:
            described = config[key]
            owner = described.get("class") if isinstance(described, Mapping) else described
            raise UsageError(f"its class {owner!r} is of your own and needs torch: answer with nlp_rnn")
    if config.get("weights") not in (None, _INT8):
        raise UsageError(f"unknown type of weights {config['weights']!r}: upgrade nlp_rnn_lite")
    return find_task(config.get("task"))
