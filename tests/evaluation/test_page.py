"""Pages: whatever a corpus holds, it stays text, and the page asks for nothing from outside."""

import base64
import hashlib
from html.parser import HTMLParser

import pytest

from nlp_rnn.errors import UsageError
from nlp_rnn.evaluation.page import Fraction, Picture, Section, Table, cell_text, write_page

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</td></table><style>body{display:none}</style>",
    "{{ 7 * 7 }} {% raw %} &lt;b&gt;",
    "' onmouseover='alert(1)",
    "שלום עולם <b>טוב</b>",
    "좋은 영화 & <i>추천</i>",
    "tab\there, bell\x07, override \u202e, half \ud800",
]


class Outline(HTMLParser):
    """The tags, attributes and texts of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_data(self, data):
        self.texts.append(data)


def page_of(tmp_path, *sections, title="t", summary="s"):
    write_page(tmp_path / "page.html", title, summary, sections)
    return (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_a_corpus_stays_text(text, tmp_path):
    sections = [
        Section(word, word, [Table([{word: word, "n": 1}], word), Picture(b"png", word)])
        for word in ("p" * len(text), text)
    ]
    plain, hostile = (
        Outline(page_of(tmp_path, section, title=section.title, summary=section.text)) for section in sections
    )
    assert hostile.tags == plain.tags
    assert [entry[:2] for entry in hostile.attributes] == [entry[:2] for entry in plain.attributes]
    cell = cell_text(text).encode(errors="replace").decode()
    assert "".join(hostile.texts).count(cell) >= 5
    assert not any(character in cell for character in "\x07\ud800\t")


def test_the_policy_allows_the_style_and_inlined_pictures_alone(tmp_path):
    page = page_of(tmp_path, Section("a", blocks=[Picture(b"png", "p"), Table([{"x": Fraction(0.25)}])]))
    outline = Outline(page)
    style = page.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = next(value for tag, name, value in outline.attributes if (tag, name) == ("meta", "content"))
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert not {"script", "link", "iframe", "object", "form", "base"} & set(outline.tags)
    names = {name for _, name, _ in outline.attributes}
    assert not {"style", "onclick", "onload", "srcset"} & names
    sources = [value for _, name, value in outline.attributes if name in ("src", "href")]
    assert all(value.startswith(("data:image/png;base64,", "#part-")) for value in sources)
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    assert ("meta", "name", "viewport") in outline.attributes
    assert 'width="25.0"' in page


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (Fraction(0.1234), "12.3%"),
        (0.5, "0.5000"),
        (1e-5, "1e-05"),
        (12345, "12,345"),
        ("a" * 500, "a" * 400 + " …"),
        ("a\tb\nc", "a ⇥ b\nc"),
    ],
)
def test_cells(value, shown):
    assert cell_text(value) == shown


def test_a_page_is_written_whole(tmp_path):
    (tmp_path / "page.html").mkdir()
    with pytest.raises(UsageError, match="is a directory"):
        page_of(tmp_path)
    assert list((tmp_path / "page.html").iterdir()) == []
