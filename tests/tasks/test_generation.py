"""What tasks that generate text share: how they decode, and what of it may change after training."""

import pytest

from nlp_rnn.data.vocabulary import BOS, EOS, PAD, UNK
from nlp_rnn.errors import UsageError
from nlp_rnn.models.search import beam_search
from nlp_rnn.tasks import generation
from nlp_rnn.tasks.generation import BeamSettings

GENERATING = ("translation", "captioning", "language_modeling")


@pytest.mark.parametrize("name", GENERATING)
def test_another_beam_shares_the_model_and_changes_nothing_else(name, make_task, one_batch):
    task = make_task(name).eval()
    other = task.with_decoding(beam=3, n_best=2)
    assert other.model is task.model
    assert (task.decoding.beam, task.decoding.n_best) == (1, 1)
    assert (other.decoding.beam, other.decoding.n_best, other.decoding.max_output) == (3, 2, 8)
    for answer in other.answer(one_batch(other)):
        assert 1 <= len(answer["n_best"]) <= 2
        assert answer["text"] == answer["n_best"][0]["text"] == task.format_answer(answer)
        assert answer["score"] == answer["n_best"][0]["score"]


def test_more_answers_widen_the_beam_unless_it_is_given(make_task):
    task = make_task("translation")
    assert task.with_decoding(n_best=4).decoding.beam == 4
    with pytest.raises(UsageError, match="n_best must be at most the beam's width, 2, not 4"):
        task.with_decoding(beam=2, n_best=4)


@pytest.mark.parametrize("name", ["sentiment", "tagging", "forecasting", "series_tagging"])
def test_other_tasks_refuse_to_decode_and_to_continue(name, make_task):
    task = make_task(name)
    with pytest.raises(UsageError, match=f"for tasks that generate text, which {name} is not"):
        task.with_decoding(beam=2)
    with pytest.raises(UsageError, match=f"this model is for {name}"):
        task.check_generates()
    task.apply_settings({"decoding": BeamSettings(beam=2)})  # nothing to change


def test_decoding_may_change_after_training(make_task):
    task = make_task("translation")
    task.apply_settings({"decoding": BeamSettings(beam=5)})
    assert task.decoding.beam == 5
    assert task.stored()["settings"]["decoding"]["beam"] == 5
    task.apply_settings({})
    assert task.decoding == BeamSettings()


@pytest.mark.parametrize("name", GENERATING)
def test_the_sanity_check_decodes_two_tokens_only(name, make_task, batches, trainer, tmp_path, monkeypatch):
    task = make_task(name)
    limits = []
    original = task._max_output
    monkeypatch.setattr(task, "_max_output", lambda: limits.append(original()) or limits[-1])
    trainer(tmp_path, max_epochs=1).fit(task, batches(task), batches(task))
    expected = [] if name == "language_modeling" else [2, 8]
    assert limits == expected


@pytest.mark.parametrize("name", GENERATING)
def test_the_search_gets_all_settings_of_decoding(name, make_task, one_batch, monkeypatch):
    task = make_task(name).eval()
    settings = BeamSettings(beam=3, n_best=2, length_penalty=0.25, max_output=5)
    task.apply_settings({"decoding": settings})
    seen = []
    monkeypatch.setattr(
        generation, "beam_search", lambda *_, **options: seen.append(options) or beam_search(*_, **options)
    )
    answers = task.answer(one_batch(task))
    (options,) = seen
    assert (options["width"], options["n_best"], options["length_penalty"]) == (3, 2, 0.25)
    assert (options["max_length"], options["eos_id"], tuple(options["forbidden"])) == (
        5,
        EOS,
        (PAD, UNK, BOS),
    )
    assert {len(answer["n_best"]) for answer in answers} == {2}
