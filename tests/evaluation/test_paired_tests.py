"""Tables of right answers, and the correction for several models; tests of metrics are in test_comparing."""

import pytest

from nlp_rnn.errors import UsageError
from nlp_rnn.evaluation.paired_tests import Resampling, correct, mcnemar


def test_mcnemar_counts_pairs_that_are_right_or_wrong():
    first = [True, True, False, False, None, True, True]
    other = [True, False, True, False, True, None, False]
    assert mcnemar(first, other) == {
        "both_right": 1,
        "only_first_right": 2,
        "only_other_right": 1,
        "both_wrong": 1,
        "p": 1.0,
    }
    assert mcnemar([None], [True]) is None
    assert mcnemar([], []) is None


def test_p_values_are_corrected_by_test():
    entries = [{"one_p": 0.01, "other_p": None}, {"one_p": 0.04, "other_p": 0.5}]
    correct(entries, ("one_p", "other_p"))
    assert [entry["one_p_holm"] for entry in entries] == [0.02, 0.04]
    assert [entry["other_p_holm"] for entry in entries] == [None, 0.5]


@pytest.mark.parametrize("wrong", [{"resamples": 1}, {"trials": 0}, {"level": 1.0}, {"block": 0}])
def test_settings_are_checked(wrong):
    (name,) = wrong
    with pytest.raises(UsageError, match=name):
        Resampling(**wrong)
