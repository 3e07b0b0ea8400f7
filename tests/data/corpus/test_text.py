"""Text files are read as lines, and refused with a line and a remedy."""

import bz2
import gzip
import lzma
import os
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_rnn.data.corpus.layout import Layout
from nlp_rnn.data.corpus.tables import read_table
from nlp_rnn.data.corpus.text import data_stem, data_suffix, read_lines, stream_lines
from nlp_rnn.errors import UsageError

COLUMNS = {"text": ("text", "sentence"), "label": ("label",)}


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def rows(table: pa.Table) -> list[tuple[str, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        pytest.param("", [], id="empty file"),
        pytest.param("\n", [""], id="one empty line"),
        pytest.param("a\nb", ["a", "b"], id="no end of line at the end"),
        pytest.param("\ufeffa\nb\n", ["a", "b"], id="row 1, byte-order mark"),
        pytest.param("a\r\n\r\nb\r\n", ["a", "", "b"], id="row 2, CRLF"),
        pytest.param(
            "a\rb\u2028c\x85d\x0ce\nf\n", ["a\rb\u2028c\x85d\x0ce", "f"], id="row 3, other separators"
        ),
        pytest.param("x" * 1_000_000 + "\ny\n", ["x" * 1_000_000, "y"], id="row 7, a line of 1 MB"),
    ],
)
def test_read_lines(tmp_path, content, lines):
    assert read_lines(write(tmp_path, "text", content)) == lines


@given(st.lists(st.text(st.characters(exclude_characters="\r\n\ufeff", codec="utf-8"))))
def test_read_lines_gives_back_any_lines(tmp_path_factory, lines):
    folder = tmp_path_factory.mktemp("lines")
    for end in ("\n", "\r\n"):
        assert read_lines(write(folder, "text", "".join(line + end for line in lines))) == lines


def test_nul_is_text_and_counted_once(tmp_path, caplog):
    path = write(tmp_path, "a.tsv", "a\0b\t1\n\0\t0\n")
    assert rows(read_table(path, COLUMNS)) == [("a\0b", "1"), ("\0", "0")]
    assert [record.message for record in caplog.records] == [
        f"{path}: kept 2 NUL character(s) as text",
        f"{path}: no header, so its columns are read as text, label, and 'a\\x00b', '1' as the first row; "
        "if that is wrong, state the columns in their order, for example corpus.columns [text, label]",
    ]


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl", "a.conllu"])
def test_invalid_utf8_names_file_line_and_offset(tmp_path, name):
    path = write(tmp_path, name, b"\xef\xbb\xbfgut\t1\nsch\xf6n\t1\n")
    with pytest.raises(UsageError, match=r"a\.\w+, line 2: invalid UTF-8 at byte offset 12 "):
        read_table(path, COLUMNS)


class TestRow18PathsThatAreNoFiles:
    def test_directory(self, tmp_path):
        with pytest.raises(UsageError, match="is a directory"):
            read_lines(tmp_path)

    def test_fifo(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(UsageError, match="pipe: is not a regular file"):
            read_lines(tmp_path / "pipe")

    def test_missing(self, tmp_path):
        with pytest.raises(UsageError, match="nothing: no such file"):
            read_lines(tmp_path / "nothing")

    def test_unreadable(self, tmp_path, monkeypatch):
        path = write(tmp_path, "secret", "x")

        def refuse(self, *_):  # permissions do not stop root, who may run this test
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(UsageError, match=r"secret: cannot be read \(Permission denied\)"):
            read_lines(path)


CONTENT = "text,label\ngood,1\nbad,0\n"


@pytest.mark.parametrize(
    ("ending", "compress"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", lambda data: pa.compress(data, "zstd", asbytes=True)),
        (".GZ", gzip.compress),
    ],
)
def test_compressed_files_are_read_and_damaged_ones_named(tmp_path, ending, compress):
    path = write(tmp_path, f"a.csv{ending}", compress(CONTENT.encode()))
    assert data_suffix(path) == ".csv"
    assert data_stem(path) == "a"
    assert rows(read_table(path, COLUMNS)) == [("good", "1"), ("bad", "0")]
    for damaged in (compress(CONTENT.encode())[:-9], CONTENT.encode()):
        path.write_bytes(damaged)
        with pytest.raises(UsageError, match=rf"a\.csv\{ending}: damaged, or not \{ending.lower()} \("):
            read_table(path, COLUMNS)


def test_an_archive_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"a\.zip: an archive of files; unpack it"):
        read_lines(write(tmp_path, "a.zip", b"PK"))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path, encoding):
    path = write(tmp_path, "a.csv", CONTENT.encode(encoding))
    assert rows(read_table(path, COLUMNS)) == [("good", "1"), ("bad", "0")]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Die Bäume sind schön und größer sagte Frau Müller"),
        ("cp1252", "le café était très bon et la crème brûlée aussi"),
        ("cp1251", "Этот фильм был очень хороший и смешной"),
        ("cp949", "이 영화는 정말 재미있었다 그리고 좋았다"),
        ("gb18030", "味道很好下次还来送餐太慢饭都凉了"),
    ],
)
def test_a_likely_encoding_is_named_and_can_be_set(tmp_path, encoding, text):
    path = write(tmp_path, "a.csv", f"text,label\n{text},1\n".encode(encoding))
    with pytest.raises(UsageError) as error:
        read_table(path, COLUMNS)
    assert "line 2: invalid UTF-8 at byte offset" in str(error.value)
    assert f"set corpus.encoding to {encoding}, or convert it: iconv -f {encoding} -t utf-8" in str(
        error.value
    )
    assert rows(read_table(path, COLUMNS, Layout(encoding=encoding)))[0][0].startswith(text[:9])


