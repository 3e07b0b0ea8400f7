"""Data files as bytes and lines: compressed or not, in any encoding that is named."""

from __future__ import annotations

import bz2
import codecs
import gzip
import logging
import lzma
import shlex
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from nlp_rnn.data.corpus.spool import temporary_copy
from nlp_rnn.errors import UsageError
from nlp_rnn.files import decode_lines, open_bytes, read_bytes, read_errors

log = logging.getLogger(__name__)

_DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
    ".zst": lambda data: pa.CompressedInputStream(pa.BufferReader(data), "zstd").read(),
}
# As streams. Any: the libraries' types of files differ.
_OPEN: dict[str, Callable[[Any], Any]] = {
    ".gz": lambda file: gzip.GzipFile(fileobj=file, mode="rb"),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".zst": lambda file: pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd"),
}
_OPEN_TO_WRITE: dict[str, Callable[[Any], Any]] = {
    # Without a time and a name, which is that of a temporary file: equal content gives equal files.
    ".gz": lambda file: gzip.GzipFile("", "wb", fileobj=file, mtime=0),
    ".bz2": lambda file: bz2.BZ2File(file, "wb"),
    ".xz": lambda file: lzma.LZMAFile(file, "wb"),  # noqa: SIM115
    ".zst": lambda file: pa.CompressedOutputStream(pa.PythonFile(file, "w"), "zstd"),
}
_DAMAGED = (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error, pa.ArrowException)
_BLOCK = 1 << 20  # bytes that are read at once
ARCHIVES = (".zip", ".tar", ".tgz", ".7z", ".rar")
# Other endings of a format, as users write them.
_SAME_FORMAT = {".ndjson": ".jsonl", ".conllup": ".conllu", ".pq": ".parquet", ".tab": ".tsv"}
_COMMON = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "koi8_r"]
_COMMON += ["cp949", "gb18030", "big5", "cp932", "euc_jp"]
# Marks at the start of a file that tell its encoding.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decompressed_name(path: Path) -> Path:
    """The name that a file has when it is decompressed: `reviews.csv` of `reviews.csv.gz`."""
    return Path(path.stem) if path.suffix.lower() in _DECOMPRESS else Path(path.name)


def data_suffix(path: Path) -> str:
    """The ending that tells a file's format, in lower case: `.csv` of `reviews.CSV.gz`."""
    suffix = decompressed_name(path).suffix.lower()
    return _SAME_FORMAT.get(suffix, suffix)


def data_stem(path: Path) -> str:
    """A file's name without the endings of its format and its compression: `reviews` of `reviews.csv.gz`."""
    return decompressed_name(path).stem


def read_data(path: Path) -> bytes:
    """Read all bytes of a file, decompressed.

    Raises:
        UsageError: the file cannot be read, is an archive, or is damaged.
    """
    suffix = _compression(path)
    data = read_bytes(path)
    if suffix not in _DECOMPRESS:
        return data
    try:
        return _DECOMPRESS[suffix](data)
    except _DAMAGED as error:
        raise UsageError(f"{path}: damaged, or not {suffix} ({error})") from None


