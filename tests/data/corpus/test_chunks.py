"""A corpus that is read in chunks, through temporary files, is the same as one that is read at once."""

import gzip
import json
import logging
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlp_rnn.data import encoding
from nlp_rnn.data.corpus import spool, validation
from nlp_rnn.data.corpus.columns import LabelLists, Numbers, Texts, Vectors, Words
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.sentiment.data import SentimentData

COLUMNS = {"text": ("text",), "label": ("label",)}
WORDS = ["a", "good", "film", "", " ", "é", 'say "x"', "tab", "the end"]


@contextmanager
def chunks_of(rows, monkeypatch):
    """Read so many rows at once, and keep nothing in memory."""
    with monkeypatch.context() as patch:
        patch.setattr(spool, "CHUNK_ROWS", rows)
        patch.setattr(spool, "_IN_MEMORY", 0)
        patch.setattr(validation, "_HASHES_AT_ONCE", rows)
        patch.setattr(encoding, "_ROWS_PER_PART", rows)
        yield


def write(folder, form, rows, shards):
    """Write rows of text and label as train, in a number of files."""
    folder.mkdir()
    size = -(-len(rows) // shards)
    for shard in range(shards):
        part = rows[shard * size : (shard + 1) * size]
        name = folder / (f"train-{shard:05}-of-{shards:05}.{form}" if shards > 1 else f"train.{form}")
        if form == "parquet":
            pq.write_table(pa.table({"text": [r[0] for r in part], "label": [r[1] for r in part]}), name)
            continue
        if form.startswith("jsonl"):
            lines = [json.dumps({"text": text, "label": label}) for text, label in part]
        elif form == "csv":
            lines = ["text,label", *('"' + t.replace('"', '""') + f'",{label}' for t, label in part)]
        else:
            lines = ["text\tlabel", *(f"{text}\t{label}" for text, label in part)]
        content = "".join(f"{line}\n" for line in lines).encode()
        name.write_bytes(gzip.compress(content) if form.endswith(".gz") else content)


def outcome(corpus, caplog, columns=COLUMNS, labels="label"):
    """All that reading a corpus gives: rows, warnings, and what was drawn; or that it is refused."""
    caplog.clear()
    try:
        splits, drawn = corpus.load_drawn(columns, labels)
    except UsageError as error:
        return str(error)
    tables = {name: split.with_format("arrow")[:] for name, split in splits.items()}
    found = {name: (table.schema.remove_metadata(), table.to_pylist()) for name, table in tables.items()}
    return found, [record.getMessage() for record in caplog.records], drawn


rows_of_texts = st.lists(
    st.tuples(
        st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join),
        st.sampled_from(["a", "b", "1", "1.0", " a", "True"]),
    ),
    min_size=1,
    max_size=40,
)
in_any_format = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@in_any_format
@given(
    rows=rows_of_texts,
    form=st.sampled_from(["csv", "tsv", "tsv.gz", "jsonl", "jsonl.gz", "parquet"]),
    shards=st.integers(1, 3),
    chunk=st.integers(1, 15),
    limit=st.none() | st.integers(2, 20),
)
def test_text_and_labels(tmp_path_factory, monkeypatch, caplog, rows, form, shards, chunk, limit):
    folder = tmp_path_factory.mktemp("corpus") / "files"
    write(folder, form, rows, shards)
    corpus = Corpus(str(folder), max_examples=limit)
    whole = outcome(corpus, caplog)
    with chunks_of(chunk, monkeypatch):
        assert outcome(corpus, caplog) == whole


@in_any_format
@given(rows=rows_of_texts, chunk=st.integers(1, 9), held_out=rows_of_texts, grouped=st.booleans())
def test_a_table_in_memory_with_splits_or_groups(monkeypatch, caplog, rows, chunk, held_out, grouped):
    def table(rows):
        names = [text[:2] for text, _ in rows]
        return {"text": [r[0] for r in rows], "label": [r[1] for r in rows], "by": names}

    data = table(rows) if grouped else {"train": table(rows), "test": table(held_out)}
    corpus = Corpus(data, group="by" if grouped else None)
    whole = outcome(corpus, caplog)
    with chunks_of(chunk, monkeypatch):
        assert outcome(corpus, caplog) == whole


