"""Series tagging: labels that only memory can give, the same alone and in company, from file to answer."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from nlp_rnn.data import Batching, Corpus, SeriesTaggingData, Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.evaluation.measuring import evaluate
from nlp_rnn.inference.pipelines import Pipeline, pipeline
from nlp_rnn.inference.prediction import predict
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.tagger import SeriesTagger
from nlp_rnn.tasks import Optimization, SeriesTagging, Tagging
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained
from nlp_rnn.tasks.tagging.data import TaggingProcessor

LENGTHS = torch.tensor([4, 0, 7, 1, 7])


@pytest.fixture(scope="module")
def walks(tmp_path_factory):
    """Recordings of a random walk's steps; the label is whether the walk stands above where it began."""
    random = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("walks")
    for name, count in (("train", 150), ("val", 20), ("test", 40)):
        lines = ["step,side,walk"]
        for walk in range(count):
            steps = random.normal(size=random.integers(8, 20))
            sides = np.where(np.cumsum(steps) > 0, "above", "below")
            lines += [f"{step:.9g},{side},{walk}" for step, side in zip(steps, sides, strict=True)]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return str(folder)


def make_data(walks):
    return SeriesTaggingData(Corpus(walks), ("step",), "side", "walk", Batching(size=32))


@pytest.fixture(scope="module")
def trained(walks, tmp_path_factory, cache_home):
    pl.seed_everything(0, verbose=False)
    data = make_data(walks)
    task = SeriesTagging(
        data.processor, 24, cell="gru", optimization=Optimization(lr=0.02, schedule="cosine")
    )
    trainer = pl.Trainer(
        max_epochs=25, accelerator="cpu", logger=False, enable_progress_bar=False, gradient_clip_val=1.0,
        enable_model_summary=False, enable_checkpointing=False, limit_val_batches=0,
        default_root_dir=tmp_path_factory.mktemp("root"),
    )  # fmt: skip
    trainer.fit(task, data)
    return task.eval()


def test_it_labels_steps_that_need_context(trained, walks):
    figures = evaluate(trained, Corpus(walks)).results
    (batch,) = SeriesTaggingData(
        Corpus(walks), ("step",), "side", "walk", Batching(size=100)
    ).test_dataloader()
    scored = batch.labels >= 0
    steps, labels = batch.vectors[..., 0][scored], batch.labels[scored]
    # The best that any rule of one threshold, which is all there is without memory, can do here.
    best = max(((steps > cut).long() != labels).float().mean().item() for cut in torch.linspace(-3, 3, 61))
    assert best < 0.8
    assert figures["accuracy"] > 0.9
    assert figures["rows"] == 40
    assert sum(map(sum, figures["confusion"])) == len(labels)


def test_batch_order_and_company_change_no_answer(trained):
    random = np.random.default_rng(3)
    walks = [random.normal(size=size).tolist() for size in (1, 9, 4, 30, 4)]
    alone = [pipeline("series_tagging", trained)(walk) for walk in walks]
    for size in (1, 2, 64):
        for one, other in zip(Pipeline(trained, size)(walks), alone, strict=True):
            assert one["labels"] == other["labels"]
            assert one["scores"] == pytest.approx(other["scores"], abs=1e-5)
    assert [len(answer["labels"]) for answer in alone] == [1, 9, 4, 30, 4]
    # It reads forwards: what comes later changes no label before it.
    longer = pipeline("series_tagging", trained)(walks[1] + walks[2])
    assert longer["scores"][:9] == pytest.approx(alone[1]["scores"], abs=1e-5)


def test_saved_equals_loaded_and_answers_lines(trained, tmp_path):
    loaded = from_pretrained(save_pretrained(trained, tmp_path / "model", "card"))
    walk = [0.5, -1.5, 3.0]
    expected = pipeline("series_tagging", trained)(walk)
    assert pipeline("series_tagging", loaded)(walk) == expected
    assert expected["labels"] == ["above", "below", "above"]
    (tmp_path / "in").write_text("0.5 -1.5 3.0\n[0.5, -1.5, 3.0]\n")
    predict(tmp_path / "model", str(tmp_path / "in"), str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "above below above\n" * 2


def test_labels_that_the_model_lacks_are_refused(trained, tmp_path):
    (tmp_path / "test.csv").write_text("step,side,walk\n1,above,0\n2,sideways,0\n")
    with pytest.raises(UsageError, match="unknown label 'sideways'; known: above, below"):
        evaluate(trained, Corpus(str(tmp_path)))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_tagger_of_vectors_alone_equals_batched(cell, bidirectional):
    torch.manual_seed(0)
    model = SeriesTagger(3, 4, 5, 2, 0.5, cell, bidirectional).eval()
    vectors = torch.randn(7, 5, 3)
    together = model(vectors, LENGTHS)
    assert together.shape == (7, 5, 4)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model(vectors[:length, row : row + 1])
        torch.testing.assert_close(together[:length, row], alone[:, 0], atol=1e-6, rtol=0)


def test_the_tagger_of_words_keeps_its_keys_and_printout():
    words = Vocabulary.train_on_words([["a", "b"]], VocabularySettings(min_frequency=1))
    letters = Vocabulary.train(["a b"], VocabularySettings("char", False, 1))
    model = Tagging(TaggingProcessor(words, ["X", "Y"], letters)).model
    parts = ["embedding", "word_encoder", "rnn", "fc_out", "dropout"]
    assert [name for name, _ in model.named_children()] == parts
    assert repr(model).startswith("Tagger(\n  (embedding): Embedding(")
    kinds = {key.split(".")[0] for key in model.state_dict()}
    assert kinds == {"embedding", "word_encoder", "rnn", "fc_out"}
