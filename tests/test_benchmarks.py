"""The benchmark scripts run from end to end, on data small enough for a test."""

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_voc import write_list, write_mask

from sklearn_zoomout.datasets import load_voc2012, make_scenes
from sklearn_zoomout.metrics import mean_iou

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
        *(
            "--folds",
            "2",
            "--maps",
            "blocks.9",
            "--backbone",
            "zoomnet",
            "zoomnet=none",
        ),
        *("--rows", "crafted", "levels", "levels+maps", "maps"),
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
def test_other_rows_of_table_5(data_home):
    """Clean-up, and the local convnet in both ways, on one of the folds."""
    printed = run(
        data_home,
        *(
            "--rows",
            "smoothed",
            "maps",
            "islands",
            "fine-tuned",
            "fine-tuned-smoothed",
            "local-convnet",
            "--maps",
            "blocks.9",
        ),
        *("--folds", "6", "--run-folds", "1", "--local-convnet-steps", "2"),
        *("--tuning-steps", "2"),
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
def test_ablation_prints_all_subsets_of_the_levels(data_home):
    """Fifteen rows of four columns of three measures."""
    printed = run(data_home, "--folds", "2", "--ablation", "--run-folds", "1")
    summary = printed[printed.index("pixel accuracy, class") :].split("seconds")[0]
    rows = re.findall(r"^((?:local|proximal|distant|global)\S*) +(.+)$", summary, re.M)
    assert len({levels for levels, _ in rows}) == 15
    assert {len(values.split()) for _, values in rows} == {12}


@pytest.fixture
def voc_root(tmp_path):
    """A folder with a PASCAL VOC 2012 of made-up scenes, two in each list."""
    voc = tmp_path / "VOCdevkit" / "VOC2012"
    images, masks = make_scenes(4, size=(48, 64), random_state=0)
    names = [f"2007_{i:06}" for i in range(4)]
    write_list(voc / "ImageSets/Segmentation/train.txt", names[:2])
    write_list(voc / "ImageSets/Segmentation/val.txt", names[2:])
    (voc / "JPEGImages").mkdir()
    for name, image, mask in zip(names, images, masks, strict=True):
        Image.fromarray(image).save(voc / f"JPEGImages/{name}.jpg")
        mask = mask.astype(np.uint8)
        mask[:3] = 255
        write_mask(voc / f"SegmentationClass/{name}.png", mask)
    return tmp_path


def run_voc(*options):
    """Run the script on made-up scenes, whose absent classes it warns of."""
    script = BENCHMARKS / "voc2012.py"
    return subprocess.run(
        [sys.executable, "-W", "ignore", script, *options],
        capture_output=True,
        text=True,
    )


def test_voc_benchmark_prints_tables_1_and_2(voc_root):
    """All subsets, all networks, the paper's figures, and the best predictions."""
    submission = voc_root / "val.tgz"
    done = run_voc(
        *("--root", voc_root, "--submission", submission, "--input-size", "96"),
        *("--maps", "blocks.9", "--epochs", "1"),
    )
    assert done.returncode == 0, done.stderr
    assert "train: 2 images\nval: 2 images\nthese are not the official" in done.stdout
    _, table_1, four_levels, with_maps, only_maps = (
        {
            name: [float(value) for value in values.split()]
            for name, values in re.findall(r"^(\S.*?)  +([\d. ]+)$", part, re.M)
        }
        for part in re.split(
            "^Table .*$", done.stdout.split("the best,")[0], flags=re.M
        )
    )
    levels = [name for name in table_1 if "maps" not in name and "loss" not in name]
    assert len(levels) == 15
    assert list(table_1)[15:] == [
        "all, symmetric loss",
        "distant+global+maps",
        "local+proximal+distant+global+maps",
    ]
    assert {name: row[3] for name, row in table_1.items() if len(row) == 4} == {
        "local": 14.6,
        "proximal": 15.5,
        "local+proximal": 17.7,
        "local+distant": 37.4,
        "local+global": 41.8,
        "local+proximal+global": 43.4,
        "distant+global": 47.0,
        "local+proximal+distant+global": 52.4,
        "all, symmetric loss": 20.4,
    }
    networks = ["linear", "256", "512", "1024", "256+256", "256+256, dropout 0.5"]
    weights = ("", ", class_weight=0.5", ", class_weight=None")
    ours = [f"512, dropout 0.5{weight}" for weight in weights]
    ours.append("1024, dropout 0.5")
    assert list(four_levels) == [*networks, *ours]
    assert four_levels["512"][:3] != four_levels["512, dropout 0.5"][:3]
    for table in (with_maps, only_maps):
        assert list(table) == ours
    assert four_levels["linear"][3:] == [52.4]
    assert four_levels["256"][3:] == [57.9, 62.3]
    assert not with_maps["512, dropout 0.5"][3:]
    # The same features and network as the last but three rows of Table 1.
    assert four_levels["linear"][:3] == table_1["local+proximal+distant+global"][:3]

    data = load_voc2012(voc_root, "val")
    with tarfile.open(submission) as tar:
        predictions = [np.array(Image.open(tar.extractfile(m))) for m in tar]
    iou = 100 * mean_iou(data.masks, predictions, labels=range(21), void_label=255)
    tables = (table_1, four_levels, with_maps, only_maps)
    best = max(row[2] for table in tables for row in table.values())
    assert iou == pytest.approx(best, abs=0.051)


@pytest.mark.slow
def test_voc_benchmark_prints_table_3(voc_root):
    """The network as it was, fine-tuned, and both, without the hand-crafted levels."""
    done = run_voc(
        *("--root", voc_root, "--input-size", "96", "--epochs", "1"),
        *("--tables", "3", "--tuning-steps", "1"),
    )
    assert done.returncode == 0, done.stderr
    names = re.findall(r"^Table (.*)$", done.stdout, re.M)
    title = "3, distant + global + maps, zoomnet"
    both = "as it was and fine-tuned"
    assert names == [f"{title} {name}" for name in ("as it was", "fine-tuned", both)]
    rows = re.findall(
        r"^512, dropout 0.5.*  +[\d.]+ +[\d.]+ +[\d.]+$", done.stdout, re.M
    )
    assert len(rows) == 9
    assert "training, network, zoomnet" in done.stdout
    assert "local and proximal" not in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--submission", "val.zip"], "a name in .tgz"),
        (["--submission", "val.tgz", "--images", "1"], "needs all images"),
    ],
)
def test_voc_benchmark_refuses_a_submission_before_the_work(options, message):
    """What the archive cannot hold is told first, not after hours."""
    done = run_voc(*options)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.slow
