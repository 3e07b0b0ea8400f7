"""Taggers of spans, with a CRF, and of several columns at once."""

import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from nlp_rnn.data import VocabularySettings
from nlp_rnn.data.batching import IGNORED, Batching
from nlp_rnn.data.labels import UNSEEN
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.inspection.inspector import inspect
from nlp_rnn.lite.text.spans import read_spans, write_spans
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.tasks import Regularization, Tagging
from nlp_rnn.tasks.optimization import make_optimizer
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained
from nlp_rnn.tasks.tagging.data import TaggingData
from nlp_rnn.tasks.transfer import initialize_from

WORDS = ["anna", "works", "at", "big", "shop", "in", "new", "town", "."]
NER = ["B-PER", "O", "O", "B-ORG", "I-ORG", "O", "B-LOC", "I-LOC", "O"]
UPOS = ["PROPN", "VERB", "ADP", "ADJ", "NOUN", "ADP", "ADJ", "NOUN", "_"]
ROWS = [
    {"tokens": WORDS[a:b], "ner": NER[a:b], "upos": UPOS[a:b], "feats": ["_", "F=1", "F=2"]}
    for a, b in [(0, 3), (3, 6), (6, 9), (4, 7)]
] * 3
SETTINGS = {"vocabulary": VocabularySettings(min_frequency=1), "batching": Batching(size=12)}


def make(tags, scheme="auto", **options):
    torch.manual_seed(0)
    data = TaggingData({"train": ROWS, "validation": ROWS}, tags=tags, scheme=scheme, **SETTINGS)
    sizes = {"embedding_dim": 8, "hidden_dim": 12, "dropout": 0.0, **options}
    return Tagging(data.processor, **sizes), next(iter(data.val_dataloader()))


def train(task, batch, steps=60):
    optimizer = make_optimizer(task.model, task.optimization, lambda: steps)["optimizer"]
    for group in optimizer.param_groups:
        group["lr"] = 0.02
    losses = []
    for _ in range(steps):
        loss = task.train().loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    task.eval()
    return losses


def test_a_crf_of_more_labels_than_memory_has_room_for_is_refused():
    rows = [{"tokens": ["a", "b"], "xpos": [f"X{number}", "Y"]} for number in range(1000)]
    data = {"train": rows, "validation": rows[:9]}
    processor = TaggingData(data, tags="xpos", **SETTINGS).processor
    with pytest.raises(UsageError, match=r"xpos has 1,001 labels, .* at most 1,000; set model.crf"):
        Tagging(processor, crf=True)


@pytest.mark.parametrize("crf", [False, True])
def test_a_tagger_of_spans_learns_them(crf):
    task, batch = make("ner", crf=crf)
    losses = train(task, batch)
    assert losses[-1] < 0.1 * losses[0]
    assert task.progress_bar_metrics == ("f1",)
    task.update_metrics(batch, task.metrics("val"))
    results = task.compute_metrics(task.metrics("val"))
    assert (results["precision"], results["recall"], results["f1"], results["f1_PER"]) == (1, 1, 1, 1)
    assert results["accuracy"] == 1
    assert results["loss"] == pytest.approx(task.loss(batch).item(), rel=1e-5)
    (answer,) = pipeline("tagging", task)([WORDS[3:6]])
    assert answer["tags"] == ["B-ORG", "I-ORG", "O"]
    entity = {"start": 0, "end": 2, "type": "ORG", "text": "big shop"}
    assert answer["entities"] == [entity]
    raw = pipeline("tagging", task)(" big\tshop in")
    assert raw["entities"] == [{**entity, "text": "big\tshop", "offsets": [1, 9]}]
    assert all(0.5 < score <= 1 for score in answer["scores"])


@pytest.mark.parametrize("crf", [False, True])
@pytest.mark.parametrize("scheme", ["iob1", "iob2", "iobes", "bilou"])
def test_no_answer_is_illegal(crf, scheme):
    task, batch = make("ner", scheme, crf=crf)
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.normal_()
    legal = 0
    for answer in task.eval().answer(batch):
        tags = answer["tags"]
        assert write_spans(read_spans(tags), len(tags), scheme) == tags
        legal += 1
    assert legal == len(batch)
    assert torch.isfinite(task.loss(batch))
    # Without the constraint there would be others.
    free = task.logits(batch).argmax(-1)[:3].t().tolist()
    names = [[task.labels[id] for id in row] for row in free]
    assert any(write_spans(read_spans(tags), 3, scheme) != tags for tags in names)


