"""Processes that are forked: they come to an end, and compute the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

BEGIN = """
import numpy as np, os, sys, torch
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV
from sklearn_zoomout import zoomout_pipeline
from sklearn_zoomout.datasets import make_scenes

images, masks = make_scenes(n_images=4, size=(48, 64), random_state=0)
model = zoomout_pipeline(
    levels=["global", "maps"], hidden_units=(4,), max_epochs=1, n_segments=12,
    input_size=64, random_state=0,
)
"""
SEARCH = """
    grid = {"classifier__hidden_units": [(2,), (4,)]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(images, masks)
    assert len(search.predict(images)) == 4
"""
USED = """
torch.set_num_threads(2)  # of a team, which does not survive a fork
a = torch.ones(600, 600)
a @ a, torch.ones(10**6).exp().sum()
"""
FORK = """
expected = model.fit(images, masks).predict(images)
child = os.fork()
if child == 0:
    found = model.predict(images)
    same = all(np.array_equal(*pair) for pair in zip(found, expected))
    torch.ones(10**6).exp().sum()
    os._exit(0 if same else 1)
assert os.waitpid(child, 0)[1] == 0
assert torch.get_num_threads() == 2
"""
PROGRAMS = {
    "fit": "with parallel_config('multiprocessing', n_jobs=2):\n"
    "    model.fit(images, masks)\n"
    "    assert len(model.predict(images)) == 4\n",
    "search": "with parallel_config('multiprocessing', n_jobs=2):" + SEARCH,
    "search_after_torch": USED
    + "model.fit(images, masks)\n"
    + "with parallel_config('multiprocessing', n_jobs=2):"
    + SEARCH,
    "fork": USED + FORK,
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_forked_process_ends(name):
    """joblib's "multiprocessing", and a fork of a process that has used torch."""
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BEGIN + PROGRAMS[name]],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
