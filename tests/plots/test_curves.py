"""Learning curves plot every finite value that was logged."""

import subprocess
import sys

import pytest

from nlp_rnn.errors import UsageError
from nlp_rnn.plots import curves as learning

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
        axes.get_title(): {
            line.get_label(): (line.get_xdata().tolist(), line.get_ydata().tolist()) for line in axes.lines
        }
        for axes in figure.axes
    }


def test_learning_curves_draw_every_finite_value_against_the_epoch(tmp_path):
    figure = learning.learning_curves_figure(write(tmp_path, CSV))
    assert curves(figure) == {
        "loss": {
            "train (step)": ([0.5, 1.0, 1.5, 2.5], [5.0, 4.0, 3.0, 2.5]),
            "train": ([1.0, 2.0], [4.6, 3.6]),
            "val": ([1.0, 2.0], [4.5, 3.5]),
            "test": ([2.5], [3.2]),
        },
        "bleu": {"val": ([1.0], [11.5])},
        "learning rate": {"lr-Adam": ([0.5, 1.5], [0.1, 0.05])},
    }
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "train (step)", "train", "val", "test",
    ]  # fmt: skip
    for axes in figure.axes:
        low, high = axes.get_xlim()
        assert low == 0
        assert all(x < high for line in axes.lines for x in line.get_xdata())


def test_one_epoch_is_seen_as_markers(tmp_path):
    figure = learning.learning_curves_figure(write(tmp_path, "epoch,step,val/f1/NOUN\n0,99,0.5\n"))
    assert curves(figure) == {"f1/NOUN": {"val": ([1.0], [0.5])}}
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
    assert curves(figure) == {"loss": {"val": ([1.0, 2.0], [2.0, 1.0])}}


def test_importing_the_module_does_not_import_matplotlib():
    code = "import sys, nlp_rnn.plots.curves; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
