"""A language model reads on where it stopped, is measured to the character, and writes as it decodes."""

import math

import pytest
import pytorch_lightning as pl
import torch
from datasets import Dataset
from torch.nn import functional as F

from nlp_rnn.data import Batching, Corpus, LanguageModelingData, Vocabulary, VocabularySettings
from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.encoding import encode
from nlp_rnn.data.rows import Rows
from nlp_rnn.data.vocabulary import BOS, EOS, PAD, UNK
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.tasks import BeamSettings, LanguageModeling, Optimization
from nlp_rnn.tasks.generation import SamplingSettings
from nlp_rnn.tasks.language_modeling import task as task_module
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor

TEXTS = ["i work here .", "the work is good", "the film ( really ) is not good .", "good", "ok"]


def make(cell="lstm", level="word", window=None, **options):
    vocabulary = Vocabulary.train(TEXTS[:-1], VocabularySettings(level, min_frequency=1))
    processor = LanguageModelingProcessor(vocabulary, window)
    task = LanguageModeling(processor, 8, 10, 2, 0.0, cell, decoding=BeamSettings(max_output=20), **options)
    with torch.no_grad():
        for weight in task.model.parameters():
            weight.mul_(3)
    return task.eval()


def batches(task, texts=TEXTS, size=2, shuffle=False):
    rows = Rows(encode(Dataset.from_dict({"text": texts}), task.processor))
    return list(task.processor.loader(rows, Batching(size), shuffle))


def losses(task, ids):
    """The loss of each id after BOS, from one pass: [len(ids)]."""
    tokens = torch.tensor([[BOS], *([id] for id in ids[:-1])])
    with torch.no_grad():
        return F.cross_entropy(task.model(tokens)[0][:, 0], torch.tensor(ids), reduction="none")


# ------------------------------------------------------------------------------------------ running text


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("window", [3, 7, 1000])
@torch.no_grad()
def test_windows_with_their_state_are_one_long_pass(cell, window):
    """Of each stream, from where it begins to where the next one does."""
    task = make(cell, window=window)
    parts = batches(task, TEXTS * 3, size=2, shuffle=True)
    total = count = 0
    for batch in parts:
        scored = int((batch.labels != IGNORED).sum())
        total, count = total + task.loss(batch).item() * scored, count + scored
    expected = 0.0
    for stream in range(parts[0].tokens.size(1)):
        tokens, labels = (
            torch.cat([getattr(batch, name)[: batch.lengths[stream], stream] for batch in parts])
            for name in ("tokens", "labels")
        )
        expected += F.cross_entropy(task.model(tokens[:, None])[0][:, 0], labels, reduction="sum").item()
    assert len(parts) > 1 or window == 1000
    assert count == sum(len(ids) + 1 for ids in task.processor.tokens.encode(TEXTS * 3))
    assert total == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("window", [None, 4, 1000])
@torch.no_grad()
def test_the_second_direction_reads_each_text_from_its_end(window):
    """Its loss is that of the same model when it reads reversed texts forward."""
    task = make(window=window, bidirectional=True)
    texts = TEXTS * 3
    ids = task.processor.tokens.encode(texts)
    spans = [[BOS, *row[::-1], EOS] for row in (ids if window is None else ids[::-1])]
    total = count = 0
    read = []
    for batch in batches(task, texts, size=1):
        labels = batch.backward_labels[batch.backward_labels != IGNORED]
        both = task._mean_loss(batch, "evaluation", 0.0, 0.0).item() * 2 * len(labels)
        total, count = total + both, count + len(labels)
        read += [batch.backward_labels[:length, row] for row, length in enumerate(batch.lengths.tolist())]
    assert count == sum(len(span) - 1 for span in spans)
    if window is None:
        assert sorted(part.tolist() for part in read) == sorted(span[1:] for span in spans)
    forward = [[BOS, *row, EOS] for row in ids]
    if window != 1000:
        return
    expected = 0.0
    for direction, rows in ((task.model.read, forward), (task.model.read_backward, spans)):
        tokens = torch.tensor([id for row in rows for id in row[:-1]])
        labels = torch.tensor([id for row in rows for id in row[1:]])
        logits = task.model.logits(direction(tokens[:, None])[0][:, 0])
        expected += F.cross_entropy(logits, labels, reduction="sum").item()
    assert total == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("window", [None, 5])
def test_the_direction_that_reads_forward_knows_nothing_of_the_other(window):
    """It answers, generates and streams as it would alone."""
    alone, both = (make(window=window, bidirectional=two) for two in (False, True))
    own = {name for name, _ in alone.model.named_parameters()}
    missing, unexpected = alone.model.load_state_dict(both.model.state_dict(), strict=False)
    assert not missing
    assert {name.partition(".")[0] for name in unexpected} == {"backward_rnn"}
    assert {name for name, _ in both.model.named_parameters()} > own
    one, other = (pipeline("language_modeling", task) for task in (alone, both))
    assert one(TEXTS) == other(TEXTS)
    assert [*one.generate("the")] == [*other.generate("the")]
    streams = [task.read_stream("the film", task.start_stream()).answer for task in (alone, both)]
    assert streams[0] == streams[1]


