"""Corpus metrics against sacreBLEU and scikit-learn, in one piece and in parts on several devices."""

import pickle

import pytest
import sacrebleu
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support
from torchmetrics.classification import MulticlassConfusionMatrix
from torchmetrics.utilities import dim_zero_sum

from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.metrics import BLEU, ChrF, MeanLoss, RegressionErrors, class_report

REFERENCES = [
    "A man in an orange hat starring at something.",
    "A Boston Terrier is running on lush green grass in front of a white fence.",
    "A girl in karate uniform breaking a stick with a front kick.",
    "Five people wearing winter jackets and helmets stand in the snow, with snowmobiles in the background.",
    "People are fixing the roof of a house.",
]
PREDICTIONS = [
    "A man in an orange hat is staring at something.",
    "A boston terrier runs on green grass in front of a white fence.",
    "A girl in a karate uniform breaks a stick with a kick.",
    "",
    "People fix the roof of a house.",
]
NO_FOUR_GRAM = [
    "Something orange starring at a man in an hat.",
    "On a fence in front, grass and a white Boston.",
    "In karate a girl with a front stick.",
    "Snow in background, five winter people and snowmobiles.",
    "The house of people fixing the roof",
]

CORPORA = {
    "ordinary": (PREDICTIONS, REFERENCES),
    "a zero n-gram count": (NO_FOUR_GRAM, REFERENCES),
    "no match": (["x y z"], ["u v w"]),
    "empty predictions": (["", ""], REFERENCES[:2]),
    "perfect": (REFERENCES, REFERENCES),
    "tokenized": (["A man , in a hat ."] * 120, ["A man, in a hat."] * 120),
}
METRICS = {
    "bleu": (BLEU, {}, lambda p, r: sacrebleu.corpus_bleu(p, [r]).score),
    "bleu, lowercase": (
        BLEU, {"lowercase": True}, lambda p, r: sacrebleu.corpus_bleu(p, [r], lowercase=True).score
    ),
    "bleu, intl": (
        BLEU, {"tokenize": "intl"}, lambda p, r: sacrebleu.corpus_bleu(p, [r], tokenize="intl").score
    ),
    "bleu, char": (
        BLEU, {"tokenize": "char"}, lambda p, r: sacrebleu.corpus_bleu(p, [r], tokenize="char").score
    ),
    "chrf": (ChrF, {}, lambda p, r: sacrebleu.corpus_chrf(p, [r]).score),
    "chrf, lowercase": (
        ChrF, {"lowercase": True},
        lambda p, r: sacrebleu.metrics.CHRF(lowercase=True).corpus_score(p, [r]).score,
    ),
}  # fmt: skip


def merged(metrics):
    """What torchmetrics does with the states of several devices: gather, then reduce."""
    total = metrics[0].clone()
    for name, reduce in total._reductions.items():
        assert reduce is dim_zero_sum
        setattr(total, name, reduce(torch.stack([getattr(metric, name) for metric in metrics])))
    total._computed = None
    return total


@pytest.mark.parametrize("corpus", CORPORA)
@pytest.mark.parametrize("name", METRICS)
def test_equals_sacrebleu_whole_and_in_parts(name, corpus):
    build, options, expected = METRICS[name]
    predictions, references = CORPORA[corpus]
    score = expected(predictions, references)
    whole = build(**options)
    whole.update(predictions, references)
    assert whole.compute().item() == score
    assert whole.compute().dtype == torch.float64

    devices = [build(**options), build(**options)]
    for place, (start, end) in enumerate([(0, 1), (1, 1), (1, 4), (4, len(predictions))]):
        devices[place % 2].update(predictions[start:end], references[start:end])
    assert merged(devices).compute().item() == score


def test_the_zero_count_case_is_one_where_averages_go_wrong():
    """The corpus of that name must have a zero count and yet a BLEU above 0, else it tests nothing."""
    result = sacrebleu.corpus_bleu(NO_FOUR_GRAM, [REFERENCES])
    assert 0 in result.counts
    assert result.score > 0


@settings(max_examples=50, deadline=None)
@given(
    pairs=st.lists(st.tuples(*[st.text("ab .é", max_size=12)] * 2), min_size=1, max_size=6),
    cut=st.integers(0, 6),
)
def test_any_split_equals_sacrebleu(pairs, cut):
    predictions, references = map(list, zip(*pairs, strict=True))
    for build, _, expected in (METRICS["bleu"], METRICS["chrf"]):
        metric = build()
        metric.update(predictions[:cut], references[:cut])
        metric.update(predictions[cut:], references[cut:])
        assert metric.compute().item() == expected(predictions, references)


def test_signatures():
    version = sacrebleu.__version__
    assert BLEU().signature == f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{version}"
    assert BLEU(lowercase=True, tokenize="intl").signature == (
        f"nrefs:1|case:lc|eff:no|tok:intl|smooth:exp|version:{version}"
    )
    assert ChrF().signature == f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{version}"


