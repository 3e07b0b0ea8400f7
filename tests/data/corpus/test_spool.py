"""Tables that grow part by part: what is in memory, what is on disk, and that nothing is left behind."""

import errno

import numpy as np
import pyarrow as pa
import pytest

from nlp_rnn.data.corpus import spool
from nlp_rnn.data.corpus.spool import (
    Spool,
    convert_chunks,
    empty_array,
    joined_array,
    row_chunks,
    row_numbers,
    spooled,
    table_chunks,
    temporary_copy,
)
from nlp_rnn.errors import RunError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NLP_RNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def table(start, size):
    return pa.table({"n": pa.array(range(start, start + size)), "t": [f"text {n}" for n in range(size)]})


def test_small_tables_stay_in_memory(cache):
    assert spooled([table(0, 3), table(3, 2)])["n"].to_pylist() == [0, 1, 2, 3, 4]
    assert not cache.exists()


def test_large_tables_are_mapped_from_a_file_without_a_name(cache, monkeypatch):
    monkeypatch.setattr(spool, "_IN_MEMORY", 1000)
    pa.default_memory_pool().release_unused()
    before = pa.total_allocated_bytes()
    whole = spooled(table(start, 1000) for start in range(0, 100_000, 1000))
    assert pa.total_allocated_bytes() - before < whole.nbytes / 20
    assert not list(cache.iterdir())
    assert np.array_equal(whole["n"].to_numpy(), np.arange(100_000))
    assert whole["t"][99_999].as_py() == "text 999"


@pytest.mark.parametrize("limit", [0, 10**9])
def test_parts_of_types_that_go_together(limit, monkeypatch):
    monkeypatch.setattr(spool, "_IN_MEMORY", limit)
    parts = [[1, 2], [None], [0.5], [3]]
    whole = spooled(pa.table({"x": pa.array(part)}) for part in parts)
    assert whole["x"].type == pa.float64()
    assert whole["x"].to_pylist() == [1, 2, None, 0.5, 3]
    with pytest.raises(pa.ArrowException):
        spooled(pa.table({"x": pa.array(part)}) for part in ([1], ["a"]))


def test_a_full_disk_is_one_line(monkeypatch):
    class Full:
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

        closed = False

    monkeypatch.setattr(spool.tempfile, "TemporaryFile", lambda dir: Full())
    with pytest.raises(RunError, match=r"cache folder .*No space left.*set NLP_RNN_CACHE"):
        temporary_copy([b"x"])
    monkeypatch.setattr(spool, "_IN_MEMORY", 0)
    with pytest.raises(RunError, match=r"cache folder .*No space left.*set NLP_RNN_CACHE"):
        Spool().add(table(0, 10))


@pytest.mark.parametrize("limit", [79, 80])
def test_large_arrays_are_in_a_file_without_a_name(limit, cache, monkeypatch):
    monkeypatch.setattr(spool, "_ARRAY_IN_MEMORY", limit)
    array = empty_array((5, 2), np.int64)
    array[:] = np.arange(10).reshape(5, 2)
    array[2, 1] = -1
    assert array.tolist() == [[0, 1], [2, 3], [4, -1], [6, 7], [8, 9]]
    assert type(array) is np.ndarray  # numpy shuffles other types in another way
    assert cache.exists() == (limit == 79)
    assert not list(cache.glob("*"))


def test_arrays_are_joined(cache, monkeypatch):
    monkeypatch.setattr(spool, "_ARRAY_IN_MEMORY", 8)
    monkeypatch.setattr(spool, "CHUNK_ROWS", 3)
    parts = (np.arange(size) for size in (2, 0, 3))
    joined = joined_array(parts, 5, np.int32)
    assert (joined.dtype, joined.tolist()) == (np.int32, [0, 1, 0, 1, 2])
    assert row_numbers(10).tolist() == list(range(10))
    assert row_numbers(0).tolist() == joined_array([], 0, np.int64).tolist() == []


def test_chunks_of_rows_and_of_columns(monkeypatch):
    monkeypatch.setattr(spool, "CHUNK_ROWS", 3)
    assert list(row_chunks(range(7))) == [(0, [0, 1, 2]), (3, [3, 4, 5]), (6, [6])]
    assert list(row_chunks([])) == [(0, [])]
    assert [(start, len(part)) for start, part in table_chunks(table(0, 7))] == [(0, 3), (3, 3), (6, 1)]
    calls = []

    def convert(chunk, start):
        calls.append((start, len(chunk)))
        return pa.array([None if x is None else x + start for x in chunk.to_pylist()], pa.int64())

    column = pa.chunked_array([[1, 2], [None, 4, 5, 6]])
    assert convert_chunks(column, convert).to_pylist() == [1, 2, None, 6, 7, 11]
    assert calls == [(0, 2), (2, 3), (5, 1)]
    assert convert_chunks(pa.chunked_array([], pa.int64()), convert).to_pylist() == []
