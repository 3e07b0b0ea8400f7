"""Learning curves plot every finite value that was logged."""

import subprocess
import sys

import pytest

from nlp_rnn.errors import UsageError
from nlp_rnn.plots import curves as learning

pytestmark = pytest.mark.curves

# As CSVLogger writes it: 10 steps per epoch, sparse rows, learning rates without an epoch, and an epoch 2
# that was interrupted.
CSV = """\
epoch,lr-Adam,step,train/loss_epoch,train/loss_step,val/bleu,val/loss,val/none,test/loss
,0.1,4,,,,,,
0,,4,,5.0,,,,
0,,9,,4.0,,,,
0,,9,,,11.5,4.5,nan,
0,,9,4.6,,,,,
,0.05,14,,,,,,
1,,14,,3.0,,,,
1,,19,,,nan,3.5,,
1,,19,3.6,,,,,
2,,24,,2.5,inf,,,
2,,24,,,,,,3.2
"""


def write(tmp_path, text):
    path = tmp_path / "metrics.csv"
    path.write_text(text, encoding="utf-8")
    return path


def curves(figure):
    """Panel title -> label -> (x values, y values)."""
    return {
        axes.get_title(loc="left"): {
            line.get_label(): (line.get_xdata().tolist(), line.get_ydata().tolist()) for line in axes.lines
        }
        for axes in figure.axes
    }


def test_learning_curves_draw_every_finite_value_against_the_epoch(tmp_path):
    figure = learning.learning_curves_figure(write(tmp_path, CSV))
    assert curves(figure) == {
        "Loss": {
            "train (step)": ([0.5, 1.0, 1.5, 2.5], [5.0, 4.0, 3.0, 2.5]),
            "train": ([1.0, 2.0], [4.6, 3.6]),
            "val": ([1.0, 2.0], [4.5, 3.5]),
            "test": ([2.5], [3.2]),
        },
        "BLEU": {"val": ([1.0], [11.5])},
        "Learning rate": {"lr-Adam": ([0.5, 1.5], [0.1, 0.05])},
    }
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "train (step)", "train", "val", "test",
    ]  # fmt: skip
    for axes in figure.axes:
        low, high = axes.get_xlim()
        assert low == 0
        assert all(x < high for line in axes.lines for x in line.get_xdata())


def test_what_tells_nothing_of_learning_is_left_out(tmp_path):
    text = "epoch,step,lr-Adam,train/padding,train/padding_target,train/imbalance,val/loss\n"
    text += "".join(f"{epoch},{epoch},0.1,0.5,{epoch},0.1,{5 - epoch}\n" for epoch in range(3))
    assert list(curves(learning.learning_curves_figure(write(tmp_path, text)))) == ["Loss"]
    assert list(curves(learning.learning_curves_figure(write(tmp_path, "step,lr\n1,0.1\n")))) == [
        "Learning rate"
    ]


@pytest.mark.parametrize("count", range(1, 8))
def test_panels_fill_the_grid_and_say_their_units(tmp_path, count, assert_legible):
    metrics = ("loss", "accuracy", "f1", "perplexity", "bleu", "mse", "known_accuracy")[:count]
    text = ",".join(["step", "epoch", *(f"val/{metric}" for metric in metrics)]) + "\n"
    text += "".join(",".join([str(step)] * 2 + ["0.5"] * count) + "\n" for step in range(4))
    figure = learning.learning_curves_figure(write(tmp_path, text), loss_unit="nats")
    assert_legible(figure)
    assert len(figure.axes) == count
    assert all(axes.get_ylabel() for axes in figure.axes)
    assert figure.axes[0].get_ylabel() == "nats"
    cells = sum(
        len(spec.rowspan) * len(spec.colspan) for spec in (axes.get_subplotspec() for axes in figure.axes)
    )
    grid = figure.axes[0].get_gridspec()
    assert cells == grid.nrows * grid.ncols


