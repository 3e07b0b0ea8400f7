"""Word vectors in the formats of GloVe, fastText and word2vec: read for a vocabulary, and written."""

from __future__ import annotations

import bz2
import gzip
import logging
import lzma
import re
import unicodedata
import zipfile
import zlib
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pyarrow as pa

from nlp_rnn.data.vocabulary import PAD, SPECIALS
from nlp_rnn.errors import UsageError, join_names, printable
from nlp_rnn.files import atomic_write, open_bytes
from nlp_rnn.lite.text.numbers import NUMBER

log = logging.getLogger(__name__)

RANKS = ("as written", "in lower case", "normalized", "by their subwords")
"""The ways in which a word is found, best first."""

_BY_SUBWORDS = len(RANKS) - 1
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


@dataclass(frozen=True)
class FoundVectors:
    """The vectors of a vocabulary that a file has.

    Args:
        matrix: [V, E] float32; rows of tokens that were not found are zero.
        ranks: [V] int8: the position in `RANKS` of the way in which each token was found; -1 for those that
            were not.
        is_word: [V] bool, whether a token is a word, rather than one for padding and the like.
    """

    matrix: np.ndarray
    ranks: np.ndarray
    is_word: np.ndarray

    @property
    def is_found(self) -> np.ndarray:
        """[V] bool."""
        return self.ranks >= 0

    def report(self) -> str:
        """How many words were found, and how, in one line."""
        ranks = self.ranks[self.is_word]
        counts = [int((ranks == rank).sum()) for rank in range(len(RANKS))]
        total, size = sum(counts), len(ranks)
        ways = ", ".join(f"{count:,} {way}" for count, way in zip(counts, RANKS, strict=True) if count)
        return f"{total:,} of {size:,} tokens found ({total / max(size, 1):.1%}" + (
            f": {ways})" if ways else ")"
        )


def find_vectors(path: str | Path, tokens: Sequence[str], size: int | None = None) -> FoundVectors:
    """Read the vectors of some tokens, in one pass and in memory for these tokens alone.

    A token takes the vector of the word that equals it; else of the first that does so in lower case; else of
    the first that does so after Unicode's NFKC normalization and case folding.
    Damaged lines are left out, with a warning that has their numbers. A fastText model (.bin) also has the
    vectors of words that it has never seen; it is read whole, by gensim.

    Args:
        path: text of GloVe, fastText (.vec) or word2vec, one word and its numbers per line, word2vec's binary
            format, or a fastText model (.bin). All but the last may be compressed (.gz, .bz2, .xz, .zst), or
            in a .zip archive. Of several files in one archive, the name of one follows:
            vectors.zip/vectors.100d.txt.
        tokens: [V], each once, as they are after the vocabulary's own normalization.
        size: the number of dimensions that the vectors must have; any if None.

    Raises:
        UsageError: the file cannot be read, has no vectors, or vectors of another size.
    """
    wanted = _Wanted(tokens)
    with _open_vectors(str(path)) as (file, name):
        if file.peek(4)[:3] == BOM_UTF8:
            file.read(3)
        start = file.peek(4096)
        if start.startswith(_FASTTEXT_MODEL):
            return _from_fasttext(path, name, tokens, size)
        header = _HEADER.match(start)
        reading = _Reading(name, file, header, size)
        entries = reading.binary() if header and _is_binary(start[header.end() :]) else reading.text()
        for word, numbers in entries:
            if places := wanted.places(word):
                vector = reading.vector(numbers)
                if vector is not None:
                    wanted.take(places, vector)
        reading.finish()
    assert reading.size is not None
    return wanted.found(reading.size)


def write_vectors(path: str | Path, tokens: Sequence[str], matrix: np.ndarray) -> None:
    """Write vectors in word2vec's text format, or its binary format where the path ends in .bin.

    The padding token is left out. With the ending .gz the file is compressed.

    Args:
        path: the file to write; it appears when it is complete.
        tokens: [V].
        matrix: [V, E].

    Raises:
        UsageError: the file cannot be written, or a token cannot be written in this format.
    """
    path = Path(path)
    is_binary = ".bin" in path.suffixes[-2:]
    rows = [(token, row) for token, row in zip(tokens, matrix, strict=True) if token != SPECIALS[PAD]]
    for token, _ in rows:
        if not token or "\n" in token or (is_binary and " " in token):
            raise UsageError(f"{path}: the token {token!r} cannot be written as a word")
    opened = gzip.open if path.suffix == ".gz" else open
    with atomic_write(path) as temporary, cast(IO[bytes], opened(temporary, "wb")) as file:
        file.write(f"{len(rows)} {matrix.shape[1]}\n".encode())
        for token, row in rows:
            if is_binary:
                file.write(token.encode() + b" " + row.astype("<f4").tobytes() + b"\n")
            else:
                numbers = " ".join(str(number) for number in row.astype(np.float32))
                file.write(f"{token} {numbers}\n".encode())


