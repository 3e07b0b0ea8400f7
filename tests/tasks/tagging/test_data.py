"""Words and tags: one id per word, spellings once per batch, and untagged words not scored."""

import json

import datasets
import pytest

from nlp_rnn.data import Batching, Corpus, VocabularySettings
from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.encoding import encode
from nlp_rnn.data.labels import UNSEEN
from nlp_rnn.data.rows import Rows
from nlp_rnn.data.vocabulary import BOS, EOS, PAD, UNK
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.text.affixes import affix_ids
from nlp_rnn.tasks.tagging.data import TaggingData


@pytest.fixture
def make(tmp_path):
    """A function that makes the data of sentences of 1 to 9 words."""
    words = ["this", "quick", "film", "is", "not", "very", "good", "at", "all"]
    tags = ("NOUN", "VERB", "_")
    blocks = []
    for number in range(24):
        rows = [
            f"{place}\t{word}\t_\t{tags[place % 3]}\t_\t_\t0\t_\t_\t_\n"
            for place, word in enumerate(words[: 1 + number % 9], 1)
        ]
        blocks.append("".join(rows) + "\n")
    for split in ("train", "val"):
        (tmp_path / f"{split}.conllu").write_text("".join(blocks))

    def make(**arguments):
        settings = {"vocabulary": VocabularySettings(min_frequency=1), "batching": Batching(size=4)}
        return TaggingData(Corpus(str(tmp_path)), **settings, **arguments)

    return make


def test_untagged_words_are_read_and_not_scored(make):
    data = make()
    assert data.processor.labels == ["NOUN", "VERB"]
    batch = data.processor.collate(data.splits["train"][[8, 1]])
    # Words 1, 2, 3 … are VERB, _, NOUN …
    assert batch.labels.t().tolist() == [[1, IGNORED, 0] * 3, [1, *[IGNORED] * 8]]
    assert (batch.words[:, 0] > UNK).all()


def test_a_tag_that_the_model_lacks(make):
    processor = make().processor
    other = datasets.Dataset.from_dict({"tokens": [["quick"]], "upos": [["X"]]})
    with pytest.raises(UsageError, match=r"1 of 1 labels are not among those of the model \(NOUN, VERB\)"):
        encode(other, processor)


def test_tags_that_only_an_evaluation_split_has_do_not_stop_training(caplog):
    train = [{"tokens": ["a", "b"], "upos": ["X", "Y"]}] * 10
    other = [{"tokens": ["a", "b", "c"], "upos": ["X", "Z", "_"]}]
    data = TaggingData({"train": train, "validation": other})
    assert data.processor.labels == ["X", "Y"]
    batch = next(iter(data.val_dataloader()))
    assert batch.labels.t().tolist() == [[0, UNSEEN, IGNORED]]
    assert "1 label(s) that the model does not know count as errors: 'Z'" in caplog.text
    later = TaggingData({"train": [*train, *other], "validation": other})
    later.attach_processor(data.processor)
    _ = later.val_dataloader()
    with pytest.raises(UsageError, match="1 of 22 labels are not among those of the model"):
        later.train_dataloader()


@pytest.mark.parametrize("characters", [True, False])
def test_each_word_stays_one(characters, make):
    processor = make(characters=characters).processor
    words = ["", "\xa0", "don't", "😀", "<pad>", "<eos>", "<PAD>", "quick film", "<br>", "a\u0301", "quick"]
    rows = processor.rows([words, ["quick"]])
    batch = processor.collate({"row": [0, 1], **rows, **processor.encode(rows)})
    assert batch.words[:, 0].tolist()[:-1] == [UNK] * (len(words) - 1)
    assert batch.words[-1, 0] == batch.words[0, 1] > EOS
    assert batch.lengths.tolist() == [len(words), 1]
    if not characters:
        assert batch.characters is batch.spelling is None
        return
    assert batch.spelling.shape == batch.words.shape
    assert batch.spelling[-1, 0] == batch.spelling[0, 1]
    ends = batch.character_lengths.tolist()
    spelled = [batch.characters[: ends[word], word].tolist() for word in batch.spelling[:, 0].tolist()]
    assert spelled == [ids[:32] for ids in processor.characters.encode(words)]
    assert not {PAD, BOS, EOS} & {id for ids in spelled for id in ids}
    assert "".join(processor.characters.tokens()[id] for id in spelled[-1]) == "quick"


def test_characters_of_each_word_occur_once_in_a_batch(make):
    data = make(max_word_length=4)
    batch = data.processor.collate(data.splits["train"][list(range(24))])
    assert batch.characters.shape == (4, 9)
    assert batch.character_lengths.tolist() == [4, 4, 4, 2, 3, 4, 4, 2, 3]


def test_words_are_separated_by_white_space(make):
    rows = make().processor.rows(["it 's\xa0fine . ", ["it 's", ""]])
    assert rows["tokens"] == [["it", "'s", "fine", "."], ["it 's", ""]]


