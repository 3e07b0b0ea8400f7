import copy
import json
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from nlp_rnn import from_pretrained, pipeline, save_pretrained
from nlp_rnn.cli.main import main
from nlp_rnn.data import Batching, Corpus
from nlp_rnn.errors import UsageError
from nlp_rnn.evaluation.measuring import evaluate
from nlp_rnn.inference.prediction import predict
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.tasks import TASKS, BeamSettings
from nlp_rnn.tasks.ensemble import ensemble, load_models
from nlp_rnn.tasks.generation import SamplingSettings

# Each row: a task, and what distinguishes three models of it.
MEMBERS = {
    "sentiment": [
        {"temperature": 0.5},
        {"cell": "gru", "hidden_dim": 7, "pooling": "mean"},
        {"num_layers": 2},
    ],
    "text_pairs": [{"temperature": 2.0}, {"cell": "mingru", "bidirectional": False}, {"pooling": "mean"}],
    "multi_label": [{"thresholds": [0.2, 0.4, 0.6]}, {"cell": "gru"}, {"pooling": "last"}],
    "tagging": [{}, {"cell": "gru", "hidden_dim": 7}, {"num_layers": 2, "bidirectional": False}],
    "tagging crf": [{"crf": True}, {"crf": True, "cell": "gru"}, {"crf": True, "hidden_dim": 5}],
    "series_tagging": [{}, {"cell": "gru"}, {"num_layers": 2}],
    "forecasting": [{}, {"cell": "gru"}, {"hidden_dim": 5}],
    "translation": [
        {"attention": "luong"},
        {"cell": "gru", "hidden_dim": 7, "context": True},
        {"attention": "bahdanau", "num_layers": 2},
    ],
    "captioning": [{}, {"cell": "gru"}, {"num_layers": 2}],
    "language_modeling": [{}, {"cell": "gru"}, {"num_layers": 2}],
    "language_modeling both": [
        {"bidirectional": True},
        {"bidirectional": True, "cell": "gru"},
        {"bidirectional": True, "hidden_dim": 5},
    ],
}
BEAMS = {"decoding": BeamSettings(beam=3, n_best=2, max_output=6)}


@pytest.fixture(params=MEMBERS, scope="module")
def members(request, make_task):
    """Three different models of one task, in evaluation mode."""
    name = request.param.split()[0]
    torch.manual_seed(1)
    options = BEAMS if name in ("translation", "captioning", "language_modeling") else {}
    tasks = [make_task(name, **options, **chosen) for chosen in MEMBERS[request.param]]
    for task in tasks:
        for parameter in task.model.parameters():
            torch.nn.init.normal_(parameter, std=0.7)  # so that the models are sure of different answers
    return [task.eval() for task in tasks]


def test_every_task_has_a_row():
    assert {name.split()[0] for name in MEMBERS} == set(TASKS)


@torch.no_grad()
def _answers(task, one_batch):
    return task.answer(one_batch(task))


@torch.no_grad()
def _metrics(task, one_batch):
    metrics = task.metrics("test")
    for metric in metrics.values():
        metric.reset()
    task.update_metrics(one_batch(task), metrics)
    return task.compute_metrics(metrics)


def _flat(value):
    if isinstance(value, dict):
        return [x for key in sorted(value) for x in [key, *_flat(value[key])]]
    return [x for item in value for x in _flat(item)] if isinstance(value, (list, tuple)) else [value]


def _assert_close(one, other):
    for left, right in zip(_flat(one), _flat(other), strict=True):
        assert left == (
            pytest.approx(right, rel=1e-4, abs=1e-5, nan_ok=True) if isinstance(right, float) else right
        )


def test_one_model_is_its_own_ensemble(members):
    assert ensemble(members[:1]) is members[0]


def test_a_model_agrees_with_itself(members, one_batch):
    for task in members:
        twice = ensemble([task, copy.deepcopy(task), task])
        _assert_close(_answers(twice, one_batch), _answers(task, one_batch))
        _assert_close(_metrics(twice, one_batch), _metrics(task, one_batch))


def test_the_order_does_not_matter(members, one_batch):
    one, other = ensemble(members), ensemble([members[2], members[0], members[1]])
    _assert_close(_answers(one, one_batch), _answers(other, one_batch))
    _assert_close(_metrics(one, one_batch), _metrics(other, one_batch))


