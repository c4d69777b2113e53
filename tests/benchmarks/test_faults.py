"""The benchmark of faults: it finds none, and would find them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
pytest.importorskip("fcntl", reason="there is no SIGKILL")
OPTIONS = "--kills 2 --flips 3 --processes 2 --calls 10"


def rows(printed):
    """Return the numbers of every row by its name."""
    found = re.findall(r"^(\S.*?) {2,}([\d ]+)$", printed, re.MULTILINE)
    return {
        name: [int(number) for number in numbers.split()] for name, numbers in found
    }


@pytest.mark.slow
def test_nothing_on_disk_is_silently_wrong(run_benchmark):
    """Every kind of kill and of file has a row, and the exit code is 0."""
    printed = run_benchmark("faults", OPTIONS)
    table = rows(printed)
    for name in ("save_model", "FeatureCache", "store_features"):
        assert table.pop(name)[2:] == [0, 0, 0]
    assert table.keys() == {
        *("model", "weights with a known sum", "cache entry"),
        *("block_0.bin", "block_1.bin", "segments.bin", "images.bin", "manifest.json"),
    }
    for n_flips, noticed, harmless, silent, *mended in table.values():
        assert n_flips == noticed + harmless == 3
        assert silent == 0
        assert mended in ([], [3])
    assert "2 processes on one cache, 20 calls: 0 wrong, 0 left over" in printed


BROKEN = """
import runpy, sys
from sklearn_zoomout.table import _checksums
_checksums.RowChecks.check = lambda self, values, images=None: None
sys.path.insert(0, sys.argv[1])
sys.argv[1:] = "--kills 0 --flips 3 --processes 1 --calls 1".split()
runpy.run_module("faults", run_name="__main__", alter_sys=True)
"""


@pytest.mark.slow
def test_a_fault_is_found():
    """Features that are not checked are silently wrong."""
    done = subprocess.run(
        [sys.executable, "-c", BROKEN, BENCHMARKS], capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    table = rows(done.stdout)
    assert table["block_0.bin"][3] + table["block_1.bin"][3] > 0
    assert table["segments.bin"][3] == 0
