"""Reading a model folder, with the checks that a folder from a stranger needs.

Nothing is unpickled, nothing is imported because a folder names it, and nothing outside the folder is read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from ..errors import UsageError
from ..files import open_bytes, read_bytes
from ..text.tokenizer_format import BOS, EOS, PAD, UNK
from ..text.vocabulary import Vocabulary

FORMAT_VERSION = 1
"""The version of the configuration in checkpoints and model folders."""

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"

_MAX_TEXT = 2**30  # bytes of a JSON file
_LARGEST_HEADER = 100_000_000  # of a safetensors file, in bytes; the limit of the library

T = TypeVar("T")


def tokenizer_file(name: str, names: Mapping[str, Any]) -> str:
    """The file name of a vocabulary.

    Args:
        name: its field name in the processor.
        names: the field names of all vocabularies of the model.
    """
    return "tokenizer.json" if len(names) == 1 else f"tokenizer.{name}.json"


def own_files(config: Mapping[str, Any]) -> list[str]:
    """The names of the files that a model folder consists of.

    Args:
        config: its configuration, which names the vocabularies; whatever it holds, no other files are named.
    """
    vocabularies = config.get("vocabularies")
    names = vocabularies if isinstance(vocabularies, Mapping) else {}
    tokenizers = [tokenizer_file(name, names) for name in names if str(name).isidentifier()]
    return [CONFIG, WEIGHTS, *tokenizers, CARD]


def folder_aside(target: Path) -> Path:
    """Where a folder is for a moment while another one takes its place."""
    return target.with_name(f".{target.name}.old")


def current_folder(path: Path) -> Path:
    """Where the folder is that was written to `path`: there, unless it is just being replaced."""
    return folder_aside(path) if not path.exists() and folder_aside(path).is_dir() else path


def check_is_model(source: object, path: Path) -> None:
    """Refuse a folder that is no model folder, but holds one.

    Args:
        source: the folder as the user named it.
        path: the folder.

    Raises:
        UsageError: names the folder that is meant.
    """
    for inner in ("model", "latest/model"):
        if not (path / CONFIG).exists() and (path / inner / CONFIG).exists():
            raise UsageError(f"{source}: not a model folder, but contains one: {path / inner}")


def read_unchanged(folder: Path, root: Path, read: Callable[[Path, Path], T]) -> T:
    """Read a model folder; again if it is replaced meanwhile.

    Args:
        folder: the model folder.
        root: the folder that no file may lead out of.
        read: reads a folder, given both.

    Raises:
        UsageError: the folder cannot be read.
    """
    before = _identity(folder)
    try:
        stored = read(folder, root)
    except UsageError:
        if before == _identity(folder):
            raise
    else:
        if before == _identity(folder):
            return stored
    again = current_folder(folder)
    return read_unchanged(again, again if root == folder else root, read)


def _identity(folder: Path) -> tuple[int, int] | None:
    """Differs when there is another folder at that place."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def read_config(folder: Path, root: Path) -> tuple[dict[str, Any], dict[str, Vocabulary]]:
    """Read the settings and the vocabularies of a model folder.

    Args:
        folder: the model folder.
        root: the folder that no file may lead out of.

    Returns:
        The configuration, with the texts of the tokenizers as `tokenizers` of its `processor`; and the
        vocabularies by name.

    Raises:
        UsageError: a file is missing, damaged, of a newer format, or not the one that the model was trained
            with.
    """
    config_file = folder / CONFIG
    config = read_json(config_file, root)
    check_version(config, config_file)
    check_special_ids(config, config_file)
    texts, built = {}, {}
    try:
        vocabularies = config["vocabularies"]
        for name, entry in vocabularies.items():
            if not name.isidentifier():
                raise UsageError(f"{config_file}: {name!r} is not a name of a vocabulary; nothing was read")
            path = folder / tokenizer_file(name, vocabularies)
            texts[name], built[name] = read_tokenizer(path, root, entry["size"], entry["hash"])
        return {**config, "processor": {**config["processor"], "tokenizers": texts}}, built
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{config_file}: not the configuration of a model folder ({error!r})") from error


def read_tokenizer(path: Path, root: Path, size: int, fingerprint: str) -> tuple[str, Vocabulary]:
    """Read a tokenizer file, checked to be the tokenizer that the model was trained with.

    Args:
        path: the file.
        root: the folder that no file may lead out of.
        size: the number of tokens that the model was trained with.
        fingerprint: the hash of the tokenizer that it was trained with.

    Returns:
        The text of the file, and the vocabulary.

    Raises:
        UsageError: the file cannot be read, or is another tokenizer.
    """
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
    return text, vocabulary


def check_version(config: Mapping[str, Any], where: Path) -> None:
    """Refuse a configuration that this version cannot read.

    Args:
        config: the configuration.
        where: its file, for messages.

    Raises:
        UsageError: it has no format version, or a newer one.
    """
    version = config.get("format_version")
    if type(version) is not int or version < 1:
        raise UsageError(f"{where}: not a model of nlp_rnn: it has no format_version")
    if version > FORMAT_VERSION:
        raise UsageError(
            f"{where}: format version {version} is newer than the newest that can be read "
            f"({FORMAT_VERSION}): upgrade nlp_rnn"
        )