def test_the_members_stay_as_they_are(members, one_batch):
    before = [(_answers(task, one_batch), _metrics(task, one_batch), task.stored()) for task in members]
    together = ensemble(members)
    assert _answers(together, one_batch) != before[0][0]
    _metrics(together, one_batch)
    after = [(_answers(task, one_batch), _metrics(task, one_batch), task.stored()) for task in members]
    assert repr(before) == repr(after)  # equal where they are NaN too


def test_an_answer_does_not_depend_on_the_batch(members, batches):
    together = ensemble(members)
    with torch.no_grad():
        whole = {
            row: answer
            for batch in batches(together)
            for row, answer in zip(batch.rows, together.answer(batch), strict=True)
        }
        single = {
            row: answer
            for batch in batches(together, size=1)
            for row, answer in zip(batch.rows, together.answer(batch), strict=True)
        }
    _assert_close([whole[row] for row in sorted(whole)], [single[row] for row in sorted(single)])


def test_int8_and_float_models_answer_together(members, one_batch):
    small = copy.deepcopy(members[0])
    quantize(small.model)
    assert len(_answers(ensemble([small, *members[1:]]), one_batch)) == 6


def test_an_ensemble_is_neither_saved_nor_trained_nor_nested(members, trainer, tmp_path):
    together = ensemble(members)
    with pytest.raises(UsageError, match="an ensemble of 3 models cannot be saved"):
        save_pretrained(together, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    with pytest.raises(UsageError, match="cannot be a part of another one"):
        ensemble([members[0], together])
    with pytest.raises(UsageError, match="cannot be a part of another one"):
        ensemble([together, members[0]])
    with pytest.raises(UsageError, match="cannot be trained"):
        trainer(tmp_path).fit(together, [])


def test_models_of_another_processor_are_refused(members, make_processor):
    other = copy.deepcopy(members[1])
    other.processor = make_processor(other.name, ("a book",) * 3)
    if other.processor.fingerprint == members[0].processor.fingerprint:
        pytest.fail("the fixture makes the same processor of other words")
    with pytest.raises(UsageError, match=r"^B does not fit A: .*(vocabulary|deviations|scale|means)"):
        ensemble([members[0], other], ["A", "B"])


def test_models_of_other_tasks_are_refused(make_task):
    with pytest.raises(UsageError, match=r"^B does not fit A: is a Tagging, not a Sentiment"):
        ensemble([make_task("sentiment"), make_task("tagging")], ["A", "B"])
    with pytest.raises(UsageError, match=r"^B does not fit A: crf"):
        ensemble([make_task("tagging"), make_task("tagging", crf=True)], ["A", "B"])
    with pytest.raises(UsageError, match="no model"):
        ensemble([])


# What the probabilities are.


def test_labels_have_the_mean_of_the_calibrated_probabilities(make_task, one_batch):
    members = [make_task("sentiment", temperature=t).eval() for t in (0.5, 1.0, 4.0)]
    single = [_answers(task, one_batch) for task in members]
    for row, answer in enumerate(_answers(ensemble(members), one_batch)):
        for label, probability in answer["scores"].items():
            mean = sum(answers[row]["scores"][label] for answers in single) / 3
            assert probability == pytest.approx(mean, abs=1e-6)


def test_independent_labels_have_the_mean_of_probabilities_and_thresholds(make_task, one_batch):
    members = [make_task("multi_label", thresholds=[t, 0.5, 0.9]).eval() for t in (0.1, 0.5)]
    together = ensemble(members)
    assert together.thresholds == pytest.approx([0.3, 0.5, 0.9])
    one, other = (_answers(task, one_batch) for task in members)
    for answer, first, second in zip(_answers(together, one_batch), one, other, strict=True):
        for label, probability in answer["scores"].items():
            assert probability == pytest.approx(
                (first["scores"][label] + second["scores"][label]) / 2, abs=1e-6
            )


def test_sure_probabilities_of_independent_labels_keep_their_digits():
    from nlp_rnn.models.ensemble import mean_independent_probabilities

    logits = torch.tensor([60.0, -60.0])
    assert torch.equal(mean_independent_probabilities([logits, logits]), logits)


def test_forecasts_are_the_mean_of_forecasts(make_task, one_batch):
    members = [make_task("forecasting").eval() for _ in range(3)]
    values = [torch.tensor([a["values"] for a in _answers(task, one_batch)]) for task in members]
    together = torch.tensor([a["values"] for a in _answers(ensemble(members), one_batch)])
    assert torch.allclose(together, torch.stack(values).mean(0), atol=1e-4)


@pytest.mark.parametrize("name", ["translation", "captioning", "language_modeling"])
def test_each_token_has_the_mean_of_the_probabilities(name, make_task, one_batch):
    members = [make_task(name).eval() for _ in range(2)]
    batch = one_batch(members[0])

    def log_probs(model):
        inputs = {
            "translation": ("source", "target", "lengths"),
            "captioning": ("vectors", "target"),
            "language_modeling": ("tokens",),
        }
        logits = model(*(getattr(batch, field) for field in inputs[name]))
        return (logits[0] if isinstance(logits, tuple) else logits).log_softmax(-1)

    with torch.no_grad():
        together = log_probs(ensemble(members).model)
        mean = torch.stack([log_probs(task.model).exp() for task in members]).mean(0)
    assert torch.allclose(together.exp(), mean, atol=1e-6)


@torch.no_grad()
def test_the_loss_of_tokens_is_that_of_the_mean_probabilities(make_task, one_batch, monkeypatch):
    together = ensemble([make_task("translation", label_smoothing=0.1).eval() for _ in range(2)])
    batch = one_batch(together)
    logits = together.model(batch.source, batch.target, batch.lengths)
    for smoothing in (0.0, 0.1):
        expected = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), batch.labels.flatten(), ignore_index=-100, label_smoothing=smoothing
        )
        for size in (1 << 24, 40):
            monkeypatch.setattr("nlp_rnn.models.layers.loss._MAX_LOGITS", size)
            assert together._mean_loss(batch, batch.target, 1.0, smoothing) == pytest.approx(expected.item())


