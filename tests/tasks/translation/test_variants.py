"""Tasks whose model is a variant of the plain one: trained, saved, loaded, inspected and refused like it."""

import copy
import csv

import pytest
import torch

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.inspection.files import write
from nlp_rnn.inspection.inspector import inspect
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.tasks import BeamSettings, Optimization, Translation
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained
from nlp_rnn.tasks.translation.data import TranslationProcessor

VARIANTS = {
    "context": {"context": True},
    "context, direct": {"context": True, "readout": "direct"},
    "bahdanau": {"attention": "bahdanau"},
    "luong": {"attention": "luong"},
    "tied": {"tie_embeddings": "decoder"},
    "all tied, luong": {"tie_embeddings": "all", "attention": "luong"},
    "both directions": {"bidirectional": True},
    "both directions, context, tied": {"bidirectional": True, "context": True, "tie_embeddings": "decoder"},
    "both directions, all tied, bahdanau": {
        "bidirectional": True,
        "tie_embeddings": "all",
        "attention": "bahdanau",
    },
}
each_variant = pytest.mark.parametrize("variant", VARIANTS)


@pytest.fixture
def make(corpus_rows):
    """A function that makes a small task with one vocabulary for both languages."""
    rows = corpus_rows["translation"]
    texts = [*rows["source"], *rows["target"]]
    vocabulary = Vocabulary.train(texts, VocabularySettings(min_frequency=1))

    def make(variant, **options):
        sizes = {"embedding_dim": 12, "hidden_dim": 12, "num_layers": 1, "dropout": 0.0}
        processor = TranslationProcessor(vocabulary, vocabulary)
        return Translation(processor, **{**sizes, **VARIANTS.get(variant, {}), **options})

    return make


@each_variant
def test_it_learns_and_is_loaded_as_it_was_saved(variant, make, train, one_batch, tmp_path):
    task = make(variant, optimization=Optimization(lr=0.03))
    first, last = train(task, 60)
    assert last < 0.3 * first
    answers = task.eval().answer(one_batch(task))
    loaded = from_pretrained(save_pretrained(task, tmp_path / "model"))
    assert loaded.answer(one_batch(loaded)) == answers
    assert str(loaded.model) == str(task.model)
    small = quantize(copy.deepcopy(task.model))
    task.model = small
    loaded = from_pretrained(save_pretrained(task, tmp_path / "small"))
    assert loaded.answer(one_batch(loaded)) == task.answer(one_batch(task))


@each_variant
def test_it_is_loaded_from_a_checkpoint(variant, make, batches, trainer, one_batch, tmp_path):
    task = make(variant)
    run = trainer(tmp_path, max_steps=2)
    run.fit(task, batches(task))
    run.save_checkpoint(tmp_path / "x.ckpt")
    loaded = from_pretrained(tmp_path / "x.ckpt")
    assert loaded.answer(one_batch(loaded)) == task.eval().answer(one_batch(task))


