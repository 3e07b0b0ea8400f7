"""Labels of texts: by the name in the corpus or in answers, and refused where they do not fit."""

import datasets
import pytest

from nlp_rnn.data import Batching, Corpus, VocabularySettings
from nlp_rnn.data.encoding import encode
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.sentiment.data import SentimentData

SIZES = {"train": 24, "test": 9}


def rows(split, labels="01"):
    words = ["this", "quick", "film", "is", "not", "very", "good", "at", "all"]
    return "".join(
        f"{' '.join(words[: 1 + number % 9])}\t{labels[number % 2]}\n" for number in range(SIZES[split])
    )


@pytest.fixture
def make(tmp_path):
    """A function that makes the data of labeled texts; rows number 0, 2, ... have the first label."""

    def make(train=None, test=None, **arguments):
        for split, content in (("train", train or rows("train")), ("test", test or rows("test"))):
            (tmp_path / f"{split}.tsv").write_text("text\tlabel\n" + content)
        settings = {"vocabulary": VocabularySettings(min_frequency=1), "batching": Batching(size=4)}
        return SentimentData(Corpus(str(tmp_path)), **settings, **arguments)

    return make


@pytest.mark.parametrize(
    ("written", "names", "shown"),
    [
        ("01", None, ["negative", "positive"]),
        ("01", ["bad", "good"], ["bad", "good"]),
        ("12", None, ["1", "2"]),
        ("ab", None, ["a", "b"]),
    ],
)
def test_labels(written, names, shown, make):
    data = make(rows("train", written), rows("test", written), label_names=names)
    assert data.processor.labels == shown
    for batch in data.test_dataloader():
        assert batch.labels.tolist() == [row % 2 for row in batch.rows]
    # A corpus may have the labels of the train split, or their names in answers.
    encoded = data.processor.encode({"text": ["", ""], "label": [written[1], shown[0]]})
    assert encoded["label_id"] == [1, 0]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b", "c"], "label_names has 3 names, the train split 2 labels: 0, 1"),
        (["a", "a"], "label_names must differ from each other: a, a"),
    ],
)
def test_label_names_that_do_not_fit(names, message, make):
    with pytest.raises(UsageError, match=message):
        assert make(label_names=names).processor


def test_a_label_that_the_model_lacks(make):
    processor = make().processor
    other = datasets.Dataset.from_dict({"text": ["a", "b"], "label": ["0", "mixed"]})
    with pytest.raises(UsageError, match="unknown label 'mixed'; known: 0, 1; "):
        encode(other, processor)


def test_split_with_hidden_labels_is_not_a_test_split(make):
    data = make(test=rows("test").replace("\t0", "\t-1").replace("\t1", "\t-1"))
    assert list(data.splits) == ["train", "validation"]
    with pytest.raises(UsageError, match="no test split"):
        data.test_dataloader()
