import json
import logging
import os
from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import Any

import datasets
import pytest
import torch

from nlp_rnn.data import Batching, Corpus, Vocabulary, VocabularySettings
from nlp_rnn.data.batching import IGNORED, Rows
from nlp_rnn.data.module import encode
from nlp_rnn.data.vocabulary import BOS, EOS, PAD, UNK
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.registry import data_classes

EVERY_WORD = VocabularySettings(min_frequency=1)
WORDS = ("this", "quick", "film", "is", "not", "very", "good", "at", "all")
SIZES = {"train": 24, "validation": 7, "test": 9}


def sentence(number, split):
    """Words of train, and of each other split one that stands nowhere else."""
    words = WORDS[: 1 + number % 9]
    return [*words] if split == "train" else [*words, f"{split}word"]


def parallel(split):
    sentences = [" ".join(sentence(number, split)) for number in range(SIZES[split])]
    upper = [" ".join(f"D{word}" for word in text.split()) for text in sentences]
    return {f"{split}.en": "\n".join(sentences) + "\n", f"{split}.de": "\n".join(upper) + "\n"}


def labelled(split):
    rows = [f"{' '.join(sentence(number, split))}\t{number % 2}\n" for number in range(SIZES[split])]
    return {f"{split}.tsv": "text\tlabel\n" + "".join(rows)}


def has_hidden_labels(split):
    return {f"{split}.tsv": "".join(f"{' '.join(sentence(n, split))}\n" for n in range(SIZES[split]))}


def tagged(split):
    tags = ("NOUN", "VERB", "_")
    blocks = []
    for number in range(SIZES[split]):
        rows = [
            f"{at}\t{word}\t_\t{tags[at % 3]}\t_\t_\t0\t_\t_\t_\n"
            for at, word in enumerate(sentence(number, split), 1)
        ]
        blocks.append("".join(rows) + "\n")
    return {f"{split}.conllu": "".join(blocks)}


@dataclass
class Case:
    """One task: how its files look, and the names of what differs between tasks."""

    files: Any
    column: str
    vocabulary: str
    ids: str
    tensor: str
    changes: list[dict[str, Any]]
    marks: int = 0  # that the tensor has before the ids

    def text(self, words):
        return words if self.column == "tokens" else " ".join(words)


NEW_VOCABULARY = {"vocabulary": VocabularySettings(min_frequency=3)}
CASES = {
    "translation": Case(
        parallel, "source", "source", "source_ids", "source", [{"reverse_source": True}, {"source": "en"}]
    ),
    "sentiment": Case(labelled, "text", "tokens", "token_ids", "tokens", [{"label_names": ["bad", "good"]}]),
    "tagging": Case(
        tagged, "tokens", "words", "word_ids", "words", [{"characters": False}, {"max_word_length": 3}]
    ),
    "language_modeling": Case(
        has_hidden_labels, "text", "tokens", "token_ids", "tokens", [{"window": 5}], marks=1
    ),
}

tasks = pytest.mark.parametrize("task", CASES)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of each test's own; call it for the number of its entries."""
    monkeypatch.setenv("NLP_RNN_CACHE", str(tmp_path / "cache"))
    return lambda: len(list((tmp_path / "cache").glob("*/manifest.json")))


@pytest.fixture
def write(tmp_path):
    """Writes a task's corpus, with some files replaced, and gives the folder."""

    def write(task, folder="corpus", **replaced):
        (tmp_path / folder).mkdir(exist_ok=True)
        for split in SIZES:
            for name, content in CASES[task].files(split).items():
                content = replaced.get(name.replace(".", "_"), content)
                if content is not None:
                    (tmp_path / folder / name).write_text(content, encoding="utf-8")
        return str(tmp_path / folder)

    return write


@pytest.fixture
def make(write):
    """A task's DataModule over its small corpus."""

    def make(task, path=None, **arguments):
        arguments = {"vocabulary": EVERY_WORD, "batching": Batching(size=4)} | arguments
        return data_classes(task)[0](Corpus(path or write(task)), **arguments)

    return make


