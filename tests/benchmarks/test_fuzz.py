"""Some hundred mutated files: each is read, or refused by the stated list of errors."""

import pickle
import random
import sys
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from _fuzz_mutations import Payload, mutate  # noqa: E402
from _fuzz_targets import OTHER, RAN, READ, REFUSED, TARGETS, Target  # noqa: E402


class Careless(Target):
    """Unpickles files, and lets through what that raises."""

    def make_seeds(self):
        return [(".pickle", b"")]

    def draw(self, rng):
        return self.place(".pickle"), rng(self)

    def read(self, path):
        if not path.read_bytes():
            raise ValueError(f"{path}: expected a pickle, got nothing.")
        pickle.loads(path.read_bytes())


@pytest.mark.parametrize(
    ("draw", "outcome"),
    [
        (lambda target: pickle.dumps(1), READ),
        (lambda target: b"", REFUSED),
        (lambda target: b"cnone\nnone\n.", OTHER),
        (lambda target: pickle.dumps(Payload(target.canary)), RAN),
    ],
    ids=["read", "refused", "other", "code run"],
)
def test_outcomes_are_told_apart(tmp_path, draw, outcome):
    """A reader that runs code of files, and raises errors without a path."""
    assert Careless(tmp_path).run(draw)[0] == outcome


def test_mutations_are_repeatable_and_change_files():
    """The seed decides all, and most files are other ones."""
    content = bytes(range(256))
    first, again = (
        [mutate(random.Random(i), content, [content], "x") for i in range(200)]
        for _ in range(2)
    )
    assert first == again
    assert len(set(first)) > 150


@pytest.mark.parametrize(
    ("kind", "n_files"),
    [
        ("images", 400),
        ("annotations", 200),
        ("rasters", 60),
        pytest.param("models", 60, marks=pytest.mark.slow),
    ],
)
def test_mutated_files_are_read_or_refused(tmp_path, kind, n_files):
    """No other error, and no code of a file is run."""
    pytest.importorskip("tifffile")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        target = TARGETS[kind](tmp_path)
        counts = {READ: 0, REFUSED: 0}
        for i in range(n_files):
            outcome, message, ending, _ = target.run(random.Random(f"test {kind} {i}"))
            assert outcome in counts, f"{kind} {i}{ending}: {message}"
            counts[outcome] += 1
    assert min(counts.values()) > n_files // 20