@pytest.mark.parametrize("window", [None, 5])
def test_both_directions_learn(window):
    task = make(window=window, bidirectional=True).train()
    batch = batches(task, TEXTS * 3, size=4, shuffle=True)[0]
    optimizer = torch.optim.Adam(task.parameters(), 0.03)
    losses = []
    for _ in range(30):
        loss = task.loss(batch)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad.abs().max() > 0 for parameter in task.model.parameters())
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]


def test_to_measure_does_not_disturb_training():
    task, texts = make(window=3), TEXTS * 40
    training = batches(task, texts, size=2, shuffle=True)[:20]
    alone = [task.loss(batch).item() for batch in training]
    between = []
    for batch in training:
        between.append(task.loss(batch).item())
        for other in batches(task, TEXTS[::-1]):
            task.update_metrics(other, task.metrics("val"))
    assert between == alone
    assert len(batches(task, texts)) > 5
    figures = []
    for disturbed in (False, True):
        metrics = task.make_metrics()
        for batch in batches(task, texts):
            task.update_metrics(batch, metrics)
            if disturbed:
                task.loss(training[0])
        figures.append(task.compute_metrics(metrics))
    assert figures[0] == figures[1]


def test_no_gradient_goes_back_into_the_window_before():
    task = make(window=3)
    first, second, *_ = batches(task, TEXTS * 4, size=2, shuffle=True)
    task.loss(first)
    task.loss(second).backward()
    with_state = task.model.rnn.weight_hh_l0.grad.clone()
    task.zero_grad()
    state = task.model.read(first.tokens)[1]
    logits, _ = task.model(second.tokens, tuple(part.detach() for part in state))
    F.cross_entropy(logits.flatten(0, 1), second.labels.flatten()).backward()
    assert torch.allclose(with_state, task.model.rnn.weight_hh_l0.grad, atol=1e-5)
    assert with_state.abs().max() > 1e-4


# -------------------------------------------------------------------------------------------- measuring


@pytest.mark.parametrize("window", [None, 1000])
def test_metrics_equal_those_counted_by_hand(window):
    task = make(window=window)
    metrics = task.make_metrics()
    for batch in batches(task):
        task.update_metrics(batch, metrics)
    results, details = task.compute_metrics(metrics), task.report_tables(metrics)
    ids = task.processor.tokens.encode(TEXTS)
    tokens = sum(len(row) + 1 for row in ids)
    assert details["tokens"] == tokens
    assert details["unknown_tokens"] == pytest.approx(1 / tokens)
    if window is None:
        total = sum(losses(task, [*row, EOS]).sum().item() for row in ids)
        assert results["loss"] == pytest.approx(total / tokens, rel=1e-5)
    assert results["perplexity"] == pytest.approx(math.exp(results["loss"]), rel=1e-6)
    characters = sum(len(text) + 1 for text in TEXTS)
    bits = results["loss"] * tokens / math.log(2) / characters
    assert results["bits_per_character"] == pytest.approx(bits, rel=1e-6)


def test_the_log_probability_of_a_text_is_that_of_its_tokens():
    task = make()
    for text, answer in zip(TEXTS, pipeline("language_modeling", task)(TEXTS), strict=True):
        (ids,) = task.processor.tokens.encode([text])
        assert answer["log_prob"] == pytest.approx(-losses(task, ids).sum().item(), rel=1e-4)
    assert pipeline("language_modeling", task)("")["log_prob"] == 0


# -------------------------------------------------------------------------------------------- generation


@pytest.mark.parametrize("level", ["word", "char", "bpe"])
@pytest.mark.parametrize("prompt", ["", "the", "the film (", "good work"])
def test_written_tokens_equal_the_decoded_ones(level, prompt):
    writer = pipeline("language_modeling", make(level=level))
    pieces = list(writer.generate(prompt, max_output=20))
    assert all(pieces)
    text = writer(prompt)["text"]
    assert text
    assert "".join(pieces).removeprefix(" ") == text.removeprefix(" ")
    vocabulary = writer.task.processor.tokens
    steps = [step for step in writer.steps(prompt, 20) if step.piece]
    read = vocabulary.encode([prompt])[0]
    names = vocabulary.tokens()
    whole = vocabulary.decode([*read, *(names.index(step.predicted) for step in steps)])
    assert vocabulary.decode(read) + "".join(pieces) == whole


@pytest.mark.parametrize("level", ["word", "char", "bpe"])
def test_no_space_follows_a_space_unless_it_was_in_the_text(level):
    writer = pipeline("language_modeling", make(level=level))
    texts = []
    for seed in range(4):
        steps = [s for s in writer.steps("the film ", 20, 3.0, seed=seed) if s.piece]
        texts.append("".join(step.piece for step in steps))
        assert not texts[-1].startswith(" ") or (level == "char" and steps[0].predicted == " ")
        if level == "char":
            assert texts[-1] == "".join(step.predicted for step in steps)
    assert any(texts)