def test_a_compressed_file_is_not_converted_as_it_is(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress("text,label\nschön und größer,1\n".encode("cp1252")))
    with pytest.raises(UsageError, match=r"set corpus\.encoding to cp\d+$"):
        read_table(tmp_path / "a.csv.gz", COLUMNS)


def test_an_encoding_that_does_not_exist_is_refused(tmp_path):
    path = write(tmp_path, "a.csv", CONTENT)
    with pytest.raises(UsageError, match=r"corpus\.encoding: there is no encoding 'utf-9'"):
        read_table(path, COLUMNS, Layout(encoding="utf-9"))


@pytest.mark.parametrize("encoding", ["a\0b", "undefined", "base64"])
def test_what_is_no_encoding_of_text_is_refused(tmp_path, encoding):
    (tmp_path / "a.csv").write_text("text,label\n")
    with pytest.raises(UsageError, match=r"corpus\.encoding: there is no encoding"):
        read_lines(tmp_path / "a.csv", encoding)


@pytest.mark.parametrize(
    ("content", "lines", "warns"),
    [
        ("\ufeffé", ["é"], False),  # its byte-order mark says that it is UTF-8
        ("é", ["Ã©"], True),
        ("e", ["e"], False),
    ],
)
def test_utf8_that_is_read_in_another_encoding_is_told(tmp_path, content, lines, warns, caplog):
    (tmp_path / "a.txt").write_text(content, encoding="utf-8")
    assert read_lines(tmp_path / "a.txt", "cp1252") == lines
    assert ("its bytes are valid UTF-8" in caplog.text) == warns


COMPRESS = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: pa.compress(data, "zstd", asbytes=True),
}


@pytest.mark.parametrize("block", [3, 7, 1 << 20])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("ending", COMPRESS)
def test_lines_are_the_same_when_they_are_streamed(tmp_path, monkeypatch, ending, encoding, block):
    monkeypatch.setattr("nlp_rnn.data.corpus.text._BLOCK", block)
    for text in ("", "\n", "é\r\nab\n\nxü\0", "é\r\nab\n\nxü\n"):
        path = write(tmp_path, f"in.txt{ending}", COMPRESS[ending](text.encode(encoding)))
        streamed = [line.removesuffix("\r") for line in stream_lines(path, encoding)]
        assert streamed == read_lines(path, encoding)


@pytest.mark.parametrize("block", [3, 1 << 20])
@pytest.mark.parametrize(
    "content", [b"ab\n\xc3\xbc\xc3\xbc\nx\xff\xfee\nk\n", b"ab\n\xc3", b"\n\n\xe9t\xe9\n"]
)
def test_streamed_text_in_another_encoding_is_refused_alike(tmp_path, monkeypatch, content, block):
    path = write(tmp_path, "in.txt", content)
    with pytest.raises(UsageError) as whole:
        read_lines(path)
    monkeypatch.setattr("nlp_rnn.data.corpus.text._BLOCK", block)
    with pytest.raises(UsageError) as streamed:
        list(stream_lines(path))
    assert str(streamed.value).partition(";")[0] == str(whole.value).partition(";")[0]


def test_streamed_text_is_warned_of(tmp_path, caplog):
    path = write(tmp_path, "in.txt", "é\0\n\0")
    list(stream_lines(path, "cp1252", setting="--encoding"))
    nuls, encoding = (message.partition(": ")[2] for message in caplog.messages)
    assert nuls == "kept 2 NUL character(s) as text"
    assert encoding.startswith("read as cp1252, as --encoding says, but its bytes are valid UTF-8;")
