"""Text is drawn with a font that has it, or as escapes."""

import pytest

from nlp_rnn.plots import text


@pytest.fixture(autouse=True)
def _fresh():
    for cached in (text._warn, text._has_glyph, text._add_new_fonts):
        cached.cache_clear()
    yield
    for cached in (text._warn, text._has_glyph, text._add_new_fonts):
        cached.cache_clear()


def test_characters_without_a_font_are_escapes_with_one_warning(caplog):
    hieroglyphs = "\U0001314f\U00013150"
    assert text.drawable(f"a {hieroglyphs} b") == "a \\U0001314f\\U00013150 b"
    assert text.drawable(hieroglyphs[0]) == "\\U0001314f"
    (record,) = caplog.records
    assert "no installed font has some of the characters" in record.getMessage()


def test_text_that_the_fonts_have_is_left_as_it_is(caplog):
    for line in ("café – naïve “quoted” → 10⁻⁵ …", "два слова", "line\nline", "a\u0301\u200d b"):
        assert text.drawable(line) == line
    assert text.drawable("tab\there") == "tab\\there"
    assert not caplog.records


def test_a_font_beyond_the_known_ones_is_drawn_with(monkeypatch):
    class Font:
        name, style, weight, fname = "Anatolian", "normal", 400, "anatolian.ttf"

    from matplotlib import font_manager

    monkeypatch.setattr(font_manager.fontManager, "ttflist", [*font_manager.fontManager.ttflist, Font()])
    characters = text._characters
    monkeypatch.setattr(
        text, "_characters", lambda file: {0x14400} if file == Font.fname else characters(file)
    )
    monkeypatch.setattr(text, "_found", [])
    assert text.drawable("\U00014400") == "\U00014400"
    assert text.families()[-1] == "Anatolian"


def test_a_font_that_was_installed_after_matplotlib_listed_them_is_found(monkeypatch, tmp_path):
    """Else the advice to install one changes nothing."""
    from matplotlib import font_manager

    fonts = font_manager.fontManager
    mono = [font for font in fonts.ttflist if font.name == "DejaVu Sans Mono" and font.style == "normal"]
    file = mono[0].fname
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    monkeypatch.setattr(fonts, "ttflist", [font for font in fonts.ttflist if font.fname != file])
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [file, str(tmp_path / "broken.ttf")])
    characters = text._characters
    monkeypatch.setattr(
        text, "_characters", lambda name: frozenset({0x14400}) if name == file else characters(name)
    )
    monkeypatch.setattr(text, "_found", [])
    assert text.drawable("\U00014400") == "\U00014400"
    assert file in [font.fname for font in fonts.ttflist]


def test_a_file_that_is_no_font_has_no_characters(tmp_path):
    file = tmp_path / "font.ttf"
    file.write_bytes(b"no font")
    assert text._characters(str(file)) == frozenset()


@pytest.mark.parametrize(
    ("token", "expected"),
    [("word", "word"), (" ", "␣"), ("", "''"), ("\n", "'\\n'"), ("a" * 40, "a" * 15 + "…"), ("$x$", "$x$")],
)
def test_labels_are_on_one_short_line(token, expected):
    assert text.label(token) == expected
