"""BLEU by length."""

import math

import pytest

from nlp_rnn.plots import bleu


def test_bleu_by_length_has_one_bar_per_range_and_none_for_nan(assert_legible):
    figure = bleu.bleu_by_length_figure(["1-5", "6-10", "11+"], [41.25, 30.0, math.nan], [7, 1200, 0])
    axes = figure.axes[0]
    assert [bar.get_height() for bar in axes.patches] == [41.25, 30.0, 0.0]
    assert [text.get_text() for text in axes.texts] == ["41.2\nn = 7", "30.0\nn = 1,200", "n = 0"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1-5", "6-10", "11+"]
    assert axes.get_xlabel() == "source length (tokens); n sentences"
    assert axes.get_ylabel() == "BLEU (from 0 to 100)"
    assert_legible(figure)


def test_mismatched_sizes_are_refused():
    with pytest.raises(ValueError, match="2 labels, 1 scores and 2 counts"):
        bleu.bleu_by_length_figure(["1", "2"], [1.0], [1, 2])
