"""A cell of three state tensors needs its layer and one row of the registry, and no other edit."""

import itertools
import json

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nlp_rnn import from_pretrained, save_pretrained
from nlp_rnn.cli.main import main
from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.data.vocabulary import BOS, EOS
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.inspection.inspector import inspect
from nlp_rnn.models import Captioner, Regressor
from nlp_rnn.models.layers.base import RecurrentLayer
from nlp_rnn.models.layers.cells import CELLS, Cell, cell_name, recurrent_layer
from nlp_rnn.models.layers.dropout import dropout
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.models.layers.unrolled import unroll
from nlp_rnn.models.pooling import POOLINGS
from nlp_rnn.models.search import beam_search
from nlp_rnn.tasks import BeamSettings, LanguageModeling, Optimization, Sentiment, Tagging, Translation
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.language_modeling.task import NEVER_GENERATED
from nlp_rnn.tasks.sentiment.data import SentimentProcessor
from nlp_rnn.tasks.tagging.data import TaggingProcessor
from nlp_rnn.tasks.translation.data import TranslationProcessor

TEXTS = ["i work at google .", "the work is not good , but the film is !", "a film", "good"]
TINY = [
    *("--data.corpus.max_examples", "60", "--data.batching.size", "20"),
    *("--model.cell", "toy", "--model.embedding_dim", "8", "--model.hidden_dim", "8"),
    *("--trainer.limit_val_batches", "2", "--trainer.max_epochs", "1"),
]


class ToyCell(nn.Module):
    """An LSTM with a normalizer in addition to its cell state, as the sLSTM has (Beck et al. 2024)."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        for name in ("weight_ih", "weight_hh", "bias"):
            self.register_parameter(name, None)

    def forward(self, input, state):
        """[B, I], (h, c, n) of [B, H] each -> the new ones."""
        return toy_step(F.linear(input, self.weight_ih, self.bias), self.weight_hh, *state)


def toy_step(projected, w_hh, h, c, n):
    i, f, z, o = (projected + F.linear(h, w_hh)).chunk(4, -1)
    c, n = f.sigmoid() * c + i.sigmoid() * z.tanh(), f.sigmoid() * n + i.sigmoid()
    return o.sigmoid() * c / (1 + n.abs()), c, n


class ToyLayer(RecurrentLayer):
    state_tensors = 3

    def __init__(
        self,
        input_size,
        hidden_size,
        num_layers=1,
        dropout=0.0,
        bidirectional=False,
        locked=False,
        weight_dropout=0.0,
    ):
        super().__init__()
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.dropout, self.bidirectional = dropout, bidirectional
        self.locked, self.weight_dropout = locked, weight_dropout
        self.names = []
        for layer, suffix in itertools.product(range(num_layers), ["", "_reverse"][: 1 + bidirectional]):
            size = hidden_size * (1 + bidirectional) if layer else input_size
            shapes = {"weight_ih": (4 * hidden_size, size), "weight_hh": (4 * hidden_size, hidden_size)}
            shapes["bias"] = (4 * hidden_size,)
            self.names.append([f"{name}_l{layer}{suffix}" for name in shapes])
            for name, shape in zip(self.names[-1], shapes.values(), strict=True):
                self.register_parameter(name, nn.Parameter(torch.empty(shape).uniform_(-0.5, 0.5)))

    @property
    def all_weights(self):
        return [[getattr(self, name) for name in names] for names in self.names]

    def _new_cell(self, input_size):
        return ToyCell(input_size, self.hidden_size)

    def _run(self, input, state, lengths, exact_state):
        steps, batch = input.shape[:2]
        lengths = torch.full((batch,), steps) if lengths is None else lengths
        alive = (torch.arange(steps)[:, None] < lengths)[..., None]  # [T, B, 1]
        directions = 1 + self.bidirectional
        finals = []
        for index, (w_ih, w_hh, bias) in enumerate(self.all_weights):
            if index % directions == 0:
                projected_input = dropout(input, self.dropout, self.training and index > 0, self.locked)
                outputs = []
            projected = F.linear(projected_input, w_ih, bias)
            current = tuple(tensor[index] for tensor in state)
            output = [input.new_zeros(batch, self.hidden_size)] * steps
            for step in reversed(range(steps)) if index % directions else range(steps):
                new = toy_step(projected[step], w_hh, *current)
                current = tuple(torch.where(alive[step], *pair) for pair in zip(new, current, strict=True))
                output[step] = current[0]
            outputs.append(torch.stack(output) if steps else input.new_zeros(0, batch, self.hidden_size))
            finals.append(current)
            if index % directions == directions - 1:
                input = torch.cat(outputs, -1)
        return input, tuple(torch.stack(tensors) for tensors in zip(*finals, strict=True))


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The one row."""
    monkeypatch.setitem(CELLS, "toy", Cell(ToyLayer))


