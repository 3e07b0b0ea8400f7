"""Trained models on disk: a model folder, a Lightning checkpoint, or a folder on the hub.

A model folder is `config.json`, `model.safetensors`, one tokenizer file a vocabulary and a `README.md`.
Nothing in it is unpickled, and nothing outside it is read.
"""

from __future__ import annotations

import json
import os
import pickle
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from shutil import copymode
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

import nlp_rnn
from nlp_rnn.card import model_card
from nlp_rnn.data.lines import open_bytes, read_bytes
from nlp_rnn.data.vocabulary import BOS, EOS, PAD, UNK, Vocabulary
from nlp_rnn.errors import UsageError
from nlp_rnn.quantization import INT8, is_quantized, quantize
from nlp_rnn.settings import check_settings
from nlp_rnn.tasks import TASKS, Task
from nlp_rnn.tasks.module import FORMAT_VERSION

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"

_LARGEST_HEADER = 100_000_000  # of a safetensors file, in bytes; the library's own limit


def save_pretrained(task: Task, folder: str | Path, card: str | None = None) -> Path:
    """Write a model folder, all of it or nothing; one that stands there is replaced.

    Args:
        task: a trained model with its processor.
        folder: where to.
        card: the text of its README.md; a card without metrics if left out.

    Raises:
        UsageError: `folder` exists and is no model folder, or holds other files too, or cannot be written.
    """
    folder = Path(folder).expanduser()
    place = Path(os.path.realpath(folder))  # through a link, what it leads to is replaced
    stored = task.stored()
    tokenizers = stored["processor"].pop("tokenizers")
    config = {
        **stored,
        **({"weights": INT8} if is_quantized(task.model) else {}),
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
    texts = {
        CONFIG: json.dumps(config, indent=2, ensure_ascii=False),
        CARD: model_card(task) if card is None else card,
    }
    texts |= {_tokenizer_file(name, tokenizers): text for name, text in tokenizers.items()}
    weights = {name: value.contiguous() for name, value in task.model.state_dict().items()}
    try:
        _check_replaceable(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(
            prefix=f".{place.name}.", dir=place.parent, ignore_cleanup_errors=True
        ) as aside:
            new, old = Path(aside) / "new", Path(aside) / "old"
            new.mkdir()
            for name, text in texts.items():
                (new / name).write_text(text, encoding="utf-8", newline="\n")
            save_file(weights, new / WEIGHTS)
            copymode(new / CONFIG, new / WEIGHTS)  # the library lets no one else read it
            if place.exists():
                place.rename(old)
            try:
                new.rename(place)
            except OSError:
                if old.exists():
                    old.rename(place)
                raise
    except (OSError, SafetensorError) as error:  # the library's own where the disk is full
        raise UsageError(
            f"{folder}: cannot be written ({getattr(error, 'strerror', None) or error})"
        ) from error
    return folder


def _check_replaceable(folder: Path) -> None:
    """Raise UsageError unless `folder` is absent, empty, or a model folder with nothing else in it."""
    if not folder.exists():
        return
    entries = {path.name for path in folder.iterdir()} if folder.is_dir() else {""}
    if not entries:
        return
    try:
        config = _read_json(folder / CONFIG, folder)
        _check_version(config, folder / CONFIG)
        ours = {_tokenizer_file(name, config["vocabularies"]) for name in config["vocabularies"]}
    except (UsageError, KeyError, TypeError):
        raise UsageError(f"{folder} exists and is no model folder: choose another place") from None
    if others := sorted(entries - ours - {CONFIG, WEIGHTS, CARD}):
        raise UsageError(f"{folder} also holds {others[0]}, which would be lost: choose another place")


def from_pretrained(source: str | Path) -> Task:
    """Load a trained model, on the CPU and ready to answer.

    Args:
        source: a model folder, a Lightning checkpoint (.ckpt) of this package, or the id of a model folder on
            the hub.

    Raises:
        UsageError: there is no such model, or it is damaged, unsafe or of a newer format; the message names
            file and remedy.
    """
    path = Path(source).expanduser()
    if "://" in str(source):
        raise UsageError(f"{source}: addresses are not loaded; download the model folder and give its path")
    if path.is_dir():
        for inner in ("model", "latest/model"):
            if not (path / CONFIG).exists() and (path / inner / CONFIG).exists():
                raise UsageError(f"{source}: no model folder; there is one in it, {path / inner}")
        return _from_folder(path, path)
    if path.exists():
        return _from_checkpoint(path)
    if path.suffix in (".ckpt", ".pt") or path.is_absolute() or str(source).count("/") != 1:
        raise UsageError(f"{source}: no such model folder or checkpoint")
    snapshot = _download(str(source))
    # The hub's cache keeps the files themselves two folders higher, and links to them.
    return _from_folder(snapshot, snapshot.parents[1])


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, allow_patterns=["*.json", WEIGHTS, CARD]))
    except Exception as error:  # the library's own, the network's and the file system's
        raise UsageError(
            f"{hub_id}: no such folder here, and the hub gave no such model ({type(error).__name__}); "
            "check the name and the connection"
        ) from error


def _from_folder(folder: Path, root: Path) -> Task:
    """Read a model folder, and nothing that lies outside `root`."""
    config_file = folder / CONFIG
    config = _read_json(config_file, root)
    _check_version(config, config_file)
    tokenizers = {}
    try:
        vocabularies = config["vocabularies"]
        for name, entry in vocabularies.items():
            if not name.isidentifier():
                raise UsageError(f"{config_file}: {name!r} names no vocabulary; nothing was read")
            tokenizers[name] = _read_tokenizer(
                folder / _tokenizer_file(name, vocabularies), root, entry["size"], entry["hash"]
            )
        stored = {**config, "processor": {**config["processor"], "tokenizers": tokenizers}}
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{config_file}: not the configuration of a model folder ({error!r})") from error
    return _build(stored, _read_weights(folder / WEIGHTS, root), config_file, folder / WEIGHTS)


