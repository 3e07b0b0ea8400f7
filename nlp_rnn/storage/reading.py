"""Reading a model: a model folder, a Lightning checkpoint, or a folder on the hub.

Nothing is unpickled, and nothing outside a model folder is read.
"""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from nlp_rnn.errors import UsageError
from nlp_rnn.lite.folders.folder import (
    CONFIG,
    WEIGHTS,
    check_is_model,
    check_version,
    current_folder,
    read_config,
    read_header,
    read_unchanged,
)
from nlp_rnn.lite.folders.graph_files import holds_graphs
from nlp_rnn.storage.checkpoint import read_checkpoint
from nlp_rnn.storage.hub import HubAccess, download
from nlp_rnn.storage.stored import StoredModel, check_plain

_DEFAULT = HubAccess()


def read_model(source: str | Path, access: HubAccess = _DEFAULT) -> StoredModel:
    """Read a model's settings and weights.

    Args:
        source: a model folder, a Lightning checkpoint (.ckpt) of this package, or the id of a model folder on
            the hub.
        access: how the hub is asked.

    Returns:
        What was read; the model is not built yet.

    Raises:
        UsageError: there is no such model, or it is damaged, unsafe or of a newer format; the message names
            the file and says what to do.
    """
    path = current_folder(Path(source).expanduser())
    if "://" in str(source):
        raise UsageError(f"{source}: cannot load from a URL; download the model folder and give its path")
    if path.exists() and access.revision is not None:
        raise UsageError(f"{source}: is a file or folder, which has no revision; that is for ids of the hub")
    if path.is_dir():
        check_is_model(source, path)
        return read_unchanged(path, path, _read_files)
    if path.suffix == ".safetensors" and path.exists():
        raise UsageError(
            f"{source}: holds weights alone; give the model folder that it is in, or see nlp-rnn import"
        )
    if path.exists():
        return _read_checkpoint(path)
    if path.suffix in (".ckpt", ".pt") or path.is_absolute() or str(source).count("/") != 1:
        raise UsageError(f"{source}: no such model folder or checkpoint")
    snapshot = download(str(source), access)
    # In the hub's cache a snapshot holds links to files that are stored two folders higher.
    return read_unchanged(snapshot, snapshot.parents[1], _read_files)


def _read_files(folder: Path, root: Path) -> StoredModel:
    config, _ = read_config(folder, root)
    if holds_graphs(folder) and not (folder / WEIGHTS).exists():
        raise UsageError(
            f"{folder}: holds ONNX graphs, not {WEIGHTS}: take the backend onnx, or the folder it was made of"
        )
    weights = read_weights(folder / WEIGHTS, root)
    return StoredModel(config, weights, folder / CONFIG, folder / WEIGHTS)


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


def read_weights(path: Path, root: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file inside the folder `root`, by name.

    Raises:
        UsageError: it cannot be read, leads out of the folder, or is damaged.
    """
    read_header(path, root)
    try:
        return load_file(path)
    except (SafetensorError, ValueError) as error:
        raise UsageError(f"{path}: damaged or not a safetensors file ({error})") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
