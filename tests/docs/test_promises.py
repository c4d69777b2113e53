"""The page of promises names tests that exist."""

import re

from documentation_pages import DOCS, ROOT

ROWS = re.findall(
    r"^\| ([^|]+) \| ([^|]+) \|$", (DOCS / "promises.md").read_text(), re.M
)
# Paths begin with a folder of the repository.
PATH = re.compile(r"`((?:tests|benchmarks|\.ci)/[^`]+)`")


def test_every_named_test_exists():
    """A test that is moved or removed takes its promise with it, or its new path."""
    named = [path for *_, tests in ROWS for path in PATH.findall(tests)]
    assert len(named) > 30
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_every_promise_names_its_test():
    """A row whose second column names no test promises too much."""
    rows = [row for row in ROWS if row != ("promise", "test")]
    assert len(rows) > 20
    assert [promise for promise, tests in rows if not PATH.search(tests)] == []
