"""Writing a model folder: settings, weights, one tokenizer file per vocabulary, and a card."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from shutil import copymode
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

import nlp_rnn
from nlp_rnn.data.vocabulary import BOS, EOS, PAD, UNK, Vocabulary
from nlp_rnn.errors import RunError, UsageError
from nlp_rnn.files import cannot_write
from nlp_rnn.lite.folders.folder import (
    CARD,
    CONFIG,
    WEIGHTS,
    check_version,
    own_files,
    read_json,
    tokenizer_file,
)
from nlp_rnn.storage.folders import atomic_folder
from nlp_rnn.storage.stored import checksums


def write_model(
    folder: str | Path,
    stored: Mapping[str, Any],
    vocabularies: Mapping[str, Vocabulary],
    weights: Mapping[str, Tensor],
    card: str,
) -> Path:
    """Write a model folder, completely or not at all; a model folder at that place is replaced.

    Args:
        folder: where to write.
        stored: what `Task.stored` returns; it contains the texts of the tokenizers.
        vocabularies: by field name, for their sizes and hashes.
        weights: tensors by name.
        card: the text of README.md.

    Returns:
        The folder.

    Raises:
        UsageError: `folder` exists and is not a model folder, or holds other files too, or cannot be written.
        RunError: the disk is full.
    """
    folder = Path(folder).expanduser()
    target = Path(os.path.realpath(folder))  # of a link, replace the folder that it points to
    processor = dict(stored["processor"])
    tokenizers = processor.pop("tokenizers")
    config = {
        **stored,
        "processor": processor,
        "nlp_rnn_version": nlp_rnn.__version__,
        "special_ids": {"pad": PAD, "unk": UNK, "bos": BOS, "eos": EOS},
        "vocabularies": {
            name: {
                "file": tokenizer_file(name, tokenizers),
                "size": len(vocabulary),
                "hash": vocabulary.fingerprint,
            }
            for name, vocabulary in vocabularies.items()
        },
        "checksums": checksums(stored, weights),
    }
    texts = {CONFIG: json.dumps(config, indent=2, ensure_ascii=False), CARD: card}
    texts |= {tokenizer_file(name, tokenizers): text for name, text in tokenizers.items()}
    try:
        _check_replaceable(target)
        _write(target, texts, {name: value.contiguous() for name, value in weights.items()})
    except OSError as error:
        raise cannot_write(folder, error) from error
    except UnicodeEncodeError as error:
        surrogate = ascii(error.object[error.start])
        raise UsageError(
            f"{folder}: cannot be written: a label, a name or the card has a lone surrogate ({surrogate}), "
            "which no file can hold; decode the text as UTF-8 first"
        ) from error
    except SafetensorError as error:  # for example, a full disk
        raise RunError(f"{folder}: cannot be written ({error})") from error
    return folder


def _write(target: Path, texts: Mapping[str, str], weights: dict[str, Tensor]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(target) as new:
        for name, text in texts.items():
            (new / name).write_text(text, encoding="utf-8", newline="\n")
        save_file(weights, new / WEIGHTS)
        copymode(new / CONFIG, new / WEIGHTS)  # the library makes it readable for the owner only


def _check_replaceable(folder: Path) -> None:
    """Raise UsageError unless `folder` does not exist, is empty, or is a model folder without other files."""
    if not folder.exists():
        return
    entries = {path.name for path in folder.iterdir()} if folder.is_dir() else {""}
    if not entries:
        return
    try:
        config = read_json(folder / CONFIG, folder)
        check_version(config, folder / CONFIG)
    except UsageError:
        raise UsageError(f"{folder} exists and is not a model folder: choose another folder") from None
    if others := sorted(entries - {*own_files(config)}):
        raise UsageError(f"{folder} also holds {others[0]}, which would be lost: choose another folder")