@torch.no_grad()
def test_a_random_field_of_the_mean_scores(make_task, one_batch):
    members = [make_task("tagging", crf=True).eval() for _ in range(2)]
    for task in members:
        for parameter in task.model.crf.parameters():
            torch.nn.init.normal_(parameter)
    together = ensemble(members)
    batch = one_batch(together)
    tags = batch.labels.clamp(min=0)

    def score(task, tags):  # of the first sentence, up to a constant
        emissions = task.logits(batch)[: batch.lengths[0], 0]
        scores = task.model.crf.scores(emissions)
        total = scores.start[tags[0]] + scores.end[tags[-1]] + emissions.gather(1, tags[:, None]).sum()
        return total + sum(scores.transitions[a, b] for a, b in pairwise(tags))

    first = tags[: batch.lengths[0], 0]
    mean = (score(members[0], first) + score(members[1], first)) / 2
    assert score(together, first) == pytest.approx(mean.item(), abs=1e-4)


# What runs unchanged on an ensemble.


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("sentiment", [{"pooling": p} for p in ("last", "mean", "max")]),
        ("tagging", [{}, {"cell": "gru"}]),
        ("multi_label", [{}, {"cell": "gru"}]),
    ],
)
def test_streams(name, chosen, make_task):
    members = [make_task(name, bidirectional=False, **options).eval() for options in chosen]
    together = ensemble(members)
    answer = pipeline(name, together)
    stream = answer.stream()
    pieces = ["the film is ", "not good ", "."]
    last = [stream(piece) for piece in pieces][-1]
    last = stream.close() if hasattr(stream, "close") else last
    if name != "tagging":
        _assert_close(last["scores"], answer("".join(pieces))["scores"])
    with pytest.raises(UsageError, match="bidirectional"):
        ensemble([members[0], make_task(name).eval()]).start_stream()


def test_language_models_stream_and_generate(make_task):
    members = [make_task("language_modeling", cell=cell).eval() for cell in ("lstm", "gru")]
    together = pipeline("text-generation", ensemble(members))
    stream = together.stream()
    stream("the film ")
    assert stream("is ")["log_prob"] < 0
    greedy = list(together.task.generate("the film", SamplingSettings(max_output=5)))
    twice = ensemble([members[0], members[0]]).generate("the film", SamplingSettings(5, 1.0, seed=3))
    once = members[0].generate("the film", SamplingSettings(5, 1.0, seed=3))
    assert greedy
    assert [step.predicted for step in twice] == [step.predicted for step in once]


def test_translations_begin_contain_and_copy_as_asked(make_task, sentences):
    together = ensemble(
        [
            make_task("translation", attention=attention, decoding=BeamSettings(beam=2, max_output=12)).eval()
            for attention in ("luong", "none")
        ]
    )
    answer = pipeline("translation", together)(
        {"text": sentences[0], "prefix": "die arbeit", "constraints": ["gut"]}
    )
    assert answer["text"].startswith("die arbeit")
    assert "gut" in answer["text"]
    copying = pipeline("translation", together, copy_unknown=True)
    assert len(copying(["a zzz b", sentences[1]])) == 2


