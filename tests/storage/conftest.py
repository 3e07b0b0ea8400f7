"""A trained model of each text task, as checkpoint and as folder, whose corpus is gone."""

import pytest
import pytorch_lightning as pl
import torch

from nlp_rnn.data import (
    Corpus,
    LanguageModelingData,
    MultiLabelData,
    SentimentData,
    TaggingData,
    TranslationData,
    VocabularySettings,
)
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks import TASKS as EVERY_TASK
from nlp_rnn.tasks import BeamSettings, Optimization
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained

TASKS = {name: task for name, task in EVERY_TASK.items() if task.processor_class.input_description == "text"}
OPTIONS = {
    "sentiment": {"pooling": "max", "cell": "gru"},
    "tagging": {
        "character_embedding_dim": 4,
        "character_hidden_dim": 6,
        "optimization": Optimization(lr=0.1),
    },
    "language_modeling": {"num_layers": 2, "decoding": BeamSettings(max_output=9)},
    "multi_label": {"thresholds": [0.25, 0.75]},
    "translation": {"num_layers": 2, "decoding": BeamSettings(beam=2, n_best=2, max_output=9)},
}


def write_corpus(folder):
    """A few rows for each task, as local files."""
    folder.mkdir()
    german = ["ich arbeite hier .", "die arbeit ist gut .", "das ist nicht gut .", "sie arbeitet ."]
    english = ["i work here .", "the work is good .", "that is not good .", "she works ."]
    tags = [
        "PRON VERB ADV PUNCT",
        "DET NOUN AUX ADJ PUNCT",
        "PRON AUX PART ADJ PUNCT",
        "PRON VERB PUNCT",
    ]
    for split in ("train", "val"):
        (folder / f"{split}.de").write_text("\n".join(german) + "\n")
        (folder / f"{split}.en").write_text("\n".join(english) + "\n")
        rows = "".join(f"{text}\t{number % 2}\n" for number, text in enumerate(english))
        (folder / "labels").mkdir(exist_ok=True)
        (folder / "labels" / f"{split}.tsv").write_text("text\tlabel\n" + rows)
        sets = "".join(f"{text}\t{'a' * (n % 2)}|{'b' * (n // 2)}\n" for n, text in enumerate(english))
        (folder / "sets").mkdir(exist_ok=True)
        (folder / "sets" / f"{split}.tsv").write_text("text\tlabels\n" + sets)
        (folder / "tags").mkdir(exist_ok=True)
        with (folder / "tags" / f"{split}.conllu").open("w") as file:
            for sentence, upos in zip(english, tags, strict=True):
                for place, (word, tag) in enumerate(zip(sentence.split(), upos.split(), strict=True), 1):
                    file.write(f"{place}\t{word}\t_\t{tag}\t_\t_\t_\t_\t_\t_\n")
                file.write("\n")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, cache_home):
    """Of each task a model after a few steps, its checkpoint and its folder; the corpus is gone."""
    home = tmp_path_factory.mktemp("trained")
    write_corpus(home / "corpus")
    every = VocabularySettings(min_frequency=1)
    data = {
        "sentiment": SentimentData(Corpus(str(home / "corpus" / "labels")), vocabulary=every),
        "tagging": TaggingData(Corpus(str(home / "corpus" / "tags")), vocabulary=every),
        "language_modeling": LanguageModelingData(Corpus(str(home / "corpus")), "en", every, window=5),
        "multi_label": MultiLabelData(Corpus(str(home / "corpus" / "sets")), vocabulary=every),
        "translation": TranslationData(Corpus(str(home / "corpus")), vocabulary=every, reverse_source=True),
    }
    torch.manual_seed(1)
    made = {}
    for name, module in data.items():
        task = TASKS[name](module.processor, embedding_dim=8, hidden_dim=12, **OPTIONS[name])
        trainer = pl.Trainer(
            max_steps=2, accelerator="cpu", logger=False, enable_progress_bar=False,
            enable_model_summary=False, default_root_dir=home, enable_checkpointing=False,
        )  # fmt: skip
        trainer.fit(task, module)
        trainer.save_checkpoint(home / f"{name}.ckpt")
        save_pretrained(task, home / name, "card")
        made[name] = task.eval()
    (home / "corpus").rename(home / "gone")
    return home, made


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of the sentiment model's folder, to damage."""
    return save_pretrained(trained[1]["sentiment"], tmp_path / "model")


def _refused(source, *expected):
    """The message with which `source` is refused: one line that holds what is expected."""
    with pytest.raises(UsageError) as caught:
        from_pretrained(source)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1000
    for part in expected:
        assert str(part) in message
    return message


@pytest.fixture(scope="session")
def refused():
    return _refused