def vocabulary_of(data, task):
    return getattr(data.processor, CASES[task].vocabulary)


def all_batches(data):
    return [data.train_dataloader(), data.val_dataloader(), data.test_dataloader()]


def plain(batch):
    values = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return {name: value.tolist() if torch.is_tensor(value) else value for name, value in values.items()}


def row_of(batch, at):
    """What a batch says of one of its rows, padding cut off."""
    length = int(batch.lengths[at])
    said = {}
    for field in fields(batch):
        value = getattr(batch, field.name)
        if field.name == "spelling" and value is not None:  # the words' letters, wherever they stand
            words = value[:length, at].tolist()
            ends = batch.character_lengths.tolist()
            said["letters"] = [batch.characters[: ends[word], word].tolist() for word in words]
        elif isinstance(value, list):
            said[field.name] = value[at]
        elif torch.is_tensor(value) and not field.name.startswith("character"):
            column = value[..., at].tolist()
            if isinstance(column, list):
                ignored = IGNORED if field.name == "labels" else PAD
                column = column[: max((i + 1 for i, id in enumerate(column) if id != ignored), default=0)]
            said[field.name] = column
    return said


# ------------------------------------------------------------------------------------ what every task does


@tasks
def test_processor_is_a_function_of_the_arguments(task, make):
    one, other = make(task), make(task)
    assert one.processor.state() == other.processor.state()
    assert one.processor.fingerprint == other.processor.fingerprint
    assert len(vocabulary_of(one, task)) > 4


@tasks
def test_processor_survives_as_json(task, make):
    processor = make(task).processor
    read = type(processor).from_state(json.loads(json.dumps(processor.state())))
    assert read.state() == processor.state()
    assert read.fingerprint == processor.fingerprint
    rows = processor.rows([CASES[task].text(["quick", "Film", "<pad>", "never"])])
    assert read.encode(rows) == processor.encode(rows)


@tasks
def test_splits_have_all_rows(task, make):
    data = make(task)
    assert {name: len(rows) for name, rows in data.splits.items()} == SIZES


@tasks
@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_evaluation_sees_each_row_once(task, split, world_size, make):
    data = make(task)
    seen = []
    for rank in range(world_size):
        data.trainer = SimpleNamespace(global_rank=rank, world_size=world_size)
        batches = data.val_dataloader() if split == "validation" else data.test_dataloader()
        seen += [row for batch in batches for row in batch.rows]
    assert sorted(seen) == list(range(SIZES[split]))


@tasks
def test_training_shares_the_rows_out(task, make):
    data = make(task)
    seen, counts = [], []
    for rank in range(2):
        data.trainer = SimpleNamespace(global_rank=rank, world_size=2)
        batches = list(data.train_dataloader())
        counts.append(len(batches))
        seen += [row for batch in batches for row in batch.rows]
    assert set(seen) == set(range(SIZES["train"]))
    assert counts[0] == counts[1]


@tasks
def test_trained_on_train_alone(task, make):
    data = make(task)
    vocabulary = vocabulary_of(data, task)
    # In German the words are written with a D before.
    train = {"dquick", "quick"} & set(vocabulary.tokens())
    assert train
    assert not {"validationword", "testword", "dvalidationword", "dtestword"} & set(vocabulary.tokens())
    for split in ("validation", "test"):
        for ids in data.splits[split][list(range(SIZES[split]))][CASES[task].ids]:
            assert ids[-1] == UNK
            assert UNK not in ids[:-1]


@tasks
def test_ids_do_not_depend_on_what_else_is_in_the_batch(task, make):
    """Row 50: batch size, order and composition."""
    data = make(task)
    rows, processor = data.splits["train"], data.processor
    alone = {row: row_of(processor.collate(rows[[row]]), 0) for row in range(SIZES["train"])}
    everything = list(range(SIZES["train"]))
    for chosen in (everything, everything[::-1], [3, 20, 3], [8, 0, 17]):
        batch = processor.collate(rows[chosen])
        assert [row_of(batch, at) for at in range(len(chosen))] == [alone[row] for row in chosen]
    for size in (1, 5, 24):
        for batch in processor.loader(rows, Batching(size=size), shuffle=True):
            for at, row in enumerate(batch.rows):
                assert row_of(batch, at) == alone[row]


