"""A small corpus per task, and what its DataModule makes of it."""

import pytest

from nlp_rnn.data import Batching, Corpus, VocabularySettings
from nlp_rnn.tasks.registry import data_classes

WORDS = ("this", "quick", "film", "is", "not", "very", "good", "at", "all")


def sentence(number, split):
    """Words of train; in other splits, with one word that occurs nowhere else."""
    words = WORDS[: 1 + number % 9]
    return [*words] if split == "train" else [*words, f"{split}word"]


class Case:
    """One task: its corpus, and the names that differ between tasks.

    Args:
        name: the task.
        column: the canonical column of inputs.
        vocabulary: the processor's field with the vocabulary of the inputs.
        ids: the column of their ids.
        tensor: the batch's field with their ids.
        changes: settings that make another processor.
        marks: how many ids the tensor has before those of the text.
    """

    sizes = {"train": 24, "validation": 7, "test": 9}
    sentence = staticmethod(sentence)

    def __init__(self, name, column, vocabulary, ids, tensor, changes, marks=0):
        self.name, self.column, self.vocabulary, self.ids, self.tensor = name, column, vocabulary, ids, tensor
        self.changes, self.marks = changes, marks

    def text(self, words):
        return words if self.column == "tokens" else " ".join(words)

    def files(self, split):
        """The files of a split: {name: text}."""
        sentences = [sentence(number, split) for number in range(self.sizes[split])]
        texts = [" ".join(words) for words in sentences]
        if self.name == "translation":
            german = [" ".join(f"D{word}" for word in words) for words in sentences]
            return {f"{split}.en": "\n".join(texts) + "\n", f"{split}.de": "\n".join(german) + "\n"}
        if self.name == "sentiment":
            rows = [f"{text}\t{number % 2}\n" for number, text in enumerate(texts)]
            return {f"{split}.tsv": "text\tlabel\n" + "".join(rows)}
        if self.name == "tagging":
            tags = ("NOUN", "VERB", "_")
            blocks = [
                "".join(
                    f"{number}\t{word}\t_\t{tags[number % 3]}\t_\t_\t0\t_\t_\t_\n"
                    for number, word in enumerate(words, 1)
                )
                for words in sentences
            ]
            return {f"{split}.conllu": "\n".join(blocks) + "\n"}
        return {f"{split}.tsv": "".join(f"{text}\n" for text in texts)}


CASES = [
    Case(
        "translation",
        "source",
        "source",
        "source_ids",
        "source",
        [{"reverse_source": True}, {"source": "en"}],
    ),
    Case("sentiment", "text", "tokens", "token_ids", "tokens", [{"label_names": ["bad", "good"]}]),
    Case("tagging", "tokens", "words", "word_ids", "words", [{"characters": False}, {"max_word_length": 3}]),
    Case("language_modeling", "text", "tokens", "token_ids", "tokens", [{"window": 5}], marks=1),
]


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request):
    return request.param


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of each test's own; call it for the number of its entries."""
    monkeypatch.setenv("NLP_RNN_CACHE", str(tmp_path / "cache"))
    return lambda: len(list((tmp_path / "cache").glob("*/manifest.json")))


@pytest.fixture
def write(case, tmp_path):
    """A function that writes the corpus, with some files replaced or left out, and returns its folder."""

    def write(folder="corpus", **replaced):
        (tmp_path / folder).mkdir(exist_ok=True)
        for split in case.sizes:
            for name, content in case.files(split).items():
                content = replaced.get(name.replace(".", "_"), content)
                if content is not None:
                    (tmp_path / folder / name).write_text(content, encoding="utf-8")
        return str(tmp_path / folder)

    return write


@pytest.fixture
def make(case, write, cache):
    """A function that makes the task's DataModule of the corpus."""

    def make(path=None, **arguments):
        every_word = VocabularySettings(min_frequency=1)
        arguments = {"vocabulary": every_word, "batching": Batching(size=4)} | arguments
        return data_classes(case.name)[0](Corpus(path or write()), **arguments)

    return make