def test_bf16(make_task, sentences):
    together = ensemble([make_task("sentiment").eval() for _ in range(2)])
    exact, rounded = pipeline("sentiment", together), pipeline("sentiment", together, precision="bf16")
    assert rounded(sentences[0])["score"] == pytest.approx(exact(sentences[0])["score"], abs=0.02)


def test_folders(make_task, tmp_path, sentences):
    folders = []
    for seed in range(3):
        torch.manual_seed(seed)
        folders.append(save_pretrained(make_task("sentiment"), tmp_path / str(seed)))
    tasks = [from_pretrained(folder) for folder in folders]
    expected = pipeline("sentiment", ensemble(tasks))(sentences)
    assert pipeline("sentiment", folders)(sentences) == expected
    assert "3 models" in repr(pipeline("sentiment", folders))
    table = tmp_path / "rows.jsonl"
    rows = zip(sentences, ["negative", "positive"] * 3, strict=True)
    table.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    report = evaluate(folders, Corpus(str(table)), split="all").results
    assert report["models"] == 3
    with pytest.raises(UsageError, match="a revision is of one model"):
        load_models(folders, revision="main")
    with pytest.raises(UsageError, match="backend numpy answers with one model"):
        pipeline("sentiment", folders, backend="numpy")


def test_the_command_line(make_task, tmp_path, sentences, capsys):
    folders = [str(save_pretrained(make_task("sentiment"), tmp_path / name)) for name in "ab"]
    table = tmp_path / "rows.csv"
    table.write_text("text,label\n" + "".join(f'"{text}",negative\n' for text in sentences))

    def output(*arguments):
        main([*arguments])
        return capsys.readouterr().out

    measured = ("--data", str(table), "--split", "all")
    together = output("evaluate", *folders, *measured)
    assert together == output("evaluate", folders[0], "--ensemble", folders[1], *measured)
    assert json.loads(together)["models"] == 2
    expected = pipeline("sentiment", folders)(sentences[0])["label"]
    answers = output("predict", folders[0], str(table), "--ensemble", folders[1]).splitlines()
    assert expected in answers[1]
    for arguments, message in {
        ("evaluate", *folders, "--card"): "--card: an ensemble has no card",
        ("export", *folders, "--format", "onnx"): "unrecognized arguments",
        ("predict", folders[0], "--ensemble", str(tmp_path / "c")): "c: ",
    }.items():
        with pytest.raises(SystemExit) as stop:
            main([*arguments])
        error = capsys.readouterr().err
        assert (stop.value.code, error.count("\n")) == (2, 1)
        assert message in error


def test_answers_in_shards_resume_with_the_same_models_only(make_task, tmp_path, sentences):
    table = tmp_path / "rows.csv"
    table.write_text("text\n" + "".join(f'"{text}"\n' for text in sentences))
    members = [make_task("sentiment").eval() for _ in range(2)]
    predict(ensemble(members), str(table), f"{tmp_path}/out/")
    predict(ensemble(members), str(table), f"{tmp_path}/out/")
    recalibrated = make_task("sentiment", temperature=3.0).eval()
    recalibrated.model.load_state_dict(members[1].model.state_dict())
    members[1] = recalibrated
    with pytest.raises(UsageError, match="begun with another model"):
        predict(ensemble(members), str(table), f"{tmp_path}/out/")


@pytest.mark.parametrize("both", [False, True])
def test_running_text_carries_the_state_of_each_member(both, make_task, make_processor, task_rows):
    processor = replace(make_processor("language_modeling"), window=3)
    options = {"embedding_dim": 8, "hidden_dim": 6, "bidirectional": both}
    members = [TASKS["language_modeling"](processor, **options, cell=cell).eval() for cell in ("lstm", "gru")]

    @torch.no_grad()
    def loss(task):
        metrics = task.metrics("test")
        metrics["loss"].reset()
        for batch in processor.loader(task_rows(task), Batching(size=2)):
            task.update_metrics(batch, metrics)
        return metrics["loss"].compute().item()

    assert loss(ensemble([members[1], members[1]])) == pytest.approx(loss(members[1]), rel=1e-6)
    # The mean of probabilities has at most the mean of the losses: the logarithm is concave.
    assert loss(ensemble(members)) < (loss(members[0]) + loss(members[1])) / 2
    if both:
        with pytest.raises(UsageError, match="does not fit model 1: bidirectional"):
            ensemble([members[0], TASKS["language_modeling"](processor, hidden_dim=6)])
