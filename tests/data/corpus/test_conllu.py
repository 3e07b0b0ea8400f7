import io
from pathlib import Path

import pyarrow as pa
import pytest

from nlp_rnn.data.corpus import conllu, spool
from nlp_rnn.data.corpus.columns import Words
from nlp_rnn.data.corpus.conllu import (
    block_words,
    check_field,
    conllu_block,
    conllu_blocks,
    conllu_fields,
    is_conllu,
    read_conllu,
    replace_tags,
)
from nlp_rnn.data.corpus.tables import read_table
from nlp_rnn.errors import UsageError

COLUMNS = {"text": ("text", "sentence"), "label": ("label",)}


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def rows(table: pa.Table) -> list[tuple[str, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def token(index: str, form: str, upos: str) -> str:
    return "\t".join([index, form, "_", upos, "X", "_", "0", "root", "_", "A=1|B=  2"])


SENTENCES = "\n".join(
    [
        "# sent_id = 1",
        "# text = Zum Haus",
        token("1-2", "Zum", "_"),
        token("1", "zu", "ADP"),
        token("2", "dem", "DET"),
        token("3", "Haus", "NOUN"),
        token("3.1", "geht", "VERB"),
        "",
        "",
        token("1", "New York", "PROPN"),
        token("2", "?", "_"),
    ]
)
READ = [(["zu", "dem", "Haus"], ["ADP", "DET", "NOUN"]), (["New York", "?"], ["PROPN", "_"])]


@pytest.mark.parametrize(
    "end", ["", "\n", "\n\n", "\n\n\n# a comment\n"], ids=["no blank line", "one", "two", "comment"]
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_words_of_conllu(tmp_path, end, newline):
    path = write(tmp_path, "a.conllu", "\ufeff" + (SENTENCES + end).replace("\n", newline))
    assert rows(read_conllu(path).select(["tokens", "upos"])) == READ
    table = read_table(path, {"words": Words(("tokens",)), "tags": Words(("upos",))})
    assert rows(table) == READ


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("1\ta\t_\tX", "line 3: 10 columns separated by tabs expected, 4 found", id="few"),
        pytest.param(token("1", "a", "X") + "\t_", "line 3: 10 columns .* expected, 11 found", id="many"),
        pytest.param(token("1", "a", "X").replace("\t", " "), "line 3: 10 columns .*, 1 found", id="spaces"),
        pytest.param(token("one", "a", "X"), "line 3: 'one' is not a word ID", id="ID"),
        pytest.param(token("1", "", "X"), "line 3: an empty column", id="empty form"),
        pytest.param(token("4-3", "a", "X"), "line 3: '4-3' is not a word ID", id="backward range"),
    ],
)
def test_malformed_conllu(tmp_path, line, message):
    path = write(tmp_path, "a.conllu", token("1", "x", "X") + "\n\n" + line + "\n")
    with pytest.raises(UsageError, match=message):
        read_conllu(path)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("before", ["", "\ufeff", "\n\n"], ids=["plain", "byte-order mark", "blank lines"])
def test_tagged_output_differs_in_the_words_upos_alone(before, newline):
    text = (before + SENTENCES).replace("\n", newline)
    new = {"ADP": "ADP", "DET": "NEW", "NOUN": "Ü", "PROPN": "", "_": "SYM"}
    blocks = list(conllu_blocks(io.StringIO(text, newline="\n")))
    assert "".join(blocks) == text
    tagged = ""
    for block, (words, tags) in zip(blocks[-2:], READ, strict=True):
        assert block_words(block) == words
        tagged += replace_tags(block, {"upos": [new[tag] for tag in tags]})
    expected = [
        line if "\t" not in line or "-2\t" in line or ".1\t" in line else _with_upos(line, new)
        for line in "".join(blocks[-2:]).split("\n")
    ]
    assert tagged.split("\n") == expected
    assert tagged != "".join(blocks[-2:])


def _with_upos(line: str, new: dict[str, str]) -> str:
    for old in new:
        if f"\t_\t{old}\tX" in line:
            return line.replace(f"\t_\t{old}\tX", f"\t_\t{new[old]}\tX")
    raise AssertionError(line)


def test_conllu_blocks_read_no_further_than_they_must():
    def endless():
        while True:
            yield token("1", "a", "X") + "\n"
            yield "\n"

    blocks = conllu_blocks(endless())
    assert [block_words(next(blocks)) for _ in range(3)] == [["a"]] * 3


def test_conllu_blocks_name_the_line_of_the_stream():
    with pytest.raises(UsageError, match=r"stdin, line 3: 10 columns"):
        list(conllu_blocks([token("1", "a", "X") + "\n", "\n", "1 a\n"], "stdin"))


def test_there_is_one_tag_per_word():
    with pytest.raises(ValueError, match="zip"):
        replace_tags(token("1", "a", "X"), {"upos": ["X", "Y"]})


MISC = ["_", "SpaceAfter=No|name=B-ORG", "NER=O", "Ref=1"]


def test_entities_in_misc(tmp_path):
    lines = ["\t".join([str(number), "a", *"_" * 7, misc]) + "\r" for number, misc in enumerate(MISC, 1)]
    path = write(tmp_path, "a.conllu", "\n".join(lines))
    assert rows(read_conllu(path).select(["ner"])) == [(["_", "B-ORG", "O", "_"],)]
    (block,) = conllu_blocks(io.StringIO("\n".join(lines), newline="\n"))
    tagged = replace_tags(block, {"ner": ["O", "S-ORG", "B-X", "O"]}).split("\n")
    assert [line.split("\t")[-1] for line in tagged] == [
        "ner=O\r", "SpaceAfter=No|name=S-ORG\r", "NER=B-X\r", "Ref=1|ner=O\r",
    ]  # fmt: skip
    assert [line.split("\t")[:-1] for line in tagged] == [line.split("\t")[:-1] for line in lines]
    write(tmp_path, "a.conllu", "\n".join(lines).replace("NER=O", "_"))
    assert rows(read_conllu(path).select(["ner"])) == [(["O", "B-ORG", "O", "O"],)]
    write(tmp_path, "a.conllu", "1\ta" + "\t_" * 8)
    assert "ner" not in read_conllu(path).column_names


@pytest.mark.parametrize("tag", ["name=B-X", "ner=O", "Ref=1"])
@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_parts_make_the_same_table(tag, at_once, tmp_path, monkeypatch):
    words = "".join(f"{n}\tw{n}\t_\tX\t_\t_\t_\t_\t_\t" + ("{}\n" if n == 2 else "_\n") for n in (1, 2, 3))
    blocks = [words.format(misc) + "\n" for misc in ("_", "SpaceAfter=No", tag, "_")]
    path = tmp_path / "a.conllu"
    path.write_text("# comment alone\n\n" + "".join(blocks))
    whole = read_conllu(path)
    assert whole.num_rows == 4
    assert ("ner" in whole.column_names) == (tag != "Ref=1")
    monkeypatch.setattr(conllu, "_SENTENCES_AT_ONCE", at_once)
    monkeypatch.setattr(spool, "_IN_MEMORY", 0)
    in_parts = read_conllu(path)
    assert in_parts.schema == whole.schema
    assert in_parts.to_pylist() == whole.to_pylist()


@pytest.mark.parametrize("numbered", [True, False])
def test_columns_of_conllu_plus_are_replaced_by_name(numbered):
    names = "ID FORM NER UPOS" if numbered else "FORM NER"
    fields = conllu_fields(f"# global.columns = {names}\n", "a")
    before, after = ("1\t", "\tX") if numbered else ("", "")
    lines = [f"{before}{word}\t{{}}{after}\r\n" for word in ("a", "b c")]
    (block,) = conllu_blocks([line.format("_") for line in lines], fields=fields)
    assert block_words(block, fields) == ["a", "b c"]
    expected = lines[0].format("O") + lines[1].format("B-X")
    assert replace_tags(block, {"NER": ["O", "B-X"]}, fields) == expected


def test_a_file_has_a_place_for_what_is_predicted():
    for name in ("upos", "XPOS", "ner"):
        check_field(name, conllu_fields("", "a"), "a")
    with pytest.raises(UsageError, match=r"a: the model predicts 'pos', .* its columns are id, form, lemma"):
        check_field("pos", conllu_fields("", "a"), "a")
    with pytest.raises(UsageError, match="predicts 'ner'"):
        check_field("ner", ("id", "form"), "a")
    with pytest.raises(UsageError, match=r"a, line 1: global\.columns has no FORM; found id, upos"):
        conllu_fields("\ufeff# global.columns = ID UPOS", "a")


def test_the_text_of_a_sentence(tmp_path):
    lines = [
        "1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_",
        "1\tde\t_\tA\t_\t_\t_\t_\t_\t_",
        "2\tle\t_\tA\t_\t_\t_\t_\t_\tSpaceAfter=No",
        "2.1\tnode\t_\tA\t_\t_\t_\t_\t_\t_",
        "3\tlac\t_\tA\t_\t_\t_\t_\t_\tx=1|SpaceAfter=No",
        "4\t.\t_\tA\t_\t_\t_\t_\t_\t_",
    ]
    table = read_conllu(write(tmp_path, "a.conllu", "\n".join(lines) + "\n\n"))
    assert table["text"].to_pylist() == ["du lac."]
    assert table["tokens"].to_pylist() == [["de", "le", "lac", "."]]
    plus = "# global.columns = FORM NER TEXT\na\tO\tx\nb\tO\ty\n\n"
    assert read_conllu(write(tmp_path, "b.conllup", plus))["text"].to_pylist() == [["x", "y"]]
    plain = "# global.columns = FORM NER\na\tO\nb\tO\n\n"
    assert read_conllu(write(tmp_path, "c.conllup", plain))["text"].to_pylist() == ["a b"]


def test_a_block_of_raw_text():
    text = " Du lac. "
    block = conllu_block(text, [(1, 3, ("De", "le")), (4, 7, ("lac",)), (7, 8, (".",))])
    assert block.split("\n") == [
        "# text = Du lac.",
        "1-2\tDu\t_\t_\t_\t_\t_\t_\t_\t_",
        "1\tDe\t_\t_\t_\t_\t_\t_\t_\t_",
        "2\tle\t_\t_\t_\t_\t_\t_\t_\t_",
        "3\tlac\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No",
        "4\t.\t_\t_\t_\t_\t_\t_\t_\t_",
        "",
        "",
    ]
    assert conllu_block("  ", []) == ""


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["The dog.\n"], False),
        (["# text = a\n", "1\ta" + "\t_" * 8 + "\n"], True),
        (["\ufeff#sent\n", "\n", "1\ta\n"], True),
        (["#tag\n", "The dog.\n"], False),
        (["#tag\n"], False),
        (["# text = a\n"], True),
        (["1 a _ _ _ _ 0 root _ _\n"], True),
        (["1 2 3\n"], False),
        ([], True),
    ],
)
def test_what_begins_as_conllu(lines, expected):
    assert is_conllu(lines) is expected