def test_a_prompt_is_read_before_anything_is_written(caplog):
    writer = pipeline("language_modeling", make())
    with pytest.raises(UsageError, match="lone surrogate"):
        writer.generate("the \udc80")
    writer.generate("the wörk")
    assert "1 token(s) not in the model's vocabulary" in caplog.text


@pytest.mark.parametrize("cell", CELLS)
def test_steps_are_the_models_own(cell):
    task = make(cell, "char")
    steps = list(pipeline("language_modeling", task).steps("the", 6))
    read = [step.read for step in steps]
    assert read[:3] == ["t", "h", "e"]
    assert read[3:] == [step.predicted for step in steps[2:-1]]
    names = task.processor.tokens.tokens()
    with torch.no_grad():
        logits, _ = task.model(torch.tensor([BOS, *(names.index(token) for token in read)])[:, None])
    logits[..., [PAD, UNK, BOS]] = -torch.inf
    for step, share in zip(steps[2:], logits[3:, 0].softmax(-1), strict=True):
        assert names[int(share.argmax())] == step.predicted
        assert step.probability == pytest.approx(float(share.max()), rel=1e-4)


def test_draws_are_seeded_and_bounded():
    writer = pipeline("language_modeling", make(level="char"))

    def written(**options):
        return "".join(writer.generate("the", 30, **options))

    assert written(temperature=1.0, seed=3) == written(temperature=1.0, seed=3)
    assert len({written(temperature=1.0, seed=seed) for seed in range(5)}) > 2
    assert written(temperature=5.0, top_k=1) == written(temperature=5.0, top_p=1e-6) == written()


@torch.inference_mode()
def test_a_stream_knows_the_probability_of_what_it_read():
    task = make()
    stream = task.start_stream()
    assert stream.answer["log_prob"] == 0
    ids: list[int] = []
    for piece in ("the", "film is"):
        stream = task.read_stream(piece, stream)
        ids += task.processor.tokens.encode([piece])[0]
        assert stream.answer["log_prob"] == pytest.approx(-losses(task, ids).sum().item(), rel=1e-4)
    assert task.read_stream(" ", stream) is stream


def test_sampling_gets_all_settings(monkeypatch):
    settings = SamplingSettings(max_output=7, temperature=2.0, top_k=5, top_p=0.75, seed=3)
    seen = []
    monkeypatch.setattr(task_module, "stream", lambda *_, **options: seen.append(options) or iter([]))
    list(make().generate("the", settings))
    (options,) = seen
    names = ("max_length", "temperature", "top_k", "top_p", "eos_id", "forbidden")
    assert tuple(options[name] for name in names) == (7, 2.0, 5, 0.75, EOS, (PAD, UNK, BOS))
    assert options["generator"].initial_seed() == 3


def test_step_cost_does_not_grow_with_the_text(monkeypatch):
    task = make(level="char")
    task.model.fc_out.bias.data[EOS] = -1e9
    sizes = []
    step = task.model.step
    monkeypatch.setattr(
        task.model, "step", lambda tokens, state: (sizes.append(tokens.shape), step(tokens, state))[1]
    )
    pieces = pipeline("language_modeling", task).generate("the", 40)
    assert not sizes  # nothing is done before it is asked for
    next(pieces)
    assert len(sizes) == 1
    assert len(list(pieces)) == 39
    assert sizes == [(1,)] * 40


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature must be between"),
        ({"temperature": 1.0, "top_p": 1.5}, "top_p must be between"),
        ({"temperature": 1.0, "top_k": 0}, "top_k must be between"),
        ({"max_output": 0}, "max_output must be between"),
        ({"top_k": 3}, "top_k, top_p and seed are for sampling: set a temperature too"),
        ({"prompt": 3}, "the prompt is no text: 3"),
    ],
)
def test_meaningless_settings(options, message):
    with pytest.raises(UsageError, match=message):
        pipeline("language_modeling", make()).generate(**options)


def test_hello():
    data = LanguageModelingData(Corpus("hello"), vocabulary=VocabularySettings("char", min_frequency=1))
    task = LanguageModeling(data.processor, 8, 32, 1, 0.0, optimization=Optimization(lr=0.03))
    trainer = pl.Trainer(
        max_epochs=60, accelerator="cpu", logger=False, enable_progress_bar=False, limit_val_batches=0,
        enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(task, data)
    steps = list(pipeline("language_modeling", task).steps("h"))
    assert [(step.read, step.predicted) for step in steps] == [
        *(("h", "e"), ("e", "l"), ("l", "l"), ("l", "o")),
        ("o", "<eos>"),
    ]
    assert min(step.probability for step in steps) > 0.9
