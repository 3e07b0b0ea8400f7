"""Corpora as a whole: real ones, samples of their rows, bundled ones, and cache keys."""

from collections import Counter
from pathlib import Path

import pytest
from datasets import DatasetDict, Features, Value

from nlp_rnn.data.builtin import sentences as builtin
from nlp_rnn.data.corpus.columns import Words
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.errors import UsageError

SENTIMENT = {"text": ("text", "sentence", "document"), "label": "label"}
PAIRS = {"source": "de", "target": "en"}
TAGS = {"tokens": Words(("tokens",)), "upos": Words(("upos",))}
REAL = Path(__file__).parents[4] / "shared" / "data"

real_data = pytest.mark.skipif(not REAL.is_dir(), reason=f"no real corpora in {REAL}")


def tsv(first: int, last: int, labels: str = "01") -> str:
    return "".join(f"text {i}\t{labels[i % len(labels)]}\n" for i in range(first, last))


def sizes(splits: DatasetDict) -> dict[str, int]:
    return {name: split.num_rows for name, split in splits.items()}


@real_data
@pytest.mark.parametrize(
    ("name", "columns", "labels", "rows"),
    [
        ("sst2", SENTIMENT, "label", (6_920, 872, 1_821)),
        ("imdb", SENTIMENT, "label", (22_500, 2_500, 25_000)),
        ("nsmc", SENTIMENT, "label", (150_000, 10_000, 20_000)),
        ("multi30k", PAIRS, None, (29_000, 1_014, 1_000)),
    ],
)
def test_real_corpora(name, columns, labels, rows):
    splits = Corpus(str(REAL / name)).load(columns, labels)
    assert sizes(splits) == dict(zip(("train", "validation", "test"), rows, strict=True))
    for split in splits.values():
        assert split.features == Features({column: Value("string") for column in columns})
        if labels:
            assert set(split.unique("label")) == {"0", "1"}


@real_data
def test_real_conllu(tmp_path):
    for name in ("dev", "test"):  # reading the whole train split takes seconds
        (tmp_path / f"en_ewt-ud-{name}.conllu").symlink_to(REAL / "ud_english_ewt" / f"{name}.conllu")
    (tmp_path / "en_ewt-ud-train.conllu").symlink_to(REAL / "ud_english_ewt" / "dev.conllu")
    splits = Corpus(str(tmp_path)).load(TAGS, "upos")
    assert sizes(splits) == {"train": 2_001, "validation": 2_001, "test": 2_077}
    assert sum(map(len, splits["test"]["tokens"])) == sum(map(len, splits["test"]["upos"])) == 25_094
    assert len({tag for tags in splits["train"]["upos"] for tag in tags}) == 17


@pytest.mark.parametrize("with_test", [False, True])
def test_drawn_splits_are_stratified_seeded_and_disjoint(folder, with_test):
    """Validation is drawn where it is missing, test where train is alone."""
    files = {"train.tsv": tsv(0, 90, "a") + tsv(90, 100, "b")}
    path = folder(files | ({"test.tsv": tsv(100, 110, "ab")} if with_test else {}))
    draws = [Corpus(path, validation_fraction=0.2, seed=seed).load(SENTIMENT, "label") for seed in (0, 0, 1)]
    for splits in draws:
        assert Counter(splits["validation"]["label"]) == {"a": 18, "b": 2}
        assert Counter(splits["test"]["label"]) == ({"a": 5, "b": 5} if with_test else {"a": 9, "b": 1})
        drawn = ["train", "validation", *([] if with_test else ["test"])]
        texts = [text for name in drawn for text in splits[name]["text"]]
        assert sorted(texts) == sorted(f"text {i}" for i in range(100))
        assert splits["train"]["text"][:] == sorted(splits["train"]["text"], key=lambda text: int(text[5:]))
    for name in drawn[1:]:
        assert draws[0][name].to_dict() == draws[1][name].to_dict()
        assert draws[0][name].to_dict() != draws[2][name].to_dict()


