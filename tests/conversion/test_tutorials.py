"""Weights of the tutorials' models, whose forward passes stand here as they are copied around."""

import json

import pytest
import torch
from torch import nn

from nlp_rnn import from_pretrained, pipeline
from nlp_rnn.conversion.convert import convert
from nlp_rnn.conversion.imported import Request
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import Pipeline

TOKENS = ["<unk>", "<pad>", "the", "dog", "barks", "a", "film", "is", "good", "bad", "."]
TEXTS = ["the dog barks .", "a bad film is a film", "good", "the unheard film"]


class Seq2Seq(nn.Module):
    def __init__(self, source, target):
        super().__init__()
        self.encoder, self.decoder = nn.Module(), nn.Module()
        self.encoder.embedding = nn.Embedding(source, 6)
        self.encoder.rnn = nn.LSTM(6, 5, 2)
        self.decoder.embedding = nn.Embedding(target, 6)
        self.decoder.rnn = nn.LSTM(6, 5, 2)
        self.decoder.fc_out = nn.Linear(5, target)

    def translate(self, ids, bos, eos, max_length=20):
        _, (hidden, cell) = self.encoder.rnn(self.encoder.embedding(ids))
        written = [bos]
        while written[-1] != eos and len(written) < max_length:
            output, (hidden, cell) = self.decoder.rnn(
                self.decoder.embedding(torch.tensor(written[-1:])), (hidden, cell)
            )
            written.append(self.decoder.fc_out(output[-1]).argmax().item())
        return written


def two_directions():
    """A translator with a bidirectional encoder: its weights do not say how the states are joined."""
    model = Seq2Seq(11, 11)
    model.encoder.rnn = nn.LSTM(6, 5, 2, bidirectional=True)
    return model


class ContextSeq2Seq(nn.Module):
    def __init__(self, source, target):
        super().__init__()
        self.encoder, self.decoder = nn.Module(), nn.Module()
        self.encoder.embedding = nn.Embedding(source, 6)
        self.encoder.rnn = nn.GRU(6, 5)
        self.decoder.embedding = nn.Embedding(target, 6)
        self.decoder.rnn = nn.GRU(6 + 5, 5)
        self.decoder.fc_out = nn.Linear(6 + 5 * 2, target)

    def translate(self, ids, bos, eos, max_length=20):
        _, context = self.encoder.rnn(self.encoder.embedding(ids)[:, None])
        hidden, written = context, [bos]
        while written[-1] != eos and len(written) < max_length:
            embedded = self.decoder.embedding(torch.tensor([written[-1:]]))
            _, hidden = self.decoder.rnn(torch.cat((embedded, context), dim=2), hidden)
            features = torch.cat((embedded.squeeze(0), hidden.squeeze(0), context.squeeze(0)), dim=1)
            written.append(self.decoder.fc_out(features).argmax().item())
        return written


class Sentiment(nn.Module):
    def __init__(self, name, bidirectional, outputs=2):
        super().__init__()
        self.embedding = nn.Embedding(len(TOKENS), 6)
        setattr(self, name, nn.LSTM(6, 5, 2, bidirectional=bidirectional))
        self.fc = nn.Linear(10 if bidirectional else 5, outputs)
        self.name, self.bidirectional = name, bidirectional

    def forward(self, ids):
        _, (hidden, _) = getattr(self, self.name)(self.embedding(ids))
        if not self.bidirectional:
            return self.fc(hidden[-1])
        order = [hidden[-1], hidden[-2]] if self.name == "lstm" else [hidden[-2], hidden[-1]]
        return self.fc(torch.cat(order, dim=-1))


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(len(TOKENS), 6)
        self.lstm = nn.LSTM(6, 5, 1, bidirectional=True)
        self.fc = nn.Linear(10, 4)

    def forward(self, ids):
        return self.fc(self.lstm(self.embedding(ids))[0])


class WordLM(nn.Module):
    def __init__(self, tied):
        super().__init__()
        self.encoder = nn.Embedding(len(TOKENS), 6)
        self.rnn = nn.GRU(6, 6, 2)
        self.decoder = nn.Linear(6, len(TOKENS))
        if tied:
            self.decoder.weight = self.encoder.weight

    def forward(self, ids):
        return self.decoder(self.rnn(self.encoder(ids))[0])