def close(ours, theirs, tolerance=1e-6):
    torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=0)


def vocabulary(level="word"):
    return Vocabulary.train(TEXTS, VocabularySettings(level, min_frequency=1, max_size=60))


def sentiment(pooling="last", bidirectional=False, **options):
    processor = SentimentProcessor(vocabulary(), ["0", "1"], ["negative", "positive"], 100)
    return Sentiment(
        processor, 8, 8, 2, cell="toy", bidirectional=bidirectional, pooling=pooling, **options
    ).eval()


def language_model(level="word"):
    processor = LanguageModelingProcessor(vocabulary(level), None, 100)
    return LanguageModeling(
        processor, 8, 8, 2, dropout=0.0, cell="toy", decoding=BeamSettings(max_output=8)
    ).eval()


def tagging(bidirectional=True):
    words = Vocabulary.train_on_words([text.split() for text in TEXTS], VocabularySettings(min_frequency=1))
    letters = Vocabulary.train(TEXTS, VocabularySettings("char", False, 1))
    processor = TaggingProcessor(words, ["ADJ", "NOUN", "VERB"], letters, 100)
    return Tagging(processor, 8, 8, 2, cell="toy", bidirectional=bidirectional).eval()


def translation():
    processor = TranslationProcessor(vocabulary(), vocabulary(), False, 100)
    decoding = BeamSettings(beam=3, n_best=3, max_output=8)
    return Translation(processor, 8, 8, 2, dropout=0.0, cell="toy", decoding=decoding).eval()


# ------------------------------------------------------------------------------------------------ layers


def test_the_registry_knows_the_cell():
    layer = recurrent_layer("toy", 5, 7, num_layers=2, dropout=0.1)
    assert cell_name(layer) == "toy"
    assert [tensor.shape for tensor in layer.initial_state(3, torch.zeros(1))] == [(2, 3, 7)] * 3
    with pytest.raises(ValueError, match=r"unknown cell 'tyo': use one of rnn, .*, toy$"):
        recurrent_layer("tyo", 5, 7, num_layers=1, dropout=0.0)


@pytest.mark.parametrize("depth", [1, 2])
def test_steps_equal_the_whole_sequence(depth):
    layer = recurrent_layer("toy", 5, 7, depth, 0.0)
    batch = torch.randn(9, 3, 5)
    state = start = tuple(torch.randn(depth, 3, 7) for _ in range(3))
    whole, final = layer(batch, start)
    stepwise = layer.stepwise()
    for input, expected in zip(batch, whole, strict=True):
        output, state = stepwise(input, state)
        close(output, expected)
    assert len(final) == len(state) == 3
    for ours, theirs in zip(state, final, strict=True):
        close(ours, theirs)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_padding_and_batch_composition_do_not_change_answers(pooling, bidirectional):
    model = sentiment(pooling, bidirectional).model
    lengths = torch.tensor([4, 9, 0, 1])
    batch = torch.randint(1, 10, (9, 4))
    together = model(batch, lengths)
    for row, length in enumerate(lengths):
        close(model(batch[:length, row : row + 1])[0], together[row])
    padded = torch.cat([batch, torch.randint(1, 10, (3, 4))])
    close(model(padded, lengths), together)


def test_a_captioner_and_a_regressor_can_be_made_of_it():
    captioner = Captioner(6, 11, 5, 7, 2, 0.0, "toy").eval()
    vectors, target = torch.randn(3, 6), torch.randint(11, (4, 3))
    start = captioner.start(vectors)
    assert [tensor.shape for tensor in start] == [(2, 3, 7)] * 3
    close(captioner(vectors, target)[0], captioner.decoder.step(target[0], start)[0])
    regressor = Regressor(4, 2, 7, 2, 0.0, "toy")
    loss = regressor(torch.randn(5, 3, 4), torch.tensor([5, 2, 0])).pow(2).sum()
    loss.backward()
    assert all(weight.grad is not None for weight in regressor.parameters())


