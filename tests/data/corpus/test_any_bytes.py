"""Whatever bytes a file holds, it is read, or refused in one line; what was written is read back."""

import csv
import io
import json
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.data.corpus.columns import Numbers, Texts, Vectors, Words
from nlp_rnn.data.corpus.conllu import block_words, conllu_blocks, replace_tags
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.corpus.tables import read_table
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.text.numbers import parse_numbers

few = settings(derandomize=True, max_examples=30, deadline=None, database=None)

LABELED = {"text": ("text",), "label": ("label",)}
KINDS = [
    ({"text": Texts(("text",))}, None),
    (LABELED, "label"),
    ({"tokens": Words(("tokens",)), "upos": Words(("upos",))}, "upos"),
    ({"x": Numbers(("x",)), "label": ("label",)}, "label"),
    ({"vector": Vectors(("vector",)), "text": ("text",)}, None),
]
TABLE = pa.table(
    {"text": ["a", "b"] * 3, "label": [0, 1] * 3, "x": [0.5, 1.0] * 3, "vector": [[1.0, 2.0]] * 6}
)


def _bytes(write, *arguments, **named) -> bytes:
    file = io.BytesIO()
    write(file, *arguments, **named)
    return file.getvalue()


UNDERSCORES = b"\t_" * 6
WHOLE = {
    "a.csv": b'text,label,x\n"a, ""b""",1,2.5\nb,0,-1e3\nc,1,0\nd,0,4\n',
    "a.tsv": b"text\tlabel\r\na\t1\r\nb\t0\r\nc\t1\r\nd\t0\r\n",
    "a.jsonl": b'{"text": "a\\u00e9", "label": 1, "x": 1e3, "vector": [1, 2], "tokens": ["a"], "upos": ["X"]}'
    b'\n{"text": "b", "label": 0, "x": 2, "vector": [[3], [4]], "tokens": ["b"], "upos": ["Y"]}\n' * 2,
    "a.conllu": b"# a\n1-2\tab\t_\t_%b\n1\ta\t_\tX%b\n2\tb\t_\tY%b\n\n" % ((UNDERSCORES,) * 3),
    "a.parquet": _bytes(lambda file: pq.write_table(TABLE, file)),
    "a.npz": _bytes(np.savez, x=np.arange(4.0), label=np.arange(4) % 2, vector=np.ones((4, 2))),
    "a.npy": _bytes(np.save, np.ones((4, 2), np.float32)),
}
HOSTILE = b'\0 \xff \xed\xa0\x80 \r \n " , \t [ { } 1e999 99999999999999999999 null'.split(b" ")


@st.composite
def damaged(draw, whole: bytes) -> bytes:
    """A file in which some stretches are cut out or replaced."""
    data = whole
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 8)) | st.just(len(data)))
        data = data[:start] + draw(st.sampled_from(HOSTILE) | st.binary(max_size=8)) + data[end:]
    return data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:  # hashing the rows takes most of the time
        patch.setattr(datasets.arrow_dataset, "generate_fingerprint", lambda dataset: "")
        yield tmp_path_factory.mktemp("any")


def read_or_refused(path: Path, columns: dict[str, Any], labels: str | None = None) -> None:
    message = ""
    try:
        splits = Corpus(str(path)).load(columns, labels)
    except UsageError as error:
        message = str(error)
    else:
        assert all(split.column_names == list(columns) for split in splits.values())
    assert "\n" not in message
    assert len(message) < 1000


@pytest.mark.parametrize("name", WHOLE)
@few
@given(data=st.data())
def test_any_bytes_are_read_or_refused(folder, name, data):
    content = data.draw(damaged(WHOLE[name]) | st.binary(max_size=50))
    path = folder / name
    if name == "a.npy":  # as the archive's only array: its checksum stops most changes
        path = folder / "b.npz"
        with zipfile.ZipFile(path, "w") as archive:
            for column in ("x", "vector", "label", "text"):
                archive.writestr(f"{column}.npy", content)
    else:
        path.write_bytes(content)
    for columns, labels in KINDS:
        read_or_refused(path, columns, labels)


@few
@given(content=damaged(b"ein Haus\n\nzwei\r\ndrei\n"))
def test_any_side_of_parallel_text_is_read_or_refused(folder, content):
    (folder / "pairs").mkdir(exist_ok=True)
    (folder / "pairs" / "train.de").write_bytes(content)
    (folder / "pairs" / "train.en").write_bytes(b"a\n" * content.count(b"\n"))
    read_or_refused(folder / "pairs", {"source": ("de",), "target": ("en",)})


@few
@given(content=damaged(b"[[1, 2.5], [-3e4, 4]]") | damaged(b"1, 2.5 -3e4") | st.just(b"[" * 100_000))
def test_any_line_of_numbers_is_read_or_refused(content):
    with suppress(UsageError):
        numbers = parse_numbers(content.decode("utf-8", errors="replace"))
        assert all(isinstance(number, (float, list)) for number in numbers)


TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
ROWS = st.lists(st.tuples(TEXT, TEXT.filter(str.strip)), min_size=1, max_size=8)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
@few
@given(pairs=ROWS)
def test_rows_that_were_written_are_read_back(folder, name, pairs):
    path = folder / name
    columns = {"text": [text for text, _ in pairs], "label": [label for _, label in pairs]}
    if name == "a.csv":
        # Line ends are those of the file: a cell's own CRLF is read as LF.
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([list(columns), *pairs])
        columns = {key: [cell.replace("\r\n", "\n") for cell in cells] for key, cells in columns.items()}
    elif name == "a.jsonl":
        lines = [
            json.dumps(dict(zip(columns, pair, strict=True)), ensure_ascii=len(pairs) % 2 == 0)
            for pair in pairs
        ]
        path.write_bytes("".join(line + "\n" for line in lines).encode())
    else:
        pq.write_table(pa.table(columns), path)
    assert read_table(path, LABELED).to_pydict() == columns


@few
@given(numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8))
def test_numbers_that_were_written_are_read_back(folder, numbers):
    columns = {"x": Numbers(("x",))}
    np.savez(folder / "a.npz", x=numbers)
    pq.write_table(pa.table({"x": numbers}), folder / "a.parquet")
    (folder / "a.csv").write_text("x\n" + "".join(f"{number!r}\n" for number in numbers))
    (folder / "a.jsonl").write_text("".join(json.dumps({"x": number}) + "\n" for number in numbers))
    for name in ("a.npz", "a.parquet", "a.csv", "a.jsonl"):
        assert read_table(folder / name, columns)["x"].to_pylist() == numbers


@few
@given(content=damaged(WHOLE["a.conllu"]) | damaged(WHOLE["a.conllu"].replace(b"\n", b"\r\n")))
def test_any_conllu_keeps_its_bytes_but_for_upos(content):
    text = content.decode("utf-8", errors="replace")
    try:
        blocks = list(conllu_blocks(io.StringIO(text, newline="\n")))
    except UsageError:
        return
    assert "".join(blocks) == text
    for block in blocks:
        tags = [f"T{number}" for number, _ in enumerate(block_words(block))]
        tagged = replace_tags(block, {"upos": tags})
        assert len(tagged.split("\t")) == len(block.split("\t"))
        old, new = (part.replace("\n", "\t").split("\t") for part in (block, tagged))
        changed = [cell for before, cell in zip(old, new, strict=True) if before != cell]
        assert changed == tags
