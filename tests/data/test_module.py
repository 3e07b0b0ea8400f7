"""DataModules: encoded once, cached by all they depend on, and each row in its place, for every task."""

import logging
import os
from dataclasses import fields
from types import SimpleNamespace

import pytest
import torch

from nlp_rnn.data import Batching, Corpus, SentimentData, Vocabulary, VocabularySettings
from nlp_rnn.data.encoding import encode
from nlp_rnn.data.rows import Rows
from nlp_rnn.data.vocabulary import UNK
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.registry import data_classes


def all_batches(data):
    return [data.train_dataloader(), data.val_dataloader(), data.test_dataloader()]


def plain(batch):
    values = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return {name: value.tolist() if torch.is_tensor(value) else value for name, value in values.items()}


def test_processor_is_a_function_of_the_arguments(case, make):
    one, other = make(), make()
    assert one.processor.state() == other.processor.state()
    assert one.processor.fingerprint == other.processor.fingerprint
    assert len(getattr(one.processor, case.vocabulary)) > 4


def test_splits_have_all_rows(case, make):
    data = make()
    assert {name: len(rows) for name, rows in data.splits.items()} == case.sizes


def process(rank, world_size):
    """The trainer of one of several processes on the CPU."""
    return SimpleNamespace(
        global_rank=rank,
        world_size=world_size,
        accumulate_grad_batches=1,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
    )


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_evaluation_sees_each_row_once(case, split, world_size, make):
    data = make()
    seen = []
    for rank in range(world_size):
        data.trainer = process(rank, world_size)
        batches = data.val_dataloader() if split == "validation" else data.test_dataloader()
        seen += [row for batch in batches for row in batch.rows]
    assert sorted(seen) == list(range(case.sizes[split]))


def test_training_shares_the_rows_out(case, make):
    data = make()
    seen, counts = [], []
    for rank in range(2):
        data.trainer = process(rank, 2)
        batches = list(data.train_dataloader())
        counts.append(len(batches))
        seen += [row for batch in batches for row in batch.rows]
    assert set(seen) == set(range(case.sizes["train"]))
    assert counts[0] == counts[1]


def test_the_trainer_tells_how_batches_are_made(case, make):
    data = make()
    data.trainer = process(1, 3)
    data.trainer.accumulate_grad_batches = 2
    loader = data.train_dataloader()
    sampler = loader.sampler
    assert (sampler.rank, sampler.num_replicas, sampler.accumulated) == (1, 3, 2)
    assert sampler.shuffle
    assert not loader.pin_memory
    assert not data.val_dataloader().sampler.shuffle
    data.trainer.overfit_batches = 1
    assert not data.train_dataloader().sampler.shuffle
    data.trainer.strategy.root_device = torch.device("cuda")
    assert data.train_dataloader().pin_memory


def test_trained_on_train_alone(case, make):
    data = make()
    vocabulary = getattr(data.processor, case.vocabulary)
    # In German the words are written with a D before.
    train = {"dquick", "quick"} & set(vocabulary.tokens())
    assert train
    assert not {"validationword", "testword", "dvalidationword", "dtestword"} & set(vocabulary.tokens())
    for split in ("validation", "test"):
        for ids in data.splits[split][list(range(case.sizes[split]))][case.ids]:
            assert ids[-1] == UNK
            assert UNK not in ids[:-1]


def test_the_summary_counts_rows_and_the_labels_that_are_scored(case, make, write):
    path = write()
    labels = {
        "sentiment": "; classes in train: negative: 12, positive: 12",
        "tagging": "; classes in train: VERB: 45, NOUN: 29",  # and 37 words without a tag
    }
    assert make(path).summary() == (
        f"{path}; rows: train 24, validation 7, test 9{labels.get(case.name, '')}"
        "; unknown tokens: train 0.0%, validation 20.0%, test 16.7%"
    )


def test_the_summary_names_the_six_most_frequent_labels(tmp_path, cache):
    counts = {"a": 3, "b": 1005, "c": 2, "d": 2, "e": 2, "f": 2, "g": 1}
    rows = [f"{label} {at}\t{label}\n" for label, count in counts.items() for at in range(count)]
    (tmp_path / "train.tsv").write_text("".join(["text\tlabel\n", *rows]))
    (tmp_path / "val.tsv").write_text("text\tlabel\nx\ta\n")
    assert SentimentData(Corpus(str(tmp_path))).summary() == (
        f"{tmp_path}; rows: train 1,017, validation 1; "
        "classes in train: b: 1,005, a: 3, c: 2, d: 2, e: 2, f: 2, ...; "
        "unknown tokens: train 49.3%, validation 100.0%"
    )


def test_missing_split(case, make, write):
    path = write(**{name.replace(".", "_"): None for name in case.files("test")})
    with pytest.raises(UsageError, match="no test split, it has train, validation; if it has one"):
        make(path).test_dataloader()


def test_a_second_start_tokenizes_nothing(case, make, cache, monkeypatch):
    first = make()
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
    second = make()
    assert [plain(batch) for batches in all_batches(second) for batch in batches] == expected
    assert second.processor.state() == first.processor.state()
    assert cache() == 1


def test_nothing_is_printed(case, make, capfd):
    for batches in all_batches(make()):
        list(batches)
    assert capfd.readouterr() == ("", "")


def test_other_content_is_another_entry(case, make, write, cache):
    same = [make(), make(write(folder="elsewhere")), make(batching=Batching(seed=7))]
    assert len({data.processor.fingerprint for data in same}) == 1
    assert cache() == 1
    for number, split in enumerate(case.sizes, 2):
        changed = {
            name.replace(".", "_"): content.replace("quick", "quack")
            for name, content in case.files(split).items()
        }
        assert len(make(write(folder=split, **changed)).splits) == 3
        assert cache() == number