@tasks
def test_asking_gives_the_ids_that_training_saw(task, make, write):
    data = make(task)
    texts = [sentence(number, "test") for number in range(SIZES["test"])]
    if task == "translation":
        texts = [[f"D{word}" for word in words] for words in texts]
    asked = data.processor.rows([CASES[task].text(words) for words in texts])
    asked.update(data.processor.encode(asked))
    numbers = list(range(len(texts)))
    batch = data.processor.collate({"row": numbers, **asked})
    known = data.processor.collate(data.splits["test"][numbers])
    assert torch.equal(getattr(batch, CASES[task].tensor), getattr(known, CASES[task].tensor))
    assert torch.equal(batch.lengths, known.lengths)
    assert batch.labels is None
    assert known.labels is not None


@tasks
@pytest.mark.parametrize("text", ["", " \t \xa0 "])
def test_empty_texts_have_no_ids(task, text, make):
    processor = make(task).processor
    rows = processor.rows([text])
    batch = processor.collate({"row": [0], **rows, **processor.encode(rows)})
    marks = CASES[task].marks
    assert getattr(batch, CASES[task].tensor).shape == (marks, 1)
    assert batch.lengths.tolist() == [marks]
    rows = processor.rows([text, "quick film"])
    batch = processor.collate({"row": [0, 1], **rows, **processor.encode(rows)})
    assert getattr(batch, CASES[task].tensor).shape == (2 + marks, 2)
    assert batch.lengths.tolist() == [marks, 2 + marks]


@tasks
def test_a_lone_surrogate_is_refused(task, make):
    processor = make(task).processor
    with pytest.raises(UsageError, match=r"lone surrogate .* at character 0"):
        processor.encode(processor.rows(["\ud800 film"]))


@tasks
def test_a_split_that_is_not_there(task, make, write):
    path = write(task, **{name.replace(".", "_"): None for name in CASES[task].files("test")})
    with pytest.raises(UsageError, match="no test split, it has train, validation; if it has one"):
        make(task, path).test_dataloader()


# --------------------------------------------------------------------------------------------- the cache


@tasks
def test_a_second_start_tokenises_nothing(task, make, cache, monkeypatch):
    first = make(task)
    expected = [plain(batch) for batches in all_batches(first) for batch in batches]

    def fail(*_):
        raise AssertionError("done again")

    for owner, name in (
        (Vocabulary, "encode"),
        (Vocabulary, "encode_words"),
        (Vocabulary, "train"),
        (Vocabulary, "train_on_words"),
        (Corpus, "load"),
        (type(first.processor), "encode"),
    ):
        monkeypatch.setattr(owner, name, fail)
    second = make(task)
    assert [plain(batch) for batches in all_batches(second) for batch in batches] == expected
    assert second.processor.state() == first.processor.state()
    assert cache() == 1


@tasks
def test_nothing_is_printed(task, make, capfd):
    for batches in all_batches(make(task)):
        list(batches)
    assert capfd.readouterr() == ("", "")


@tasks
def test_other_content_is_another_entry(task, make, write, cache):
    same = [make(task), make(task, write(task, folder="elsewhere")), make(task, batching=Batching(seed=7))]
    assert len({data.processor.fingerprint for data in same}) == 1
    assert cache() == 1
    for number, split in enumerate(SIZES, 2):
        changed = {
            name.replace(".", "_"): content.replace("quick", "quack")
            for name, content in CASES[task].files(split).items()
        }
        assert len(make(task, write(task, folder=split, **changed)).splits) == 3
        assert cache() == number