def test_answers_of_a_crf_do_not_depend_on_the_batch():
    task, _ = make("ner", crf=True)
    torch.nn.init.normal_(task.model.crf.transitions)
    ask = pipeline("tagging", task)
    sentences = [WORDS[:k] for k in (9, 1, 4, 0, 7)]
    for together, sentence in zip(ask(sentences), sentences, strict=True):
        (alone,) = ask([sentence])
        assert alone["tags"] == together["tags"]
        assert alone["scores"] == pytest.approx(together["scores"])
    (empty,) = ask([[]])
    assert (empty["tags"], empty["scores"], empty["entities"]) == ([], [], [])


def test_words_without_a_tag_and_unknown_tags_have_no_loss():
    task, batch = make("ner", crf=True)
    expected = -task.model.crf.log_likelihood(task.logits(batch), batch.labels, batch.lengths).sum() / 36
    assert task.loss(batch).item() == pytest.approx(expected.item())
    batch.labels[batch.labels >= 0] = IGNORED
    assert task.loss(batch).item() == 0
    batch.labels[0] = UNSEEN
    task.update_metrics(batch, task.metrics("val"))
    assert task.compute_metrics(task.metrics("val"))["accuracy"] == 0


@pytest.mark.parametrize("tags", ["ner", "upos,ner,feats"])
@pytest.mark.parametrize("crf", [False, True])
def test_models_are_stored_quantized_and_inspected(tags, crf, tmp_path):
    task, batch = make(tags, crf=crf)
    train(task, batch, 5)
    expected = pipeline("tagging", task)([WORDS])
    loaded = from_pretrained(save_pretrained(task, tmp_path / "model"))
    assert pipeline("tagging", loaded)([WORDS]) == expected
    inspection = inspect(loaded, " ".join(WORDS))
    scores = inspection.probabilities.gather(
        1, torch.tensor([[loaded.labels.index(t)] for t in expected[0]["tags"]])
    )
    assert scores[:, 0].tolist() == pytest.approx(expected[0]["scores"], rel=1e-3)
    quantize(loaded.model)
    small = from_pretrained(save_pretrained(loaded, tmp_path / "small"))
    (answer,) = pipeline("tagging", small)([WORDS])
    assert answer.keys() == expected[0].keys()
    assert answer["scores"] == pytest.approx(expected[0]["scores"], abs=0.05)