@pytest.mark.parametrize(
    ("monitor", "mode", "best"), [("val/loss", "min", (2, 0.25)), ("val/f1", "max", (3, 0.9))]
)
def test_the_best_epoch_is_marked(tmp_path, monitor, mode, best, assert_legible):
    text = "epoch,step,val/loss,val/f1\n0,9,0.5,0.7\n1,19,0.25,0.8\n2,29,0.3,0.9\n3,39,0.4,0.6\n"
    figure = learning.learning_curves_figure(write(tmp_path, text), monitor, mode)
    name = monitor.replace("/", " ")
    assert figure.get_suptitle() == f"Best {name}: {best[1]}, after epoch {best[0]} (dotted line)"
    for axes in figure.axes:
        (line,) = (line for line in axes.lines if line.get_linestyle() == ":")
        assert list(line.get_xdata()) == [best[0]] * 2
    assert_legible(figure)
    assert not learning.learning_curves_figure(write(tmp_path, text), "val/none").get_suptitle()


def test_a_resumed_run_begins_where_it_was(tmp_path):
    text = "epoch,step,val/loss\n" + "".join(f"{epoch},{epoch},1\n" for epoch in range(50, 60))
    low, high = learning.learning_curves_figure(write(tmp_path, text)).axes[0].get_xlim()
    assert 50 < low < 51
    assert 60 < high < 61


def test_the_loss_of_a_solved_task_has_a_logarithmic_axis(tmp_path, assert_legible):
    text = "epoch,step,train/loss,val/f1\n0,9,2.0,0.5\n1,19,0.01,0.9\n2,29,0.0002,1.0\n"
    figure = learning.learning_curves_figure(write(tmp_path, text))
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear"]
    assert_legible(figure)


def test_one_epoch_is_seen_as_markers(tmp_path):
    figure = learning.learning_curves_figure(write(tmp_path, "epoch,step,val/f1/NOUN\n0,99,0.5\n"))
    assert curves(figure) == {"F1/NOUN": {"val": ([1.0], [0.5])}}
    assert figure.axes[0].lines[0].get_marker() == "o"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"cannot read the metrics in .*metrics\.csv"),
        ("", "contains no finite value"),
        ("epoch,step,val/loss\n", "contains no finite value"),
        ("epoch,step,val/loss\n0,1,nan\n0,2,oops\n", "contains no finite value"),
        ("epoch,val/loss\n0,1.5\n", "no column 'step'"),
    ],
)
def test_files_without_curves_are_refused(tmp_path, text, message):
    path = tmp_path / "metrics.csv" if text is None else write(tmp_path, text)
    with pytest.raises(UsageError, match=message) as caught:
        learning.learning_curves(path, tmp_path / "out.png")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.png").exists()


def test_incomplete_last_line_is_skipped(tmp_path):
    figure = learning.learning_curves_figure(write(tmp_path, "epoch,step,val/loss\n0,9,2.0\n1,19,1.0,7,8\n1"))
    assert curves(figure) == {"Loss": {"val": ([1.0, 2.0], [2.0, 1.0])}}


def test_importing_the_module_does_not_import_matplotlib():
    code = "import sys, nlp_rnn.plots.curves; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_rows_of_numbers_are_drawn_as_those_of_a_file():
    rows = [
        {"step": 3.0, "epoch": 0.0, "val/loss": 0.5, "val/accuracy": 0.0},
        {"step": 3.0, "epoch": 0.0, "train/loss_epoch": 0.7},
        {"step": 7.0, "epoch": 1.0, "val/loss": 0.4, "val/accuracy": 1.0},
    ]
    assert curves(learning.curves_figure(rows)) == {
        "Loss": {"train": ([1.0], [0.7]), "val": ([1.0, 2.0], [0.5, 0.4])},
        "Accuracy": {"val": ([1.0, 2.0], [0.0, 1.0])},
    }
    with pytest.raises(UsageError, match="the log contains no finite value"):
        learning.curves_figure([])
