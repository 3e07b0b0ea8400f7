"""Links in notebooks lead to pages of the site."""

import logging
from types import SimpleNamespace

import notebook_links
import pytest

PAGES = {"guides/cells.md": "guides/cells.html", "notebooks/gates.ipynb": "notebooks/gates.html"}


def page(name):
    return SimpleNamespace(file=SimpleNamespace(src_uri=name))


class Files:
    def get_file_from_path(self, path):
        return PAGES.get(path) and SimpleNamespace(url_relative_to=lambda other: f"<{PAGES[path]}>")


def content(html, name="notebooks/memory.ipynb"):
    return notebook_links.on_page_content(html, page(name), None, Files())


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("../guides/cells.md", "<guides/cells.html>"),
        ("../guides/cells.md#long-memory", "<guides/cells.html>#long-memory"),
        ("gates.ipynb", "<notebooks/gates.html>"),
        ("#cell-1", "#cell-1"),
        ("https://example.org/a.md", "https://example.org/a.md"),
        ("../images/gates.png", "../images/gates.png"),
    ],
)
def test_links_to_pages_become_those_of_the_site(link, expected):
    assert content(f'<a href="{link}">x</a>') == f'<a href="{expected}">x</a>'


def test_other_pages_are_left_to_mkdocs():
    assert content('<a href="cells.md">', "guides/index.md") == '<a href="cells.md">'


def test_a_link_to_no_page_is_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        assert content('<a href="../guides/none.md">') == '<a href="../guides/none.md">'
    assert [each.message for each in caplog.records] == [
        "notebooks/memory.ipynb links to ../guides/none.md, which is no page"
    ]
