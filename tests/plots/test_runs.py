"""The learning curves of several runs."""

import pytest

from nlp_rnn.plots.runs import TrialPoint, pareto_figure, read_curves, seed_curves_figure, trials_figure

CSV = """epoch,step,lr,train/loss_epoch,val/loss,val/accuracy,val/f1_good
,1,0.1,,,,
0,3,,2.0,1.5,0.5,0.1
1,5,,,1.25,0.75,0.2
1,7,,1.0,nan,1.0,0.3
"""


def test_curves_have_one_point_per_epoch(tmp_path):
    (tmp_path / "metrics.csv").write_text(CSV)
    assert read_curves(tmp_path / "metrics.csv") == {
        "train/loss_epoch": [(1, 2.0), (2, 1.0)],
        "val/loss": [(1, 1.5), (2, 1.25)],
        "val/accuracy": [(1, 0.5), (2, 1.0)],
    }


def test_each_seed_is_a_line_and_so_is_the_mean_of_the_epochs_that_all_have():
    runs = {
        "seed 0": {"val/loss": [(1, 3.0), (2, 2.0)], "val/bleu": [(2, 5.0)]},
        "seed 1": {"val/loss": [(1, 1.0), (2, 1.0), (3, 0.5)]},
        "seed 2": {"val/loss": [(1, 2.0), (2, 0.0)]},
    }
    loss, bleu = seed_curves_figure(runs, "seed 1").axes
    assert [axes.get_title(loc="left") for axes in (loss, bleu)] == ["Validation loss", "Validation bleu"]
    assert loss.get_xlabel() == "epoch"
    assert [text.get_text() for text in loss.get_legend().get_texts()] == [*("each seed", "seed 1", "mean")]
    *_, best, mean = loss.lines
    assert best.get_ydata() == pytest.approx([1.0, 1.0, 0.5])
    assert (list(mean.get_xdata()), list(mean.get_ydata())) == ([1, 2], [2.0, 1.0])
    assert len(loss.lines) == 4
    assert len(bleu.lines) == 1


def trial(number, value, size, latency=1.0, state="complete", allowed=True, **settings):
    return TrialPoint(number, state, value, settings, size, latency, allowed)


TRIALS = [
    trial(0, 3.0, 1e6, 4.0, lr=0.001, cell="gru"),
    trial(1, 4.0, 2e6, 3.0, lr=0.1, cell="rnn"),
    trial(2, 2.0, 3e6, 2.0, lr=0.01, cell="gru"),
    trial(3, 1.0, 4e6, 1.0, lr=0.02, cell="rnn", allowed=False),
    trial(4, 9.0, None, None, "pruned", lr=0.03, cell="rnn"),
    trial(5, None, None, None, "failed", lr=0.04, cell="rnn"),
]


def marks(axes):
    return {dots.get_label(): [tuple(point) for point in dots.get_offsets()] for dots in axes.collections}


def test_trials_are_shown_by_their_number_and_by_each_setting():
    figure = trials_figure(TRIALS, "val/loss", "min")
    by_number, by_rate, by_cell = figure.axes
    assert [axes.get_xlabel() for axes in figure.axes] == ["trial", "lr", "cell"]
    assert marks(by_number) == {
        "complete": [(0, 3.0), (1, 4.0), (2, 2.0)],
        "beyond a limit": [(3, 1.0)],
        "pruned": [(4, 9.0)],
    }
    (steps,) = by_number.lines
    assert (list(steps.get_xdata()), list(steps.get_ydata())) == ([0, 2, 4], [3.0, 2.0, 2.0])
    assert by_rate.get_xscale() == "log"
    assert [label.get_text() for label in by_cell.get_xticklabels()] == ["gru", "rnn"]
    assert figure.get_suptitle() == "6 trials: 4 complete, 1 pruned, 1 failed"


def test_the_best_so_far_reaches_the_last_trial_and_whole_numbers_have_whole_ticks():
    trials = [trial(0, 1.0, 1e6, size_of_layers=8), trial(1, 2.0, 1e6, size_of_layers=9)]
    by_number, by_size = trials_figure(trials, "val/loss", "min").axes
    (steps,) = by_number.lines
    assert (list(steps.get_xdata()), list(steps.get_ydata())) == ([0, 1], [1.0, 1.0])
    assert all(tick == int(tick) for tick in by_size.get_xticks())
    assert not trials_figure(trials[:1], "val/loss", "min").axes[0].lines


@pytest.mark.parametrize(
    ("mode", "by_size", "by_latency"),
    [
        ("min", [(1, 3.0), (3, 2.0)], [(2, 2.0), (4, 2.0)]),
        ("max", [(1, 3.0), (2, 4.0), (3, 4.0)], [(2, 2.0), (3, 4.0), (4, 4.0)]),
    ],
)
def test_the_line_leads_through_those_that_no_other_beats(mode, by_size, by_latency):
    figure = pareto_figure(TRIALS, "val/loss", mode, max_size=3.5e6)
    left, right = figure.axes
    assert [axes.get_xlabel() for axes in (left, right)] == [
        "size of the model folder (MB)",
        "latency of one answer (ms)",
    ]
    front, limit = left.lines
    assert list(zip(front.get_xdata(), front.get_ydata(), strict=True)) == by_size
    assert limit.get_xdata() == [3.5, 3.5]
    (front,) = right.lines
    assert list(zip(front.get_xdata(), front.get_ydata(), strict=True)) == by_latency
