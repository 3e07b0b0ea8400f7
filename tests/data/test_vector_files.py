"""The words of files of word vectors, in every format; tests/storage reads the numbers."""

import gzip
import os
import zipfile
from itertools import islice

import numpy as np
import pytest

from nlp_rnn.data.vector_files import vector_words, vectors_stamp
from nlp_rnn.errors import UsageError

WORDS = ["the", "Straße", "New_York", "film"]
TEXT = "".join(f"{word} 0.5 -1 2\n" for word in WORDS)
BINARY = b"4 3\n" + b"".join(word.encode() + b" " + np.ones(3, "<f4").tobytes() for word in WORDS)
FORMATS = {
    "glove.txt": TEXT.encode(),
    "fasttext.vec": f"4 3\n{TEXT}".encode(),
    "word2vec.bin": BINARY,
    "glove.txt.gz": gzip.compress(TEXT.encode()),
    "damaged.txt": f"{TEXT}nan nan 1 2\nshort 1\n{TEXT * 100}".encode(),
}


@pytest.mark.parametrize("name", FORMATS)
def test_words_are_read_in_order_but_not_those_of_damaged_lines(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(FORMATS[name])
    assert list(islice(vector_words(str(path)), 4)) == WORDS
    assert set(vector_words(str(path))) == set(WORDS)


def test_words_of_a_file_in_an_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "glove.zip", "w") as archive:
        archive.writestr("small.txt", TEXT)
        archive.writestr("large.txt", TEXT * 2)
    member = str(tmp_path / "glove.zip" / "small.txt")
    assert list(vector_words(member)) == WORDS
    assert vectors_stamp(member) == vectors_stamp(member.replace("small", "large"))
    with pytest.raises(UsageError, match=r"an archive of small\.txt, large\.txt; name one"):
        vectors_stamp(str(tmp_path / "glove.zip"))


def test_words_of_a_fasttext_model(tmp_path):
    fasttext = pytest.importorskip("gensim.models.fasttext")
    model = fasttext.FastText([["film", "good"]] * 20, vector_size=3, min_count=1, seed=0, workers=1)
    fasttext.save_facebook_model(model, str(tmp_path / "model.bin"))
    assert sorted(vector_words(str(tmp_path / "model.bin"))) == ["film", "good"]
    whole = (tmp_path / "model.bin").read_bytes()
    (tmp_path / "cut.bin").write_bytes(whole[:100])
    with pytest.raises(UsageError, match=r"cut\.bin: a damaged fastText model"):
        list(vector_words(str(tmp_path / "cut.bin")))


def test_a_changed_file_has_another_stamp(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_text(TEXT)
    stamps = [vectors_stamp(str(path))]
    os.utime(path, ns=(0, 1_000))
    stamps.append(vectors_stamp(str(path)))
    path.write_text(TEXT * 2)
    stamps.append(vectors_stamp(str(path)))
    assert len({tuple(stamp) for stamp in stamps}) == 3


@pytest.mark.parametrize("path", ["none.txt", "a\0b", "."])
def test_what_is_no_file_is_refused(path):
    with pytest.raises(UsageError):
        vectors_stamp(path)
    with pytest.raises(UsageError):
        list(vector_words(path))


def test_prose_has_no_vectors(tmp_path):
    (tmp_path / "prose.txt").write_text("this is no file of vectors\nnor is this one here\n")
    with pytest.raises(UsageError, match="not a word and 4 numbers"):
        list(vector_words(str(tmp_path / "prose.txt")))
