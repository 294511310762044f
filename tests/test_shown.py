"""Texts of others on a terminal, in figures, Markdown, HTML and JSON: nothing of them is hidden, nothing obeyed."""

import doctest
import html
import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from learnability import shown
from names import NASTY


def test_the_examples_in_the_docstrings():
    assert doctest.testmod(shown).failed == 0


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain name, length (cm)", "plain name, length (cm)"),
        ("naïve Größe 数 عدد", "naïve Größe 数 عدد"),
        ("e\u0301 is é", "e\u0301 is é"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J", r"\x9b2J"),  # one character that is ESC [
        ("two\nlines\r\tover", r"two\nlines\r\tover"),
        ("a\u2028b\u2029c\x85d\x0be", r"a\u2028b\u2029c\x85d\x0be"),
        ("\u202etxt.exe", r"\u202etxt.exe"),
        ("\u2066a\u2069", r"\u2066a\u2069"),
        ("zero\u200bwidth\ufeff\u00ad", r"zero\u200bwidth\ufeff\xad"),
        ("no\u00a0break \u3000", r"no\xa0break \u3000"),
        ("\u3164\u2800\ufe0f\u034f", r"\u3164\u2800\ufe0f\u034f"),
        ("\U000e0041tag", r"\U000e0041tag"),
        ("\udcff", r"\udcff"),
        ("\x00\x7f", r"\x00\x7f"),
        ("\u0301", r"\u0301"),
        ("a" + "\u0301" * 6, "a" + "\u0301" * 4 + r"\u0301" * 2),
        ("C:\\new\\table", "C:\\new\\table"),
        ("", ""),
    ],
)
def test_a_line_shows_what_is_hidden(text, seen):
    assert shown.line(text) == seen


def test_long_texts_are_cut_and_their_length_is_said():
    assert shown.line("x" * 200) == "x" * 200
    assert shown.line("x" * 201) == "x" * 200 + "... (201 characters)"
    assert shown.line("\x1b" * 10, 10) == r"\x1b\x1b... (10 characters)"  # no escape is cut in two
    assert shown.quoted("x" * 10**6, 5) == "'xxxxx'... (1,000,000 characters)"


@pytest.mark.parametrize(
    "text", ["", "a", "it's", 'say "x"', 'it\'s "x"', "back\\slash", "\n", "\x1b", "\udcff", "é"]
)
def test_quoted_is_repr_where_repr_hides_nothing(text):
    assert shown.quoted(text) == repr(text)


def test_quoted_values():
    assert shown.quoted(1.5) == "1.5"
    assert shown.quoted(None) == "None"
    assert shown.quoted(10**5000) == "<int of 16,610 bits>"
    assert shown.line(10**5000) == "<int of 16,610 bits>"
    assert shown.quoted("\u3164") == r"'\u3164'"
    assert shown.quoted(b"\x1b") == r"b'\x1b'"


def test_markdown():
    assert shown.markdown("a|b") == r"a\|b"
    assert shown.markdown("|w*| of w*") == r"\|w*\| of w*"
    assert shown.markdown("**bold** __b__ snake_case") == r"\*\*bold*\* \_\_b\_\_ snake_case"
    assert shown.markdown("[x](http://x)") == r"[x\](http://x)"
    assert shown.markdown("separable/thm5[examples,2k=10]") == "separable/thm5[examples,2k=10]"
    assert shown.markdown("<script>1 < 2") == r"\<script>1 < 2"
    assert shown.markdown("&lt; R&D & x") == r"\&lt; R\&D & x"
    assert shown.markdown("# no heading") == r"\# no heading"
    assert shown.markdown("1. no list") == r"1\. no list"
    assert shown.markdown("`code` $x$") == r"\`code\` \$x\$"
    assert shown.markdown("a\\|b") == r"a\\\|b"
    assert shown.code("a ``` b") == "````a ``` b````"
    assert shown.code("`") == "`` ` ``"


@given(st.text("ab1 \\`*_~|<>&#+-=[]()!$:;.\n{}\"'/", max_size=12))
@settings(deadline=None, max_examples=500)
def test_markdown_shows_a_text_as_it_is(text):
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    text = text.strip()  # at the ends of a line and of a cell there are no spaces in Markdown
    seen = html.escape(shown.line(text)).replace("&#x27;", "'")
    assert reader.render(f"x {shown.markdown(text)} y") == f"<p>x {seen} y</p>\n"
    assert f"<td>{seen}</td>" in reader.render(f"| h |\n| --- |\n| {shown.markdown(text)} |\n")
    if text:
        assert reader.render(shown.markdown(text)) == f"<p>{seen}</p>\n"
        assert reader.render(f"x {shown.code(text)} y") == f"<p>x <code>{seen}</code> y</p>\n"


@given(st.text(max_size=50))
@settings(deadline=None, max_examples=200)
def test_a_line_is_one_line_that_can_be_seen_and_encoded(text):
    seen = shown.line(text, 1000)
    assert seen.isprintable()
    assert len(seen.splitlines()) <= 1
    seen.encode()
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") for c in seen)
    assert shown.line(seen, 1000) == seen
    assert shown.lines(f"{text}\n{text}").isprintable() is False  # its own line end


@given(
    st.recursive(
        st.text(max_size=9) | st.integers() | st.booleans() | st.none(),
        lambda v: st.lists(v) | st.dictionaries(st.text(max_size=5), v),
    )
)
@settings(deadline=None, max_examples=200)
def test_json_reads_back_as_it_was_and_shows_everything(value):
    text = shown.to_json(value)
    assert json.loads(text.encode()) == value
    assert all(part.isprintable() for part in text.split("\n"))


def test_json_refuses_nan():
    with pytest.raises(ValueError, match="not JSON compliant"):
        shown.to_json({"x": float("nan")})


@pytest.mark.parametrize("name", NASTY)
def test_a_figure_shows_a_name_and_does_not_parse_it(name):
    from matplotlib.figure import Figure

    text = Figure().text(0, 0, shown.figure(name))
    drawn, mathematics = text._preprocess_math(text.get_text())
    assert mathematics is False
    assert drawn == shown.line(name, 80)
    text.figure.draw_without_rendering()