def check_special_ids(config: Mapping[str, Any], where: Path) -> None:
    """Refuse a configuration whose special tokens have other ids than those that models are computed with.

    Args:
        config: the configuration; one that states no ids has those of this version.
        where: its file, for messages.

    Raises:
        UsageError: they have.
    """
    ours = {"pad": PAD, "unk": UNK, "bos": BOS, "eos": EOS}
    stated = config.get("special_ids", ours)
    if stated != ours:
        raise UsageError(f"{where}: its special_ids are not {ours}, as of every model of nlp_rnn")


def hash_state(state: Mapping[str, Any]) -> str:
    """Hash a processor's `state()`: its whole tokenizers, and the labels and all other settings."""
    tokenizers = {name: json.loads(text) for name, text in state["tokenizers"].items()}
    canonical = json.dumps([tokenizers, state["settings"]], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def check_fingerprint(config: Mapping[str, Any], where: Path) -> None:
    """Refuse a configuration whose tokenizers, labels or other processor settings are those of another model.

    Args:
        config: the configuration, from which a processor can be made. Version 0.1 stored no fingerprint.
        where: its file, for messages.

    Raises:
        UsageError: they are.
    """
    actual = hash_state(config["processor"])
    if config.get("fingerprint", actual) != actual:
        raise UsageError(
            f"{where}: the tokenizers, labels or processor settings are not those that the model was trained "
            f"with (hash {actual}, not {config['fingerprint']}): use the files of one model, unchanged"
        )


def hash_model(
    config: Mapping[str, Any], tensors: Iterable[tuple[str, str, list[int], Any]]
) -> dict[str, str]:
    """Hashes of what a model computes with: its settings, which `fingerprint` leaves out, and its weights.

    Args:
        config: the configuration.
        tensors: of each tensor its name, its type as torch writes it, its shape, and the bytes of its
            numbers, in the order of their names.
    """
    more = [config[name] for name in ("class", "model", "data_columns") if name in config]
    settings = json.dumps([config["task"], config["settings"], config.get("weights"), *more], sort_keys=True)
    digest = hashlib.sha256()
    for name, dtype, shape, data in tensors:
        digest.update(f"{name} {dtype} {shape}\n".encode())
        digest.update(data)
    return {"settings": hashlib.sha256(settings.encode()).hexdigest(), "weights": digest.hexdigest()}


def check_hashes(config: Mapping[str, Any], actual: Mapping[str, str], where: Path) -> None:
    """Refuse a model whose settings or weights were altered after it was saved, by accident or for a purpose.

    Args:
        config: the configuration. Version 0.1 stored no checksums; checkpoints have others.
        actual: what `hash_model` returned.
        where: the file of the configuration, for messages.

    Raises:
        UsageError: they were.
    """
    expected = config.get("checksums")
    if expected is None:
        return
    for part, value in actual.items():
        if not isinstance(expected, dict) or expected.get(part) != value:
            raise UsageError(
                f"{where}: the {part} were altered after the model was saved (their checksum is another): "
                'use the files of one model, unchanged; if you mean the change, delete "checksums" from this '
                "file"
            )


def require_inside(path: Path, root: Path) -> Path:
    """The path, unless it leads out of the folder `root`, as a link may.

    Raises:
        UsageError: it does.
    """
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise UsageError(f"{path}: points outside the model folder; nothing was read")
    return path


def read_text(path: Path, root: Path) -> str:
    """The text of a file inside the folder `root`.

    Raises:
        UsageError: it cannot be read, leads out of the folder, or is not UTF-8.
    """
    with suppress(OSError):  # which is reported below
        if (size := path.stat().st_size) > _MAX_TEXT:
            raise UsageError(f"{path}: {size:,} bytes, more than the {_MAX_TEXT:,} that are read")
    try:
        return read_bytes(require_inside(path, root)).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 (byte offset {error.start})") from error


def read_json(path: Path, root: Path) -> dict[str, Any]:
    """The object in a JSON file inside the folder `root`.

    Raises:
        UsageError: it cannot be read, leads out of the folder, or is no JSON object.
    """
    text = read_text(path, root)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path}: not the configuration of a model folder")
    return value


def read_header(path: Path, root: Path) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file inside the folder `root`.

    Returns:
        The header, in which no name occurs twice, and the place in the file behind it.

    Raises:
        UsageError: the file cannot be read, leads out of the folder, or has no such header.
    """
    try:
        with open_bytes(require_inside(path, root)) as file:
            size = int.from_bytes(file.read(8), "little")
            if size > min(_LARGEST_HEADER, path.stat().st_size):
                raise UsageError(f"{path}: damaged or not a safetensors file (a header of {size} bytes)")
            # Of several tensors with one name the library would silently take the last.
            header = json.loads(file.read(size), object_pairs_hook=lambda pairs: _unique(pairs, path))
    except UsageError:
        raise
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: damaged or not a safetensors file ({error})") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not isinstance(header, dict):
        raise UsageError(f"{path}: damaged or not a safetensors file (its header is no object)")
    return header, 8 + size


def _unique(pairs: list[tuple[str, Any]], path: Path) -> dict[str, Any]:
    for name, count in Counter(name for name, _ in pairs).most_common(1):
        if count > 1:
            raise UsageError(f"{path}: {name!r} occurs {count} times in its header")
    return dict(pairs)
