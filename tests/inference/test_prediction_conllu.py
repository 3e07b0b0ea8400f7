"""CoNLL-U in, CoNLL-U out: only the column that the model predicts changes."""

from dataclasses import replace

import pytest

from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.inference.prediction import predict
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained
from nlp_rnn.tasks.tagging.data import TaggingProcessor


def untagged(line):
    """A line of CoNLL-U without its UPOS column, if it is a word's."""
    columns = line.split(b"\t")
    if len(columns) == 10 and columns[0].removeprefix(b"\xef\xbb\xbf").isdigit():
        columns[3] = b""
    return b"\t".join(columns)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.rstrip(b"\n"),
    ],
    ids=["as it is", "CRLF", "byte-order mark", "no final blank line"],
)
def test_only_the_upos_column_of_conllu_changes(models, shared_data, tmp_path, change):
    lines = (shared_data / "ud_english_ewt" / "test.conllu").read_bytes().split(b"\n")
    content = change(b"\n".join(lines[:6000]))
    source, output = tmp_path / "in.conllu", tmp_path / "out.conllu"
    source.write_bytes(content)
    predict(models["tagging"], str(source), str(output), conllu=True)
    before, after = content.split(b"\n"), output.read_bytes().split(b"\n")
    assert list(map(untagged, before)) == list(map(untagged, after))
    words = [line.split(b"\t") for line in after if untagged(line) != line]
    assert len(words) > 4000
    assert {columns[3] for columns in words} <= {b"ADJ", b"NOUN", b"VERB", b"_"}
    # Ranges and empty nodes are there, and keep what stands in that column.
    assert any(b"-" in line.split(b"\t")[0] for line in before if line[:1].isdigit())


CONLLU = "# text = good film\n1-2\tgoodfilm\t_\t_\t_\t_\t_\t_\t_\t_\n1\tgood\tx\tX\t_\t_\t_\t_\t_\t_\n2\tfilm\ty\tX\t_\t_\t_\t_\t_\t_\n2.1\tnode\t_\tX\t_\t_\t_\t_\t_\t_\n\n"  # noqa: E501


def test_conllu_tags_belong_to_their_words(models, answers):
    """Of the words alone, not of ranges and empty nodes; beyond the longest sentence there is no tag."""
    good, film = pipeline("tagging", models["tagging"])("good film")["tags"]
    tags = [line.split("\t")[3] for line in answers(CONLLU.encode(), "tagging", conllu=True) if "\t" in line]
    assert tags == ["_", good, film, "X"]
    rows = "".join(f"{number}\tgood\t_\tX\t_\t_\t_\t_\t_\t_\n" for number in range(1, 26)) + "\n"
    tags = [line.split("\t")[3] for line in answers(rows.encode(), "tagging", conllu=True) if "\t" in line]
    assert tags[20:] == ["_"] * 5
    assert "_" not in tags[:20]


def test_ragged_conllu_is_named_and_nothing_is_left(models, tmp_path):
    source = tmp_path / "in.conllu"
    source.write_text(CONLLU + "1\tgood\tX\n")
    with pytest.raises(
        UsageError, match=r"in\.conllu, line 7: 10 columns separated by tabs expected, 3 found"
    ):
        predict(models["tagging"], str(source), str(tmp_path / "out"), conllu=True)
    assert list(tmp_path.iterdir()) == [source]


PLUS = "# global.columns = FORM NER LEMMA\n# text = good film\ngood\tO\tgood\nfilm\t_\tfilm\n\n"


@pytest.mark.parametrize(
    ("column", "text", "place"),
    [
        ("xpos", CONLLU, 4),
        ("FEATS", CONLLU, 5),
        ("deprel", CONLLU, 7),
        ("ner", CONLLU, 9),
        ("ner", PLUS, 1),
        ("lemmata", PLUS.replace("LEMMA", "LEMMATA"), 2),
    ],
)
def test_predictions_go_into_the_column_of_the_model(models, tmp_path, column, text, place):
    task = from_pretrained(models["tagging"])
    processor = TaggingProcessor.from_state(task.processor.state())
    processor = replace(processor, columns=[column])
    trained = type(task).from_settings(processor, task.settings).eval()
    folder = save_pretrained(trained, tmp_path / "model")
    source, output = tmp_path / "in.conllu", tmp_path / "out.conllu"
    source.write_text(text)
    predict(folder, str(source), str(output), conllu=True)
    before, after = ([line.split("\t") for line in file.read_text().split("\n")] for file in (source, output))
    words = [i for i, line in enumerate(before) if len(line) > 1 and not set(line[0]) & {"-", "."}]
    tags = [after[i][place].removeprefix("ner=") for i in words]
    assert tags == pipeline("tagging", folder)("good film")["tags"]
    for i in words:
        before[i][place] = after[i][place]
    assert before == after


def test_a_file_without_the_column_of_the_model_is_refused(models, tmp_path):
    source = tmp_path / "in.conllu"
    source.write_text(PLUS)
    with pytest.raises(UsageError, match=r"in\.conllu: the model predicts 'upos', for which the file has no"):
        predict(models["tagging"], str(source), str(tmp_path / "out"), conllu=True)
    assert list(tmp_path.iterdir()) == [source]
