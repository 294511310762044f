"""Formulas of docstrings as one would type them: LaTeX is for pages, a terminal shows ``k / sqrt(n)``."""

from __future__ import annotations

import re

__all__ = ["as_text", "displayed"]

_FORMULAS = re.compile(r"^\.\. math:: *(.*)\n((?:(?: +.*)?\n)*)", re.MULTILINE)
_GROUP = r"\{([^{}]*)\}"
_TEX = (
    (r"\\\{", "\x01"),  # braces that are meant, until all others are gone
    (r"\\\}", "\x02"),
    (r"\\(left|right|[bB]ig+[lr]?|displaystyle)(?![a-z])", ""),
    (r"\\(?:text|mathrm|mathbb|operatorname) ?" + _GROUP, r"\1"),
    (r"\\[td]?frac ?" + _GROUP + _GROUP, r"(\1) / (\2)"),
    (r"\\[td]?frac ?(\w) ?(\w)", r"\1/\2"),
    (r"\\(?:frac|binom) ?" + _GROUP + r"(\w)", r"(\1) / \2"),
    (r"\\binom ?" + _GROUP + _GROUP, r"C(\1, \2)"),
    (r"\\binom ?(\w) ?(\w)", r"C(\1, \2)"),
    (r"\\sqrt ?" + _GROUP, r"sqrt(\1)"),
    (r"\\sqrt ?(\\?\w+)", r"sqrt(\1)"),
    (r"\\tilde ?" + _GROUP, r"\1~"),
    (r"\\tilde ?(\\?\w+)", r"\1~"),
    (r"([\^_])\{(\(?[\w*+-]+\)?)\}", r"\1\2"),
    (r"([\^_])" + _GROUP, r"\1(\2)"),
    (r"\\le(?![a-z])", "<="),
    (r"\\ge(?![a-z])", ">="),
    (r"\\ne(?![a-z])", "!="),
    (r"\\l?dots|\\cdots", "..."),
    (r"\\langle ?", "<"),
    (r" ?\\rangle", ">"),
    (r"\\q?quad|\\[,;: ]|\\\\|(?<!\\)&", " "),
    (r"\\sim(?![a-z])", "~"),
    (r"\\([A-Za-z]+)", r"\1"),
    ("\x01", "{"),
    ("\x02", "}"),
)
"""LaTeX and what one would type for it, in this order, each as long as there is any."""


def as_text(formula: str) -> str:
    """A formula of LaTeX in plain characters."""
    for pattern, text in _TEX:
        before = ""
        while before != formula:
            before, formula = formula, re.sub(pattern, text, formula)
    return formula


def displayed(text: str) -> str:
    """A docstring whose formulas that stand by themselves are plain, their lines indented."""
    return _FORMULAS.sub(_lines, text)


def _lines(found: re.Match[str]) -> str:
    lines = [line.strip() for line in f"{found[1]}\n{found[2]}".splitlines() if line.strip()]
    return "".join(f"    {' '.join(as_text(line).split())}\n" for line in lines) + "\n"
