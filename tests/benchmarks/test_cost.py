"""Benchmarks of seconds and memory print their tables."""

import re

import numpy as np
import pytest


@pytest.mark.slow
def test_grid_search_computes_every_image_once(run_benchmark):
    """The cache does not change the scores; the ratio is that of the seconds."""
    options = "--images 4 --folds 2 --hidden 4 8 --epochs 1 --n-segments 40"
    printed = run_benchmark("grid_search", options)
    assert "4 images, 4 steps, each computed once: True" in printed
    rows = {
        name: [float(value) for value in values.split()]
        for name, values in re.findall(r"^(\S.*?)  +([\d. ]+)$", printed, re.M)
    }
    # Shared forward passes may change the last bits of a feature.
    on_table, cached = rows["pixel accuracy on table"], rows["pixel accuracy, cached"]
    np.testing.assert_allclose(cached, on_table, atol=1)
    parts = np.add(rows["extraction"], rows["fits and predictions"])
    np.testing.assert_allclose(rows["ratio"], rows["grid search"] / parts, rtol=0.05)


@pytest.mark.slow
def test_speed_of_crafted_features_is_compared_with_plain_code(run_benchmark):
    """Every step agrees with plain code; tables of growth and of superpixels."""
    printed = run_benchmark(
        "speed_crafted",
        "--size 90 120 --n-segments 30 --runs 1 --plain-runs 1 --images 2",
        warnings="error",
    )
    steps, growth, slic = printed.split("\n\n")[1:]
    assert re.search(r"^all of it +[\d.]+ +[\d.]+ +\d+$", steps, re.M)
    shares = dict(re.findall(r"^(\w+) .* ([\d.]+) % the same$", steps, re.M))
    assert shares.keys() == {"textons", "words", "regions"}
    # Some words are copies of each other where descriptors are so few.
    assert all(float(share) > 98 for share in shares.values())
    correlations = [float(x) for x in re.findall(r"correlation ([\d.]+)", steps)]
    assert len(correlations) == 3 and correlations[0] > 0.9
    assert min(correlations[1:]) > 0.999
    rows = re.findall(r"^\S.*? +((?: +[\d.]+){5})$", growth, re.M)
    assert len(rows) == 11
    assert "2 images of Stanford Background" in slic
    ours, theirs = (
        float(re.search(rf"^{name} +\d+ +[\d.]+ +([\d.]+)$", slic, re.M)[1])
        for name in ("library", "scikit-image")
    )
    assert ours > theirs - 3


@pytest.mark.slow
def test_speed_of_predict_is_printed_step_by_step(run_benchmark):
    """The whole, its steps and other networks, in milliseconds and as ratios."""
    printed = run_benchmark(
        "speed_predict",
        "--rounds 1 --n-segments 20 --size 60 80 --rivals",
        ["LR-ASPP, MobileNetV3"],
    )
    names = ["the library's predict", "  superpixels", "    pass over the image"]
    for name in [*names, "LR-ASPP, MobileNetV3"]:
        assert re.search(rf"^{name} +\d+ +\d+\.\d\d$", printed, re.MULTILINE)


@pytest.mark.slow
def test_speed_of_the_convnet_levels_is_printed(run_benchmark):
    """Operations and their rate; one pass per image and one per region."""
    printed = run_benchmark(
        "speed_convnet",
        "--rounds 1 --n-segments 20 --size 48 64 --passes squeezenet1_1",
    )
    assert re.search(r"^squeezenet1_1( +[\d.]+){2} +\d+%$", printed, re.MULTILINE)
    assert re.search(r"^distant, crop +[\d.]+ +1\.0$", printed, re.MULTILINE)


@pytest.mark.slow
def test_growth_of_the_cost_is_printed(run_benchmark):
    """With images, pixels, superpixels and processes."""
    printed = run_benchmark(
        "scaling",
        "--images 8 --size 48 64 --n-segments 20 --input-size 96",
        "--processes 1 2 --rounds 1",
    )
    row = r"^(\d+(?: x \d+)?) +[\d.]+ +([\d.]+)(?: +[\d.]+)?$"
    rows = re.findall(row, printed, re.MULTILINE)
    names = [name for name, _ in rows]
    sizes = ["24 x 32", "48 x 64", "96 x 128"]
    assert names == ["2", "4", "8", *sizes, "10", "20", "40", "1", "2"]
    assert [float(rows[i][1]) for i in (0, 3, 6, 9)] == [1, 1, 1, 1]


@pytest.mark.slow
def test_streaming_prints_memory_and_rates(run_benchmark, tmp_path):
    """A row for each size, of files and of holes, and no file is left."""
    options = "--rows 1000 2000 --rows-in-memory 1000 --columns 20 --hidden 4"
    options += " --columns-of-images 10 --seconds 0.1 --sparse --cold"
    printed = run_benchmark("streaming", options, ["--folder", tmp_path])
    *_, titles, first, second = printed.splitlines()
    assert titles.split()[-3:] == ["before", "own", "peak"]
    for line, n_rows in ((first, "1,000"), (second, "2,000")):
        number, *values = line.split()
        assert number == n_rows
        assert len(values) == 8
        before, own, peak = map(float, values[-3:])
        assert 0 < before <= own <= peak < 3
    assert not list(tmp_path.iterdir())
