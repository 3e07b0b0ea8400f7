"""Word vectors: every format that people have, matched, measured and written."""

import bz2
import gzip
import lzma
import sys
import tracemalloc
import zipfile

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_rnn.data.vocabulary import SPECIALS
from nlp_rnn.errors import UsageError
from nlp_rnn.storage.vectors import find_vectors, write_vectors

WORDS = {"the": [0.5, -1.0, 2.0], "Straße": [1.0, 2.0, 3.0], "film": [1e-3, 0.0, -7.25]}
TEXT = "".join(f"{word} {' '.join(map(str, row))}\n" for word, row in WORDS.items())
HEADER = f"{len(WORDS)} 3\n"
BINARY = HEADER.encode() + b"".join(
    word.encode() + b" " + np.array(row, "<f4").tobytes() for word, row in WORDS.items()
)
TOKENS = [*SPECIALS, *WORDS]


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def zipped(files):
    def compress(path):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)

    return compress


def zstandard(data):
    return pa.compress(data, codec="zstd", asbytes=True)


FORMATS = {
    "glove.txt": TEXT,
    "windows.txt": TEXT.replace("\n", "\r\n"),
    "no_last_line_break.txt": TEXT.rstrip(),
    "tabs.txt": TEXT.replace(" ", "\t"),
    "a_tab_behind_the_word.txt": "".join(line.replace(" ", "\t", 1) for line in TEXT.splitlines(True)),
    "fasttext.vec": HEADER + TEXT.replace("\n", " \n"),
    "word2vec.txt": HEADER + TEXT,
    "word2vec.bin": BINARY,
    "line_breaks.bin": HEADER.encode()
    + b"".join(word.encode() + b" " + np.array(row, "<f4").tobytes() + b"\n" for word, row in WORDS.items()),
    "byte_order_mark.txt": "\ufeff" + TEXT,
    "byte_order_mark.vec": "\ufeff" + HEADER + TEXT,
    "glove.txt.gz": gzip.compress(TEXT.encode()),
    "word2vec.bin.gz": gzip.compress(BINARY),
    "glove.txt.bz2": bz2.compress(TEXT.encode()),
    "glove.txt.xz": lzma.compress(TEXT.encode()),
    "glove.txt.zst": zstandard(TEXT.encode()),
}


@pytest.mark.parametrize("name", FORMATS)
def test_reads_every_format(name, tmp_path):
    vectors = find_vectors(write(tmp_path / name, FORMATS[name]), TOKENS)
    assert vectors.ranks.tolist() == [-1, -1, -1, -1, 0, 0, 0]
    np.testing.assert_allclose(vectors.matrix[4:], np.array(list(WORDS.values()), np.float32))
    assert not vectors.matrix[:4].any()
    assert vectors.report() == "3 of 3 tokens found (100.0%: 3 as written)"


def test_reads_archives(tmp_path):
    zipped({"glove.3d.txt": TEXT})(tmp_path / "one.zip")
    zipped({"a.txt": "the 9 9 9\n", "b.txt": TEXT})(tmp_path / "two.zip")
    for path in ("one.zip", "one.zip/glove.3d.txt", "two.zip/b.txt"):
        assert find_vectors(tmp_path / path, TOKENS).matrix[4].tolist() == WORDS["the"]
    for path in ("two.zip", "two.zip/c.txt"):
        with pytest.raises(UsageError, match=r"two.zip: an archive of a.txt, b.txt; name one, as in .*two"):
            find_vectors(tmp_path / path, TOKENS)


MATCHES = {
    "as written before lower case": (["apple", "Apple"], "Apple", 1, 0),
    "lower case of the file": (["Apple", "APPLE"], "apple", 0, 1),
    "lower case of the vocabulary": (["apple"], "Apple", 0, 1),
    "normalized": (["\ufb01lm"], "film", 0, 2),  # a ligature
    "folded": (["STRASSE"], "straße", 0, 2),
    "the first of several": (["APPLE", "aPPle"], "apple", 0, 1),
    "a word with spaces": (["new york"], "new york", 0, 0),
    "a number": (["1.5"], "1.5", 0, 0),
    "a number first": (["5"], "5", 0, 0),
    "the unknown token": (["<unk>"], "<unk>", 0, 0),
}