def _from_checkpoint(path: Path) -> Task:
    with open_bytes(path) as file:
        try:
            checkpoint = torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise UsageError(
                f"{path}: refused, it is no checkpoint or holds more than tensors and plain values"
            ) from error
        except Exception as error:  # truncated archives raise RuntimeError, EOFError, OSError and others
            raise UsageError(f"{path}: not a whole checkpoint ({type(error).__name__})") from error
    checkpoint = checkpoint if isinstance(checkpoint, dict) else {}
    stored, state = checkpoint.get("nlp_rnn"), checkpoint.get("state_dict")
    if not isinstance(stored, dict) or not isinstance(state, dict):
        raise UsageError(f"{path}: not a checkpoint of nlp_rnn; load a bare state_dict with load_state_dict")
    # Earlier versions of Lightning call what such a file names; this package writes none.
    for key in ("hyper_parameters", "datamodule_hyper_parameters"):
        if "_instantiator" in (checkpoint.get(key) or ()):
            raise UsageError(f"{path}: refused, it names a function to call ({key}._instantiator)")
    _check_version(stored, path)
    prefix = "model."
    weights = {
        name.removeprefix(prefix): value for name, value in state.items() if str(name).startswith(prefix)
    }
    return _build(stored, weights, path, path)


def _build(stored: Mapping[str, Any], weights: Mapping[str, Tensor], config: Path, file: Path) -> Task:
    """The model that `stored`, from the file `config`, describes, with weights from `file`."""
    if stored.get("task") not in list(TASKS):
        raise UsageError(
            f"{config}: unknown task {stored.get('task')!r}; this version has {', '.join(TASKS)}"
        )
    task_class = TASKS[stored["task"]]
    try:
        check_settings(stored["processor"]["settings"])
        with torch.device("meta"):  # takes no memory, whatever sizes are asked for
            expected = _fresh(task_class, stored).model.state_dict()
    except UsageError as error:
        raise UsageError(f"{config}: {error}") from error
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{config}: its settings fit no model ({error!r})") from error
    _check_weights(weights, expected, file)
    task = _fresh(task_class, stored)
    task.model.load_state_dict(weights)
    return task.eval()


def _fresh(task_class: type[Task], stored: Mapping[str, Any]) -> Task:
    """The task that `stored` describes, its weights yet to be loaded."""
    kind = stored.get("weights")
    if kind not in (None, INT8):
        raise UsageError(f"weights of kind {kind!r} are unknown to this version: upgrade nlp_rnn")
    task = task_class.from_stored(stored)
    if kind == INT8:
        quantize(task.model)
    return task


def _check_weights(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], file: Path) -> None:
    for name in sorted(set(expected) ^ set(weights)):
        problem = "missing" if name in expected else "not part of this model"
        raise UsageError(f"{file}: tensor {name} is {problem}")
    for name, value in weights.items():
        whole = not expected[name].is_floating_point()
        if not isinstance(value, Tensor) or (
            value.dtype != expected[name].dtype if whole else not value.is_floating_point()
        ):
            kind = "8-bit whole" if whole else "floating-point"
            raise UsageError(f"{file}: {name} is no tensor of {kind} numbers")
        if value.shape != expected[name].shape:
            raise UsageError(
                f"{file}: tensor {name} has shape {list(value.shape)}, but settings and vocabulary ask for "
                f"{list(expected[name].shape)}"
            )
        if not torch.isfinite(value).all():
            raise UsageError(f"{file}: tensor {name} holds NaN or infinite values")


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


def _inside(path: Path, root: Path) -> Path:
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise UsageError(f"{path}: leads out of the model folder; nothing was read")
    return path


def _read_text(path: Path, root: Path) -> str:
    try:
        return read_bytes(_inside(path, root)).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 (byte offset {error.start})") from error


def _read_json(path: Path, root: Path) -> dict[str, Any]:
    text = _read_text(path, root)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path}: not the configuration of a model folder")
    return value


def _read_tokenizer(path: Path, root: Path, size: int, fingerprint: str) -> str:
    """The text of a tokenizer file that is the one the model was trained with."""
    text = _read_text(path, root)
    try:
        vocabulary = Vocabulary.from_json(text)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    if len(vocabulary) != size:
        raise UsageError(f"{path}: has {len(vocabulary)} tokens, the model was trained with {size}")
    if vocabulary.fingerprint != fingerprint:
        raise UsageError(
            f"{path}: not the tokenizer that the model was trained with "
            f"(hash {vocabulary.fingerprint}, not {fingerprint})"
        )
    return text


def _read_weights(path: Path, root: Path) -> dict[str, Tensor]:
    try:
        with open_bytes(_inside(path, root)) as file:
            size = int.from_bytes(file.read(8), "little")
            if size > min(_LARGEST_HEADER, path.stat().st_size):
                raise UsageError(f"{path}: not a whole safetensors file (a header of {size} bytes)")
            # The library takes the last of several tensors of one name.
            json.loads(file.read(size), object_pairs_hook=lambda pairs: _unique(pairs, path))
        return load_file(path)
    except UsageError:
        raise
    except (SafetensorError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not a whole safetensors file ({error})") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error


def _unique(pairs: list[tuple[str, Any]], path: Path) -> dict[str, Any]:
    for name, count in Counter(name for name, _ in pairs).most_common(1):
        if count > 1:
            raise UsageError(f"{path}: {name!r} stands {count} times in its header")
    return dict(pairs)
