"""The rows of extra corpora: those not in validation or test, encoded with their tag."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from nlp_rnn.data.corpus.corpus import as_dataset
from nlp_rnn.data.corpus.extra import ExtraCorpus, check_extra_labels, without_leaks
from nlp_rnn.data.encoding import encode_parts
from nlp_rnn.data.processor import Processor
from nlp_rnn.data.types import Dataset
from nlp_rnn.errors import UsageError
from nlp_rnn.settings import check_value


@dataclass(frozen=True)
class ExtraRows:
    """The rows of an extra corpus that are trained on.

    Args:
        corpus: where they come from.
        rows: with canonical columns.
    """

    corpus: ExtraCorpus
    rows: Dataset

    def encode(self, processor: Processor, schema: pa.Schema, vocabulary: str | None) -> Iterator[pa.Table]:
        """Encode the rows part by part, with the tag before their input.

        Args:
            processor: encodes the rows.
            schema: of the parts.
            vocabulary: the field of the processor that has the tag.

        Raises:
            UsageError: a row cannot be encoded, or the vocabulary has no such tag.
        """
        parts = encode_parts(self.rows, processor, schema)
        if self.corpus.tag is None:
            yield from parts
            return
        assert vocabulary is not None
        tag = processor.vocabularies()[vocabulary].tokenizer.token_to_id(self.corpus.tag)
        if tag is None:
            raise UsageError(
                f"extra corpus {self.corpus.path}: the vocabulary, which is a trained model's, has no tag "
                f"{self.corpus.tag}: leave out the tag, or train without that model"
            )
        column, limit = processor.length_columns[0], processor.settings()["max_length"]
        place = schema.get_field_index(column)
        for part in parts:
            tagged = [[tag, *ids][:limit] for ids in part[column].to_pylist()]
            yield part.set_column(place, schema.field(place), pa.array(tagged, schema.field(place).type))


def training_rows(
    corpus: ExtraCorpus,
    rows: Dataset,
    splits: Mapping[str, Dataset],
    keys: Sequence[Sequence[str]],
    labels: str | None,
) -> ExtraRows:
    """The rows of an extra corpus that may be trained on.

    Args:
        corpus: the extra corpus.
        rows: its rows, with canonical columns.
        splits: those of the main corpus.
        keys: lists of columns by which rows are found in validation and test, see `without_leaks`.
        labels: column of labels, if there is one.

    Raises:
        UsageError: no row is left, or one has a label that the main corpus has not.
    """
    tables = {name: _table(split) for name, split in splits.items()}
    train, where = tables.pop("train"), f"extra corpus {corpus.path}"
    table = _table(rows).select(train.column_names)
    check_extra_labels(where, table, train, labels)
    kept, _ = without_leaks(where, table, list(tables.values()), keys)
    return ExtraRows(corpus, as_dataset(kept))


def joined(train: Dataset, extras: Sequence[ExtraRows]) -> Dataset:
    """The rows of train and of all extra corpora, from which vocabularies are made."""
    if not extras:
        return train
    tables = [_table(train), *(_table(extra.rows) for extra in extras)]
    return as_dataset(pa.concat_tables(tables, promote_options="permissive"))


def check_extras(extras: Sequence[ExtraCorpus], reads_tags: bool, task: str) -> None:
    """Refuse tags where the rows of a task cannot have one.

    Args:
        extras: the settings.
        reads_tags: whether the task's rows can have a tag.
        task: the name of the DataModule in the message.

    Raises:
        UsageError: there is one.
    """
    check_value(Sequence[ExtraCorpus], extras, "extra")
    for extra in extras:
        if extra.tag is not None and not reads_tags:
            raise UsageError(f"extra: {task} has no tags, for its model predicts each token: leave out tag")


def _table(rows: Dataset) -> pa.Table:
    table: pa.Table = rows.with_format("arrow")[:]
    return table