def test_of_several_columns_of_words_the_first_that_exists_is_read(tmp_path):
    rows = [{"words": ["a", "b"], "upos": ["X", "Y"]}] * 20
    (tmp_path / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    data = TaggingData(Corpus(str(tmp_path)), tokens=["tokens", "words"])
    assert data.load()["train"][0]["tokens"] == ["a", "b"]


def test_an_input_is_a_text_or_a_list_of_words(make):
    processor = make().processor
    assert all(map(processor.is_input, ["it 's", ["it", "'s"], ("it",), []]))
    assert not any(map(processor.is_input, [3, None, ["it", 3], [["it"]]]))


@pytest.mark.parametrize("level", ["bpe", "char"])
def test_tagging_has_whole_words(level):
    with pytest.raises(UsageError, match=f"must be word for tagging, not {level}"):
        TaggingData(vocabulary=VocabularySettings(level=level))


ROWS = [
    {
        "tokens": ["a", "b"],
        "upos": ["X", "Y"],
        "xpos": ["P", "_"],
        "feats": ["_", "F=1"],
        "other": ["P", "Q"],
    },
    {"tokens": ["c"], "upos": ["X"], "xpos": ["Q"], "feats": ["F=2"], "other": ["P"]},
] * 5


@pytest.mark.parametrize(
    ("tags", "labels", "ids"),
    [
        ("upos", ["X", "Y"], [0, 1]),
        ("xpos", ["P", "Q"], [0, IGNORED]),
        ("feats", ["F=1", "F=2", "_"], [2, 0]),
    ],
)
def test_any_column_can_be_the_tags(tags, labels, ids):
    data = TaggingData({"train": ROWS, "validation": ROWS}, tags=tags)
    assert data.processor.labels == labels
    assert data.splits["train"][[0]]["label_ids"][0].tolist() == ids
    processor = type(data.processor).from_state(data.processor.state())
    assert processor.column_names == [tags]
    # UPOS is stored as by earlier versions.
    assert ("columns" in processor.settings()) == (tags != "upos")


def test_many_features_do_not_keep_rows_from_validation():
    rows = [{"tokens": ["a", "b"], "feats": [f"F={number}", "_"]} for number in range(40)]
    data = TaggingData(rows, tags="feats")
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 32,
        "validation": 4,
        "test": 4,
    }


def test_other_data_has_the_column_of_the_model(caplog):
    processor = TaggingData({"train": ROWS, "validation": ROWS}, tags="xpos").processor
    other = TaggingData({"train": ROWS, "validation": ROWS})
    with pytest.raises(UsageError, match=r"the model predicts xpos: set data\.tags to it, not upos"):
        other.attach_processor(processor)
    with pytest.raises(UsageError, match="the model predicts xpos: name as many columns of tags, not a, b"):
        TaggingData({"train": ROWS, "validation": ROWS}, tags="a,b").check(processor)
    renamed = TaggingData({"train": ROWS, "test": ROWS}, tags="other")  # as evaluate --columns tags=other
    renamed.check(processor)
    assert Rows(encode(renamed.load_split("test"), processor))[[0]]["label_ids"][0].tolist() == [0, 1]


@pytest.mark.parametrize("column", ["xpos", "feats"])
def test_a_column_with_one_value_is_named_with_its_file(column, tmp_path):
    rows = [{"tokens": ["a", "b"], column: ["X", "X"]}] * 9
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UsageError, match=f"train.jsonl.*: every {column} in train is 'X'; give two or more"):
        TaggingData(str(path), tags=column).processor  # noqa: B018


@pytest.mark.parametrize("characters", [True, False])
def test_affixes_are_those_of_the_word_as_the_vocabulary_writes_it(characters, make):
    data = make(affixes=[-2, 3], affix_buckets=50, characters=characters)
    rows = data.processor.rows([["Quick", "İA", ""], ["film"], []])
    batch = data.processor.collate({"row": [0, 1, 2], **rows, **data.processor.encode(rows)})
    assert batch.affixes.shape == (3, 2, 3)
    for (step, row), word in {(0, 0): "quick", (1, 0): "i\u0307a", (2, 0): "", (0, 1): "film"}.items():
        assert batch.affixes[step, :, row].tolist() == affix_ids(word, [-2, 3], 50)
    assert data.processor.reads_unknown
    (trained,) = data.train_dataloader().dataset[[0]]["affix_ids"]
    assert list(trained) == affix_ids("this", [-2, 3], 50)


def test_a_model_without_affixes_knows_none_of_their_settings(make):
    assert make().processor.settings().keys().isdisjoint({"affixes", "affix_buckets"})
    with pytest.raises(UsageError, match="affix_buckets has no effect without affixes"):
        make(affix_buckets=50)


@pytest.mark.parametrize("affixes", [[0], [2, 2], [17], [-17]])
def test_affixes_that_are_none(affixes, make):
    with pytest.raises(UsageError, match="affixes must be"):
        make(affixes=affixes)
