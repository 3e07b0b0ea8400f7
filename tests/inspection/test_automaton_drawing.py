"""The drawing of an automaton has its states, its letters and the way of a word."""

from xml.etree import ElementTree

from nlp_rnn.inspection.automaton import OUTSIDE, Automaton
from nlp_rnn.inspection.automaton_drawing import draw
from nlp_rnn.inspection.svg import BLUE

BRACKETS = Automaton(["(", ")"], ["balanced", "<&>", "<&>"], [[1, 2], [2, 0], [2, 2]])
SVG = "{http://www.w3.org/2000/svg}"


def test_states_and_edges():
    root = ElementTree.fromstring(draw(BRACKETS, BRACKETS.word("()"), "a < b"))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert texts.count("balanced") == 1
    assert texts.count("<&>") == 2
    assert sorted(text for text in texts if set(text) <= set("(,) \u00a0")) == [
        "(",
        "(",
        "(,\u00a0)",
        ")",
        ")",
    ]
    assert "a\u00a0<\u00a0b" in texts
    edges = [path for path in root.iter(f"{SVG}path") if path.get("marker-end")]
    assert len(edges) == 5 + 1  # and the arrow to the start
    assert [edge.get("stroke") for edge in edges].count(BLUE) == 2
    circles = [*root.iter(f"{SVG}circle")]
    assert len({(circle.get("cx"), circle.get("cy")) for circle in circles}) == 3
    width, height = float(root.get("width")), float(root.get("height"))
    for circle in circles:
        assert 0 < float(circle.get("cx")) - 30 < float(circle.get("cx")) + 30 < width
        assert 0 < float(circle.get("cy")) - 30 < float(circle.get("cy")) + 30 < height


def test_what_is_outside_is_left_out():
    automaton = Automaton(["a", "b"], ["a", OUTSIDE, "b"], [[2, 1], [1, 1], [1, 0]])
    root = ElementTree.fromstring(draw(automaton))
    assert len([*root.iter(f"{SVG}circle")]) == 2
    assert OUTSIDE not in [element.text for element in root.iter(f"{SVG}text")]
