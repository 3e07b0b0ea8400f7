"""Pictures hold the data they are given; the files are whole PNGs."""

import math
import struct
import subprocess
import sys

import pytest
import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.plots import bleu, confusion
from nlp_rnn.plots import curves as learning
from nlp_rnn.plots import figure as figures

# As CSVLogger writes it: 10 steps an epoch, sparse rows, learning rates without an epoch, a broken epoch 2.
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


def png_size(path):
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:24])


def assert_whole_png(path):
    width, height = png_size(path)
    assert 300 < width < 3000
    assert 300 < height < 3000
    assert [p.name for p in path.parent.iterdir() if p.name.endswith(".tmp")] == []


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


def test_a_broken_last_line_is_passed_over(tmp_path):
    figure = learning.learning_curves_figure(write(tmp_path, "epoch,step,val/loss\n0,9,2.0\n1,19,1.0,7,8\n1"))
    assert curves(figure) == {"loss": {"val": ([1.0, 2.0], [2.0, 1.0])}}


def test_confusion_matrix_shows_counts_and_colours_by_row():
    figure = confusion.confusion_matrix_figure(torch.tensor([[1500, 500], [0, 0]]), ["$a$", "b"])
    axes = figure.axes[0]
    assert {text.get_text(): text.get_position() for text in axes.texts} == {"1,500": (0, 0), "500": (1, 0)}
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25], [0.0, 0.0]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["$a$", "b"]
    assert not axes.get_xticklabels()[0].get_parse_math()


@pytest.mark.parametrize(("classes", "with_counts"), [(20, True), (21, False)])
def test_counts_are_left_out_where_classes_are_many(classes, with_counts):
    labels = [f"tag {i}" for i in range(classes)]
    figure = confusion.confusion_matrix_figure(torch.ones(classes, classes, dtype=torch.int64), labels)
    assert bool(figure.axes[0].texts) == with_counts
    assert len(figure.axes[0].get_xticklabels()) == classes


def test_bleu_by_length_has_a_bar_a_range_and_none_for_nan():
    figure = bleu.bleu_by_length_figure(["1-5", "6-10", "11+"], [41.25, 30.0, math.nan], [7, 1200, 0])
    axes = figure.axes[0]
    assert [bar.get_height() for bar in axes.patches] == [41.25, 30.0, 0.0]
    assert [text.get_text() for text in axes.texts] == ["41.2\nn = 7", "30.0\nn = 1,200", "n = 0"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1-5", "6-10", "11+"]


def test_mismatched_sizes_are_refused():
    with pytest.raises(ValueError, match="3 labels do not fit"):
        confusion.confusion_matrix_figure(torch.zeros(2, 2), ["a", "b", "c"])
    with pytest.raises(ValueError, match="2 labels, 1 scores and 2 counts"):
        bleu.bleu_by_length_figure(["1", "2"], [1.0], [1, 2])


@pytest.mark.filterwarnings("error")
def test_files_are_whole_pngs(tmp_path):
    out = tmp_path / "pictures" / "picture.png"
    learning.learning_curves(write(tmp_path, CSV), out)
    assert_whole_png(out)
    matrix = torch.eye(17, dtype=torch.int64) * 1234
    figures.save(confusion.confusion_matrix_figure(matrix, [f"T{i}" for i in range(17)]), out)
    assert_whole_png(out)
    figures.save(bleu.bleu_by_length_figure(["1-5", "6+"], [20.0, math.nan], [3, 0]), out)
    assert_whole_png(out)


def test_a_failed_write_keeps_the_old_picture(tmp_path, monkeypatch):
    out = tmp_path / "picture.png"
    out.write_bytes(b"old")
    figure = bleu.bleu_by_length_figure(["1"], [2.0], [3])

    def fail(path, **_):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        figures.save(figure, out)
    assert [p.name for p in tmp_path.iterdir()] == ["picture.png"]
    assert out.read_bytes() == b"old"


def test_importing_the_module_does_not_import_matplotlib():
    code = "import sys, nlp_rnn.plots.curves; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