@pytest.mark.parametrize("case", MATCHES)
def test_matches(case, tmp_path):
    words, token, row, rank = MATCHES[case]
    text = "7 0 0\nsecond 0 0\n" + "".join(f"{word} {i} 1\n" for i, word in enumerate(words))
    vectors = find_vectors(write(tmp_path / "v.txt", text), [SPECIALS[0], token])
    assert vectors.ranks[1] == rank
    assert vectors.matrix[1].tolist() == [row, 1]


def test_padding_has_no_vector(tmp_path):
    assert not find_vectors(write(tmp_path / "v.txt", "<pad> 1 1\n"), SPECIALS).is_found.any()


def test_damaged_lines_are_left_out_and_named(tmp_path, caplog):
    lines = [f"w{i} {i} 1" for i in range(300)]
    lines[6], lines[49] = "w6 1", "w49 1 nan"
    vectors = find_vectors(write(tmp_path / "v.txt", "\n".join(lines)), [f"w{i}" for i in range(300)])
    assert np.flatnonzero(~vectors.is_found).tolist() == [0, 6, 49]  # 0 stands for padding
    assert caplog.messages == [f"{tmp_path / 'v.txt'}: left out 2 damaged line(s): 7, 50"]


@pytest.mark.parametrize(
    ("count", "content"),
    [(2, TEXT.encode()), (4, TEXT.encode()), (4, BINARY[len(HEADER) :])],
    ids=["more", "fewer", "fewer in binary"],
)
def test_says_when_the_first_line_is_wrong(count, content, tmp_path, caplog):
    path = write(tmp_path / "v.vec", f"{count} 3\n".encode() + content)
    assert find_vectors(path, TOKENS).is_found.sum() == 3
    assert caplog.messages == [f"{path}: has 3 vectors, its first line says {count}; it may be cut off"]


def test_says_when_binary_vectors_go_on(tmp_path, caplog):
    path = write(tmp_path / "v.bin", b"2 3\n" + BINARY[len(HEADER) :])
    assert find_vectors(path, TOKENS).is_found.sum() == 2
    assert caplog.messages == [f"{path}: goes on behind the 2 vectors of its first line"]


