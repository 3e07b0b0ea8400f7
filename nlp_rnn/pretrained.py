"""Trained models on disk: a model folder, a Lightning checkpoint, or a folder on the hub.

A model folder is `config.json`, `model.safetensors`, one tokenizer file a vocabulary and a `README.md`.
Nothing in it is unpickled, and nothing outside it is read.
"""

from __future__ import annotations

import json
import math
import pickle
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

import nlp_rnn
from nlp_rnn.data.vocabulary import BOS, EOS, PAD, UNK
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks import TASKS, Task
from nlp_rnn.tasks.module import FORMAT_VERSION

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"


def save_pretrained(task: Task, folder: str | Path, card: str = "") -> Path:
    """Write a model folder, all of it or nothing; one that stands there is replaced.

    Args:
        task: a trained model with its processor.
        folder: where to.
        card: the text of its README.md.

    Raises:
        UsageError: `folder` exists and is no model folder, or cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / CONFIG).is_file():
        raise UsageError(f"{folder} exists and is no model folder: choose another place or remove it")
    stored = task.stored()
    tokenizers = stored["processor"].pop("tokenizers")
    config = {
        **stored,
        "nlp_rnn_version": nlp_rnn.__version__,
        "special_ids": {"pad": PAD, "unk": UNK, "bos": BOS, "eos": EOS},
        "vocabularies": {
            name: {
                "file": _tokenizer_file(name, tokenizers),
                "size": len(vocabulary),
                "hash": vocabulary.fingerprint,
            }
            for name, vocabulary in task.processor.vocabularies().items()
        },
    }
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            (new / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding="utf-8")
            for name, text in tokenizers.items():
                (new / _tokenizer_file(name, tokenizers)).write_text(text, encoding="utf-8")
            weights = {name: value.contiguous() for name, value in task.model.state_dict().items()}
            save_file(weights, new / WEIGHTS)
            (new / CARD).write_text(card, encoding="utf-8")
            new.chmod(0o755)
            (new / WEIGHTS).chmod(0o644)
            if folder.exists():
                old = folder.with_name(f".{folder.name}.old")
                folder.rename(old)
                new.rename(folder)
                shutil.rmtree(old)
            else:
                new.rename(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror or error}") from error
    return folder


def from_pretrained(source: str | Path) -> Task:
    """Load a trained model, on the CPU and ready to answer.

    Args:
        source: a model folder, a Lightning checkpoint (.ckpt) of this package, or the id of a model folder on
            the hub.

    Raises:
        UsageError: there is no such model, or it is damaged, unsafe or of a newer format; the message names
            file and remedy.
    """
    path = Path(source)
    if "://" in str(source):
        raise UsageError(f"{source}: addresses are not loaded; download the model folder and give its path")
    if path.is_dir():
        return _from_folder(path)
    if path.is_file():
        return _from_checkpoint(path)
    if path.suffix in (".ckpt", ".pt") or path.is_absolute() or str(source).count("/") != 1:
        raise UsageError(f"{source}: no such model folder or checkpoint")
    return _from_folder(_download(str(source)))


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, allow_patterns=["*.json", WEIGHTS, CARD]))
    except Exception as error:  # the library's own, the network's and the file system's
        raise UsageError(
            f"{hub_id}: no such folder here, and the hub gave no such model ({type(error).__name__}); "
            "check the name and the connection"
        ) from error


def _from_folder(folder: Path) -> Task:
    config = _read_json(folder / CONFIG)
    _check_version(config, folder / CONFIG)
    try:
        names = list(config["vocabularies"])
        tokenizers = {name: _read_text(folder / _tokenizer_file(name, names), folder) for name in names}
        stored = {**config, "processor": {**config["processor"], "tokenizers": tokenizers}}
        expected = {name: entry["hash"] for name, entry in config["vocabularies"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{folder / CONFIG}: not the configuration of a model folder ({error})") from error
    weights = _read_weights(folder / WEIGHTS)
    return _build(stored, weights, folder, expected)


def _from_checkpoint(path: Path) -> Task:
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UsageError(f"{path}: refused, it holds more than tensors and plain values") from error
    except Exception as error:  # truncated archives raise RuntimeError, EOFError, OSError and others
        raise UsageError(f"{path}: not a readable checkpoint ({type(error).__name__})") from error
    stored = checkpoint.get("nlp_rnn") if isinstance(checkpoint, dict) else None
    if not isinstance(stored, dict):
        raise UsageError(f"{path}: not a checkpoint of nlp_rnn; load a bare state_dict with load_state_dict")
    _check_version(stored, path)
    prefix = "model."
    weights = {
        name.removeprefix(prefix): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith(prefix)
    }
    return _build(stored, weights, path)


def _build(
    stored: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    where: Path,
    hashes: Mapping[str, str] | None = None,
) -> Task:
    if stored.get("task") not in TASKS:
        raise UsageError(f"{where}: unknown task {stored.get('task')!r}; this version has {', '.join(TASKS)}")
    try:
        task = TASKS[stored["task"]].from_stored(stored)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(f"{where}: its settings fit no model ({error})") from error
    for name, vocabulary in task.processor.vocabularies().items():
        if hashes is not None and hashes.get(name) != vocabulary.fingerprint:
            raise UsageError(
                f"{where}: the {name} tokenizer (hash {vocabulary.fingerprint}) is not the one this model "
                f"was trained with (hash {hashes.get(name)})"
            )
    own = task.model.state_dict()
    for name in sorted(set(own) ^ set(weights)):
        raise UsageError(
            f"{where}: tensor {name} is {'missing' if name in own else 'not part of this model'}"
        )
    for name, value in weights.items():
        if value.shape != own[name].shape:
            raise UsageError(
                f"{where}: tensor {name} has shape {list(value.shape)}, but settings and vocabulary ask for "
                f"{list(own[name].shape)}"
            )
        if not math.isfinite(value.float().sum().item()):
            raise UsageError(f"{where}: tensor {name} holds NaN or infinite values")
    task.model.load_state_dict(weights)
    return task.eval()


def _tokenizer_file(name: str, names: Any) -> str:
    return "tokenizer.json" if len(names) == 1 else f"tokenizer.{name}.json"


def _check_version(config: Mapping[str, Any], where: Path) -> None:
    version = config.get("format_version")
    if not isinstance(version, int):
        raise UsageError(f"{where}: not a model of nlp_rnn: it has no format_version")
    if version > FORMAT_VERSION:
        raise UsageError(
            f"{where}: format {version} is newer than this version reads ({FORMAT_VERSION}): upgrade nlp_rnn"
        )


def _read_text(path: Path, folder: Path) -> str:
    if path.parent != folder:
        raise UsageError(f"{path}: lies outside the model folder; nothing was read")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_read_text(path, path.parent))
    except ValueError as error:
        raise (
            error if isinstance(error, UsageError) else UsageError(f"{path}: not valid JSON ({error})")
        ) from error
    if not isinstance(value, dict):
        raise UsageError(f"{path}: not the configuration of a model folder")
    return value


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > path.stat().st_size:
                raise UsageError(f"{path}: not a whole safetensors file")
            # The library takes the last of several tensors of one name.
            json.loads(file.read(size), object_pairs_hook=_unique)
        return load_file(path)
    except UsageError as error:
        raise UsageError(f"{path}: {error}" if str(path) not in str(error) else str(error)) from error
    except (SafetensorError, ValueError) as error:
        raise UsageError(f"{path}: not a whole safetensors file ({error})") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"key {name!r} stands twice in its header")
    return dict(pairs)