@pytest.mark.parametrize("build", [BLEU, ChrF])
@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_reset_clone_pickle_and_nothing_seen(build):
    metric = build()
    assert metric.compute().item() == 0.0
    metric.update(PREDICTIONS, REFERENCES)
    score = metric.compute().item()
    assert score > 0
    assert metric.clone().compute().item() == score
    assert pickle.loads(pickle.dumps(metric)).compute().item() == score
    metric.reset()
    metric.update(REFERENCES, REFERENCES)
    assert metric.compute().item() == pytest.approx(100)


def test_bad_arguments():
    with pytest.raises(ValueError, match="2 predictions do not match 1 references"):
        BLEU().update(["a", "b"], ["a"])
    with pytest.raises(UsageError, match=r"no tokenizer '13b'; choose one of .*13a"):
        BLEU(tokenize="13b")


def test_mean_loss_is_of_the_corpus_not_of_batches():
    losses = [torch.tensor([0.5, 1.5, 2.0]), torch.tensor([7.0])]
    mean = sum(batch.sum().item() for batch in losses) / 4
    devices = [MeanLoss(), MeanLoss()]
    for metric, batch in zip(devices, losses, strict=True):
        metric.update(batch.sum(), len(batch))
    assert merged(devices).compute().item() == pytest.approx(mean, rel=1e-12)


def test_mean_loss_does_not_lose_small_batches_in_a_large_total():
    """float32 sums stop at 2**24: adding 1 to it does nothing."""
    metric = MeanLoss()
    metric.update(torch.tensor(2.0**24), 1)
    for _ in range(8):
        metric.update(torch.tensor(1.0, dtype=torch.bfloat16, requires_grad=True), 1)
    assert metric.compute().item() == (2**24 + 8) / 9
    assert not metric.total.requires_grad


@pytest.mark.parametrize("convert", ["bfloat16", "half", "to"])
def test_sums_stay_exact_in_a_model_of_low_precision(convert):
    """A state in bfloat16 would stay at 256 for ever."""
    metric = MeanLoss()
    module = torch.nn.ModuleDict({"loss": metric})
    getattr(module, convert)(*[torch.bfloat16] * (convert == "to"))
    for _ in range(300):
        metric.update(torch.tensor(1.0, dtype=torch.bfloat16), 1)
    assert metric.total.item() == 300


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_mean_loss_of_nothing_is_nan():
    assert MeanLoss().compute().isnan()


@settings(max_examples=60, deadline=None)
@given(
    data=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30),
    cut=st.integers(0, 30),
)
def test_class_report_equals_sklearn(data, cut):
    truth, predicted = map(list, zip(*data, strict=True))
    metric = MulticlassConfusionMatrix(num_classes=5)
    for part in (slice(None, cut), slice(cut, None)):
        if truth[part]:
            metric.update(torch.tensor(predicted[part]), torch.tensor(truth[part]))
    matrix = metric.compute()
    assert matrix.tolist() == confusion_matrix(truth, predicted, labels=range(5)).tolist()
    report = class_report(matrix)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=range(5), zero_division=0
    )
    assert report.precision.tolist() == pytest.approx(precision.tolist())
    assert report.recall.tolist() == pytest.approx(recall.tolist())
    assert report.f1.tolist() == pytest.approx(f1.tolist())
    assert report.support.tolist() == support.tolist()
    assert report.accuracy == pytest.approx(accuracy_score(truth, predicted))
    # scikit-learn's own labels are those that occur: the macro F1 documented.
    assert report.macro_f1 == pytest.approx(f1_score(truth, predicted, average="macro", zero_division=0))


def test_class_report_of_empty_classes():
    report = class_report(torch.tensor([[3, 1, 0], [0, 0, 0], [0, 0, 0]]))
    assert report.precision.tolist() == [1.0, 0.0, 0.0]
    assert report.recall.tolist() == [0.75, 0.0, 0.0]
    assert report.f1.tolist() == pytest.approx([6 / 7, 0.0, 0.0])
    assert report.support.tolist() == [4, 0, 0]
    assert report.accuracy == 0.75
    assert report.macro_f1 == pytest.approx(3 / 7)  # the third class does not occur at all
    nothing = class_report(torch.zeros(3, 3, dtype=torch.int64))
    assert (nothing.accuracy, nothing.macro_f1, nothing.f1.tolist()) == (0.0, 0.0, [0.0] * 3)


def test_class_report_refuses_what_is_not_square():
    with pytest.raises(ValueError, match=r"must be square, not of shape \(2, 3\)"):
        class_report(torch.zeros(2, 3))


@pytest.mark.parametrize("truth", [0.1, 1e6 + 0.1, 0.0])
def test_r2_of_equal_numbers_is_nan_whatever_rounding_leaves(truth):
    errors = RegressionErrors(1)
    for rows in (3, 7, 1):
        errors.update(torch.ones(rows, 1), torch.full((rows, 1), truth, dtype=torch.float64))
    assert errors.compute()[2].isnan().all()


def test_r2_of_numbers_that_differ_little_is_right():
    errors = RegressionErrors(2)
    truth = 1e6 + torch.tensor([[0.0, 1.0], [1e-3, 2.0]], dtype=torch.float64)
    errors.update(truth + torch.tensor([[0.0, 0.5]]), truth)
    assert errors.compute()[2].tolist() == pytest.approx([1.0, 0.0], abs=1e-9)
