"""The benchmark on Stanford Background prints its tables."""

import re

import numpy as np
import pytest

SMALL = "--input-size 96 --hidden 8 --epochs 2"


@pytest.mark.slow
def test_cross_validation_prints_table_5(run_benchmark):
    """A row for each fold and network, their means, the ceiling and the cost."""
    printed = run_benchmark(
        "stanford_background",
        SMALL,
        "--folds 2 --maps blocks.9 --backbone zoomnet zoomnet=none",
        "--rows crafted levels levels+maps maps",
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
def test_other_rows_of_table_5(run_benchmark):
    """Clean-up, fine-tuning and both kinds of local convnet, on one of the folds."""
    printed = run_benchmark(
        "stanford_background",
        SMALL,
        "--rows smoothed maps islands fine-tuned fine-tuned-smoothed local-convnet",
        "--maps blocks.9 --folds 6 --run-folds 1",
        "--local-convnet-steps 2 --tuning-steps 2",
    )
    rows = re.findall(r"^(.*), fold \d  +[\d. ]+$", printed, re.M)
    assert rows == [
        "four levels + local convnet (out of fold), zoomnet (4156 columns)",
        "four levels + local convnet (leaking), zoomnet (4156 columns)",
        "distant + global + maps, zoomnet, smoothed (576 columns)",
        "distant + global + maps, zoomnet (576 columns)",
        "distant + global + maps, zoomnet, islands removed (576 columns)",
        "distant + global + maps, zoomnet, fine-tuned, smoothed (576 columns)",
        "distant + global + maps, zoomnet, fine-tuned (576 columns)",
    ]


@pytest.mark.slow
def test_ablation_prints_all_sets_of_levels(run_benchmark):
    """Fifteen rows of four models with three measures."""
    options = "--folds 2 --ablation --run-folds 1"
    printed = run_benchmark("stanford_background", SMALL, options)
    summary = printed[printed.index("pixel accuracy, class") :].split("seconds")[0]
    titles = ["linear, asymmetric", "linear, symmetric"]
    titles += ["(8,), asymmetric", "(8,), symmetric"]
    assert re.split("  +", summary.splitlines()[1].strip()) == titles
    rows = re.findall(r"^((?:local|proximal|distant|global)\S*) +(.+)$", summary, re.M)
    assert len({levels for levels, _ in rows}) == 15
    assert {len(values.split()) for _, values in rows} == {12}