def _from_fasttext(path: str | Path, name: str, tokens: Sequence[str], size: int | None) -> FoundVectors:
    """The vectors of tokens in a fastText model, of those that it lacks from their subwords."""
    try:
        from gensim.models.fasttext import load_facebook_vectors
    except ModuleNotFoundError:
        remedy = "pip install 'nlp-rnn[fasttext]' to read it, or give the .vec file of the same words"
        raise UsageError(f"{name}: a fastText model; {remedy}") from None
    if Path(path).suffix.lower() != ".bin":
        raise UsageError(f"{name}: a fastText model in another file; unpack it, and give the .bin file")
    model = load_facebook_vectors(str(path))
    _check_size(name, model.vector_size, size)
    matrix = np.zeros((len(tokens), model.vector_size), np.float32)
    ranks = np.full(len(tokens), -1, np.int8)
    for place, token in enumerate(tokens):
        if token in model.key_to_index or token not in SPECIALS:
            with suppress(KeyError):  # not even a subword of it is known
                matrix[place] = model.get_vector(token)
                ranks[place] = 0 if token in model.key_to_index else _BY_SUBWORDS
    return FoundVectors(matrix, ranks, _are_words(tokens))


def _are_words(tokens: Sequence[str]) -> np.ndarray:
    """[V] bool."""
    return np.array([token not in SPECIALS for token in tokens], bool)


def _check_size(name: str, size: int, wanted: int | None) -> None:
    """Raise UsageError unless vectors have the wanted number of dimensions."""
    if wanted not in (None, size):
        message = f"{name}: its vectors have {size} dimensions, the embedding has {wanted}"
        raise UsageError(f"{message}: set model.embedding_dim to {size}")


class _Wanted:
    """The tokens that are looked for, and the best vectors so far."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._ranks = np.full(len(tokens), -1, np.int8)
        self._are_words = _are_words(tokens)
        self._vectors: dict[int, np.ndarray] = {}
        self._by_key: tuple[dict[str, list[int]], ...] = tuple({} for _ in RANKS[:_BY_SUBWORDS])
        for place, token in enumerate(tokens):
            if place != PAD:
                for by_key, key in zip(self._by_key, (token, token.lower(), _normalized(token)), strict=True):
                    by_key.setdefault(key, []).append(place)

    def places(self, word: str) -> list[tuple[int, int]]:
        """Place and rank of the tokens whose vector this word's would be."""
        lower = word.lower()
        keys = (word, lower, lower if word.isascii() else _normalized(word))
        places: dict[int, int] = {}
        for rank, (by_key, key) in enumerate(zip(self._by_key, keys, strict=True)):
            for place in by_key.get(key, ()):
                if self._ranks[place] < 0 or rank < self._ranks[place]:
                    places.setdefault(place, rank)
        return list(places.items())

    def take(self, places: Sequence[tuple[int, int]], vector: np.ndarray) -> None:
        for place, rank in places:
            self._ranks[place] = rank
            self._vectors[place] = vector

    def found(self, size: int) -> FoundVectors:
        matrix = np.zeros((len(self._ranks), size), np.float32)
        for place, vector in self._vectors.items():
            matrix[place] = vector
        return FoundVectors(matrix, self._ranks, self._are_words)


class _Reading:
    """One pass over a file of vectors."""

    def __init__(
        self, name: str, file: BufferedReader, header: re.Match[bytes] | None, size: int | None
    ) -> None:
        self.size: int | None = None
        """The number of dimensions, once it is known."""
        self._name, self._file, self._wanted_size = name, file, size
        self._promised: int | None = None
        self._count = 0
        self._taken = 0
        self._unit, self._first = "line", 1
        self._damaged: list[int] = []
        if header:
            file.read(header.end())
            self._promised = int(header[1])
            self._set_size(int(header[2]))
            self._first = 2

    def text(self) -> Iterator[tuple[str, bytes]]:
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

    def binary(self) -> Iterator[tuple[str, np.ndarray]]:
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

    def _set_size(self, size: int) -> None:
        if size < 1:
            raise UsageError(f"{self._name}, line 1: not a word and its numbers; give vectors")
        _check_size(self._name, size, self._wanted_size)
        self.size = size

    def _damage(self) -> None:
        self._damaged.append(self._first + self._count - 1)


def _normalized(word: str) -> str:
    return unicodedata.normalize("NFKC", word).casefold()


def _is_binary(start: bytes) -> bool:
    """Whether a file goes on, behind its header, in word2vec's binary format."""
    numbers = start.partition(b"\n")[0].split()[1:4]
    return bool(start) and not (numbers and all(map(_NUMBER.fullmatch, numbers)))


@contextmanager
def _open_vectors(path: str) -> Iterator[tuple[BufferedReader, str]]:
    """Open a file of vectors, decompressed, with its name for messages."""
    name = printable(path)
    archive, is_member, member = path.partition(".zip/")
    is_archive = bool(is_member) or path.lower().endswith(".zip")
    try:
        with ExitStack() as stack:
            stream: Any = stack.enter_context(open_bytes(f"{archive}.zip" if is_member else path))
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


def _member(archive: zipfile.ZipFile, path: str, member: str) -> str:
    """The name of the file in an archive that is to be read."""
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    if member in names:
        return member
    if not member and len(names) == 1:
        return names[0]
    where = path.removesuffix(f"/{member}") if member else path
    raise UsageError(f"{where}: an archive of {join_names(names)}; name one, as in {where}/{names[0]}")
