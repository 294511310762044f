"""The Python blocks of the documentation: each page in one namespace, from top to bottom, writing nothing."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^ *```python\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
ELSEWHERE = {"certify"}
"""Takes half a minute, and ``test_certify.py`` does the same."""
PAGES = {
    page.stem: blocks
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if page.stem not in ELSEWHERE and (blocks := BLOCK.findall(page.read_text(encoding="utf-8")))
}


def test_the_pages_with_python_are_found():
    assert PAGES.keys() >= {"README", "engine", "extending"}


@pytest.mark.parametrize("page", PAGES)
def test_the_python_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": f"docs_{page}"}
    for block in PAGES[page]:
        exec(compile(textwrap.dedent(block), f"{page}.md", "exec", dont_inherit=True), names)
    assert not list(tmp_path.iterdir())
