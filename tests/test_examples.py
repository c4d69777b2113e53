"""Every example runs offline, prints its results, and saves a picture."""

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
# The pattern must match the output, and its numbers must pass the check.
EXPECTED = {
    "plot_asymmetric_loss": (
        r"^sand +\S+% +(\S+) -> +(\S+) .*$",
        lambda before, after: after > before + 10,
    ),
    "plot_grid_search": (
        r"^\(128,\) +(\S+) \+- +(\S+) ",
        lambda mean, spread: 40 < mean <= 100 and 0 < spread < 20,
    ),
    "plot_own_features": (
        r"^without them: .* mean IoU (\S+)\nwith +them: .* mean IoU (\S+)$",
        lambda before, after: after > before + 2,
    ),
    "plot_scribbles": (
        r"^all +(\S+)$",
        lambda right: 65 < right < 100,
    ),
    "plot_whole_masks": (
        r"^pixel accuracy +(\S+)\nclass accuracy +(\S+)\nmean IoU +(\S+)$",
        lambda pixel, label, iou: min(pixel, label, iou) > 80,
    ),
    "plot_zoom_importance": (
        r"^sand +(\S+) +(\S+) +(\S+) +(\S+)$",
        lambda local, proximal, distant, far: far > max(local, proximal, distant),
    ),
    "plot_zoomout_levels": (
        r"^local( +\d+){3} +(\d+) .*\n.*\n^distant( +\d+){3} +(\d+) ",
        lambda first, local, second, distant: distant > 20 * local,
    ),
}

# Runs an example in an interpreter without connections.
OFFLINE = """
import runpy, socket, sys, warnings

def refuse(*args, **kwargs):
    raise OSError("the example tried to connect")

socket.socket.connect = socket.getaddrinfo = refuse
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run an example once in a new process; return its output and its picture."""

    @functools.cache
    def once(name):
        picture = tmp_path_factory.mktemp(name) / "picture.png"
        known = {"SKLEARN_ZOOMOUT_DATA", "SKLEARN_ZOOMOUT_WEIGHTS"}
        environment = {k: v for k, v in os.environ.items() if k not in known}
        environment |= {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = str(EXAMPLES.parent)
        script = str(EXAMPLES / f"{name}.py")
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", OFFLINE, script, str(picture)],
            capture_output=True,
            text=True,
            env=environment,
            cwd=picture.parent,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout, picture

    return once


def test_every_example_is_tested():
    """Each example has an entry in EXPECTED."""
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(EXPECTED)


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem
)
def test_example_is_short_and_has_a_title(path):
    """Examples have fewer than 100 lines and begin with a title for the gallery."""
    lines = path.read_text().splitlines()
    assert len(lines) < 100
    assert lines[0] == '"""' and set(lines[2]) == {"="}
    assert len(lines[2]) == len(lines[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_example_runs(name, run):
    """It ends without a warning, with the expected output and a full picture."""
    from matplotlib.image import imread

    output, picture = run(name)
    pattern, check = EXPECTED[name]
    match = re.search(pattern, output, flags=re.MULTILINE)
    assert match, output
    assert check(*map(float, match.groups())), output

    pixels = imread(picture)[..., :3]
    height, width = pixels.shape[:2]
    assert height > 200 and width > 400
    colors, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    assert len(colors) > 100
    # A picture of empty axes would have one color almost everywhere.
    assert counts.max() < 0.96 * height * width


@pytest.mark.slow
def test_whole_masks_names_its_levels(run):
    """All four levels run, and two of them use the network of the library."""
    output, _ = run("plot_whole_masks")
    for level, columns in (("local", 1818), ("proximal", 1818)):
        assert re.search(rf"^{level} +{columns} +hand-crafted$", output, re.MULTILINE)
    for level in ("distant", "global"):
        assert re.search(rf"^{level} +256 +zoomnet$", output, re.MULTILINE)
