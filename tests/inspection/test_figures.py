"""The plots of an inspection say what they show."""

from dataclasses import replace

import pytest
import torch

from nlp_rnn.inspection.figures import alignment_figure, figures, gradients_figure, running_figure
from nlp_rnn.inspection.inspector import inspect
from nlp_rnn.tasks.interface import Alignment

TEXT = "the work is not good , but the film is"


def about(figure):
    return figure.get_suptitle().replace("\n", " ")


def test_each_plot_says_which_text_and_model_it_is_of(tiny):
    drawn = dict(figures(inspect(tiny("sentiment", "gru"), TEXT)))
    assert {"hidden", "gradients", "gradients_compared", "probabilities"} < drawn.keys()
    for figure in drawn.values():
        assert about(figure).startswith(f"“{TEXT}” Sentiment, ")
        assert "gru" in about(figure)
    titles = [axes.get_title(loc="left").replace("\n", " ") for axes in drawn["hidden"].axes]
    assert [title for title in titles if title] == [
        f"Hidden state, {ordinal} of 2 layers, reading {direction}"
        for ordinal in ("first", "second")
        for direction in ("forward", "backward")
    ]


@pytest.mark.parametrize("reverse", [True, False])
def test_a_model_that_reads_from_the_end_is_said_to(reverse, tiny):
    task = tiny("translation", num_layers=1)
    task.processor.reverse_source = reverse
    found = inspect(task, TEXT)
    assert found.places() == [(0, "backward" if reverse else "forward")]
    axes = next(iter(figures(found)))[1].axes[0]
    assert axes.get_title(loc="left") == ("Hidden state, reading backward" if reverse else "Hidden state")
    assert ("from the end of the text" in axes.get_xlabel()) == reverse


def test_gradients_are_relative_to_the_last_step(tiny):
    found = inspect(tiny("sentiment", bidirectional=False, num_layers=1), TEXT)
    drawn = dict(figures(found))
    (axes,) = drawn["gradients"].axes
    assert axes.get_ylabel() == "Euclidean norm at the hidden state,\nrelative to the last step"
    assert axes.get_title(loc="left") == "Gradient of the loss at the end"
    (own,) = axes.lines  # the model that was asked for
    norms = found.gradients[0].norms[:, 0]
    assert own.get_ydata().tolist() == pytest.approx((norms / norms[-1]).tolist())
    (axes,) = drawn["gradients_compared"].axes
    assert len(axes.lines) == len(found.gradients) > 3
    assert all(line.get_ydata()[-1] == pytest.approx(1) for line in axes.lines)


def test_gradients_of_several_trained_models_have_no_model_above(tiny):
    found = [inspect(tiny("sentiment", cell, num_layers=1), TEXT) for cell in ("gru", "lstm")]
    figure = gradients_figure(found[0], [each.gradients[0] for each in found])
    assert about(figure) == f"“{TEXT}”"
    assert [line.get_label() for line in figure.axes[0].lines] == ["gru, trained", "lstm, trained"]
    assert "Sentiment" in about(gradients_figure(found[0], found[0].gradients))


def test_tags_that_no_word_has_are_left_out_and_the_best_one_is_written(tiny):
    found = inspect(tiny("tagging", num_layers=1), TEXT)
    probabilities = torch.full((len(found.tokens), 49), 0.001)
    probabilities[:, 7] = 0.9
    probabilities[2, 7], probabilities[2, 30], probabilities[4, 40] = 0.3, 0.6, 0.05
    found = replace(found, labels=[f"T{place}" for place in range(49)], probabilities=probabilities)
    axes = dict(figures(found))["probabilities"].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["T7", "T30", "T40"]
    assert axes.get_title(loc="left").replace("\n", " ").endswith("(3 of 49: those that reach 5%)")
    written = {text.get_position()[0]: text.get_text() for text in axes.texts}
    assert written == {step: "T30" if step == 2 else "T7" for step in range(len(found.tokens))}


def test_two_labels_are_one_curve_between_them():
    probabilities = torch.tensor([[0.75, 0.25], [0.1, 0.9]])
    (axes,) = running_figure(["negative", "positive"], probabilities, ["not", "bad"], True).axes
    curve, middle = axes.lines
    assert curve.get_ydata().tolist() == pytest.approx([0.25, 0.9])
    assert set(middle.get_ydata()) == {0.5}
    assert axes.get_ylabel() == "probability of positive"
    title = axes.get_title(loc="left").replace("\n", " ")
    assert title == "Answer after each token, each prefix read separately"


@pytest.mark.parametrize(("count", "lines"), [(2, 2), (3, 3), (20, 7)])
def test_labels_that_are_independent_have_a_curve_each(count, lines):
    probabilities = torch.linspace(0.2, 0.9, count).repeat(2, 1)
    figure = running_figure([f"L{place}" for place in range(count)], probabilities, ["a", "b"], False)
    names = [line.get_label() for line in figure.axes[0].lines]
    assert names == [f"L{place}" for place in range(count - lines, count)]
    title = figure.axes[0].get_title(loc="left").replace("\n", " ")
    assert title.endswith(" labels)") == (lines < count)


def test_attention_names_both_sides():
    weights = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    figure = alignment_figure(Alignment(["good", "<eos>"], weights), ["gut", "."], ["“gut .”"])
    axes, scale = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("token read", "token written")
    assert scale.get_ylabel() == "weight of attention"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["good", "<eos>"]
    assert about(figure) == "“gut .”"
