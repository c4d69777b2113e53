"""Every bad input and fault of the documentation's tables is tried."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("resource")  # Windows has no limits of processes

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))

import bad_inputs  # noqa: E402

# These start other processes. One measures time, so only the script runs it.
SLOW, TIMED = {52, 54, 58, 75, 76}, {77}
TRIALS = [
    pytest.param(trial, marks=[pytest.mark.slow] * (trial.number in SLOW), id=name)
    for trial in bad_inputs.TRIALS
    if (name := trial.run.__name__) and trial.number not in TIMED
]


@pytest.mark.parametrize("trial", TRIALS)
def test_what_happens_is_what_the_documentation_says(trial):
    """The trial's function is named by what is wrong."""
    kept, seen = trial.attempt()
    assert kept, f"{trial.title}: {seen}"


def test_the_documentation_has_the_tables_of_the_script():
    """Each is changed together with the other."""
    page = (ROOT / "docs/user_guide/bad_inputs.md").read_text("utf-8")
    assert page.endswith(bad_inputs.tables())


def test_a_broken_promise_is_told(capsys, monkeypatch):
    """The script names it and ends with status 1."""
    trial = bad_inputs.TRIALS[0]._replace(run=lambda bench: bench.holds(False, "x"))
    monkeypatch.setattr(bad_inputs, "TRIALS", [trial])
    assert bad_inputs.main([]) == 1
    assert "BROKEN" in capsys.readouterr().out