ERRORS = {
    "missing": (None, "no such file"),
    "empty": ("", "line 1: not a word and its numbers; give vectors"),
    "text": ("this is\nno file of vectors\n", "v.txt, line 1: not a word and 1 numbers"),
    "a table": ("text,label\ngood,1\n", "line 1: not a word and its numbers"),
    "fastText": (
        (793712314).to_bytes(4, "little") + b"\x0c" * 40,
        "a fastText model in another file",
    ),
    "a smaller size in the first line": (
        HEADER.replace("3\n", "2\n") + TEXT,
        "its first line says that vectors have 2 dimensions, but its lines have 3 numbers",
    ),
    "a smaller size in the first line of a binary file": (
        b"50 2\n" + b"".join(b"w%d " % i + np.array([0.1, -0.3, i], "<f4").tobytes() for i in range(50)),
        "not a word and 2 numbers",
    ),
    "another size": ("the 1 2\n", "have 2 dimensions, the embedding has 3: set model.embedding_dim to 2"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case, tmp_path):
    content, message = ERRORS[case]
    path = tmp_path / "v.txt"
    if content is not None:
        write(path, content)
    with pytest.raises(UsageError) as error:
        find_vectors(path, ["<pad>", "this", "no", "the"], size=3 if case == "another size" else None)
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_names_a_damaged_archive(tmp_path):
    for name in ("v.txt.gz", "v.zip", "v.txt.xz", "v.txt.bz2"):
        with pytest.raises(UsageError, match="damaged, or not what its name says"):
            find_vectors(write(tmp_path / name, TEXT), TOKENS)
    cut = write(tmp_path / "cut.txt.gz", gzip.compress((TEXT * 1000).encode())[:-20])
    with pytest.raises(UsageError, match=r"cut.txt.gz: damaged"):
        find_vectors(cut, TOKENS)


SENTENCES = [["the", "film", "is", "good"], ["the", "films", "are", "bad"]] * 20


def test_a_fasttext_model_has_vectors_of_new_words(tmp_path):
    fasttext = pytest.importorskip("gensim.models.fasttext")
    sizes = {"vector_size": 5, "min_count": 1, "min_n": 3, "max_n": 4, "bucket": 50}
    model = fasttext.FastText(SENTENCES, workers=1, seed=1, **sizes)
    path = tmp_path / "model.bin"
    fasttext.save_facebook_model(model, str(path))
    tokens = [*SPECIALS, "film", "filming", "good"]
    vectors = find_vectors(path, tokens)
    assert vectors.ranks.tolist() == [-1, -1, -1, -1, 0, 3, 0]
    for place in (4, 5, 6):
        np.testing.assert_allclose(vectors.matrix[place], model.wv.get_vector(tokens[place]), atol=1e-6)
    assert vectors.report() == "3 of 3 tokens found (100.0%: 2 as written, 1 by their subwords)"
    with pytest.raises(UsageError, match="have 5 dimensions, the embedding has 4"):
        find_vectors(path, tokens, 4)


def test_says_how_a_fasttext_model_can_be_read(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim.models.fasttext", None)
    path = write(tmp_path / "model.bin", (793712314).to_bytes(4, "little") + b"\x0c" * 40)
    with pytest.raises(UsageError, match=r"pip install 'nlp-rnn\[fasttext\]' to read it"):
        find_vectors(path, ["a"])


@pytest.mark.parametrize("ending", [".txt", ".vec", ".bin", ".txt.gz", ".bin.gz"])
@given(
    words=st.lists(
        st.text(st.characters(exclude_categories=("Z", "C")), min_size=1), min_size=1, unique=True, max_size=6
    ),
    data=st.data(),
)
def test_written_vectors_are_read_again(ending, words, data, tmp_path_factory):
    size = data.draw(st.integers(1, 5))
    number = st.floats(-(2.0**99), 2.0**99, width=32, allow_subnormal=False)
    rows = data.draw(
        st.lists(st.lists(number, min_size=size, max_size=size), min_size=len(words), max_size=len(words))
    )
    path = tmp_path_factory.getbasetemp() / f"written{ending}"
    tokens = [SPECIALS[0], *(word for word in words if word != SPECIALS[0])]
    matrix = np.array([[0.0] * size, *rows], np.float32)[: len(tokens)]
    write_vectors(path, tokens, matrix)
    vectors = find_vectors(path, tokens, size)
    assert vectors.is_found.tolist() == [False, *[True] * (len(tokens) - 1)]
    np.testing.assert_array_equal(vectors.matrix, matrix)


def test_a_binary_number_that_begins_like_a_letter_and_a_line_break(tmp_path):
    matrix = np.frombuffer(b"\0\0\0\0e\n\xa8L", "<f4").reshape(2, 1)
    write_vectors(tmp_path / "v.bin", [SPECIALS[0], "0"], matrix)
    np.testing.assert_array_equal(find_vectors(tmp_path / "v.bin", [SPECIALS[0], "0"], 1).matrix, matrix)


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
def test_equal_vectors_give_equal_compressed_files(ending, tmp_path):
    paths = [tmp_path / f"{name}.txt{ending}" for name in ("first", "second")]
    for path in paths:
        assert write_vectors(path, ["a", "b"], np.ones((2, 3))) == 2
    assert paths[0].read_bytes() == paths[1].read_bytes() != b"2 3\na 1.0 1.0 1.0\nb 1.0 1.0 1.0\n"
    assert find_vectors(paths[0], [SPECIALS[0], "a", "c"]).is_found.tolist() == [False, True, False]


@pytest.mark.parametrize("token", ["", "a\nb", "a b"])
def test_leaves_out_tokens_that_cannot_be_read(token, tmp_path, caplog):
    write_vectors(tmp_path / "v.bin", ["a", token, "b"], np.ones((3, 2)))
    assert f"1 token(s) left out that cannot be written as words, such as {token!r}" in caplog.text
    assert find_vectors(tmp_path / "v.bin", [SPECIALS[0], "a", "b", "c"]).is_found.tolist() == [
        False, True, True, False,
    ]  # fmt: skip


def test_memory_is_that_of_the_vocabulary(tmp_path):
    path = tmp_path / "v.txt"
    row = " ".join(["0.123456"] * 50)
    with path.open("w") as file:
        for number in range(30_000):  # 14 MB
            file.write(f"w{number} {row}\n")
    tracemalloc.start()
    find_vectors(path, [f"w{number}" for number in range(100)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6
