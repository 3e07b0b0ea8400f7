"""Right-to-left models, the scores of given translations, and reranking."""

import json

import pytest
import torch

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.data.vocabulary import BOS, EOS
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.tasks import BeamSettings, Optimization, Translation
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained
from nlp_rnn.tasks.translation.data import TranslationProcessor
from nlp_rnn.tasks.translation.scoring import rerank, score

SOURCES = ["the film is good", "", "good film", "is it the film that is good ?"]
TARGETS = ["good", "the film is", "", "it is the good film"]


@pytest.fixture
def make(corpus_rows):
    """A function that makes a small task; its seed chooses its weights."""
    rows = corpus_rows["translation"]
    words = VocabularySettings(min_frequency=1)
    texts = [*rows["source"], *rows["target"], *SOURCES, *TARGETS]
    vocabulary = Vocabulary.train(texts, words)

    def make(reverse_target=False, seed=0, **options):
        torch.manual_seed(seed)
        processor = TranslationProcessor(vocabulary, vocabulary, reverse_target=reverse_target)
        task = Translation(processor, 12, 12, 1, 0.0, **options)
        for parameter in task.model.parameters():
            parameter.data.mul_(3)
        return task.eval()

    return make


@pytest.mark.parametrize("reverse_target", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"attention": "luong"}, {"bidirectional": True, "context": True}], ids=str
)
def test_a_score_is_the_probability_of_each_token_in_turn(options, reverse_target, make):
    task = make(reverse_target, **options)
    scores = score(task, SOURCES, TARGETS)
    assert scores == pytest.approx(score(task, SOURCES, TARGETS, batch_size=1), abs=1e-4)
    encode = task.processor.source.encode
    for source, target, found in zip(SOURCES, TARGETS, scores, strict=True):
        (ids,), (tokens,) = encode([source]), encode([target])
        state = task.model.encoder(torch.tensor(ids, dtype=torch.long)[:, None])
        total, last = 0.0, BOS
        for token in [*(tokens[::-1] if reverse_target else tokens), EOS]:
            logits, state = task.model.decoder.step(torch.tensor([last]), state)
            total += logits[0].log_softmax(-1)[token].item()
            last = token
        assert found == pytest.approx(total, abs=1e-4)


def test_scores_hold_the_logits_of_one_step_at_a_time(make, monkeypatch):
    task = make()
    decoder, shapes = type(task.model.decoder), []
    logits = decoder.logits

    def record(self, features):
        shapes.append(features.shape[:-1])
        return logits(self, features)

    monkeypatch.setattr(decoder, "logits", record)
    score(task, SOURCES, TARGETS)
    assert {shape.numel() for shape in shapes} == {len(SOURCES)}


def test_a_right_to_left_model_answers_in_reading_order(make, train, one_batch, tmp_path):
    """It learns the same translations as others, though it reads them from the end."""
    task = make(True, optimization=Optimization(lr=0.03))
    first, last = train(task, 80)
    assert last < 0.3 * first
    batch = one_batch(task)
    vocabulary = task.processor.target
    for row, reference in enumerate(batch.references):
        (ids,) = vocabulary.encode([reference])
        assert batch.target[1 : len(ids) + 1, row].tolist() == ids[::-1]
    answers = [answer["text"] for answer in task.eval().answer(batch)]
    right = [
        answer == vocabulary.decode(vocabulary.encode([reference])[0])
        for answer, reference in zip(answers, batch.references, strict=True)
    ]
    assert sum(right) > 0.5 * len(right), answers
    loaded = from_pretrained(save_pretrained(task, tmp_path / "model"))
    assert loaded.processor.reverse_target
    assert [answer["text"] for answer in loaded.answer(batch)] == answers


def test_what_a_right_to_left_model_can_be_asked_for(make):
    translate = pipeline("translation", make(True, decoding=BeamSettings(beam=4, max_output=8)))
    text = translate({"text": "good", "constraints": ["the film", "is it"]})["text"]
    assert "the film" in text
    assert "is it" in text
    with pytest.raises(UsageError, match="writes from the end of a text to its start: leave out prefixes"):
        translate({"text": "good", "prefix": "the"})