def test_scribbles_are_measured_beside_a_vote_of_neighbors():
    """A row of three measures for each way of labeling; all are far above chance."""
    done = subprocess.run(
        [
            *(sys.executable, BENCHMARKS / "scribbles.py"),
            *("--n-segments", "200", "--seeds", "0", "--images", "1"),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^(\S.*?)  +([\d.]+) ± .*$", done.stdout, re.M)
    assert [name.partition(",")[0] for name, _ in rows] == [
        *("vote of neighbors", "local + proximal", "four levels", "four levels"),
        *("fast", "fast", "fast"),
    ]
    assert all(50 < float(right) < 100 for _, right in rows)


def test_figures_of_the_paper_are_drawn(data_home, tmp_path):
    """One command leaves four pictures, and says how good what they show is."""
    script = BENCHMARKS / "paper_figures.py"
    options = ["--train-images", "4", "--images", "2", "--hidden", "8", "--epochs", "2"]
    done = subprocess.run(
        [sys.executable, "-W", "error", script, "--output", tmp_path / "f", *options],
        env=os.environ | {"SKLEARN_ZOOMOUT_DATA": str(data_home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    names = [f"figure_{number}.png" for number in (2, 3, 5, 6)]
    assert sorted(path.name for path in (tmp_path / "f").iterdir()) == names
    for name in names:
        with Image.open(tmp_path / "f" / name) as picture:
            assert len(picture.convert("RGB").getcolors(2**24)) > 500
    right = re.findall(r"^(.*\S) +([\d.]+) % of the pixels", done.stdout, re.M)
    assert [name for name, _ in right] == [
        *("local", "local, proximal", "local, proximal, global", "all four levels"),
        "figure 6",
    ]
    assert all(0 < float(value) < 100 for _, value in right)


@pytest.mark.slow
def test_speed_of_crafted_features_is_measured_beside_a_plain_reading(data_home):
    """Every step agrees with the plain one; tables of growth and of superpixels."""
    done = subprocess.run(
        [
            *(sys.executable, "-W", "error", BENCHMARKS / "speed_crafted.py"),
            *("--size", "90", "120", "--n-segments", "30", "--runs", "1"),
            *("--plain-runs", "1", "--images", "2"),
        ],
        env=os.environ | {"SKLEARN_ZOOMOUT_DATA": str(data_home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    steps, growth, slic = done.stdout.split("\n\n")[1:]
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
def test_few_images_compares_methods_and_resumes(data_home, tmp_path):
    """Two tables and a plot; what the file of results has is not run again."""
    results, picture = tmp_path / "results.jsonl", tmp_path / "few.png"

    def compare(*options):
        """Give what was printed, the rows of both tables, and the records."""
        done = subprocess.run(
            [
                *(sys.executable, "-W", "error", BENCHMARKS / "few_images.py"),
                *("--draws", "2", "--test-images", "1", "--epochs", "2"),
                *("--tuning-steps", "1", "--fcn-steps", "1"),
                *("--n-jobs", "1", "--results", results),
                *options,
            ],
            env=os.environ | {"SKLEARN_ZOOMOUT_DATA": str(data_home)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        rows = re.findall(r"^\| (\w.*?) \| (.*) \|$", done.stdout, re.M)
        records = [json.loads(line) for line in results.read_text().splitlines()]
        return done.stdout, [(n, c.split(" | ")) for n, c in rows], records

    levels = ["--levels", "maps", "local+global"]
    printed, rows, records = compare("--sizes", "2", *levels, "--plot", picture)
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
        assert rows[1 + k] == (
            name,
            [
                " / ".join(
                    f"{np.mean(draws):.1f} ± {np.std(draws, ddof=1):.1f}"
                    for draws in zip(first, second, strict=True)
                )
            ],
        )
    assert picture.stat().st_size > 10_000

    # An interrupted comparison goes on where it stopped.
    results.write_text("".join(json.dumps(record) + "\n" for record in records[:-1]))
    rivals = ["--methods", "forest", "fcn"]
    _, more_rows, more_records = compare("--sizes", "2", "all", *rivals)
    assert more_records[:9] == records[:9]
    assert [r["run"]["images"] for r in more_records[9:]] == [2, 4, 4, 4, 4]
    assert more_rows[0] == ("images", ["2", "4"])
    assert [cells[0] for _, cells in more_rows[1:3]] == [c[0] for _, c in rows[4:6]]


@pytest.mark.slow
def test_ingredients_are_compared_with_the_base(data_home):
    """The base, and the mean difference from it, for every variant."""
    variants = ["hidden-128", "flip", "mirrored", "fine-tuned", "fine-tuned-besides"]
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", BENCHMARKS / "ingredients.py"),
            *("--folds", "3", "--run-folds", "2", "--n-jobs", "1"),
            *("--tuning-steps", "1"),
            *("--epochs", "2", "--variants", *variants),
        ],
        env=os.environ | {"SKLEARN_ZOOMOUT_DATA": str(data_home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    folds = re.findall(r"^(\S+), fold \d +([\d. ]+)$", done.stdout, re.M)
    scores = {}
    for name, values in folds:
        scores.setdefault(name, []).append([float(v) for v in values.split()])
    assert list(scores) == ["base", *variants]
    gains = dict(re.findall(r"^(\S+) +(.*±.*)$", done.stdout, re.M))
    for name in variants:
        expected = np.mean(scores[name], axis=0) - np.mean(scores["base"], axis=0)
        printed = [float(v) for v in re.findall(r"([+-][\d.]+) ±", gains[name])]
        np.testing.assert_allclose(printed, expected, atol=0.11)


@pytest.mark.slow
def test_grid_search_computes_every_image_once(data_home):
    """The cache does not change the scores; the ratio is that of the seconds."""
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", BENCHMARKS / "grid_search.py"),
            *("--images", "4", "--folds", "2", "--hidden", "4", "8"),
            *("--epochs", "1", "--n-segments", "40"),
        ],
        env=os.environ | {"SKLEARN_ZOOMOUT_DATA": str(data_home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "4 images, 4 steps, each computed once: True" in done.stdout
    rows = {
        name: [float(value) for value in values.split()]
        for name, values in re.findall(r"^(\S.*?)  +([\d. ]+)$", done.stdout, re.M)
    }
    # Batches of the global level may change the last bits of a feature.
    on_table, cached = rows["pixel accuracy on table"], rows["pixel accuracy, cached"]
    np.testing.assert_allclose(cached, on_table, atol=1)
    parts = np.add(rows["extraction"], rows["fits and predictions"])
    np.testing.assert_allclose(rows["ratio"], rows["grid search"] / parts, rtol=0.05)


def run_speed(script, *options):
    """Run a benchmark that needs no data, and return what it printed."""
    command = [sys.executable, "-W", "ignore", BENCHMARKS / script, "--rounds", "1"]
    done = subprocess.run(
        [*command, "--n-segments", "20", *options], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_speed_of_predict_is_printed_step_by_step():
    """The whole, its steps and others, in milliseconds and as ratios."""
    printed = run_speed(
        "speed_predict.py", "--size", "60", "80", "--rivals", "LR-ASPP, MobileNetV3"
    )
    for name in ("the library's predict", "  superpixels", "LR-ASPP, MobileNetV3"):
        assert re.search(rf"^{name} +\d+ +\d+\.\d\d$", printed, re.MULTILINE)


def test_speed_of_the_convnet_levels_is_printed():
    """Operations and their rate; one pass an image beside one a region."""
    printed = run_speed(
        "speed_convnet.py", "--size", "48", "64", "--passes", "squeezenet1_1"
    )
    assert re.search(r"^squeezenet1_1( +[\d.]+){2} +\d+%$", printed, re.MULTILINE)
    assert re.search(r"^distant, crop +[\d.]+ +1\.0$", printed, re.MULTILINE)


def test_growth_of_the_cost_is_printed():
    """With images, pixels, superpixels and processes."""
    command = [sys.executable, "-W", "ignore", BENCHMARKS / "scaling.py"]
    small = ["--images", "8", "--size", "48", "64", "--n-segments", "20"]
    done = subprocess.run(
        [*command, *small, "--input-size", "96", "--processes", "1", "2"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    row = r"^(\d+(?: x \d+)?) +[\d.]+ +([\d.]+)(?: +[\d.]+)?$"
    rows = re.findall(row, done.stdout, re.MULTILINE)
    names = [name for name, _ in rows]
    sizes = ["24 x 32", "48 x 64", "96 x 128"]
    assert names == ["2", "4", "8", *sizes, "10", "20", "40", "1", "2"]
    assert [float(rows[i][1]) for i in (0, 3, 6, 9)] == [1, 1, 1, 1]


@pytest.mark.slow
def test_streaming_prints_memory_and_rates(tmp_path):
    """A row for each size, of files, of holes, and none of the files is left."""
    options = "--rows 1000 2000 --rows-in-memory 1000 --columns 20 --hidden 4"
    options += " --columns-of-images 10 --seconds 0.1 --sparse --cold --folder"
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "streaming.py", *options.split(), tmp_path],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    *_, titles, first, second = done.stdout.splitlines()
    assert titles.split()[-3:] == ["before", "own", "peak"]
    for line, n_rows in ((first, "1,000"), (second, "2,000")):
        number, *values = line.split()
        assert number == n_rows
        assert len(values) == 8
        before, own, peak = map(float, values[-3:])
        assert 0 < before <= own <= peak < 3
