"""Files are complete PNGs, or what they were before."""

import math
import struct

import pytest
import torch

from nlp_rnn.plots import bleu, confusion
from nlp_rnn.plots import figure as figures

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


def png_size(path):
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:24])


def assert_whole_png(path):
    width, height = png_size(path)
    assert 300 < width < 3000
    assert 300 < height < 3000
    assert [p.name for p in path.parent.iterdir() if p.name.endswith(".tmp")] == []


@pytest.mark.filterwarnings("error")
def test_files_are_complete_pngs(tmp_path):
    out = tmp_path / "plots" / "plot.png"
    matrix = torch.eye(17, dtype=torch.int64) * 1234
    figures.save(confusion.confusion_matrix_figure(matrix, [f"T{i}" for i in range(17)]), out)
    assert_whole_png(out)
    figures.save(bleu.bleu_by_length_figure(["1-5", "6+"], [20.0, math.nan], [3, 0]), out)
    assert_whole_png(out)


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    out = tmp_path / "plot.png"
    out.write_bytes(b"old")
    figure = bleu.bleu_by_length_figure(["1"], [2.0], [3])

    def fail(path, **_):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        figures.save(figure, out)
    assert [p.name for p in tmp_path.iterdir()] == ["plot.png"]
    assert out.read_bytes() == b"old"