@pytest.fixture
def written(tmp_path):
    """Writes a model's weights and vocabularies, and returns the request to convert them."""

    def write(model, *vocabularies, max_length=512):
        torch.save(model.state_dict(), tmp_path / "weights.pt")
        files = []
        for number, tokens in enumerate(vocabularies):
            files.append(tmp_path / f"{number}.json")
            files[-1].write_text(json.dumps(tokens), encoding="utf-8")
        return Request(tmp_path / "weights.pt", files, max_length)

    return write


def ids_of(text):
    return torch.tensor([TOKENS.index(word) if word in TOKENS else 0 for word in text.split()])


@pytest.mark.parametrize(
    ("recipe", "name", "bidirectional"),
    [
        ("sentiment-lstm", "lstm", True),
        ("sentiment-lstm", "lstm", False),
        ("sentiment-rnn", "rnn", True),
        ("sentiment-rnn", "rnn", False),
    ],
)
@torch.no_grad()
def test_a_classifier_gives_the_probabilities_of_the_original(recipe, name, bidirectional, written):
    torch.manual_seed(0)
    model = Sentiment(name, bidirectional).eval()
    imported, difference = convert(recipe, written(model, TOKENS))
    assert difference < 1e-6
    for text, answer in zip(TEXTS, Pipeline(imported.task)(TEXTS), strict=True):
        expected = model(ids_of(text)).softmax(-1)
        assert answer["scores"]["negative"] == pytest.approx(expected[0].item(), abs=1e-6)


@torch.no_grad()
def test_one_output_is_the_probability_of_the_second_label(written):
    model = Sentiment("rnn", True, outputs=1).eval()
    imported, _ = convert("sentiment-rnn", written(model, TOKENS, {"neg": 0, "pos": 1}))
    for text, answer in zip(TEXTS, Pipeline(imported.task)(TEXTS), strict=True):
        assert answer["scores"]["pos"] == pytest.approx(model(ids_of(text)).sigmoid().item(), abs=1e-6)


@torch.no_grad()
def test_a_tagger_gives_the_tags_of_the_original_but_padding(written):
    torch.manual_seed(1)
    model, tags = Tagger().eval(), ["<pad>", "NOUN", "VERB", "DET"]
    imported, _ = convert("tagger", written(model, TOKENS, tags))
    sentences = [text.split() for text in TEXTS]
    for sentence, answer in zip(sentences, Pipeline(imported.task)(sentences), strict=True):
        scores = model(ids_of(" ".join(sentence)))[:, 1:]
        assert answer["tags"] == [tags[1 + best] for best in scores.argmax(-1).tolist()]


@pytest.mark.parametrize(("recipe", "original"), [("seq2seq", Seq2Seq), ("seq2seq-context", ContextSeq2Seq)])
@torch.no_grad()
def test_a_translator_writes_what_the_original_writes(recipe, original, written):
    torch.manual_seed(2)
    target = [*TOKENS[:2], "<sos>", "<eos>", *TOKENS[2:]]
    model = original(len(TOKENS), len(target)).eval()
    model.decoder.fc_out.bias[:3] = -100  # what is never an answer here: no unknown word, no padding
    imported, difference = convert(recipe, written(model, TOKENS, target))
    assert difference < 1e-6
    for text, answer in zip(TEXTS, Pipeline(imported.task)(TEXTS), strict=True):
        ids = model.translate(ids_of(text), bos=2, eos=3, max_length=101)
        expected = " ".join(target[id] for id in ids[1:] if id != 3)
        assert answer["text"] == expected.replace(" .", ".")


@pytest.mark.parametrize("tied", [False, True])
@torch.no_grad()
def test_a_language_model_gives_the_scores_of_the_original(tied, written):
    model = WordLM(tied).eval()
    tokens = [*TOKENS[:1], "<eos>", *TOKENS[2:]]
    imported, difference = convert("language-model", written(model, tokens))
    assert difference < 1e-6
    assert imported.task.settings["tie_weights"] is tied
    (answer,) = Pipeline(imported.task)(["the dog"])
    scores = model(torch.tensor([1, *ids_of("the dog").tolist()]))[-1]  # EOS begins a text
    scores[0] = -torch.inf  # the unknown token is never predicted
    probabilities = scores.softmax(-1)
    assert answer["probability"] == pytest.approx(
        probabilities[tokens.index(answer["next"])].item(), abs=1e-6
    )


