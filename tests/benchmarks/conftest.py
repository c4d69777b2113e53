"""How tests run a benchmark: from end to end, on data small enough for a test."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sklearn_zoomout.datasets import make_scenes

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="session")
def data_home(tmp_path_factory):
    """A folder with an archive in the official layout that holds made-up scenes."""
    folder = tmp_path_factory.mktemp("data")
    images, masks = make_scenes(6, size=(48, 64), random_state=0)
    with tarfile.open(folder / "iccv09Data.tar.gz", "w:gz") as tar:

        def add(name, content):
            member = tarfile.TarInfo(f"iccv09Data/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

        for i, (image, mask) in enumerate(zip(images, masks, strict=True)):
            jpeg, text = io.BytesIO(), io.StringIO()
            Image.fromarray(image).save(jpeg, "JPEG")
            np.savetxt(text, mask, fmt="%d")
            add(f"images/{i:07d}.jpg", jpeg.getvalue())
            add(f"labels/{i:07d}.regions.txt", text.getvalue().encode())
        add("horizons.txt", b"")
    return folder


@pytest.fixture(scope="session")
def call_benchmark(data_home):
    """Run a script; return the finished process.

    The options are those of the script, as text separated by blanks or as lists.
    ``warnings`` is what Python does with warnings.
    """

    def call(script, *options, warnings="ignore"):
        parts = [
            part
            for option in options
            for part in (option.split() if isinstance(option, str) else option)
        ]
        return subprocess.run(
            [sys.executable, "-W", warnings, BENCHMARKS / f"{script}.py", *parts],
            env=os.environ | {"SKLEARN_ZOOMOUT_DATA": str(data_home)},
            capture_output=True,
            text=True,
        )

    return call


@pytest.fixture(scope="session")
def run_benchmark(call_benchmark):
    """Run a script that must succeed; return what it printed."""

    def run(*args, **options):
        done = call_benchmark(*args, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
