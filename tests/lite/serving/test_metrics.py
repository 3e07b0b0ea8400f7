"""The metrics of several workers in one memory."""

import pytest

from nlp_rnn.lite.serving.metrics import Metrics

MODELS = ["a", "b"]


@pytest.fixture
def workers():
    cells = [0.0] * (3 * Metrics.size(MODELS))
    return [Metrics(MODELS, cells, number) for number in range(3)], cells


def test_each_worker_shows_the_sum_of_all(workers):
    (first, second, third), _ = workers
    first.add("inputs_total", 2, "a")
    second.add("inputs_total", 3, "a")
    third.add("inputs_total", 5, "b")
    third.add("open_streams", 1)
    third.observe("other", 1.0, 404)
    for worker in (first, second, third):
        lines = worker.text().splitlines()
        assert {'nlp_rnn_inputs_total{model="a"} 5', 'nlp_rnn_inputs_total{model="b"} 5'} <= {*lines}
        assert {"nlp_rnn_open_streams 1", 'nlp_rnn_requests_total{route="other",status="404"} 1'} <= {*lines}
    assert first.text() == third.text()


def test_a_worker_that_is_started_again_keeps_counters_and_drops_gauges(workers):
    (_, second, _), cells = workers
    second.add("inputs_total", 2, "a")
    second.add("queued_inputs", 2, "a")
    again = Metrics(MODELS, cells, 1)
    assert (again.value("inputs_total", "a"), again.value("queued_inputs", "a")) == (2, 0)


@pytest.mark.parametrize(("seconds", "first"), [(0, 0.005), (0.005, 0.005), (0.3, 0.5), (31, None)])
def test_histograms_are_cumulative(workers, seconds, first):
    (worker, _, _), _ = workers
    worker.observe("predict", seconds, 200)
    counts = {}
    for line in worker.text().splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith('nlp_rnn_request_seconds_bucket{route="predict"'):
            counts[name.partition('le="')[2].rstrip('"}')] = float(value)
    assert list(counts.values()) == sorted(counts.values())
    assert counts["+Inf"] == 1
    assert next(float(bound) for bound, count in counts.items() if count) == (first or float("inf"))
    assert f'nlp_rnn_request_seconds_sum{{route="predict"}} {seconds:g}' in worker.text()


def test_an_unexpected_status_counts_as_a_fault(workers):
    (worker, _, _), _ = workers
    worker.observe("predict", 0.1, 418)
    assert worker.value("requests_total", "predict", "500") == 1
