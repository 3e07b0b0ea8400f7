"""What we rely on in private methods of sacreBLEU: if one of these tests fails, change `_SacreMetric`.

`nlp_rnn.tasks.metrics` is the only place that uses them.
"""

import pytest
import sacrebleu
import torch
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

PREDICTIONS = ["the dog is here", "a good film .", "no"]
REFERENCES = ["the dog was here", "a very good film .", "yes"]
SCORERS = {
    "BLEU": (lambda: BLEU(lowercase=True, force=True), lambda scorer: 2 + 2 * scorer.max_ngram_order),
    "chrF": (lambda: CHRF(lowercase=True), lambda scorer: 3 * scorer.order),
}


@pytest.fixture(params=SCORERS)
def scorer(request):
    return SCORERS[request.param][0]()


@pytest.fixture
def size(scorer):
    """The number of statistics per sentence that our metrics expect."""
    return next(size for make, size in SCORERS.values() if isinstance(scorer, type(make())))(scorer)


def changed(promise):
    return f"sacreBLEU {sacrebleu.__version__} has changed: {promise}; adapt nlp_rnn/tasks/metrics.py"


@pytest.mark.parametrize("method", ["_extract_corpus_statistics", "_compute_score_from_stats"])
def test_the_private_methods_exist(scorer, method):
    assert callable(getattr(scorer, method, None)), changed(f"{type(scorer).__name__} has no {method}")


def test_each_sentence_has_one_row_of_integer_statistics(scorer, size):
    rows = scorer._extract_corpus_statistics(PREDICTIONS, [REFERENCES])
    assert len(rows) == len(PREDICTIONS), changed("there is not one row of statistics per sentence")
    assert {len(row) for row in rows} == {size}, changed(f"a sentence does not have {size} statistics")
    whole = all(float(value).is_integer() for row in rows for value in row)
    assert whole, changed("statistics are not whole numbers")


def test_the_statistics_of_a_sentence_do_not_depend_on_the_others(scorer):
    together = scorer._extract_corpus_statistics(PREDICTIONS, [REFERENCES])
    for prediction, reference, row in zip(PREDICTIONS, REFERENCES, together, strict=True):
        (alone,) = scorer._extract_corpus_statistics([prediction], [[reference]])
        assert list(alone) == list(row), changed("the statistics of a sentence depend on other sentences")


def test_the_score_of_the_summed_statistics_is_the_corpus_score(scorer):
    rows = scorer._extract_corpus_statistics(PREDICTIONS, [REFERENCES])
    total = torch.tensor(rows, dtype=torch.int64).sum(0).tolist()
    expected = scorer.corpus_score(PREDICTIONS, [REFERENCES]).score
    score = scorer._compute_score_from_stats(total).score
    assert score == pytest.approx(expected), changed("the score of summed statistics is not the corpus score")


def test_no_sentence_scores_zero(scorer, size):
    assert scorer._compute_score_from_stats([0] * size).score == 0, changed("nothing does not score 0")


def test_the_signature_needs_the_number_of_references_alone(scorer):
    scorer.num_refs = 1
    assert str(scorer.get_signature()).startswith("nrefs:1|case:lc|"), changed("the signature differs")