@pytest.mark.parametrize(
    ("task", "change"),
    [
        (task, change)
        for task, case in CASES.items()
        for change in [NEW_VOCABULARY, {"max_length": 3}, *case.changes]
    ],
    ids=str,
)
def test_other_settings_are_another_entry(task, change, make, cache):
    assert make(task).processor.fingerprint != make(task, **change).processor.fingerprint
    assert cache() == 2


@tasks
def test_a_damaged_entry_is_made_anew(task, make, tmp_path, caplog):
    """Row 38."""
    first = make(task)
    expected = [plain(batch) for batches in all_batches(first) for batch in batches]
    arrow = next((tmp_path / "cache").glob("*/train.arrow"))
    arrow.unlink()  # the first start still reads it, so another file takes its place
    arrow.write_bytes(b"ARROW1")
    second = make(task)
    assert [plain(batch) for batches in all_batches(second) for batch in batches] == expected
    (record,) = [record for record in caplog.records if "is damaged" in record.message]
    assert record.levelno == logging.WARNING


@tasks
def test_a_trained_processor_reads_the_corpus(task, make, write, cache):
    changed = {
        name.replace(".", "_"): content.replace("quick", "zzz")
        for name, content in CASES[task].files("train").items()
    }
    trained = make(task, write(task, folder="other", **changed)).processor
    data = make(task)
    own = data.processor
    assert own.fingerprint != trained.fingerprint
    data.attach_processor(trained)
    assert data.processor is trained
    assert cache() == 3
    position = sentence(8, "train").index("quick")
    assert data.splits["train"][[8]][CASES[task].ids][0][position] == UNK
    unused = make(task)
    unused.attach_processor(trained)  # before anything was made
    assert len(list(unused.test_dataloader())) == len(list(data.test_dataloader()))
    assert cache() == 3


@tasks
def test_equal_tokens_need_not_be_an_equal_vocabulary(task, make, write):
    """Lower-case text gives the same tokens folded or not, but upper case in it is read in two ways."""
    path = write(task)
    for file in os.scandir(path):
        with open(file.path, encoding="utf-8") as opened:
            text = opened.read()
        text = text.replace("D", "d") if "train" in file.name else text.replace("quick", "QUICK")
        with open(file.path, "w", encoding="utf-8") as opened:
            opened.write(text)
    unknown = []
    for lowercase in (True, False):
        settings = VocabularySettings(min_frequency=1, lowercase=lowercase)
        data = make(task, path)
        data.attach_processor(make(task, path, vocabulary=settings).processor)
        rows = data.splits["test"][list(range(SIZES["test"]))]
        unknown.append(sum((ids == UNK).sum() for ids in rows[CASES[task].ids]))
    assert unknown[0] < unknown[1]


# --------------------------------------------------------------------------------------- lengths (row 7)


@tasks
def test_long_texts_are_cut_with_one_warning(task, make, caplog):
    data = make(task, max_length=4)
    assert max(int(batch.lengths.max()) for batch in data.train_dataloader()) == 4 + CASES[task].marks
    messages = [record.message for record in caplog.records if "cut to" in record.message]
    long = sum(len(sentence(number, "train")) > 4 for number in range(SIZES["train"]))
    assert f"{long} " in messages[0]
    assert "maximum length of 4 tokens" in messages[0]
    assert len(messages) == 3 * (2 if task == "translation" else 1)  # a split and side


def test_many_rows_make_one_warning(make, caplog):
    """More than `datasets` hands over at once."""
    processor = make("sentiment", max_length=2).processor
    caplog.clear()
    encode(datasets.Dataset.from_dict({"text": ["a quick film", "a film"] * 1200}), processor)
    assert [record.message for record in caplog.records] == [
        "1200 texts cut to the maximum length of 2 tokens"
    ]
    processor.encode({"text": ["a quick film"]})
    assert len(caplog.records) == 2


