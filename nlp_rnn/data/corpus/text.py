"""Data files as bytes and lines: compressed or not, in any encoding that is named."""

from __future__ import annotations

import bz2
import codecs
import gzip
import logging
import lzma
import shlex
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from nlp_rnn.errors import UsageError
from nlp_rnn.files import decode_lines, read_bytes

log = logging.getLogger(__name__)

_DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
    ".zst": lambda data: pa.CompressedInputStream(pa.BufferReader(data), "zstd").read(),
}
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
    suffix = path.suffix.lower()
    if suffix in ARCHIVES:
        raise UsageError(f"{path}: an archive of files; unpack it, and give the file or folder in it")
    data = read_bytes(path)
    if suffix not in _DECOMPRESS:
        return data
    try:
        return _DECOMPRESS[suffix](data)
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error, pa.ArrowException) as error:
        raise UsageError(f"{path}: damaged, or not {suffix} ({error})") from None


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
        if not codecs.lookup(encoding).name.startswith("utf") and not data.isascii() and _is_utf8(data):
            log.warning(
                "%s: read as %s, as corpus.encoding says, but its bytes are valid UTF-8; if letters look "
                "wrong, leave corpus.encoding out",
                path, encoding,
            )  # fmt: skip
        return lines
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        likely = likely_encoding(data)
        remedy = "convert it to UTF-8, or set corpus.encoding"
        if likely:
            remedy = f"it looks like {likely}: set corpus.encoding to {likely}"
            if path.suffix.lower() not in _DECOMPRESS:
                command = f"iconv -f {likely} -t utf-8 {shlex.quote(str(path))} > utf8{path.suffix}"
                remedy += f", or convert it: {command}"
        label = "UTF-8" if encoding == "utf-8" else encoding
        raise UsageError(
            f"{path}, line {line}: invalid {label} at byte offset {error.start} of the file; {remedy}"
        ) from None
    except (LookupError, ValueError):
        raise UsageError(
            f"corpus.encoding: there is no encoding {encoding!r}; give one such as cp1252"
        ) from None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


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
