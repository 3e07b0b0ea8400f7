"""Taggers with a language model: its states are those at the words' ends, and the folder holds all of it."""

import shutil

import pytest
import torch

from nlp_rnn.data import Batching, Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.export.formats import FORMATS
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.lite.pipelines import pipeline as lite_pipeline
from nlp_rnn.lite.text.tokenizer_format import BOS
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.tasks import LanguageModeling, Sentiment, Tagging
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained
from nlp_rnn.tasks.sentiment.data import SentimentProcessor
from nlp_rnn.tasks.tagging.data import TaggingData

ROWS = [
    {"tokens": text.split(), "upos": ["X", "Y", "Z"][: len(text.split())]} for text in ("a film is", "is it")
]
INPUTS = [["a", "film", "was"], [], ["", "Ünseen", ""], ["is"], "it isn't."]
SIZES = {"embedding_dim": 6, "hidden_dim": 5}


def language_model(folder, level="char", int8=False, **options):
    torch.manual_seed(1)
    vocabulary = Vocabulary.train(["a film is it was n't"], VocabularySettings(level, False, 1))
    task = LanguageModeling(LanguageModelingProcessor(vocabulary), 4, 7, **options).eval()
    for weight in task.parameters():
        torch.nn.init.normal_(weight)
    if int8:
        quantize(task.model)
    return str(save_pretrained(task, folder))


def data(folder, **options):
    corpus = {"train": ROWS, "validation": ROWS}
    return TaggingData(corpus, language_model=folder, batching=Batching(size=2), **options)


@pytest.fixture
def folder(tmp_path):
    return language_model(tmp_path / "lm", bidirectional=True, num_layers=2)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_features_are_the_states_of_the_language_model(bidirectional, tmp_path):
    source = language_model(tmp_path / "lm", bidirectional=bidirectional)
    lm, processor = from_pretrained(source), data(source).processor
    task = Tagging(processor, **SIZES).eval()
    rows = processor.rows([["a", "film", "was"], ["is"]])
    batch = processor.collate({"row": [0, 1], **processor.encode(rows)})
    read = []
    task.model.string_encoder.register_forward_hook(lambda *arguments: read.append(arguments[-1]))
    task.logits(batch)
    (features,) = read
    assert features.shape == (3, 2, 14 if bidirectional else 7)
    (ids,) = lm.processor.tokens.encode(["a film was"])
    forward, _ = lm.model.read(torch.tensor([BOS, *ids])[:, None])
    expected = [forward[[1, 6, 10], 0]]  # behind "a", "a film" and "a film was"
    if bidirectional:
        backward, _ = lm.model.read_backward(torch.tensor([BOS, *ids[::-1]])[:, None])
        expected.append(backward[[10, 8, 3], 0])  # behind "saw mlif a", "saw mlif" and "saw"
    torch.testing.assert_close(features[:, 0], torch.cat(expected, -1), atol=1e-6, rtol=0)
    (ids,) = lm.processor.tokens.encode(["is"])
    forward, _ = lm.model.read(torch.tensor([BOS, *ids])[:, None])
    torch.testing.assert_close(features[0, 1, :7], forward[2, 0], atol=1e-6, rtol=0)


@pytest.mark.parametrize("int8", [False, True])
def test_the_folder_holds_the_language_model(int8, folder, tmp_path):
    task = Tagging(data(folder, affixes=[-2]).processor, **SIZES).eval()
    if int8:
        quantize(task.model)
    expected = pipeline("tagging", task)(INPUTS)
    saved = save_pretrained(task, tmp_path / "tagger")
    shutil.rmtree(folder)
    assert pipeline("tagging", saved)(INPUTS) == expected
    for ours, theirs in zip(lite_pipeline("tagging", saved)(INPUTS), expected, strict=True):
        assert ours.pop("scores") == pytest.approx(theirs.pop("scores"), abs=2e-5)
        assert ours == theirs


def test_the_language_model_is_not_trained_and_not_initialized_again(folder):
    for optimization in (Optimization(init="uniform"), Optimization(memory=10)):
        made = data(folder)
        task = Tagging(made.processor, **SIZES, optimization=optimization)
        encoder, source = task.model.string_encoder, from_pretrained(folder).model
        for name in ("embedding", "rnn", "backward_rnn"):
            for ours, theirs in zip(
                getattr(encoder, name).parameters(), getattr(source, name).parameters(), strict=True
            ):
                assert torch.equal(ours, theirs)
                assert not ours.requires_grad
    task.loss(next(iter(made.train_dataloader()))).backward()
    assert all(weight.grad is None for weight in encoder.parameters())


def test_an_answer_does_not_depend_on_the_batch(folder):
    answerer = pipeline("tagging", Tagging(data(folder).processor, **SIZES).eval())
    together = answerer(INPUTS)
    for sentence, answer in zip(INPUTS, together, strict=True):
        (alone,) = answerer([sentence])
        assert alone["scores"] == pytest.approx(answer["scores"], abs=1e-6)


def test_what_is_no_language_model_of_characters(tmp_path):
    words = Vocabulary.train(["a film"], VocabularySettings(min_frequency=1))
    other = save_pretrained(
        Sentiment(SentimentProcessor(words, ["0", "1"], ["no", "yes"]), 4, 4), tmp_path / "other"
    )
    for source, message in {
        language_model(tmp_path / "words", "word"): "not a language model of characters",
        str(other): "not a language model of characters",
        language_model(tmp_path / "int8", int8=True): "its weights are int8",
        str(tmp_path / "none"): "language_model: .*none",
    }.items():
        with pytest.raises(UsageError, match=message):
            _ = data(source).processor


@pytest.mark.parametrize("format", FORMATS)
def test_exports_refuse(format, folder, tmp_path):
    saved = save_pretrained(Tagging(data(folder).processor, **SIZES), tmp_path / "tagger")
    with pytest.raises(UsageError, match="tagger with a language model"):
        FORMATS[format].writer()(saved, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_streams_are_refused(folder, tmp_path):
    saved = save_pretrained(
        Tagging(data(folder).processor, **SIZES, bidirectional=False), tmp_path / "tagger"
    )
    for make in (pipeline, lite_pipeline):
        with pytest.raises(UsageError, match="it has no stream"):
            make("tagging", saved).stream()


def test_another_language_model_in_the_same_folder_is_read(tmp_path):
    source = language_model(tmp_path / "lm")
    assert data(source).processor.language_model.hidden_dim == 7
    shutil.rmtree(source)
    vocabulary = Vocabulary.train(["xyz"], VocabularySettings("char", False, 1))
    save_pretrained(LanguageModeling(LanguageModelingProcessor(vocabulary), 4, 3), source)
    processor = data(source).processor
    assert processor.language_model.hidden_dim == 3
    assert len(Tagging(processor, **SIZES).model.string_encoder.embedding.weight) == len(vocabulary)
    shutil.rmtree(source)
    language_model(source)
    with pytest.raises(UsageError, match="changed since the data were read"):
        Tagging(processor, **SIZES)


def test_a_trained_tagger_is_measured_without_the_folder(tmp_path):
    source = language_model(tmp_path / "lm")
    processor = data(source).processor
    shutil.rmtree(source)
    measured = data(source)
    measured.attach_processor(processor)
    assert measured.processor is processor
