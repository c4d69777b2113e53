"""Benchmarks on photographs: scribbles, few images, ingredients and figures."""

import json
import re

import numpy as np
import pytest
from PIL import Image


@pytest.mark.slow
def test_rows_of_scribbles_are_named_by_their_parameters(run_benchmark):
    """Every method has one row, and all are far above chance."""
    options = "--n-segments 200 --seeds 0 --images 1 --rows methods"
    printed = run_benchmark("scribbles", options, warnings="error")
    rows = re.findall(r"^(\S.*?)  +([\d.]+) ± .*$", printed, re.M)
    assert [name for name, _ in rows] == [
        "vote of neighbors",
        "local + proximal, n_segments=200",
        "four levels, weights=None, input_size=640, n_segments=200",
        "four levels, input_size=640, n_segments=200",
        "fast, n_segments=200",
        "fast, backbone=zoomnet, n_segments=200",
        "fast, fine_tune=True, n_segments=200",
    ]
    assert all(50 < float(right) < 100 for _, right in rows)


@pytest.mark.slow
def test_figures_of_the_paper_are_drawn(run_benchmark, tmp_path):
    """One command leaves four pictures, and prints the accuracy of what they show."""
    folder = tmp_path / "f"
    options = "--train-images 4 --images 2 --hidden 8 --epochs 2"
    printed = run_benchmark(
        "paper_figures", ["--output", folder], options, warnings="error"
    )
    names = [f"figure_{number}.png" for number in (2, 3, 5, 6)]
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in names:
        with Image.open(folder / name) as picture:
            assert len(picture.convert("RGB").getcolors(2**24)) > 500
    right = re.findall(r"^(.*\S) +([\d.]+) % of the pixels", printed, re.M)
    assert [name for name, _ in right] == [
        *("local", "local, proximal", "local, proximal, global", "all four levels"),
        "figure 6",
    ]
    assert all(0 < float(value) < 100 for _, value in right)


@pytest.mark.slow
def test_few_images_compares_methods_and_resumes(run_benchmark, tmp_path):
    """Two tables and a plot; runs in the file of results are not repeated."""
    results, picture = tmp_path / "results.jsonl", tmp_path / "few.png"

    def compare(*options):
        """Return what was printed, the rows of both tables, and the records."""
        printed = run_benchmark(
            "few_images",
            "--draws 2 --test-images 1 --epochs 2 --tuning-steps 1 --fcn-steps 1",
            ["--n-jobs", "1", "--results", results],
            *options,
            warnings="error",
        )
        rows = re.findall(r"^\| (\w.*?) \| (.*) \|$", printed, re.M)
        records = [json.loads(line) for line in results.read_text().splitlines()]
        return printed, [(n, c.split(" | ")) for n, c in rows], records

    levels = "--levels maps local+global"
    printed, rows, records = compare("--sizes 2", levels, ["--plot", picture])
    assert "4 images to draw from, 1 test images" in printed
    methods = [
        *("maps, zoomnet", "local + global, zoomnet"),
        "distant + global + maps, zoomnet, fine-tuned",
        *("multiscale features + forest", "FCN-8s fine-tuned, zoomnet"),
    ]
    assert [name for name, _ in rows] == 2 * ["images", *methods]
    assert [record["run"]["method"] for record in records] == 2 * methods
    assert all(record["seconds"] > 0 for record in records)
    for k, name in enumerate(methods):
        first, second = records[k]["scores"], records[k + 5]["scores"]
        cell = " / ".join(
            f"{np.mean(draws):.1f} ± {np.std(draws, ddof=1):.1f}"
            for draws in zip(first, second, strict=True)
        )
        assert rows[1 + k] == (name, [cell])
    assert picture.stat().st_size > 10_000

    # An interrupted comparison goes on where it stopped.
    results.write_text("".join(json.dumps(record) + "\n" for record in records[:-1]))
    _, more_rows, more_records = compare("--sizes 2 all --methods forest fcn")
    assert more_records[:9] == records[:9]
    assert [r["run"]["images"] for r in more_records[9:]] == [2, 4, 4, 4, 4]
    assert more_rows[0] == ("images", ["2", "4"])
    assert [cells[0] for _, cells in more_rows[1:3]] == [c[0] for _, c in rows[4:6]]


@pytest.mark.slow
def test_ingredients_are_compared_with_the_base(run_benchmark):
    """The base, and the mean difference from it, for every variant."""
    variants = ["hidden-128", "last-maps", "flip", "mirrored", "segments-1000"]
    variants += ["maps-960", "fine-tuned", "fine-tuned-besides"]
    printed = run_benchmark(
        "ingredients",
        "--folds 3 --run-folds 2 --n-jobs 1 --tuning-steps 1 --epochs 2",
        ["--variants", *variants],
    )
    folds = re.findall(r"^(\S+), fold \d +([\d. ]+)$", printed, re.M)
    scores = {}
    for name, values in folds:
        scores.setdefault(name, []).append([float(v) for v in values.split()])
    assert list(scores) == ["base", *variants]
    gains = dict(re.findall(r"^(\S+) +(.*±.*)$", printed, re.M))
    for name in variants:
        expected = np.mean(scores[name], axis=0) - np.mean(scores["base"], axis=0)
        measured = [float(v) for v in re.findall(r"([+-][\d.]+) ±", gains[name])]
        np.testing.assert_allclose(measured, expected, atol=0.11)
