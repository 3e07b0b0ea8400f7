"""The learning curves of several runs."""

import pytest

from nlp_rnn.plots.runs import read_curves, seed_curves_figure

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
