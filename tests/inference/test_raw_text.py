"""Taggers take raw text: it is split as the corpus of the training was, and answers show its words."""

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nlp_rnn.data import Batching, Corpus, VocabularySettings
from nlp_rnn.data.corpus.conllu import conllu_block, read_conllu
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.inference.prediction import predict
from nlp_rnn.inspection.inspector import inspect
from nlp_rnn.lite.text.splitting import Token
from nlp_rnn.tasks import Tagging
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained
from nlp_rnn.tasks.tagging.data import TaggingData

# Texts of train: each token with the words that a contraction stands for, and _ where white space follows.
TEXTS = [
    "The_ dog_ barks .",
    "I_ do n't_ know_ John 's_ dog .",
    "We_ did n't_ go ,_ Mary .",
    "L'_ eau_ du=de+le_ chien_ du=de+le_ roi .",
    "Ann 's_ cat_ was n't_ here .",
]
RAW = "Ann's dog didn't go."
WORDS = ["Ann", "'s", "dog", "did", "n't", "go", "."]


def treebank():
    blocks = []
    for text in TEXTS:
        tokens = []
        for part in text.split():
            written, _, words = part.rstrip("_").partition("=")
            after = len(part) if part.endswith("_") else 0
            tokens.append((written, words.split("+") if words else [written], after))
        raw = "".join(written + " " * bool(after) for written, _, after in tokens)
        placed, end = [], 0
        for written, words, after in tokens:
            placed.append(Token(end, end + len(written), tuple(words)))
            end += len(written) + bool(after)
        lines = conllu_block(raw, placed).split("\n")
        for number, line in enumerate(lines):
            fields = line.split("\t")
            if fields[0].isdigit():
                fields[2:5] = [
                    fields[1].lower() + "x" * (number % 2),
                    ("X", "Y")[number % 2],
                    ("A", "B", "C")[number % 3],
                ]
                lines[number] = "\t".join(fields)
        blocks.append("\n".join(lines))
    return "".join(blocks)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("treebank")
    for split in ("train", "dev"):
        (folder / f"{split}.conllu").write_text(treebank())
    return folder


@pytest.fixture(scope="module")
def make(corpus):
    """Makes an untrained tagger of the treebank."""

    def make(tags="upos", **settings):
        data = TaggingData(
            Corpus(str(corpus)),
            tags=tags,
            vocabulary=VocabularySettings(min_frequency=1),
            batching=Batching(4),
        )
        return Tagging(data.processor, 4, 5, 1, 0.0, **settings).eval()

    return make


@pytest.fixture
def folder(make, tmp_path):
    return save_pretrained(make("xpos,upos,lemma"), tmp_path / "model")


@pytest.fixture
def lines(folder, tmp_path):
    def ask(text, name="in.txt", **options):
        source, output = tmp_path / name, tmp_path / "out.txt"
        source.write_text(text)
        predict(folder, str(source), str(output), **options)
        return output.read_text().split("\n")[:-1]

    return ask


def test_a_text_is_split_as_the_treebank_is(make):
    ask = pipeline("tagging", make())
    answer = ask(RAW)
    assert answer["words"] == WORDS
    assert [RAW[start:end] for start, end in answer["offsets"]] == WORDS
    (given,) = ask([WORDS])
    assert "offsets" not in given
    assert given["words"] == WORDS
    assert given["tags"] == answer["tags"]
    assert ask(" ".join(WORDS))["words"] == WORDS
    assert ask("le roi du chien")["words"] == ["le", "roi", "de", "le", "chien"]


def test_answers_do_not_depend_on_the_batch(make):
    ask = pipeline("tagging", make(), batch_size=3)
    texts = [RAW, "", "Du roi.", "I don't know.", "x", ["don't", "go ."]]
    together = ask(texts)
    for text, answer in zip(texts, together, strict=True):
        (alone,) = ask([text])
        assert alone.pop("scores") == pytest.approx(answer.pop("scores"), abs=1e-6)
        assert alone == answer


def test_words_beyond_the_maximum_length_are_cut(make, caplog):
    task = make()
    task.processor = replace(task.processor, max_length=3)
    answer = pipeline("tagging", task)(RAW * 3)
    assert len(answer["words"]) == len(answer["tags"]) == len(answer["offsets"]) == 3
    assert "cut to the maximum length of 3" in caplog.text


def test_a_stream_is_answered_as_the_whole(make):
    ask = pipeline("tagging", make(bidirectional=False))
    whole, stream = ask(RAW), ask.stream()
    answers = [stream(piece) for piece in RAW.split()]
    for key in ("words", "tags"):
        assert [value for answer in answers for value in answer[key]] == whole[key]


def test_inspection_shows_the_words(make):
    assert inspect(make(), RAW).tokens == [word.lower() for word in WORDS]