def test_the_first_column_is_the_model_of_that_column_alone():
    alone, _ = make("upos")
    task, batch = make("upos,ner,feats")
    assert [name for name, _ in task.model.named_parameters() if name not in alone.model.state_dict()] == [
        f"fc_more.{n}.{kind}" for n in (0, 1) for kind in ("weight", "bias")
    ]
    assert "fc_more" not in str(alone.model)
    for name, weight in alone.model.state_dict().items():
        assert torch.equal(weight, task.model.state_dict()[name])
    assert batch.labels.shape == (3, *batch.words.shape)
    parts = task.logits(batch).split(task.model.sizes, -1)
    assert torch.equal(parts[0], alone.logits(batch))
    losses = [
        torch.nn.functional.cross_entropy(
            part.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        for part, labels in zip(parts, batch.labels, strict=True)
    ]
    count = (batch.labels != IGNORED).sum()
    assert count == 3 * 36 - 3
    assert task.loss(batch).item() == pytest.approx((3 * sum(losses) / count).item())


def test_several_columns_are_learned_at_once():
    task, batch = make("upos,ner,feats", word_dropout=0.1)
    train(task, batch)
    task.update_metrics(batch, task.metrics("val"))
    results = task.compute_metrics(task.metrics("val"))
    names = ["upos_accuracy", "ner_accuracy", "ner_f1", "feats_accuracy"]
    assert [results[name] for name in ("accuracy", *names)] == [1.0] * 5
    assert [name for name in results if name.startswith("f1_")] == [f"f1_{tag}" for tag in task.labels]
    (answer,) = pipeline("tagging", task)([WORDS[3:6]])
    keys = ["words", "tags", "scores", "ner", "ner_scores", "feats", "feats_scores"]
    assert list(answer)[:7] == keys
    expected = ["ADJ/B-ORG/_", "NOUN/I-ORG/F=1", "ADP/O/F=2"]
    expected = [f"{word}/{tags}" for word, tags in zip(WORDS[3:6], expected, strict=True)]
    assert Tagging.format_answer(answer) == " ".join(expected)
    assert task.conllu_columns == {"upos": "tags", "ner": "ner", "feats": "feats"}
    assert task.processor.data_settings()["tags"] == "upos,ner,feats"


def test_several_columns_are_streamed():
    task, _ = make("upos,feats", bidirectional=False)
    whole = pipeline("tagging", task)("anna works at")
    stream = pipeline("tagging", task).stream()
    parts = [stream("anna"), stream("works at")]
    for key in ("tags", "feats"):
        assert [tag for part in parts for tag in part[key]] == whole[key]


@pytest.mark.parametrize(("tags", "options"), [("ner", {}), ("upos", {"crf": True})])
def test_whole_sentences_are_not_streamed(tags, options):
    task, _ = make(tags, bidirectional=False, **options)
    with pytest.raises(UsageError, match="chosen for whole sentences, so this model cannot answer before"):
        pipeline("tagging", task).stream()


def test_label_smoothing_is_for_models_without_a_crf():
    with pytest.raises(UsageError, match="label_smoothing is for models without a CRF"):
        make("upos", crf=True, label_smoothing=0.1)


def test_regularization_is_for_models_without_a_crf():
    with pytest.raises(UsageError, match="regularization is for models without a CRF: leave it out"):
        make("upos", crf=True, dropout=0.1, regularization=Regularization(consistency=1.0))


def test_words_are_spelled_once_for_all_passes():
    terms = Regularization(consistency=1.0, adversarial=1.0, virtual_adversarial=1.0)
    task, batch = make("upos", dropout=0.1, regularization=terms)
    calls = []
    task.model.word_encoder.register_forward_hook(lambda *_: calls.append(1))
    task.loss(batch).backward()
    assert len(calls) == 1
    assert all(parameter.grad.isfinite().all() for parameter in task.model.word_encoder.parameters())


def test_the_divergence_of_several_columns_is_the_sum_of_theirs():
    task, batch = make("upos,feats", dropout=0.5, regularization=Regularization(consistency=2.0))
    torch.manual_seed(0)
    loss = task.loss(batch)
    torch.manual_seed(0)
    passes = [task.training_logits(batch, task.character_features(batch)) for _ in range(2)]
    first, second = (logits.split(task.model.sizes, -1) for logits in passes)
    divergence = torch.zeros(())
    for ours, theirs, labels in zip(first, second, batch.labels, strict=True):
        scored = labels != IGNORED
        one, other = (Categorical(logits=logits[scored]) for logits in (ours, theirs))
        divergence += kl_divergence(one, other).mean() + kl_divergence(other, one).mean()
    plain, _ = make("upos,feats", dropout=0.5)
    torch.manual_seed(0)
    losses = [plain.loss(batch) for _ in range(2)]
    torch.testing.assert_close(loss, sum(losses) / 2 + divergence)


def test_the_scheme_is_stated_before_training():
    data = TaggingData({"train": ROWS, "validation": ROWS}, tags="ner", **SETTINGS)
    assert data.summary().endswith("ner: 3 type(s) of spans in iob2")


def test_a_tagger_goes_on_with_other_tags():
    old, _ = make("ner,upos", crf=True)
    for parameter in old.parameters():
        torch.nn.init.normal_(parameter)
    rows = [
        {"tokens": row["tokens"], "ner": [tag.replace("PER", "ABC") for tag in row["ner"]]} for row in ROWS
    ]
    rows = [row | {"upos": ["NOUN", "X", "VERB"]} for row in rows]
    data = TaggingData({"train": rows, "validation": rows}, tags="ner,upos", **SETTINGS)
    new = Tagging(data.processor, 8, 12, crf=True)
    initialize_from(new, old, "old")
    scores = [task.model.crf.scores(torch.zeros(1)) for task in (old, new)]
    assert torch.equal(
        old.model.fc_more[0].weight[old.processor.other_labels[0].index("VERB")],
        new.model.fc_more[0].weight[new.processor.other_labels[0].index("VERB")],
    )
    for first in ("B-LOC", "I-ORG", "O"):
        for second in ("B-LOC", "I-LOC", "O"):
            one, other = (
                s.transitions[t.labels.index(first), t.labels.index(second)]
                for s, t in zip(scores, (old, new), strict=True)
            )
            assert one == other
    assert scores[1].start[new.labels.index("B-ABC")] == 0


def test_a_scheme_is_for_the_columns_that_have_spans():
    data = TaggingData({"train": ROWS, "validation": ROWS}, tags="upos,ner", scheme="iobes", **SETTINGS)
    assert data.processor.schemes == ["", "iobes"]
    assert data.processor.data_settings()["scheme"] == "iobes"  # which training on with other data takes
    assert "S-PER" in data.processor.other_labels[0]
    with pytest.raises(UsageError, match="scheme iobes: upos has no tags of spans, such as B-PER; leave"):
        _ = TaggingData({"train": ROWS, "validation": ROWS}, scheme="iobes", **SETTINGS).processor
