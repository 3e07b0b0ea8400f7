"""Files with one word per line: CoNLL-2003 and its kin."""

import pytest

from nlp_rnn.data.corpus.columns import Words
from nlp_rnn.data.corpus.layout import Layout
from nlp_rnn.data.corpus.tables import read_table
from nlp_rnn.errors import UsageError

CONLL_2003 = """-DOCSTART- -X- -X- O

the DT B-NP O
dog NN I-NP O

# a comment of several words here
Anna NNP B-NP B-PER
# O O O
"""


def wanted(tags):
    return {"tokens": Words(("tokens",)), "upos": Words((tags,))}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("ner", [["O", "O"], ["B-PER", "O"]]),
        ("xpos", [["DT", "NN"], ["NNP", "O"]]),
        ("chunk", [["B-NP", "I-NP"], ["B-NP", "O"]]),
    ],
)
@pytest.mark.parametrize("name", ["train.txt", "train.conll"])
def test_the_columns_of_conll_2003(folder, name, tags, expected):
    path = folder({name: CONLL_2003})
    table = read_table(f"{path}/{name}", wanted(tags))
    assert table.to_pydict() == {"tokens": [["the", "dog"], ["Anna", "#"]], "upos": expected}


@pytest.mark.parametrize("separator", [" ", "\t"])
def test_two_columns_are_words_and_tags_whatever_the_tags_are_called(folder, separator):
    content = f"a{separator}DET\nb{separator}NOUN\n\n\nc{separator}VERB\n"
    table = read_table(f"{folder({'a.bio': content})}/a.bio", wanted("upos"))
    assert table.to_pydict() == {"tokens": [["a", "b"], ["c"]], "upos": [["DET", "NOUN"], ["VERB"]]}


def test_stated_columns(folder):
    path = folder({"a.iob": "1 a X O\n2 b Y B\n"})
    table = read_table(f"{path}/a.iob", wanted("ner"), Layout(columns=("id", "tokens", "pos", "ner")))
    assert table.to_pydict() == {"tokens": [["a", "b"]], "upos": [["O", "B"]]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a X Y\n", "3 column(s) of words and tags, such as 'a X Y'; state their names"),
        ("a X\nb\n", "line 2: 2 fields expected, 1 found: 'b'"),
        ("the DT B-NP O\n", "no column 'upos'; the columns are tokens, xpos, chunk, ner"),
    ],
)
def test_what_does_not_fit_is_refused(folder, content, message):
    path = folder({"a.conll": content})
    with pytest.raises(UsageError) as error:
        read_table(f"{path}/a.conll", wanted("upos"))
    assert message in str(error.value)


def test_texts_of_a_table_are_split_at_white_space(folder):
    path = folder({"a.tsv": "tokens\tupos\na  b\tX Y\n c \tX\n"})
    table = read_table(f"{path}/a.tsv", wanted("upos"))
    assert table.to_pydict() == {"tokens": [["a", "b"], ["c"]], "upos": [["X", "Y"], ["X"]]}


@pytest.mark.parametrize("header", ["", "tokens\tupos\n\n"])
def test_a_tsv_with_blank_lines_between_sentences_has_one_word_per_line(folder, header):
    path = folder({"a.tsv": f"{header}a\tX\nb\tY\n\nc\tX\n"})
    table = read_table(f"{path}/a.tsv", wanted("upos"))
    assert table.to_pydict() == {"tokens": [["a", "b"], ["c"]], "upos": [["X", "Y"], ["X"]]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1\tAnna\tB-PER\tO\n2\tcame\tO\tO\n\n1\tBo\tO\tO\n", "the first column numbers the words"),
        ("\n\n".join(f"X{i % 3}\tword{i}" for i in range(30)), "it has more tags than words; state"),
    ],
)
def test_other_columns_than_the_usual_ones_are_refused(folder, content, message):
    path = folder({"a.conll": content})
    with pytest.raises(UsageError) as error:
        read_table(f"{path}/a.conll", wanted("ner"))
    assert message in str(error.value)