def test_max_examples_is_a_seeded_sample_of_each_split_in_order(folder):
    path = folder({"train.tsv": tsv(0, 500, "a") + tsv(500, 1000, "b"), "test.tsv": tsv(1000, 1100, "ab")})
    splits = Corpus(path, max_examples=40).load(SENTIMENT, "label")
    assert sizes(splits) == {"train": 40, "validation": 40, "test": 40}
    assert 10 < Counter(splits["train"]["label"])["a"] < 30
    for split in splits.values():
        assert split["text"][:] == sorted(split["text"], key=lambda text: int(text[5:]))
    assert (
        splits["train"].to_dict() == Corpus(path, max_examples=40).load(SENTIMENT, "label")["train"].to_dict()
    )
    with pytest.raises(UsageError, match="max_examples=1 cannot hold all labels; give 2 or more"):
        Corpus(path, max_examples=1).load(SENTIMENT, "label")
    with pytest.raises(UsageError, match="max_examples must be between"):
        Corpus(path, max_examples=0).load(SENTIMENT, "label")


def test_max_examples_keeps_a_rare_label_in_train(folder):
    path = folder({"train.tsv": tsv(0, 500, "a") + tsv(500, 501, "b"), "dev.tsv": tsv(0, 9, "b")})
    for seed in range(5):
        splits = Corpus(path, max_examples=5, seed=seed).load(SENTIMENT, "label")
        assert Counter(splits["train"]["label"]) == {"a": 4, "b": 1}


@pytest.fixture(scope="module")
def built_in():
    return builtin.builtin_splits(0)  # takes a second: made once


@pytest.mark.parametrize("columns", [PAIRS, TAGS, SENTIMENT], ids=lambda columns: "-".join(columns))
def test_built_in_sentences_offer_every_task_s_columns(columns, built_in, monkeypatch):
    monkeypatch.setattr(builtin, "builtin_splits", {0: built_in}.get)
    splits = Corpus(seed=3).load(columns)
    assert sizes(splits) == {name: len(rows) for name, rows in built_in.items()}
    assert splits["train"].column_names == list(columns)
    row, made = splits["test"][7], built_in["test"][7]
    german, english = " ".join(made.german), " ".join(made.english)
    assert row in (
        {"source": german, "target": english},
        {"tokens": list(made.english), "upos": list(made.upos)},
        {"text": english, "label": made.sentiment},
    )


def test_key_follows_content_and_settings_not_the_place(tmp_path):
    def key(name: str, content: str, columns=SENTIMENT, labels=None, **settings) -> str:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "train.tsv").write_text(content)
        return Corpus(str(folder), **settings).cache_key(columns, labels)

    base = key("a", "x\t1\n")
    assert base == key("b", "x\t1\n")
    different = [
        key("a", "x\t0\n"),
        key("a", "x\t1\n", {"text": "text", "label": "label"}),
        key("a", "x\t1\n", {"label": "label", "text": SENTIMENT["text"]}),
        key("a", "x\t1\n", labels="label"),
        key("a", "x\t1\n", seed=1),
        key("a", "x\t1\n", validation_fraction=0.2),
        key("a", "x\t1\n", test_fraction=0),
        key("a", "x\t1\n", max_examples=5),
        Corpus().cache_key(SENTIMENT),
        Corpus(seed=1).cache_key(SENTIMENT),
    ]
    (tmp_path / "a" / "dev.tsv").write_text("x\t1\n")
    different.append(Corpus(str(tmp_path / "a")).cache_key(SENTIMENT))
    assert len({base, *different}) == 1 + len(different)


def test_existing_path_named_like_a_built_in_corpus_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hello").mkdir()
    (tmp_path / "hello" / "train.csv").write_text("text\n" + "mine\n" * 9)
    for call in (Corpus("hello").load, Corpus("hello").cache_key):
        with pytest.raises(UsageError, match=r"both a bundled corpus and a local path: write \./hello"):
            call({"text": "text"})
    assert Corpus("./hello").load({"text": "text"})["train"][0] == {"text": "mine"}