@each_variant
def test_it_is_inspected(variant, make):
    inspection = inspect(make(variant).eval(), "the film is good")
    directions = 2 if "bidirectional" in VARIANTS[variant] else 1
    assert inspection.hidden.shape == (4, directions, 12 // directions)
    assert all(gradients.norms.isfinite().all() for gradients in inspection.gradients)
    assert inspection.gradients[0].norms.gt(0).all()
    assert (inspection.alignment is not None) == ("attention" in VARIANTS[variant])


@each_variant
def test_each_row_of_a_token_is_named(variant, make):
    """What starts from another model of other vocabularies copies rows by these names."""
    task = make(variant)
    names, weights = task.row_names(), task.model.state_dict()
    vocabulary = len(task.processor.target)
    assert set(names) == {name for name, weight in weights.items() if len(weight) == vocabulary}
    assert all(len(rows) == vocabulary for rows in names.values())


@pytest.mark.parametrize("reverse_source", [False, True])
@pytest.mark.parametrize("attention", ["luong", "bahdanau"])
def test_its_alignment_is_inspected(attention, reverse_source, make, tmp_path):
    task = make("", attention=attention, decoding=BeamSettings(max_output=4)).eval()
    task.processor.reverse_source = reverse_source
    text = "the film is good"
    inspection = inspect(task, text)
    read = text.split()[::-1] if reverse_source else text.split()
    assert inspection.tokens == read
    written, weights = inspection.alignment
    answer = task.answer(task.processor.collate({"row": [0], **task.processor.encode({"source": [text]})}))
    assert [token for token in written if token != "<eos>"] == answer[0]["text"].replace(".", " .").split()
    assert weights.shape == (len(written), 4)
    torch.testing.assert_close(weights.sum(1), torch.ones(len(written)))
    write(inspection, tmp_path)
    assert (tmp_path / "alignment.png").read_bytes()[:4] == b"\x89PNG"
    rows = list(csv.DictReader((tmp_path / "alignment.csv").open(encoding="utf-8", newline="")))
    assert [(row["answer_token"], row["token"]) for row in rows] == [(a, b) for a in written for b in read]
    found = torch.tensor([float(row["weight"]) for row in rows]).view(-1, 4)
    torch.testing.assert_close(found, weights)


def test_a_tied_matrix_is_trained_as_one_and_counted_once(make, train):
    task = make("", tie_embeddings="all", optimization=Optimization(lr=0.03))
    size = len(task.processor.target) * 12
    plain = make("")
    counts = [sum(p.numel() for p in each.model.parameters()) for each in (plain, task)]
    assert counts[0] - counts[1] == 2 * size
    assert f"{counts[1]:,} parameters" in task.card()
    assert f"{counts[1]:,} parameters" in task.summary()
    before = task.model.decoder.embedding.weight.detach().clone()
    train(task, 3)
    after = task.model.decoder.embedding.weight
    assert not torch.equal(before, after)
    assert task.model.decoder.output[0] is after


def test_two_vocabularies_cannot_be_tied(make_processor):
    with pytest.raises(UsageError, match=r"needs one vocabulary for both languages: set data\.shared"):
        Translation(make_processor("translation"), 12, 12, tie_embeddings="all")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": "dot"}, "attention must be one of none, bahdanau, luong, not 'dot'"),
        ({"tie_embeddings": "both"}, "tie_embeddings must be one of none, decoder, all, not 'both'"),
        ({"context": True, "attention": "bahdanau"}, "exclude each other"),
        ({"embedding_dim": 8, "tie_embeddings": "decoder"}, "to be equal, not 8 and 12"),
        ({"hidden_dim": 13, "bidirectional": True}, "bidirectional needs an even hidden_dim"),
    ],
)
def test_settings_that_do_not_fit_are_refused(options, message, make):
    with pytest.raises(UsageError, match=message):
        make("", **options)


def test_the_command_line_trains_a_variant_and_names_what_is_missing(run, tmp_path):
    tiny = (
        "fit --config conf/translation_builtin.yaml --data.corpus.max_examples 60 --trainer.max_epochs 1 "
        "--model.hidden_dim 8 --model.embedding_dim 8 --trainer.enable_progress_bar false "
        f"--runs {tmp_path} --name tied --model.tie_embeddings all --model.attention luong"
    ).split()
    code, _, error = run(*tiny)
    assert code == 2
    assert "needs one vocabulary for both languages: set data.shared_vocabulary" in error
    assert len(error.strip().splitlines()) <= 3, error
    code, _, error = run(*tiny, "--data.shared_vocabulary", "true", "--data.vocabulary.level", "bpe")
    assert code == 0, error
    task = from_pretrained(tmp_path / "tied" / "latest" / "model")
    assert task.processor.source.fingerprint == task.processor.target.fingerprint
    assert task.settings["tie_embeddings"] == "all"