def test_plain_lines_show_words_and_tags(lines, folder):
    (line,) = lines(RAW + "\n")
    answer = pipeline("tagging", folder)(RAW)
    rows = zip(answer["words"], answer["tags"], answer["upos"], answer["lemma"], strict=True)
    assert line == " ".join(map("/".join, rows))


def test_json_has_offsets(lines):
    answer = json.loads(lines(RAW + "\n", as_json=True)[0])
    assert list(answer)[:3] == ["words", "tags", "scores"]
    assert [RAW[start:end] for start, end in answer["offsets"]] == answer["words"] == WORDS


def test_conllu_is_made_of_raw_text(lines, folder, tmp_path):
    text = "  Ann's dog\u00a0didn't go du roi. \n\n#1 in du!\nend\n"
    written = lines(text, conllu=True)
    (tmp_path / "again.conllu").write_text("\n".join(written) + "\n")
    table = read_conllu(tmp_path / "again.conllu")
    assert table["tokens"].to_pylist()[0] == [*WORDS[:-1], "de", "le", "roi", "."]
    assert table["text"].to_pylist() == ["Ann's dog didn't go du roi.", "#1 in du!", "end"]
    answers = pipeline("tagging", folder)([line for line in text.split("\n") if line])
    for column, key in (("xpos", "tags"), ("upos", "upos"), ("lemma", "lemma")):
        assert table[column].to_pylist() == [answer[key] for answer in answers]
    assert written[0] == "# text = Ann's dog\u00a0didn't go du roi."
    assert written[1].split("\t")[::9] == ["1", "SpaceAfter=No"]
    assert "7-8\tdu\t_\t_\t_\t_\t_\t_\t_\t_" in written
    # What was made is CoNLL-U, whatever the file is called.
    assert lines("\n".join(written) + "\n", conllu=True) == written


@pytest.mark.parametrize(
    ("text", "message"),
    [("1 dog _ _ _ _ 0 root _ _\n", "10 columns separated by tabs expected"), ("a\tb\n", "10 columns")],
)
def test_broken_conllu_is_not_taken_for_raw_text(lines, text, message):
    with pytest.raises(UsageError, match=message):
        lines(text, conllu=True)
    with pytest.raises(UsageError, match="10 columns"):
        lines("raw text\n", name="in.conllu", conllu=True)


def test_words_with_spaces_between_them_are_kept_on_demand(lines, run, folder, tmp_path):
    text = "don't go, Ann's\n"
    assert json.loads(lines(text, as_json=True)[0])["words"] == ["do", "n't", "go", ",", "Ann", "'s"]
    assert json.loads(lines(text, as_json=True, words=True)[0])["words"] == ["don't", "go,", "Ann's"]
    assert len([line for line in lines(text, conllu=True, words=True) if "\t" in line]) == 3
    code, out, _ = run("predict", str(folder), str(tmp_path / "in.txt"), "--words")
    assert code == 0
    assert [part.split("/")[0] for part in out.split()] == text.split()


def test_words_are_for_taggers(models, tmp_path):
    (tmp_path / "in.txt").write_text("good\n")
    with pytest.raises(UsageError, match="are for taggers"):
        predict(models["sentiment"], str(tmp_path / "in.txt"), str(tmp_path / "out"), words=True)


def test_the_output_says_that_it_is_conllu(run, folder, tmp_path):
    (tmp_path / "in.txt").write_text(RAW)
    code, _, err = run(
        "predict", str(folder), str(tmp_path / "in.txt"), "--output", str(tmp_path / "out.conllu")
    )
    assert code == 0, err
    assert read_conllu(tmp_path / "out.conllu")["tokens"].to_pylist() == [WORDS]
    (tmp_path / "in.csv").write_text("tokens\na b\n")
    code, _, err = run("predict", str(folder), str(tmp_path / "in.csv"), "--conllu")
    assert code == 2
    assert "is a table" in err


def test_cells_of_tables_are_raw_text_or_lists_of_words(folder, tmp_path):
    rows = {"raw": [RAW, None, ""], "words": [["don't", "go"], [], None]}
    for column, expected in (("raw", [WORDS, None, []]), ("words", rows["words"])):
        pq.write_table(pa.table({column: rows[column]}), tmp_path / "in.parquet")
        output = str(tmp_path / "out.parquet")
        predict(folder, str(tmp_path / "in.parquet"), output, columns={"tokens": column})
        answers = pq.read_table(tmp_path / "out.parquet").to_pylist()
        assert [row["prediction_words"] for row in answers] == expected
        for words, row in zip(expected, answers, strict=True):
            assert row["prediction"] == words or len(row["prediction"]) == len(words) > 0


def test_models_without_a_splitter_split_at_white_space(make, tmp_path):
    task = make()
    task.processor = replace(task.processor, splitter=None)
    loaded = from_pretrained(save_pretrained(task, tmp_path / "old"))
    answer = pipeline("tagging", loaded)(RAW)
    assert answer["words"] == RAW.split()
    assert [RAW[start:end] for start, end in answer["offsets"]] == RAW.split()
