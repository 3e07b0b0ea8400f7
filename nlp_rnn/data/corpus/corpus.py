"""Where rows come from: the hub, local files or the built-in sentences -> splits with canonical columns."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc

from nlp_rnn.data.builtin.corpora import EXAMPLES, VERSION
from nlp_rnn.data.corpus.columns import Columns, select_columns
from nlp_rnn.data.corpus.splits import SPLITS, choose_splits, draw_validation, subsample
from nlp_rnn.data.corpus.tables import TABLE_SUFFIXES, read_table
from nlp_rnn.data.corpus.validation import Split, check_labels, has_hidden_labels, row_keys, validate_rows
from nlp_rnn.data.types import Dataset, DatasetDict
from nlp_rnn.errors import UsageError
from nlp_rnn.files import read_bytes, read_lines
from nlp_rnn.settings import Range, Seed, Settings

log = logging.getLogger(__name__)

_READING_VERSION = 2  # part of every key: raise it when the same files come to give other rows


@dataclass(frozen=True)
class Corpus(Settings):
    """Where rows come from; nothing is read before `load`.

    Args:
        path: one that comes with the package (builtin, hello, ramp, digits, motion), a local file or folder,
            or else the id of a hub dataset such as "stanfordnlp/imdb".
        config: configuration of a hub dataset.
        revision: revision of a hub dataset.
        train_split: name of a split, or of a local file without its extension; None finds it by itself.
        validation_split: likewise (dev, val, valid or validation); drawn from train if there is none.
        test_split: likewise.
        validation_fraction: how much of train becomes validation where the corpus has none.
        max_examples: at most so many rows a split, drawn at random, their order kept.
        seed: of both draws; the built-in sentences are always the same.
    """

    path: str = "builtin"
    config: str | None = None
    revision: str | None = None
    train_split: str | None = None
    validation_split: str | None = None
    test_split: str | None = None
    validation_fraction: Annotated[float, Range(1e-6, 0.999)] = 0.1
    max_examples: Annotated[int, Range(1, 10**12)] | None = None
    seed: Seed = 0

    def load(self, columns: Mapping[str, str | Sequence[str]], labels: str | None = None) -> DatasetDict:
        """The splits train, validation and, where the corpus has one, test.

        Args:
            columns: canonical name -> column name(s) to accept in the data, best first. The sides of
                parallel text are columns named by their file extensions: {"source": "de", "target": "en"}
                reads train.de and train.en. In files without a header the columns stand in this order.
                Where the names are `Words`, `Texts` or `Numbers`, it holds those rather than text.
            labels: canonical column of labels, one a row or a list of them. It is checked, the draws leave
                every label in train, and labels that are one a row stratify a drawn validation split.
                Where a row has such a label it is kept even if blank; else rows with a blank column go.

        Returns:
            Exactly the canonical columns, each text or lists of text, or numbers (float64) or lists of them.

        Raises:
            UsageError: for whatever is wrong with the data.
        """
        from datasets import Dataset, DatasetDict

        raw = {name: s for name, s in self.tables(columns).items() if not has_hidden_labels(name, s, labels)}
        tables = {name: validate_rows(where, table, labels) for name, (where, table) in raw.items()}
        for name, table in tables.items():
            if table.num_rows == 0:
                raise UsageError(f"{raw[name][0]}: no rows for the {name} split; give data with content")
        if labels is not None:
            check_labels(raw, labels)
        if "test" in tables:
            shared = pc.sum(pc.is_in(row_keys(tables["test"]), row_keys(tables["train"]))).as_py()
            if shared:
                log.warning("%s: %d test row(s) are also in train", raw["test"][0], shared)
        if "validation" not in tables:
            tables["train"], tables["validation"] = draw_validation(
                tables["train"], labels, self.validation_fraction, self.seed, self.path
            )
        names = [name for name in SPLITS if name in tables]
        return DatasetDict(
            {
                name: Dataset(subsample(name, tables[name], labels, self.max_examples, self.seed))
                for name in names
            }
        )

    def load_split(
        self, columns: Mapping[str, str | Sequence[str]], split: str, labels: str | None = None
    ) -> Dataset:
        """One split alone, to measure a model on, whatever other splits the corpus has or lacks.

        A single file is the split that is asked for. Arguments and errors otherwise as for `load`.
        """
        from datasets import Dataset

        raw = self.table(columns, split)
        if raw is None:  # validation, which is to be drawn
            return self.load(columns, labels)[split]
        if has_hidden_labels(split, raw, labels):
            raise UsageError(f"{raw[0]}: its labels are hidden; measure on another split")
        table = validate_rows(raw[0], raw[1], labels)
        if table.num_rows == 0:
            raise UsageError(f"{raw[0]}: no rows for the {split} split; give data with content")
        return Dataset(subsample(split, table, None, self.max_examples, self.seed))

    def cache_key(self, columns: Mapping[str, str | Sequence[str]], labels: str | None = None) -> str:
        """SHA-256 (hex) of content and settings, without parsing: equal keys, equal rows from `load`.

        Local files count by their bytes, not by where they lie.
        """
        accepted = _accepted(columns)
        settings = {name: value for name, value in dataclasses.asdict(self).items() if name != "path"}
        digest = hashlib.sha256(
            json.dumps([_READING_VERSION, settings, list(accepted.items()), labels]).encode()
        )
        if self._is_built_in():
            digest.update(f"{self.path} {VERSION}".encode())
        elif local := self._local():
            for name, files in self._split_files(local, accepted).items():
                for file in files:
                    content = hashlib.sha256(read_bytes(file)).hexdigest()
                    digest.update(f"{name} {file.suffix} {content}\n".encode())
        else:
            for name, split in self._load_hub().items():
                digest.update(f"{self.path} {name} {split._fingerprint}\n".encode())
        return digest.hexdigest()

    # ------------------------------------------------------------------------------------- sources

    def tables(self, columns: Mapping[str, str | Sequence[str]], only: str | None = None) -> dict[str, Split]:
        """The splits as they stand there, or one alone, with the wanted columns and nothing checked."""
        accepted, read = _accepted(columns), {}
        if self._is_built_in():
            for name, table in EXAMPLES[self.path]().items():
                where = f"corpus {self.path}, split {name}"
                if only in (None, name):
                    read[name] = where, select_columns(table, accepted, where)
            return read
        if local := self._local():
            chosen = self._split_files(local, accepted, only)
            return {name: _read_files(files, accepted) for name, files in chosen.items()}
        hub = self._load_hub()
        for split, name in choose_splits(list(hub), self._asked(), f"dataset {self.path}", only).items():
            where = f"dataset {self.path}, split {name}"
            read[split] = where, select_columns(hub[name].with_format("arrow")[:], accepted, where)
        return read

    def table(self, columns: Mapping[str, str | Sequence[str]], split: str) -> Split | None:
        """One split as it stands there, which of a single file is all of it; None for one to be drawn."""
        if split not in SPLITS:
            raise UsageError(f"unknown split {split!r}: use one of {', '.join(SPLITS)}")
        local = None if self._is_built_in() else self._local()
        if local is not None and not local.is_dir():
            return _read_files([local], _accepted(columns))
        found = self.tables(columns, only=split).get(split)
        if found is None and split != "validation":
            names = ", ".join(EXAMPLES[self.path]())
            raise UsageError(f"corpus {self.path} has no {split} split; it has {names}")
        return found

    def _asked(self) -> dict[str, str | None]:
        """The names that splits are said to have."""
        return {"train": self.train_split, "validation": self.validation_split, "test": self.test_split}

    def _is_built_in(self) -> bool:
        if self.path not in EXAMPLES:
            return False
        if any(self._asked().values()):
            raise UsageError(f"corpus {self.path} has splits of its own: leave train_split and others out")
        if Path(self.path).exists():
            raise UsageError(
                f"{self.path}: both a corpus that comes with the package and a path here: "
                f"write ./{self.path} for the path, or go to another folder for the corpus"
            )
        return True

    def _local(self) -> Path | None:
        """The local file or folder that `path` names; None for a hub dataset."""
        path = Path(self.path).expanduser()
        if path.exists():
            return path
        if path.suffix.lower() in TABLE_SUFFIXES or not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", self.path):
            raise UsageError(
                f"{self.path}: no such file or folder; give one, a hub id (owner/name), or "
                f"{', '.join(EXAMPLES)}"
            )
        return None

    def _split_files(self, local: Path, columns: Columns, only: str | None = None) -> dict[str, list[Path]]:
        """split -> its file: one table, or the sides of parallel text"""
        if not local.is_dir():
            if any(self._asked().values()):
                raise UsageError(f"{local}: a single file is the train split; to name splits give a folder")
            return {"train": [local]}
        sides = {name for names in columns.values() for name in names}
        found: dict[str, list[Path]] = {}
        for file in sorted(local.iterdir()):
            known = file.suffix.lower() in TABLE_SUFFIXES or file.suffix[1:] in sides
            if known and not file.name.startswith("."):
                found.setdefault(file.stem, []).append(file)
        if not found:
            endings = ", ".join(f".{name}" for name in sorted(sides))
            raise UsageError(
                f"{local}: nothing to read: give tables ({', '.join(TABLE_SUFFIXES)}), or text in files "
                f"that end in the name of a column: {endings}"
            )
        chosen = choose_splits(list(found), self._asked(), str(local), only)
        return {split: found[stem] for split, stem in chosen.items()}

    def _load_hub(self) -> DatasetDict:
        """The dataset from the hub or its local cache, without running code of the dataset."""
        import datasets

        offline = datasets.config.HF_HUB_OFFLINE
        unreachable = offline or not _hub_is_reachable()
        name = f"dataset {self.path}" + (f", config {self.config}" if self.config else "")
        try:
            datasets.config.HF_HUB_OFFLINE = unreachable  # the cache at once, without retries
            return datasets.load_dataset(self.path, self.config, revision=self.revision)
        except Exception as error:  # of many libraries and kinds
            if unreachable:
                raise UsageError(
                    f"{name}: not in the local cache and the hub cannot be reached (nor is it a local "
                    "path); go online once to download it, or give a local file or folder"
                ) from error
            raise UsageError(f"{name}: cannot be loaded: {' '.join(str(error).split())[:500]}") from error
        finally:
            datasets.config.HF_HUB_OFFLINE = offline


# ------------------------------------------------------------------------------------------ one source


def _accepted(columns: Mapping[str, str | Sequence[str]]) -> dict[str, tuple[str, ...]]:
    for name, names in columns.items():
        if not names or not any(names):
            raise UsageError(f"no column is named for {name}; name one")
    return {
        name: names if isinstance(names, tuple) else (names,) if isinstance(names, str) else tuple(names)
        for name, names in columns.items()
    }


def _read_files(files: list[Path], columns: Columns) -> Split:
    tables = [file for file in files if file.suffix.lower() in TABLE_SUFFIXES]
    if len(tables) > 1:
        raise UsageError(f"{tables[0]}: {tables[1].name} lies beside it; keep one of the two")
    if tables:
        return str(tables[0]), read_table(tables[0], columns)
    lines = {}
    for name, accepted in columns.items():
        side = [file for extension in accepted for file in files if file.suffix[1:] == extension]
        if not side:
            wanted = " or ".join(f"{files[0].stem}.{extension}" for extension in accepted)
            raise UsageError(
                f"{files[0]}: not one of the formats {', '.join(TABLE_SUFFIXES)}, and as one side of "
                f"parallel text it needs a folder that also holds {wanted}"
            )
        lines[name] = (side[0], read_lines(side[0]))
    if len({len(rows) for _, rows in lines.values()}) > 1:
        counts = ", ".join(f"{file.name} {len(rows)}" for file, rows in lines.values())
        raise UsageError(
            f"{files[0].parent}: parallel files of unequal length, in lines {counts}; align them"
        )
    where = " and ".join(str(file) for file, _ in lines.values())
    return where, pa.table({name: pa.array(rows, pa.string()) for name, (_, rows) in lines.items()})


def _hub_is_reachable() -> bool:
    import datasets
    import huggingface_hub

    try:
        huggingface_hub.get_session().head(datasets.config.HF_ENDPOINT, timeout=5)
    except Exception:  # which ones depends on the installed HTTP library
        return False
    return True
