"""The benchmark scripts run from end to end, on data small enough for a test."""

import io
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sklearn_zoomout.datasets import make_scenes

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
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


def run(data_home, *options):
    """Run the script and return what it printed."""
    options = ["--input-size", "96", "--hidden", "8", *options]
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", BENCHMARKS / "stanford_background.py"),
            *("--epochs", "2"),
            *options,
        ],
        env=os.environ | {"SKLEARN_ZOOMOUT_DATA": str(data_home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_cross_validation_prints_table_5(data_home):
    """A row for each fold and network, their means, the ceiling, the cost."""
    printed = run(
        data_home,
        *("--folds", "2", "--maps", "blocks.9", "--crafted"),
        *("--backbone", "zoomnet", "zoomnet=none"),
    )
    rows = re.findall(r"^(\S.*?)  +([\d. ]+)$", printed, re.M)
    table = {name: [float(value) for value in values.split()] for name, values in rows}
    n_columns = {"local + proximal": 3636} | {
        f"{levels}, {network}": columns
        for levels, columns in {
            "four levels": 4148,
            "four levels + maps": 4212,
            "distant + global + maps": 576,
        }.items()
        for network in ("zoomnet", "zoomnet=none")
    }
    for name, columns in n_columns.items():
        folds = [table[f"{name} ({columns} columns), fold {k}"] for k in (1, 2)]
        mean = np.mean(folds, axis=0)
        np.testing.assert_allclose(table[f"{name}, mean of folds"], mean, atol=0.11)
        assert np.all(np.array(table["ceiling of the superpixels"]) > folds)
    assert table["paper, Table 5"] == [82.1, 77.3]
    assert "peak memory" in printed


@pytest.mark.slow
def test_clean_up_is_measured_beside_what_it_cleans(data_home):
    """Three rows more for each network, for each fold and their mean."""
    printed = run(data_home, "--folds", "6", "--maps", "blocks.9", "--cleanup")
    rows = re.findall(
        r"^distant \+ global \+ maps, zoomnet(.*?)  +[\d. ]+$", printed, re.M
    )
    for way in ("", ", smoothed", ", islands removed", ", both"):
        columns = f"{way} (576 columns), fold"
        assert {f"{columns} 1", f"{columns} 6", f"{way}, mean of folds"} <= set(rows)


@pytest.mark.slow
def test_ablation_prints_all_subsets_of_the_levels(data_home):
    """Fifteen rows of four columns of three measures."""
    printed = run(data_home, "--folds", "2", "--ablation", "--ablation-folds", "1")
    summary = printed[printed.index("pixel accuracy, class") :].split("seconds")[0]
    rows = re.findall(r"^((?:local|proximal|distant|global)\S*) +(.+)$", summary, re.M)
    assert len({levels for levels, _ in rows}) == 15
    assert {len(values.split()) for _, values in rows} == {12}


@pytest.mark.slow
def test_scribbles_are_measured_beside_a_vote_of_neighbors():
    """A row of three measures for each way of labeling; all are far above chance."""
    done = subprocess.run(
        [
            *(sys.executable, BENCHMARKS / "scribbles.py"),
            *("--n-segments", "200", "--seeds", "0"),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^(\S.*?)  +([\d.]+) ± .*$", done.stdout, re.M)
    assert [name.partition(",")[0] for name, _ in rows] == [
        *("vote of neighbors", "local + proximal", "four levels", "four levels"),
        "distant + global + maps",
    ]
    assert all(50 < float(right) < 100 for _, right in rows)