VALUES = {
    "numbers": (Numbers(("x",)), [1, 2.5, -3, 2**60, 2**63 + 1]),
    "a number is missing": (Numbers(("x",)), [1, 2.5, None, 3]),
    "lists": (Numbers(("x",)), [[1, 2], [0.5], []]),
    "vectors": (Vectors(("x",)), [[1, 2], [0.5, 3], [4, 5.5]]),
    "words": (Words(("x",)), [["a", "b"], [], None, ["c"]]),
    "split words": (Words(("x",)), ["a b", " c ", "['a', 'b']", None]),
    "floats as text": (("x",), [1e16, 2.0, 2.5, None]),
    "integers and floats as text": (("x",), [1, 1e16, 2.5, None]),
    "text": (Texts(("x",)), ["a", None, "b"]),
    "lists of labels": (LabelLists(("x",)), [["a", "b"], [], None, ["c"]]),
    "labels in text": (LabelLists(("x",)), ["a,b", " c ", "", None, "a;c", "b|c"]),
}

REFUSED = ("a number is missing",)


def fresh(names):
    """The same names, without what a reading has found."""
    return type(names)(tuple(names))


@pytest.mark.parametrize("chunk", [1, 2, 5])
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("kind", list(VALUES))
def test_columns_of_any_type(tmp_path, monkeypatch, caplog, kind, form, chunk):
    names, values = VALUES[kind]
    rows = values * 4
    path = tmp_path / f"train.{form}"
    if form == "parquet":
        rows = [float(value) if isinstance(value, int) else value for value in rows]
        pq.write_table(pa.table({"x": pa.array(rows)}), path)
    else:
        path.write_text("".join(json.dumps({"x": value}) + "\n" for value in rows))
    whole = outcome(Corpus(str(path)), caplog, {"value": fresh(names)}, None)
    assert (kind in REFUSED) == isinstance(whole, str)
    with chunks_of(chunk, monkeypatch):
        assert outcome(Corpus(str(path)), caplog, {"value": fresh(names)}, None) == whole


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_what_is_encoded(tmp_path, monkeypatch, caplog, chunk):
    """The processor, the encoded rows, the warnings and the summary, for each size of chunks."""
    rows = [(f"{'good' if n % 3 else 'bad'} film {n % 17} {'x ' * (n % 9)}", "ab"[n % 2]) for n in range(100)]
    write(tmp_path / "files", "jsonl", rows, 3)
    caplog.set_level(logging.WARNING)

    def prepared(cache):
        monkeypatch.setenv("NLP_RNN_CACHE", str(tmp_path / cache))
        caplog.clear()
        data = SentimentData(str(tmp_path / "files"), max_length=8)
        encoded = {name: rows[list(range(len(rows)))] for name, rows in data.splits.items()}
        lists = {
            name: {
                column: [list(v) if column == "token_ids" else v for v in values]
                for column, values in split.items()
            }
            for name, split in encoded.items()
        }
        batches = [batch.rows for batch in data.train_dataloader()]
        return data.processor.state(), lists, data.summary(), data.drawn, caplog.messages[:], batches

    whole = prepared("whole")
    with chunks_of(chunk, monkeypatch):
        assert prepared("chunks") == whole


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"x": "a"}'] * 3 + ['{"x": 1}'], "column 'text'"),
        (['{"x": "a"}'] * 3 + ['{"y": "a"}'], "no column 'x'"),
        (['{"x": "a"}'] * 3 + ["{"], "line 4: not JSON"),
    ],
)
def test_a_fault_in_a_later_chunk_is_refused(tmp_path, monkeypatch, lines, message):
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(lines))
    with chunks_of(2, monkeypatch), pytest.raises(UsageError, match=message):
        Corpus(str(path)).load({"text": ("x",)})
