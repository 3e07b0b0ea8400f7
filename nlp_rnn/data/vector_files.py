"""Files of word vectors, in the formats of GloVe, fastText and word2vec."""

from __future__ import annotations

import bz2
import gzip
import logging
import lzma
import re
import struct
import zipfile
import zlib
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nlp_rnn.errors import UsageError, join_names, printable
from nlp_rnn.files import open_bytes
from nlp_rnn.lite.text.numbers import NUMBER

log = logging.getLogger(__name__)

_OPEN: dict[str, Callable[[Any], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": lambda file: pa.CompressedInputStream(file, "zstd"),
}
_FASTTEXT_MODEL = (793712314).to_bytes(4, "little")  # how a fastText .bin begins
_HEADER = re.compile(rb"(\d+)[ \t]+(\d+)[ \t]*\r?\n")
_NUMBER = re.compile(rf"{NUMBER.pattern}|[+-]?(nan|inf)".encode())
_READ_BYTES = 1 << 20
_MAX_WORD_BYTES = 100_000
_MAX_DAMAGED = 0.01  # of the lines; with more, it is no file of vectors


@contextmanager
def open_vectors(path: str) -> Iterator[tuple[BufferedReader, str]]:
    """Open a file of vectors, decompressed, with its name for messages.

    Raises:
        UsageError: it cannot be read.
    """
    name = printable(path)
    file, member = _split_member(path)
    is_archive = file.lower().endswith(".zip")
    try:
        with ExitStack() as stack:
            stream: Any = stack.enter_context(open_bytes(file))
            if is_archive:
                opened = stack.enter_context(zipfile.ZipFile(stream))
                stream = stack.enter_context(opened.open(_member(opened, path, member)))
            elif open_stream := _OPEN.get(Path(path).suffix.lower()):
                stream = stack.enter_context(open_stream(stream))
            yield BufferedReader(stream, _READ_BYTES), name
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{name}: damaged, or not what its name says ({error})") from None


def vector_words(path: str) -> Iterator[str]:
    """The words of a file of vectors, in its order; those whose line is damaged are left out.

    Args:
        path: a file of any format that `nlp_rnn.storage.vectors.find_vectors` reads.

    Raises:
        UsageError: it cannot be read.
    """
    with open_vectors(path) as (file, name):
        if is_fasttext_model(file):
            yield from load_fasttext(path, name).index_to_key
        else:
            reader = VectorReader(name, file)
            for word, numbers in reader.entries():
                if reader.vector(numbers) is not None:
                    yield word
            reader.finish()


def vectors_stamp(path: str) -> list[int]:
    """The size in bytes of a file of vectors, or of its archive, and when it was changed, in nanoseconds.

    Raises:
        UsageError: there is no such file, or it cannot be read.
    """
    with open_vectors(path):  # what cannot be opened has no time either
        state = Path(_split_member(path)[0]).stat()
    return [state.st_size, state.st_mtime_ns]


def is_fasttext_model(file: BufferedReader) -> bool:
    """Whether a file, at its start, is a fastText model."""
    return file.peek(4).startswith(_FASTTEXT_MODEL)


def load_fasttext(path: str, name: str) -> Any:
    """The word vectors of a fastText model, whose class is gensim's.

    Args:
        path: the file.
        name: what messages call it.

    Raises:
        UsageError: gensim is not installed, or the model is in another file.
    """
    try:
        from gensim.models.fasttext import load_facebook_vectors
    except ModuleNotFoundError:
        remedy = "pip install 'nlp-rnn[fasttext]' to read it, or give the .vec file of the same words"
        raise UsageError(f"{name}: a fastText model; {remedy}") from None
    if Path(path).suffix.lower() != ".bin":
        raise UsageError(f"{name}: a fastText model in another file; unpack it, and give the .bin file")
    try:
        return load_facebook_vectors(path)
    except (OSError, ValueError, EOFError, struct.error, NotImplementedError) as error:
        raise UsageError(f"{name}: a damaged fastText model ({error}); get it again") from error


def check_size(name: str, size: int, wanted: int | None) -> None:
    """Refuse vectors that do not have the wanted number of dimensions.

    Args:
        name: what the message calls their file.
        size: the number that they have.
        wanted: the number that the embedding has; any if None.

    Raises:
        UsageError: the numbers differ.
    """
    if wanted not in (None, size):
        message = f"{name}: its vectors have {size} dimensions, the embedding has {wanted}"
        raise UsageError(f"{message}: set model.embedding_dim to {size}")


class VectorReader:
    """One pass over a file of vectors, of any format but fastText's model.

    Args:
        name: what messages call the file.
        file: at its start.
        size: the number of dimensions that the vectors must have; any if None.

    Raises:
        UsageError: they have another size.
    """

    def __init__(self, name: str, file: BufferedReader, size: int | None = None) -> None:
        self.size: int | None = None
        """The number of dimensions, once it is known."""
        self._name, self._file, self._wanted_size = name, file, size
        self._promised: int | None = None
        self._count = 0
        self._taken = 0
        self._unit, self._first = "line", 1
        self._damaged: list[int] = []
        if file.peek(4)[:3] == BOM_UTF8:
            file.read(3)
        start = file.peek(4096)
        self._is_binary = False
        if header := _HEADER.match(start):
            file.read(header.end())
            self._promised = int(header[1])
            self._set_size(int(header[2]))
            self._first = 2
            self._is_binary = _is_binary(start[header.end() :])

    def entries(self) -> Iterator[tuple[str, bytes | np.ndarray]]:
        """Words and their numbers, as they are in the file."""
        return self._binary() if self._is_binary else self._text()

    def vector(self, numbers: bytes | np.ndarray) -> np.ndarray | None:
        """[E] float32; None if they are not all finite numbers."""
        if isinstance(numbers, bytes):
            try:
                numbers = np.array(numbers.split(), np.float32)
            except ValueError:
                numbers = np.array([np.nan], np.float32)
        if len(numbers) != self.size or not np.isfinite(numbers).all():
            self._damage()
            return None
        self._taken += 1
        return numbers.astype(np.float32)

    def finish(self) -> None:
        """Say what was left out.

        Raises:
            UsageError: too little of the file is vectors.
        """
        if self._damaged and (not self._taken or len(self._damaged) > max(1, _MAX_DAMAGED * self._count)):
            raise UsageError(
                f"{self._name}, {self._unit} {self._damaged[0]}: not a word and {self.size} numbers; give "
                "vectors of GloVe, fastText (.vec) or word2vec"
            )
        if self._damaged:
            log.warning(
                "%s: left out %d damaged %s(s): %s",
                self._name, len(self._damaged), self._unit, join_names(map(str, self._damaged)),
            )  # fmt: skip
        if self._promised is not None and self._count != self._promised:
            log.warning(
                "%s: has %d vectors, its first line says %d; it may be cut off",
                self._name, self._count, self._promised,
            )  # fmt: skip

    def _text(self) -> Iterator[tuple[str, bytes]]:
        """Words and their numbers as text."""
        first = [line.replace(b"\t", b" ") for line in islice(self._file, 10)]
        counts = Counter(line.rstrip().count(b" ") for line in first)
        if self.size is None:
            # A word may contain spaces, so of equally frequent counts the smallest is right.
            self._set_size(min(counts, key=lambda count: (-counts[count], count), default=0))
        elif self.size not in counts and self.size < max(counts, default=0):
            raise UsageError(
                f"{self._name}: its first line says that vectors have {self.size} dimensions, but its lines "
                f"have {max(counts)} numbers; correct the first line"
            )
        size = self.size
        assert size is not None
        for line in chain(first, self._file):
            self._count += 1
            line = line.replace(b"\t", b" ").rstrip()
            extra = line.count(b" ") - size
            if extra < 0:
                self._damage()
            elif extra == 0:
                word, _, numbers = line.partition(b" ")
                yield word.decode(errors="replace"), numbers
            else:
                word = line.rsplit(b" ", size)[0]
                yield word.decode(errors="replace"), line[len(word) + 1 :]

    def _binary(self) -> Iterator[tuple[str, np.ndarray]]:
        """Words and their numbers, [E] float32."""
        assert self.size is not None
        assert self._promised is not None
        self._unit, self._first = "word", 1
        width, data, start = 4 * self.size, b"", 0
        while self._count < self._promised:
            end = data.find(b" ", start)
            while end < 0 or len(data) < end + 1 + width:
                more = self._file.read(max(_READ_BYTES, width))
                if not more or (end < 0 and len(data) - start > _MAX_WORD_BYTES):
                    return
                data, start = data[start:] + more, 0
                end = data.find(b" ")
            self._count += 1
            word = data[start:end].lstrip(b"\n")
            start = end + 1 + width
            try:
                text = word.decode()
            except UnicodeDecodeError:  # most numbers are no text: so a wrong size in the header is found
                self._damage()
                continue
            yield text, np.frombuffer(data, "<f4", self.size, end + 1)
        if data[start:].strip() or self._file.read(1):
            log.warning("%s: goes on behind the %d vectors of its first line", self._name, self._promised)

    def _set_size(self, size: int) -> None:
        if size < 1:
            raise UsageError(f"{self._name}, line 1: not a word and its numbers; give vectors")
        check_size(self._name, size, self._wanted_size)
        self.size = size

    def _damage(self) -> None:
        self._damaged.append(self._first + self._count - 1)


def _split_member(path: str) -> tuple[str, str]:
    """The path of a file, and the name of what is read in it if it is an archive; else an empty one."""
    archive, is_member, member = path.partition(".zip/")
    return (f"{archive}.zip", member) if is_member else (path, "")


def _is_binary(start: bytes) -> bool:
    """Whether a file goes on, behind its header, in word2vec's binary format."""
    numbers = start.partition(b"\n")[0].split()[1:4]
    return bool(start) and not (numbers and all(map(_NUMBER.fullmatch, numbers)))


def _member(archive: zipfile.ZipFile, path: str, member: str) -> str:
    """The name of the file in an archive that is to be read."""
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    if member in names:
        return member
    if not member and len(names) == 1:
        return names[0]
    where = path.removesuffix(f"/{member}") if member else path
    raise UsageError(f"{where}: an archive of {join_names(names)}; name one, as in {where}/{names[0]}")
