"""A page shows the numbers of an inspection."""

from xml.etree import ElementTree

import pytest
import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.inspection.inspector import inspect
from nlp_rnn.inspection.unrolled_page import animate, draw_page, make_page
from nlp_rnn.models.layers.cells import CELLS

TEXT = "the work is not good , but the film is"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("name", "cell"),
    [("sentiment", "lstm"), ("tagging", "gru"), ("translation", "rnn"), ("language_modeling", "mingru")],
)
def test_its_numbers_are_those_of_the_model(name, cell, tiny):
    task = tiny(name, cell)
    page, found = make_page(task, TEXT), inspect(task, TEXT)
    place = found.hidden.size(1) - (2 if found.bidirectional else 1)
    assert page.tokens == found.tokens
    assert list(page.values)[-1] == "hidden"
    for key, values in page.values.items():
        expected = found.hidden if key == "hidden" else found.gates[key]
        torch.testing.assert_close(values.float(), expected[:, place, page.units])
    assert page.recurrent.keys() == {*CELLS[cell].blocks}
    assert (page.state_norms is None) == (cell == "mingru")
    if found.probabilities is not None:
        best, labels = found.probabilities.max(1)
        assert [answers[0][0] for answers in page.answers] == [found.labels[label] for label in labels]
        torch.testing.assert_close(torch.tensor([answers[0][1] for answers in page.answers]), best)
    assert bool(page.answers) == (name != "translation")


@pytest.mark.parametrize("num_layers", [1, 2])
def test_what_flows_along_the_arrows_makes_the_state(num_layers, tiny):
    """In a plain RNN of as many units as are drawn, tanh(Wx + Uh) is the state."""
    task = tiny("sentiment", "rnn", hidden_dim=4, num_layers=num_layers, bidirectional=False)
    with torch.no_grad():
        for name, parameter in task.model.rnn.named_parameters():
            if name.startswith("bias"):
                parameter.zero_()
    page = make_page(task, TEXT)
    hidden = page.values["hidden"]
    flows = hidden[:-1] @ page.recurrent["hidden"].t()
    assert page.state_norms == pytest.approx([0.0, *flows.norm(dim=1).tolist()])
    rest = hidden.atanh() - torch.cat([torch.zeros(1, 4), flows])
    assert page.input_norms == pytest.approx(rest.norm(dim=1).tolist())


def test_the_drawing_and_the_animation(tiny):
    page = make_page(tiny("language_modeling", "lstm"), "the Xyz<b> is", 3)
    drawn = draw_page(page)
    root = ElementTree.fromstring(drawn)
    steps = [element for element in root.iter(f"{SVG}g") if element.get("class") == "step"]
    assert [step.get("data-step") for step in steps] == [str(step) for step in range(len(page.tokens))]
    for number, step in enumerate(steps):
        texts = [element.text for element in step.iter(f"{SVG}text")]
        assert page.tokens[number] in texts
        for values in page.values.values():
            assert {f"{value:.2f}" for value in values[number].tolist()} <= {*texts}
        assert f"Wx\u00a0{page.input_norms[number]:.2f}" in texts
    file = animate(page)
    assert drawn in file
    assert "http" not in file.replace("http://www.w3.org/2000/svg", "")
    _, script = file.split("<script>")
    assert "<b>" not in script


def test_refusals(tiny):
    task = tiny("sentiment")
    for text, units, message in (
        ("", 4, "the text has 0 tokens: a page has room for 1 to 40"),
        ("film", 0, "room for 1 to 6 units, not 0"),
    ):
        with pytest.raises(UsageError, match=message):
            make_page(task, text, units)
