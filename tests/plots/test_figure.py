"""Files are complete PNGs, or what they were before."""

import math
import struct

import pytest
import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.plots import bleu, confusion
from nlp_rnn.plots import figure as figures


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

    def fail(path, data):
        with path.open("wb") as file:
            file.write(data[:4])
        raise OSError("disk full")

    monkeypatch.setattr(figures.Path, "write_bytes", fail)
    with pytest.raises(UsageError, match=r"plot.png: cannot be written \(disk full\)"):
        figures.save(figure, out)
    assert [p.name for p in tmp_path.iterdir()] == ["plot.png"]
    assert out.read_bytes() == b"old"


@pytest.mark.parametrize("make", [lambda: figures.new_figure(5, 3), lambda: bleu_figure()])
def test_a_notebook_shows_a_figure_at_its_width_on_a_page(make):
    figure = make()
    data, metadata = figure._repr_png_()
    width, _ = struct.unpack(">II", data[16:24])
    assert data[:4] == b"\x89PNG"
    assert metadata == {"width": round(100 * figure.get_figwidth())}
    assert width > metadata["width"]


def bleu_figure():
    return bleu.bleu_by_length_figure(["1"], [2.0], [3])