# ------------------------------------------------------------------------------------------------- tasks


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The run directory of `nlp-rnn fit --model.cell toy`."""
    runs = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(CELLS, "toy", Cell(ToyLayer))
        sizes = ["--model.bidirectional", "false", "--model.num_layers", "2"]
        main(["fit", "--config", "conf/sentiment_builtin.yaml", *TINY, *sizes, "--runs", str(runs)])
    return runs / "sentiment_builtin" / "1"


def test_fit_writes_a_model_folder_that_loads(trained):
    folder = trained / "model"
    stored = json.loads((folder / "config.json").read_text())
    assert stored["settings"]["cell"] == "toy"
    task, best = from_pretrained(folder), from_pretrained(trained / "checkpoints" / "best.ckpt")
    assert type(task.model.rnn) is ToyLayer
    weights = best.model.state_dict()
    assert {"rnn.weight_hh_l1", "rnn.bias_l0"} < set(weights)
    assert all(weight.equal(weights[name]) for name, weight in task.model.state_dict().items())


def test_fit_changes_every_weight(trained):
    task = from_pretrained(trained / "model")
    torch.manual_seed(0)
    untrained = type(task).from_settings(task.processor, task.settings).model.state_dict()
    changed = task.model.state_dict()
    assert all(not weight.equal(changed[name]) for name, weight in untrained.items())


def test_a_trained_model_is_evaluated_and_predicts(trained, tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("the film is good\nthe film is not good\n")
    main(["predict", str(trained / "model"), str(tmp_path / "texts.txt")])
    assert len(capsys.readouterr().out.splitlines()) == 2
    main(["evaluate", str(trained / "model"), "--max-examples", "20"])
    assert "accuracy" in capsys.readouterr().out


def check_stream(classifier, text):
    """Each answer of a stream against the one for the text so far."""
    stream, words = classifier.stream(), text.split()
    for number, word in enumerate(words, 1):
        whole = classifier(" ".join(words[:number]))
        assert stream(word)["scores"] == pytest.approx(whole["scores"], abs=1e-6)


def test_a_trained_model_streams(trained):
    check_stream(pipeline("sentiment", trained / "model"), "the film is not good but the work is .")


@pytest.mark.parametrize(
    ("config", "options"),
    [
        ("tagging_builtin", []),
        ("language_modeling_builtin", ["--model.tie_weights", "true"]),
        ("translation_builtin", ["--model.decoding.max_output", "3"]),
    ],
)
def test_other_tasks_are_trained_too(config, options, tmp_path):
    main(["fit", "--config", f"conf/{config}.yaml", *TINY, *options, "--runs", str(tmp_path)])
    task = from_pretrained(tmp_path / config / "1" / "model")
    assert any(type(module) is ToyLayer for module in task.model.modules())


@pytest.mark.parametrize("pooling", POOLINGS)
def test_sentiment_streams_with_every_pooling(pooling):
    check_stream(pipeline("sentiment", sentiment(pooling)), TEXTS[1])


def test_a_tagger_streams():
    tagger = pipeline("tagging", tagging(bidirectional=False))
    stream = tagger.stream()
    tags = [tag for word in TEXTS[0].split() for tag in stream(word)["tags"]]
    assert tags == tagger(TEXTS[0])["tags"]


@pytest.mark.parametrize("level", ["word", "char"])
@torch.no_grad()
def test_generation_equals_predictions_of_whole_passes(level):
    task = language_model(level)
    names = task.processor.tokens.tokens()
    ids = [BOS, *task.processor.tokens.encode(["the film"])[0]]
    steps = list(pipeline("language_modeling", task).steps("the film", max_output=6))[-6:]
    assert steps
    for step in steps:
        logits = task.model(torch.tensor(ids)[:, None])[0][-1, 0]
        logits[list(NEVER_GENERATED)] = -torch.inf
        probabilities = logits.softmax(-1)
        assert (step.read, step.predicted) == (names[ids[-1]], names[int(probabilities.argmax())])
        assert step.probability == pytest.approx(probabilities.max().item(), abs=1e-6)
        ids.append(int(probabilities.argmax()))


@torch.no_grad()
def test_beam_search_carries_all_state_tensors():
    model = translation().model
    source = torch.randint(4, 12, (6, 3))
    lengths = torch.tensor([6, 2, 4])
    state = model.encoder(source, lengths)
    assert len(state) == 3
    options = {"bos_id": BOS, "eos_id": EOS, "max_length": 7, "width": 4, "n_best": 4}
    together = beam_search(model.decoder.step, state, **options)
    for row, hypotheses in enumerate(together):
        alone = model.encoder(source[: lengths[row], row : row + 1])
        (expected,) = beam_search(model.decoder.step, alone, **options)
        for ours, theirs in zip(hypotheses, expected, strict=True):
            assert ours.tokens == theirs.tokens
            assert ours.log_prob == pytest.approx(theirs.log_prob, abs=1e-5)
        # The whole hypothesis, scored in one call of the decoder.
        for hypothesis in hypotheses:
            tokens = [BOS, *hypothesis.tokens, *([EOS] if hypothesis.finished else [])]
            log_probs = model.decoder(torch.tensor(tokens[:-1])[:, None], alone)[0].log_softmax(-1)[:, 0]
            total = sum(log_probs[step, token].item() for step, token in enumerate(tokens[1:]))
            assert hypothesis.log_prob == pytest.approx(total, abs=1e-4)


@pytest.mark.parametrize("make", [sentiment, tagging, language_model, translation])
def test_the_model_folder_answers_equally(make, tmp_path):
    task = make()
    folder = save_pretrained(task, tmp_path / "model")
    loaded = from_pretrained(folder)
    assert str(loaded.model) == str(task.model)
    assert pipeline(task.name, folder)(TEXTS) == pipeline(task.name, task)(TEXTS)
    again = save_pretrained(loaded, tmp_path / "again")
    assert (folder / "config.json").read_bytes() == (again / "config.json").read_bytes()


def test_the_model_folder_needs_the_row(tmp_path, monkeypatch):
    folder = save_pretrained(sentiment(), tmp_path / "model")
    monkeypatch.delitem(CELLS, "toy")
    with pytest.raises(UsageError, match=r"cell must be one of rnn, .*minlstm, not 'toy'"):
        from_pretrained(folder)


def test_a_tagger_starts_from_a_language_model_of_the_cell(tmp_path, capsys):
    source = language_model()
    folder = save_pretrained(source, tmp_path / "model")
    task = sentiment(init_encoder=str(folder))
    assert "6 of 6 recurrent tensors" in capsys.readouterr().err
    assert task.model.rnn.weight_hh_l1.equal(source.model.rnn.weight_hh_l1)


# --------------------------------------------------------------------------------------- what it refuses


def one_line(capsys):
    error = capsys.readouterr().err
    assert error.startswith("nlp-rnn: error: ")
    assert error.count("\n") == 1
    return error


def test_inspection_refuses_it(trained, tmp_path, capsys):
    message = r"^the cell toy has no equations to inspect: use one of rnn, gru, lstm, mingru, minlstm$"
    with pytest.raises(UsageError, match=message):
        unroll(recurrent_layer("toy", 5, 7, 1, 0.0), torch.randn(2, 1, 5))
    with pytest.raises(UsageError, match=message):
        inspect(sentiment(), TEXTS[0])
    with pytest.raises(SystemExit, match="2"):
        main(["inspect", str(trained / "model"), TEXTS[0], "--output", str(tmp_path / "plots")])
    assert "the cell toy has no equations" in one_line(capsys)


def test_chrono_initialization_refuses_it(capsys):
    with pytest.raises(UsageError, match=r"^memory 10: the cell toy has no gates .*; leave it at 0$"):
        sentiment(optimization=Optimization(memory=10))
    with pytest.raises(SystemExit, match="2"):
        main(["fit", "--config", "conf/sentiment_builtin.yaml", *TINY, "--model.optimization.memory", "10"])
    assert "the cell toy has no gates" in one_line(capsys)


def test_int8_refuses_it(trained, tmp_path, capsys):
    task = sentiment()
    before = str(task.model)
    with pytest.raises(UsageError, match=r"^the cell toy has no int8 weights: use one of rnn, gru, lstm$"):
        quantize(task.model)
    assert str(task.model) == before
    with pytest.raises(SystemExit, match="2"):
        main(["quantize", str(trained / "model"), str(tmp_path / "small")])
    assert "the cell toy has no int8 weights" in one_line(capsys)