@tasks
@pytest.mark.parametrize("part", ["film ", "film"])
def test_a_line_of_a_megabyte(task, part, make, caplog):
    processor = make(task).processor
    caplog.clear()
    rows = processor.rows([part * (1_000_000 // len(part))])
    batch = processor.collate({"row": [0], **rows, **processor.encode(rows)})
    many = part.endswith(" ")
    assert batch.lengths.tolist() == [(processor.max_length if many else 1) + CASES[task].marks]
    assert len(caplog.records) == (many or task == "language_modeling")  # which warns of unknown words too
    assert all(len(record.getMessage()) < 100 for record in caplog.records)
    if task == "tagging":
        assert len(batch.characters) <= processor.max_word_length


# ---------------------------------------------------------------------------------------------- settings


@tasks
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batching": {"size": 0}}, r"batching\.size must be between"),
        ({"corpus": {"max_examples": 0}}, r"corpus\.max_examples must be between"),
        ({"vocabulary": {"max_size": 3}}, r"vocabulary\.max_size must be between"),
        ({"max_length": 0}, "max_length must be between"),
        ({"max_length": float("nan")}, "max_length must be between"),
    ],
)
def test_settings_out_of_range_are_refused_before_data_is_read(task, arguments, message):
    with pytest.raises(UsageError, match=message):
        data_classes(task)[0](**{"corpus": Corpus("nowhere/at-all")} | arguments)


# ------------------------------------------------------------------------------------------- translation


def test_targets_are_shifted(make):
    data = make("translation")
    rows = data.splits["train"]
    batch = data.processor.collate(rows[[8, 1]])
    long, short = ([int(id) for id in ids] for ids in rows[[8, 1]]["target_ids"])
    rest = [PAD] * (len(long) - len(short))
    assert batch.target.t().tolist() == [[BOS, *long], [BOS, *short, *rest]]
    rest = [IGNORED] * (len(long) - len(short))
    assert batch.labels.t().tolist() == [[*long, EOS], [*short, EOS, *rest]]
    assert batch.target.dtype == batch.labels.dtype == batch.source.dtype == torch.int64
    assert batch.references == [" ".join(sentence(8, "train")), " ".join(sentence(1, "train"))]


def test_sources_are_read_from_their_end(make):
    forward, backward = (
        make("translation", reverse_source=reverse).train_dataloader() for reverse in (False, True)
    )
    for batch, reversed_batch in zip(forward, backward, strict=True):
        for at, length in enumerate(batch.lengths.tolist()):
            ids = batch.source[:length, at].tolist()
            assert reversed_batch.source[:length, at].tolist() == ids[::-1]
            assert not reversed_batch.source[length:, at].any()
        assert torch.equal(batch.target, reversed_batch.target)


def test_an_empty_target_still_ends(make):
    processor = make("translation").processor
    rows = {"source": ["dquick", ""], "target": ["", "quick"]}
    batch = processor.collate({"row": [0, 1], **rows, **processor.encode(rows)})
    (quick,) = processor.target.encode(["quick"])[0]
    assert batch.target.t().tolist() == [[BOS, PAD], [BOS, quick]]
    assert batch.labels.t().tolist() == [[EOS, IGNORED], [quick, EOS]]
    assert batch.lengths.tolist() == [1, 0]


# --------------------------------------------------------------------------------------------- sentiment


@pytest.mark.parametrize(
    ("written", "names", "shown"),
    [
        ("01", None, ["negative", "positive"]),
        ("01", ["bad", "good"], ["bad", "good"]),
        ("12", None, ["1", "2"]),
        ("ab", None, ["a", "b"]),
    ],
)
def test_labels(written, names, shown, make, write):
    def rows(split):
        header, *lines = labelled(split)[f"{split}.tsv"].splitlines()
        lines = [line[:-1] + written[int(line[-1])] for line in lines]
        return "\n".join([header, *lines]) + "\n"

    path = write("sentiment", **{f"{split}_tsv": rows(split) for split in SIZES})
    data = make("sentiment", path, label_names=names)
    assert data.processor.labels == shown
    for batch in data.test_dataloader():
        assert batch.labels.tolist() == [row % 2 for row in batch.rows]
    # A corpus may write labels as this one does, or as people read them.
    given = data.processor.encode({"text": ["", ""], "label": [written[1], shown[0]]})
    assert given["label_id"] == [1, 0]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b", "c"], "label_names has 3 names, the train split 2 labels: 0, 1"),
        (["a", "a"], "label_names must differ from each other: a, a"),
    ],
)
def test_label_names_that_do_not_fit(names, message, make):
    with pytest.raises(UsageError, match=message):
        assert make("sentiment", label_names=names).processor


