"""Every backend of joblib and every way to start a process: they end, and agree."""

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
# The parts that joblib may spread: superpixels, levels, predictions, and searches.
BACKEND = """
def train():
    labels = model.fit(images, masks).predict(images)
    grid = {"classifier__hidden_units": [(2,), (4,)]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(images, masks)
    return labels, search.cv_results_["mean_test_score"]

model.set_params(superpixels__n_jobs=2, zoomout__n_jobs=2)
expected = train()
with parallel_config(NAME, n_jobs=2):
    found = train()
assert all(np.array_equal(*pair) for pair in zip(*(x[0] for x in (expected, found))))
assert np.array_equal(expected[1], found[1])
"""
START = """
import multiprocessing

def label(model, images):
    return model.predict(images)

if __name__ == "__main__":
    expected = model.fit(images, masks).predict(images)
    with multiprocessing.get_context(NAME).Pool(2) as pool:
        found = pool.starmap(label, [(model, images)] * 2)
    for labels in found:
        assert all(np.array_equal(*pair) for pair in zip(labels, expected))
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
    "loky": BACKEND.replace("NAME", "'loky'"),
    "threading": BACKEND.replace("NAME", "'threading'"),
    "multiprocessing": BACKEND.replace("NAME", "'multiprocessing'"),
    "start_fork": USED + START.replace("NAME", "'fork'"),
    "start_spawn": START.replace("NAME", "'spawn'"),
    "start_forkserver": START.replace("NAME", "'forkserver'"),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PROGRAMS)
def test_processes_end_and_compute_the_same(name, tmp_path):
    """A process that waits for another without end runs into the time limit."""
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "2"}
    # A file, and no text: processes that are spawned import it.
    program = tmp_path / "program.py"
    program.write_text(BEGIN + PROGRAMS[name])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
