"""What users and models write is text in the page, never markup."""

from html.parser import HTMLParser

import pytest

from nlp_rnn.demo.drawing import images, line, table
from nlp_rnn.plots.series import series_figure
from nlp_rnn.tasks.views import Cells

NASTY = '<script>alert("x")</script>&amp;\''


class Reader(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.attributes = [], [], {}
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes |= dict(attributes)

    def handle_data(self, data):
        self.texts.append(data)


def test_a_table_holds_its_cells():
    read = Reader(table(NASTY, Cells(["a", NASTY], [[1, NASTY], [None, 2.5]])))
    assert read.texts == [NASTY, "a", NASTY, "1", NASTY, "2.5"]
    assert read.tags.count("td") == 4
    assert "script" not in read.tags


@pytest.mark.parametrize(("kind", "role"), [("error", "alert"), ("note", "status")])
def test_a_line_says_what_it_is(kind, role):
    read = Reader(line(NASTY, kind))
    assert (read.tags, read.texts) == (["p"], [NASTY])
    assert read.attributes == {"class": kind, "role": role}
    assert line("", kind) == ""


def test_figures_are_in_the_page():
    read = Reader(images([(NASTY, series_figure({"x": [1.0, 2.0]}))]))
    assert read.tags == ["div", "img"]
    assert read.attributes["alt"] == NASTY
    assert read.attributes["src"].startswith("data:image/png;base64,iVBORw0KGgo")
