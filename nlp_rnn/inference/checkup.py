"""Checking a model folder: all that loading checks, each for itself, and an answer."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from nlp_rnn.errors import UsageError, one_line
from nlp_rnn.inference.pipelines import Pipeline
from nlp_rnn.lite.folders.folder import (
    CARD,
    CONFIG,
    WEIGHTS,
    check_is_model,
    check_special_ids,
    check_version,
    own_files,
    read_json,
    read_tokenizer,
    require_inside,
    tokenizer_file,
)
from nlp_rnn.lite.text.notices import collect_warnings
from nlp_rnn.storage.card_edit import read_results
from nlp_rnn.storage.reading import read_weights
from nlp_rnn.storage.stored import StoredModel
from nlp_rnn.tasks.pretrained import checks_of_stored, describe, from_pretrained

T = TypeVar("T")

_TOLERANCE = 1e-3  # between the numbers of two answers; batches differ by rounding alone


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Args:
        name: what was checked.
        state: "ok", "wrong", or "not checked" for want of something that is wrong.
        message: what was found, or what is wrong and what to do.
    """

    name: str
    state: str
    message: str = ""

    def __str__(self) -> str:
        return f"{self.state:<12} {self.name}{self.message and ': '}{self.message}"


class _Checkup:
    """Collects outcomes; a check that fails ends none of the others."""

    def __init__(self) -> None:
        self.checks: list[Check] = []

    def run(self, name: str, check: Callable[[], T], found: Callable[[T], str] = lambda _: "") -> T | None:
        """What a check returns; None if something is wrong."""
        try:
            value = check()
        except UsageError as error:
            self.checks.append(Check(name, "wrong", str(error)))
            return None
        except Exception as error:  # a fault of this package, which is to end no other check
            message = one_line(f"{type(error).__name__}: {error}; this should not happen: report it")
            self.checks.append(Check(name, "wrong", message))
            return None
        self.checks.append(Check(name, "ok", found(value)))
        return value

    def skip(self, reason: str, *names: str) -> None:
        """Note checks that cannot be made."""
        self.checks += [Check(name, "not checked", reason) for name in names]


def check_folder(folder: str | Path) -> list[Check]:
    """Check a model folder: its files, settings, tokenizers, tensors and checksums, its card, and an answer.

    Args:
        folder: the model folder, which may be damaged in any way.

    Returns:
        The outcomes, in the order in which they were made.

    Raises:
        UsageError: there is no such folder, or it only contains a model folder.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise UsageError(f"{folder}: not a folder")
    check_is_model(folder, path)
    checkup = _Checkup()
    config = checkup.run("configuration", lambda: read_json(path / CONFIG, path))
    known = {} if config is None else config
    _check_files(checkup, path, known)
    texts: dict[str, str] | None = None
    if config is None:
        checkup.skip(f"{CONFIG} cannot be read", "format version", "special ids", "tokenizers")
    else:
        checkup.run("format version", lambda: check_version(known, path / CONFIG))
        checkup.run("special ids", lambda: check_special_ids(known, path / CONFIG))
        texts = _check_tokenizers(checkup, path, known)
    weights = checkup.run(WEIGHTS, lambda: read_weights(path / WEIGHTS, path), lambda w: f"{len(w)} tensors")
    _check_stored(checkup, path, known, texts, weights)
    checkup.run("card", lambda: _read_card(path), lambda found: found)
    task = checkup.run("loading", lambda: from_pretrained(path), lambda task: task.summary())
    if task is None:
        checkup.skip("the model cannot be loaded", "answer")
    else:
        checkup.run("answer", lambda: _answer(Pipeline(task)), lambda found: found)
    return checkup.checks


def _check_files(checkup: _Checkup, path: Path, config: Mapping[str, Any]) -> None:
    for name in (name for name in own_files(config) if name != CARD):

        def check(file: Path = path / name) -> str:
            if not require_inside(file, path).is_file():
                raise UsageError(f"{file}: is missing; copy the whole folder again, or write it again")
            return f"{file.stat().st_size:,} bytes"

        checkup.run(f"file {name}", check, lambda size: size)


def _check_tokenizers(checkup: _Checkup, path: Path, config: Mapping[str, Any]) -> dict[str, str] | None:
    """The texts of the tokenizers by name; None if one of them is not in order."""
    vocabularies = config.get("vocabularies")
    if not isinstance(vocabularies, Mapping):  # of series there are none
        checkup.checks.append(Check("tokenizers", "wrong", f"{path / CONFIG}: names no vocabularies"))
        return None
    texts: dict[str, str] = {}
    for name in vocabularies:

        def read(name: str = name) -> str:
            entry = vocabularies[name]
            is_described = isinstance(entry, Mapping) and {"size", "hash"} <= {*entry}
            if not (name.isidentifier() and is_described):
                raise UsageError(f"{path / CONFIG}: vocabulary {name!r:.40} is not described")
            file = path / tokenizer_file(name, vocabularies)
            return read_tokenizer(file, path, entry["size"], entry["hash"])[0]

        text = checkup.run(f"tokenizer {name}", read)
        if text is not None:
            texts[name] = text
    return texts if len(texts) == len(vocabularies) else None


def _check_stored(
    checkup: _Checkup,
    path: Path,
    config: Mapping[str, Any],
    texts: dict[str, str] | None,
    weights: dict[str, Any] | None,
) -> None:
    """What the settings describe, and whether tensors and checksums fit."""
    names = ("tensors", "vocabularies and labels", "checksums")
    processor = config.get("processor")
    if texts is None or not isinstance(processor, Mapping):
        checkup.skip("the configuration or a tokenizer is not in order", "settings", *names)
        return
    whole = {**config, "processor": {**processor, "tokenizers": texts}}
    described = checkup.run("settings", lambda: describe(whole, path / CONFIG), lambda d: str(config["task"]))
    if described is None or weights is None:
        checkup.skip("the settings or the weights are not in order", *names)
        return
    stored = StoredModel(whole, weights, path / CONFIG, path / WEIGHTS)
    for name, check in checks_of_stored(stored, described).items():
        checkup.run(name, check)


def _read_card(path: Path) -> str:
    """What the card has. A model answers without one."""
    if not require_inside(path / CARD, path).is_file():
        return "there is none"
    return f"{len(read_results(path))} results that can be measured again"


def _answer(pipeline: Pipeline) -> str:
    """The answer to the example of the task: the same alone and in a batch, and without NaN."""
    example = pipeline.task.example
    with collect_warnings():  # one of the tokens of the example that the vocabulary lacks
        alone, beside = pipeline([example])[0], pipeline([example, example])[1]
    asked, answered = (json.dumps(value, ensure_ascii=False)[:80] for value in (example, alone))
    numbers, others = list(_numbers(alone)), list(_numbers(beside))
    if not all(map(math.isfinite, numbers)):
        raise UsageError(f"the answer to {asked} has numbers that are NaN or infinite: train the model again")
    if len(numbers) != len(others) or any(
        abs(one - other) > _TOLERANCE * max(1.0, abs(one)) for one, other in zip(numbers, others, strict=True)
    ):
        raise UsageError(f"the answer to {asked} depends on what else is in the batch; report this")
    return f"{asked} -> {answered}"


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, float):
        yield value
