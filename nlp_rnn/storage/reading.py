"""Reading a model: a model folder, a Lightning checkpoint, or a folder on the hub.

Nothing is unpickled, and nothing outside a model folder is read.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from nlp_rnn.data.corpus.hub import hub_is_reachable
from nlp_rnn.data.vocabulary import Vocabulary
from nlp_rnn.errors import UsageError
from nlp_rnn.files import open_bytes
from nlp_rnn.storage.checkpoint import read_checkpoint
from nlp_rnn.storage.folders import current_folder
from nlp_rnn.storage.stored import (
    StoredModel,
    check_plain,
    check_version,
    read_json,
    read_text,
    require_inside,
)
from nlp_rnn.storage.writing import CARD, CONFIG, WEIGHTS, tokenizer_file

_LARGEST_HEADER = 100_000_000  # of a safetensors file, in bytes; the limit of the library


def read_model(source: str | Path) -> StoredModel:
    """Read a model's settings and weights.

    Args:
        source: a model folder, a Lightning checkpoint (.ckpt) of this package, or the id of a model folder on
            the hub.

    Returns:
        What was read; the model is not built yet.

    Raises:
        UsageError: there is no such model, or it is damaged, unsafe or of a newer format; the message names
            the file and says what to do.
    """
    path = current_folder(Path(source).expanduser())
    if "://" in str(source):
        raise UsageError(f"{source}: cannot load from a URL; download the model folder and give its path")
    if path.is_dir():
        for inner in ("model", "latest/model"):
            if not (path / CONFIG).exists() and (path / inner / CONFIG).exists():
                raise UsageError(f"{source}: not a model folder, but contains one: {path / inner}")
        return _read_folder(path, path)
    if path.exists():
        return _read_checkpoint(path)
    if path.suffix in (".ckpt", ".pt") or path.is_absolute() or str(source).count("/") != 1:
        raise UsageError(f"{source}: no such model folder or checkpoint")
    snapshot = _download(str(source))
    # In the hub's cache a snapshot holds links to files that are stored two folders higher.
    return _read_folder(snapshot, snapshot.parents[1])


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        patterns = ["*.json", WEIGHTS, CARD]
        offline = not hub_is_reachable()
        return Path(snapshot_download(hub_id, allow_patterns=patterns, local_files_only=offline))
    except Exception as error:  # of the library, of the network and of the file system
        raise UsageError(
            f"{hub_id}: there is no such folder, it is not in the local cache, and the hub has no such model "
            f"or cannot be reached ({type(error).__name__}); check the name and the connection"
        ) from error


def _read_folder(folder: Path, root: Path) -> StoredModel:
    """Read a model folder, but no file outside `root`; again if it is replaced meanwhile."""
    before = _identity(folder)
    try:
        stored = _read_files(folder, root)
    except UsageError:
        if before == _identity(folder):
            raise
    else:
        if before == _identity(folder):
            return stored
    again = current_folder(folder)
    return _read_folder(again, again if root == folder else root)


def _identity(folder: Path) -> tuple[int, int] | None:
    """Differs when there is another folder at that place."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _read_files(folder: Path, root: Path) -> StoredModel:
    config_file = folder / CONFIG
    config = read_json(config_file, root)
    check_version(config, config_file)
    tokenizers = {}
    try:
        vocabularies = config["vocabularies"]
        for name, entry in vocabularies.items():
            if not name.isidentifier():
                raise UsageError(f"{config_file}: {name!r} is not a name of a vocabulary; nothing was read")
            tokenizers[name] = _read_tokenizer(
                folder / tokenizer_file(name, vocabularies), root, entry["size"], entry["hash"]
            )
        stored = {**config, "processor": {**config["processor"], "tokenizers": tokenizers}}
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{config_file}: not the configuration of a model folder ({error!r})") from error
    weights = _read_weights(folder / WEIGHTS, root)
    return StoredModel(stored, weights, config_file, folder / WEIGHTS)


def _read_checkpoint(path: Path) -> StoredModel:
    checkpoint = read_checkpoint(path)
    stored, state = checkpoint.get("nlp_rnn"), checkpoint.get("state_dict")
    if not isinstance(stored, dict) or not isinstance(state, dict):
        raise UsageError(f"{path}: not a checkpoint of nlp_rnn; load a bare state_dict with load_state_dict")
    # Earlier versions of Lightning call a function that is named here; this package never writes one.
    for key in ("hyper_parameters", "datamodule_hyper_parameters"):
        hyper_parameters = checkpoint.get(key)
        if isinstance(hyper_parameters, dict) and "_instantiator" in hyper_parameters:
            raise UsageError(f"{path}: refused: it names a function to call ({key}._instantiator)")
    check_version(stored, path)
    check_plain(stored, path)
    prefix = "model."
    weights = {
        name.removeprefix(prefix): value for name, value in state.items() if str(name).startswith(prefix)
    }
    return StoredModel(stored, weights, path, path)


def _read_tokenizer(path: Path, root: Path, size: int, fingerprint: str) -> str:
    """The text of a tokenizer file, checked to be the tokenizer that the model was trained with."""
    text = read_text(path, root)
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
        with open_bytes(require_inside(path, root)) as file:
            size = int.from_bytes(file.read(8), "little")
            if size > min(_LARGEST_HEADER, path.stat().st_size):
                raise UsageError(f"{path}: damaged or not a safetensors file (a header of {size} bytes)")
            # Of several tensors with one name the library would silently take the last.
            json.loads(file.read(size), object_pairs_hook=lambda pairs: _unique(pairs, path))
        return load_file(path)
    except UsageError:
        raise
    except (SafetensorError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: damaged or not a safetensors file ({error})") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error


def _unique(pairs: list[tuple[str, Any]], path: Path) -> dict[str, Any]:
    for name, count in Counter(name for name, _ in pairs).most_common(1):
        if count > 1:
            raise UsageError(f"{path}: {name!r} occurs {count} times in its header")
    return dict(pairs)
