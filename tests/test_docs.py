"""The Python blocks of the documentation: each runs by itself, as it would be pasted, and writes nothing."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

import pytest

from learnability.extras import EXTRAS

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^ *```python\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
ELSEWHERE = {"certify"}
"""Takes half a minute, and ``test_certify.py`` does the same."""
OPTIONAL = {"equinox", *(module for modules in EXTRAS.values() for module in modules)}
"""Libraries that may be absent: blocks that need one are left out, the others still run."""
BLOCKS = {
    page.stem: blocks
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if (blocks := BLOCK.findall(page.read_text(encoding="utf-8")))
}
PAGES = {page: blocks for page, blocks in BLOCKS.items() if page not in ELSEWHERE}


def test_the_pages_with_python_are_found():
    assert PAGES.keys() >= {"README", "engine", "extending"}


@pytest.mark.parametrize("page", BLOCKS)
def test_what_is_marked_as_python_is_a_program(page):
    for block in BLOCKS[page]:
        ast.parse(textwrap.dedent(block))  # sessions with >>> are marked as pycon


@pytest.mark.parametrize("page", PAGES)
def test_the_python_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    missing = []
    for number, block in enumerate(PAGES[page], 1):
        code = compile(textwrap.dedent(block), f"{page}.md, block {number}", "exec", dont_inherit=True)
        try:
            exec(code, {"__name__": f"docs_{page}_{number}"})  # nothing of the blocks above
        except ImportError as error:
            if error.name not in OPTIONAL:
                raise
            missing.append(f"{number} ({error})")
    assert not list(tmp_path.iterdir())
    if missing:
        pytest.skip(f"blocks are left out: {', '.join(missing)}")


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    headings = re.findall(
        r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"], ids=lambda page: page.stem)
def test_the_links_of_a_page_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if re.match(r"\w+:", target):
            continue
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found.read_text(encoding="utf-8")), target


def test_every_engine_has_a_page_and_a_line_in_the_table():
    index = (ROOT / "docs" / "engine.md").read_text(encoding="utf-8")
    engines = [found.parent.name for found in (ROOT / "src/learnability/training").glob("*/__init__.py")]
    engines = [name for name in engines if name != "vector"]  # loops that engines share
    assert len(engines) == 5
    for name in engines:
        page = f"engine-{name.replace('_', '-')}"
        assert f"[`{name}`]({page}.md)" in index
        assert page in PAGES, "its example"
        text = " ".join((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8").split())
        for part in (
            "**What it does.**",
            "**When to use it.**",
            "**Measure and state.**",
            "**Types and determinism.**",
        ):
            assert part in text