def test_answers_are_ordered_by_the_mean_of_scores(make):
    decoding = BeamSettings(beam=6, n_best=4, length_penalty=0.0, max_output=5)
    first, second = make(decoding=decoding), make(True, seed=1, decoding=decoding)
    answers = pipeline("translation", first)(SOURCES)
    again = rerank([first, second], SOURCES, answers, [3, 1])
    changed = 0
    for source, before, after in zip(SOURCES, answers, again, strict=True):
        if not source:
            assert before == after
            continue
        texts = [best["text"] for best in after["n_best"]]
        assert sorted(texts) == sorted(best["text"] for best in before["n_best"])
        changed += texts != [best["text"] for best in before["n_best"]]
        both = [score(model, [source] * 4, texts) for model in (first, second)]
        expected = [0.75 * ours + 0.25 * theirs for ours, theirs in zip(*both, strict=True)]
        assert [best["score"] for best in after["n_best"]] == pytest.approx(expected, abs=1e-4)
        assert expected == sorted(expected, reverse=True)
        assert (after["text"], after["score"]) == (texts[0], after["n_best"][0]["score"])
    assert changed


def test_a_reranked_task_chooses_among_all_of_the_beam(make):
    first, second = make(), make(True, seed=1)
    answers = pipeline("translation", first, beam=6, n_best=6)(SOURCES)
    best = []
    for weight in (0.0, 0.4, 1.0):
        expected = rerank([first, second], SOURCES, answers, [1 - weight, weight])
        found = pipeline("translation", first.reranked(second, weight), beam=6, n_best=2)(SOURCES)
        for ours, theirs in zip(found, expected, strict=True):
            assert ours["text"] == theirs["text"]
            assert [entry["text"] for entry in ours["n_best"]] == [
                entry["text"] for entry in theirs["n_best"][:2]
            ]
        best.append([answer["text"] for answer in found])
    assert best[0] != best[2]
    assert first.reranker is None


def test_reranking_on_the_command_line(make, run, tmp_path):
    folders = [save_pretrained(make(), tmp_path / "a"), save_pretrained(make(True, seed=1), tmp_path / "b")]
    model, other = map(str, folders)
    (tmp_path / "rows.jsonl").write_text('{"de": "the film is good", "en": "good"}\n' * 3)
    (tmp_path / "lines.txt").write_text("the film is good\n\n")
    data = ["--data", str(tmp_path / "rows.jsonl"), "--split", "all", "--columns", "source=de", "target=en"]
    rerank = ["--rerank", other, "--rerank-weight", "1"]
    code, out, error = run("evaluate", model, *data, "--beam", "4", *rerank)
    assert code == 0, error
    assert json.loads(out)["decoding"] == {"beam": 4, "length_penalty": 1.0, "rerank_weight": 1.0}
    code, out, error = run("predict", model, str(tmp_path / "lines.txt"), "--beam", "4", *rerank)
    assert code == 0, error
    task = from_pretrained(model).reranked(from_pretrained(other), 1.0)
    assert out.splitlines()[0] == pipeline("translation", task, beam=4)("the film is good")["text"]
    target = tmp_path / "answers.txt"
    for options, message in [
        (["--rerank", other], "a single translation cannot be reranked: set a beam, such as --beam 5"),
        (["--beam", "4", "--rerank", other, "--rerank-weight", "2"], "rerank weight must be between 0 and 1"),
        (["--beam", "4", "--rerank-weight", "0.5"], "--rerank-weight is of the model that --rerank names"),
        (["--beam", "4", "--rerank", str(tmp_path / "none")], "none"),
    ]:
        code, _, error = run("predict", model, str(tmp_path / "lines.txt"), "--output", str(target), *options)
        assert (code, error.count("\n")) == (2, 1), error
        assert message in error
        assert not target.exists()
    assert run("evaluate", model, *data, "--beam", "4", *rerank, "--card")[0] == 2


def test_other_tasks_are_not_reranked(make, make_task):
    with pytest.raises(UsageError, match="reranked for translation; this model is for sentiment"):
        make_task("sentiment").reranked(make())
    with pytest.raises(UsageError, match="by a model for translation, not for sentiment"):
        make().reranked(make_task("sentiment"))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda task: score(task, ["a"], []), "1 sources and 0 targets"),
        (lambda task: rerank([task], ["a"], [], None), "an answer for each of 1 sources, not 0"),
        (lambda task: rerank([task], [], [], [1, 2]), r"a weight for each of 1 models, not \[1, 2\]"),
        (lambda task: rerank([task], [], [], [0]), r"not \[0\]"),
    ],
)
def test_what_does_not_fit_is_refused(call, message, make):
    with pytest.raises(UsageError, match=message):
        call(make())