def test_a_folder_gives_the_same_answers(tmp_path, written):
    from nlp_rnn import save_pretrained

    imported, _ = convert("sentiment-lstm", written(Sentiment("lstm", True), TOKENS))
    save_pretrained(imported.task, tmp_path / "model")
    assert pipeline("sentiment", tmp_path / "model")(TEXTS) == Pipeline(imported.task)(TEXTS)
    assert from_pretrained(tmp_path / "model").processor.max_length == 512


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "net", "module."])
def test_a_state_dict_is_found_where_training_scripts_leave_it(wrapper, tmp_path, written):
    request = written(Sentiment("lstm", True), TOKENS)
    state = torch.load(request.weights)
    wrapped = (
        {f"module.{name}": value for name, value in state.items()}
        if wrapper == "module."
        else {"epoch": 3, wrapper: state}
    )
    torch.save(wrapped, request.weights)
    assert convert("sentiment-lstm", request)[1] < 1e-6


def test_the_file_format_before_torch_1_6(written):
    request = written(Sentiment("lstm", True), TOKENS)
    state = torch.load(request.weights)
    torch.save(state, request.weights, _use_new_zipfile_serialization=False)
    assert convert("sentiment-lstm", request)[1] < 1e-6


def with_extra(model):
    model.extra = nn.Linear(2, 2)
    return model


@pytest.mark.parametrize(
    ("recipe", "model", "vocabularies", "message"),
    [
        ("tagger", lambda: Sentiment("rnn", True), [TOKENS, ["a", "b"]], "it has no lstm; its tensors are"),
        ("sentiment-lstm", lambda: with_extra(Sentiment("lstm", True)), [TOKENS], "is not part of such"),
        ("sentiment-lstm", lambda: Sentiment("lstm", True), [[*TOKENS, "more"]], "not its vocabulary"),
        ("sentiment-lstm", lambda: Sentiment("lstm", True), [[*TOKENS[:-1], "the"]], "'the' occurs 2 times"),
        ("sentiment-lstm", lambda: Sentiment("lstm", True), [TOKENS, ["a"]], "not its labels"),
        ("sentiment-lstm", lambda: Sentiment("lstm", True, 3), [TOKENS], "give a second --vocab file"),
        ("seq2seq", lambda: Seq2Seq(11, 11), [TOKENS, TOKENS], "no token for <bos>"),
        ("seq2seq", lambda: ContextSeq2Seq(11, 11), [TOKENS, TOKENS], "seq2seq-context for one that also"),
        ("seq2seq-context", lambda: Seq2Seq(11, 11), [TOKENS, TOKENS], "seq2seq is for a decoder"),
        ("seq2seq", two_directions, [TOKENS, TOKENS], "encoder.rnn reads in both directions"),
        ("seq2seq-context", two_directions, [TOKENS, TOKENS], "encoder.rnn reads in both directions"),
        ("language-model", lambda: WordLM(False), [TOKENS], "no token for <eos>"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(recipe, model, vocabularies, message, written):
    with pytest.raises(UsageError, match=message) as error:
        convert(recipe, written(model(), *vocabularies))
    assert "\n" not in str(error.value)


def test_a_pickled_model_is_refused(written):
    request = written(Sentiment("lstm", True), TOKENS)
    torch.save(Sentiment("lstm", True), request.weights)
    with pytest.raises(UsageError, match=r"write its weights alone, with torch\.save"):
        convert("sentiment-lstm", request)


def test_halves_in_the_other_order_are_noticed(monkeypatch, written):
    from nlp_rnn.conversion import tutorials

    monkeypatch.setattr(torch.Tensor, "chunk", lambda self, count, dim: [self[:, 5:], self[:, :5]])
    with pytest.raises(UsageError, match="differs from the original by"):
        convert("sentiment-lstm", written(Sentiment("lstm", True), TOKENS))
    assert tutorials.RECIPES


def test_notes_name_what_a_user_should_know(written):
    words = ["<unk>", "<pad>", "do", "n't", *"abcdefg"]
    imported, _ = convert("sentiment-lstm", written(Sentiment("lstm", True), words))
    notes = " ".join(imported.notes)
    assert "1 of 9 tokens never occur" in notes
    assert "n't" in notes
    assert "embedding" not in notes
    assert "taken to be negative and positive" in notes


def test_a_vocabulary_with_fewer_tokens_than_the_embedding_has_rows_is_noted(written):
    imported, _ = convert("sentiment-lstm", written(Sentiment("lstm", True), TOKENS[:-2]))
    wanted = f"for an embedding of {len(TOKENS)} rows, of which the last 2 are left out"
    assert wanted in " ".join(imported.notes)
