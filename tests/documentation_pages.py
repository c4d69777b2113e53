"""The pages of the documentation and their blocks of Python code."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
_BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```$", flags=re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code and its first line in the page."""

    line: int
    code: str


def list_pages():
    """Return README.md and every Markdown page of the site, without built files."""
    built = {"_build", "auto_examples", "generated"}
    pages = [path for path in DOCS.rglob("*.md") if not built & set(path.parts)]
    return [ROOT / "README.md", *sorted(pages)]


def read_blocks(page):
    """Return the blocks of Python code of a page, in order."""
    text = page.read_text()
    return [
        Block(
            line=text[: found.start("code")].count("\n") + 1,
            code=found["code"],
        )
        for found in _BLOCK.finditer(text)
    ]