def _compression(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in ARCHIVES:
        raise UsageError(f"{path}: an archive of files; unpack it, and give the file or folder in it")
    return suffix


def read_blocks(path: Path) -> Iterator[bytes]:
    """Read the bytes of a file, decompressed, in blocks of bounded size.

    Raises:
        UsageError: the file cannot be read, is an archive, or is damaged.
    """
    suffix = _compression(path)
    with open_bytes(path) as file, read_errors(path):
        if suffix not in _OPEN:
            while block := file.read(_BLOCK):
                yield block
            return
        try:
            stream = _OPEN[suffix](file)
            while block := stream.read(_BLOCK):
                yield block
        except _DAMAGED as error:
            raise UsageError(f"{path}: damaged, or not {suffix} ({error})") from None


@contextmanager
def opened_data(path: Path) -> Iterator[BinaryIO]:
    """Open a file to read its bytes, decompressed, in any order. A compressed one is copied to disk.

    Raises:
        UsageError: the file cannot be read, is an archive, or is damaged.
    """
    if _compression(path) not in _OPEN:
        with open_bytes(path) as file:
            yield file
        return
    with temporary_copy(read_blocks(path)) as file:
        yield file


@contextmanager
def compressing(file: BinaryIO, name: Path) -> Iterator[Any]:
    """Compress what is written to a file as the ending of its name says, if it says so."""
    if _compression(name) not in _OPEN_TO_WRITE:
        yield file
        return
    with _OPEN_TO_WRITE[_compression(name)](file) as stream:
        yield stream


def stream_lines(
    path: Path, encoding: str = "utf-8", warns: bool = True, setting: str = "corpus.encoding"
) -> Iterator[str]:
    r"""Read the lines of a text file, which may be compressed, in bounded memory.

    Args:
        path: the file.
        encoding: as for `read_lines`.
        warns: whether to warn of NUL characters, and of UTF-8 that is read as another encoding.
        setting: what messages call the setting of the encoding.

    Yields:
        Lines without their "\n"; a "\r" before it is kept.

    Raises:
        UsageError: as for `read_lines`.
    """
    decoder: codecs.IncrementalDecoder | None = None
    other = _decoder("utf-8")
    is_ascii = is_utf8 = True
    offset = number = nuls = 0  # the bytes, lines and NULs before this block
    parts: list[str] = []  # of a line whose end is not here yet
    for block in chain(read_blocks(path), [b""]):
        if decoder is None:
            encoding = next((name for mark, name in _MARKS if block.startswith(mark)), encoding)
            decoder = _decoder(encoding, setting)
        pending = decoder.getstate()[0]
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            line = number + error.object[: error.start].count(b"\n") + 1
            where = offset - len(pending) + error.start
            raise _wrong_encoding(path, encoding, line, where, error.object, setting) from None
        if not offset:
            text = text.removeprefix("\ufeff")
        offset += len(block)
        nuls += text.count("\0")
        if not _is_unicode(encoding):
            is_ascii = is_ascii and block.isascii()
            is_utf8 = is_utf8 and _decodes(other, block)
        first, *lines = text.split("\n")
        parts.append(first)
        if lines:
            number += len(lines)
            yield "".join(parts)
            yield from lines[:-1]
            parts = [lines[-1]]
    if rest := "".join(parts):
        yield rest
    if warns and nuls:
        log.warning("%s: kept %d NUL character(s) as text", path, nuls)
    if warns and is_utf8 and not is_ascii:
        _warn_utf8(path, encoding, setting)


def plain_lines(path: Path, encoding: str = "utf-8", warns: bool = True) -> Iterator[str]:
    """Read lines as `read_lines` does, in bounded memory."""
    return (line.removesuffix("\r") for line in stream_lines(path, encoding, warns))


def _decoder(encoding: str, setting: str = "corpus.encoding") -> codecs.IncrementalDecoder:
    try:
        return codecs.getincrementaldecoder(encoding)()
    except (LookupError, ValueError):
        raise _no_encoding(encoding, setting) from None


def read_lines(path: Path, encoding: str = "utf-8") -> list[str]:
    """Read the lines of a text file, which may be compressed.

    Args:
        path: the file.
        encoding: used unless the file begins with the byte-order mark of UTF-8, UTF-16 or UTF-32.

    Raises:
        UsageError: the file cannot be read, or its text is in another encoding; the message names a likely
            one.
    """
    data = read_data(path)
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), encoding)
    try:
        lines = decode_lines(data, str(path), encoding)
        if not _is_unicode(encoding) and not data.isascii() and _decodes(_decoder("utf-8"), data):
            _warn_utf8(path, encoding)
        return lines
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _wrong_encoding(path, encoding, line, error.start, data) from None
    except (LookupError, ValueError):
        raise _no_encoding(encoding) from None


def _wrong_encoding(
    path: Path, encoding: str, line: int, offset: int, data: bytes, setting: str = "corpus.encoding"
) -> UsageError:
    likely = likely_encoding(data)
    remedy = f"convert it to UTF-8, or set {setting}"
    if likely:
        remedy = f"it looks like {likely}: set {setting} to {likely}"
        if path.suffix.lower() not in _DECOMPRESS:
            command = f"iconv -f {likely} -t utf-8 {shlex.quote(str(path))} > utf8{path.suffix}"
            remedy += f", or convert it: {command}"
    label = "UTF-8" if encoding == "utf-8" else encoding
    return UsageError(f"{path}, line {line}: invalid {label} at byte offset {offset} of the file; {remedy}")


def _no_encoding(encoding: str, setting: str = "corpus.encoding") -> UsageError:
    return UsageError(f"{setting}: there is no encoding {encoding!r}; give one such as cp1252")


def _is_unicode(encoding: str) -> bool:
    return codecs.lookup(encoding).name.startswith("utf")


def _decodes(decoder: codecs.IncrementalDecoder, data: bytes) -> bool:
    try:
        decoder.decode(data)
    except UnicodeDecodeError:
        return False
    return True


def _warn_utf8(path: Path, encoding: str, setting: str = "corpus.encoding") -> None:
    log.warning(
        "%s: read as %s, as %s says, but its bytes are valid UTF-8; if letters look wrong, leave it out",
        path, encoding, setting,
    )  # fmt: skip


def likely_encoding(data: bytes) -> str | None:
    """The encoding that a text which is not UTF-8 most likely has, by the letters that it would contain."""
    from charset_normalizer import from_bytes  # slow to import, and rarely needed

    matches = from_bytes(data[:100_000], cp_isolation=_COMMON)
    if (best := matches.best()) is None:
        return None
    # Texts of Western and Central Europe are often equally likely; the former are commoner.
    western = next((match for match in matches if match.could_be_from_charset.count("cp1252")), best)
    equal = (western.chaos, western.coherence) == (best.chaos, best.coherence)
    return "cp1252" if equal and "cp1252" in western.could_be_from_charset else best.encoding