def test_a_label_that_the_model_lacks(make, write):
    processor = make("sentiment").processor
    other = datasets.Dataset.from_dict({"text": ["a", "b"], "label": ["0", "mixed"]})
    with pytest.raises(UsageError, match="unknown label 'mixed'; known: 0, 1; "):
        encode(other, processor)


def test_hidden_labels_are_no_test_split(make, write):
    hidden = labelled("test")["test.tsv"].replace("\t0", "\t-1").replace("\t1", "\t-1")
    data = make("sentiment", write("sentiment", test_tsv=hidden))
    assert list(data.splits) == ["train", "validation"]
    with pytest.raises(UsageError, match="no test split"):
        data.test_dataloader()


# ----------------------------------------------------------------------------------------------- tagging


def test_untagged_words_are_read_and_not_scored(make):
    data = make("tagging")
    assert data.processor.labels == ["NOUN", "VERB"]
    batch = data.processor.collate(data.splits["train"][[8, 1]])
    # Words 1, 2, 3 … are VERB, _, NOUN …
    assert batch.labels.t().tolist() == [[1, IGNORED, 0] * 3, [1, *[IGNORED] * 8]]
    assert (batch.words[:, 0] > UNK).all()


def test_a_tag_that_the_model_lacks(make):
    processor = make("tagging").processor
    other = datasets.Dataset.from_dict({"tokens": [["quick"]], "upos": [["X"]]})
    with pytest.raises(UsageError, match="unknown label 'X'; known: NOUN, VERB"):
        encode(other, processor)


@pytest.mark.parametrize("characters", [True, False])
def test_each_word_stays_one(characters, make):
    processor = make("tagging", characters=characters).processor
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
    spelled = row_of(batch, 0)["letters"]
    assert spelled == [ids[:32] for ids in processor.characters.encode(words)]
    assert not {PAD, BOS, EOS} & {id for ids in spelled for id in ids}
    assert "".join(processor.characters.tokens()[id] for id in spelled[-1]) == "quick"


def test_a_words_letters_stand_once_in_a_batch(make):
    data = make("tagging", max_word_length=4)
    batch = data.processor.collate(data.splits["train"][list(range(SIZES["train"]))])
    assert batch.characters.shape == (4, 9)
    assert batch.character_lengths.tolist() == [4, 4, 4, 2, 3, 4, 4, 2, 3]


def test_words_of_a_text_are_parted_by_white_space(make):
    rows = make("tagging").processor.rows(["it 's\xa0fine . ", ["it 's", ""]])
    assert rows["tokens"] == [["it", "'s", "fine", "."], ["it 's", ""]]


@pytest.mark.parametrize("level", ["bpe", "char"])
def test_tagging_has_whole_words(level):
    with pytest.raises(UsageError, match=f"must be word for tagging, not {level}"):
        data_classes("tagging")[0](vocabulary=VocabularySettings(level=level))


# ----------------------------------------------------------------------------------------------- encode


@tasks
def test_encoded_splits_hold_what_batches_need_and_no_more(task, make):
    data = make(task)
    split = data.corpus.load(data.columns(), data.labels)["test"]
    encoded = encode(split, data.processor)
    made = set(encoded.column_names)
    assert made == set(data.processor.features) | set(data.processor.texts)
    assert len(Rows(encoded)) == SIZES["test"]
    if task == "language_modeling":  # its inputs are its targets
        return
    targets = {"translation": "target", "sentiment": "label", "tagging": "upos"}
    inputs = encode(split.remove_columns(targets[task]), data.processor)
    assert set(inputs.column_names) < made
    assert data.processor.collate(Rows(inputs)[[0, 1]]).labels is None