def test_other_settings_are_another_entry(case, make, cache):
    fingerprints = {make().processor.fingerprint}
    changes = [{"vocabulary": VocabularySettings(min_frequency=3)}, {"max_length": 3}, *case.changes]
    for number, change in enumerate(changes, 2):
        fingerprints.add(make(**change).processor.fingerprint)
        assert len(fingerprints) == cache() == number


def test_damaged_cache_entry_is_rebuilt(case, make, tmp_path, caplog):
    """Row 38."""
    first = make()
    expected = [plain(batch) for batches in all_batches(first) for batch in batches]
    arrow = next((tmp_path / "cache").glob("*/train.arrow"))
    arrow.unlink()  # the first start still reads it, so another file takes its place
    arrow.write_bytes(b"ARROW1")
    second = make()
    assert [plain(batch) for batches in all_batches(second) for batch in batches] == expected
    (record,) = [record for record in caplog.records if "is damaged" in record.message]
    assert record.levelno == logging.WARNING


def test_trained_processor_reads_the_corpus(case, make, write, cache):
    changed = {
        name.replace(".", "_"): content.replace("quick", "zzz")
        for name, content in case.files("train").items()
    }
    trained = make(write(folder="other", **changed)).processor
    data = make()
    own = data.processor
    assert own.fingerprint != trained.fingerprint
    data.attach_processor(trained)
    assert data.processor is trained
    assert cache() == 3
    position = case.sentence(8, "train").index("quick")
    assert data.splits["train"][[8]][case.ids][0][position] == UNK
    unused = make()
    unused.attach_processor(trained)  # before anything was made
    assert len(list(unused.test_dataloader())) == len(list(data.test_dataloader()))
    assert cache() == 3


def test_equal_tokens_need_not_be_an_equal_vocabulary(case, make, write):
    """Lower-case text gives the same tokens folded or not, but upper case in it is read in two ways."""
    path = write()
    for file in os.scandir(path):
        with open(file.path, encoding="utf-8") as opened:
            text = opened.read()
        text = text.replace("D", "d") if "train" in file.name else text.replace("quick", "QUICK")
        with open(file.path, "w", encoding="utf-8") as opened:
            opened.write(text)
    unknown = []
    for lowercase in (True, False):
        settings = VocabularySettings(min_frequency=1, lowercase=lowercase)
        data = make(path)
        data.attach_processor(make(path, vocabulary=settings).processor)
        rows = data.splits["test"][list(range(case.sizes["test"]))]
        unknown.append(sum((ids == UNK).sum() for ids in rows[case.ids]))
    assert unknown[0] < unknown[1]


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
def test_settings_out_of_range_are_refused_before_data_is_read(case, arguments, message):
    with pytest.raises(UsageError, match=message):
        data_classes(case.name)[0](**{"corpus": Corpus("nowhere/at-all")} | arguments)


def test_encoded_splits_hold_what_batches_need_and_no_more(case, make):
    data = make()
    split = data.corpus.load(data.columns(), data.labels)["test"]
    encoded = encode(split, data.processor)
    made = set(encoded.column_names)
    assert made == set(data.processor.features) | set(data.processor.texts)
    assert len(Rows(encoded)) == case.sizes["test"]
    if case.name == "language_modeling":  # its inputs are its targets
        return
    targets = {"translation": "target", "sentiment": "label", "tagging": "upos"}
    inputs = encode(split.remove_columns(targets[case.name]), data.processor)
    assert set(inputs.column_names) < made
    assert data.processor.collate(Rows(inputs)[[0, 1]]).labels is None


class _Reviews(SentimentData):
    """Has a constructor of its own."""

    def __init__(self, path):
        super().__init__(Corpus(path, encoding="cp1252"), text="review")


def test_data_tells_the_names_of_its_columns(make, case):
    names = {
        "translation": {"source": "de", "target": "en"},
        "sentiment": {"text": ["text", "sentence", "document", "review"], "label": "label"},
        "tagging": {"tokens": "tokens", "tags": "upos"},
        "language_modeling": {"text": ["text", "txt", "sentence", "document", "review"]},
    }
    assert make().data_columns == names[case.name]
    assert _Reviews("a.csv").data_columns == {
        "text": "review",
        "label": "label",
        "corpus": {"encoding": "cp1252"},
    }


def test_data_says_what_it_holds():
    data = SentimentData({"text": ["a film", "a bad film"] * 9, "label": [0, 1] * 9})
    assert repr(data) == "SentimentData(data in memory (18 rows); not read yet)"
    assert data.processor is not None
    assert repr(data) == str(data) == f"SentimentData({data.summary()})"
    assert repr(data.processor.tokens) == "Vocabulary(7 tokens, level word)"


def test_a_missing_column_says_which_settings_name_columns(tmp_path):
    (tmp_path / "a.csv").write_text("tweet,mood,day\na,1,2\nb,0,2\n")
    with pytest.raises(UsageError, match=r"corpus\.columns; columns are named by data\.text and"):
        SentimentData(Corpus(str(tmp_path / "a.csv"))).summary()
    (tmp_path / "b.csv").write_text("text,mood\na,1\nb,0\n")
    with pytest.raises(UsageError, match=r"'label'; .* columns are named by data\.text and data\.label$"):
        SentimentData(Corpus(str(tmp_path / "b.csv"))).summary()
