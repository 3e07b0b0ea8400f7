"""The limits of a sweep."""

import pytest

from nlp_rnn.errors import UsageError
from nlp_rnn.training.sweep.limits import Limits, read_budget, read_latency, read_size


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (read_budget, "20", (20, None)),
        (read_budget, "1trial", (1, None)),
        (read_budget, "7 trials", (7, None)),
        (read_budget, "90s", (None, 90)),
        (read_budget, "1.5min", (None, 90)),
        (read_budget, "2 h", (None, 7200)),
        (read_size, "2MB", 2e6),
        (read_size, "500kb", 5e5),
        (read_size, "1 MiB", 2**20),
        (read_latency, "2ms", 2),
        (read_latency, "0.5s", 500),
        (read_latency, "300us", pytest.approx(0.3)),
    ],
)
def test_numbers_are_read_with_their_units(read, text, value):
    assert read(text) == value


@pytest.mark.parametrize("text", ["", "0", "-1", "0min", "5 apples", "min", "1e3", "nan"])
@pytest.mark.parametrize(
    ("read", "flag"), [(read_budget, "--budget"), (read_size, "--max-size"), (read_latency, "--max-latency")]
)
def test_what_is_no_limit_is_refused(read, flag, text):
    with pytest.raises(UsageError, match=f"^{flag} {text!r}: give"):
        read(text)


def test_the_excess_is_a_fraction_of_each_limit():
    assert Limits().excess(1e9, 1e9) == []
    assert Limits(max_size=200, max_latency=4).excess(300, 2) == [0.5, -0.5]
    assert Limits(max_latency=4).excess(300, None) == [0.0]  # stopped early
