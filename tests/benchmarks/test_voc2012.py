"""The benchmark on PASCAL VOC 2012 prints its tables and writes a submission."""

import re
import tarfile

import numpy as np
import pytest
from PIL import Image
from tiny_voc import write_list, write_mask

from sklearn_zoomout.datasets import load_voc2012, make_scenes
from sklearn_zoomout.metrics import mean_iou


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


@pytest.mark.slow
def test_tables_1_and_2(run_benchmark, voc_root):
    """All sets of levels, all networks, the paper's figures, the best predictions."""
    submission = voc_root / "val.tgz"
    files = ["--root", voc_root, "--submission", submission]
    options = "--input-size 96 --maps blocks.9 --epochs 1"
    printed = run_benchmark("voc2012", files, options)
    assert "train: 2 images\nval: 2 images\nthese are not the official" in printed
    _, table_1, four_levels, with_maps, only_maps = (
        {
            name: [float(value) for value in values.split()]
            for name, values in re.findall(r"^(\S.*?)  +([\d. ]+)$", part, re.M)
        }
        for part in re.split("^Table .*$", printed.split("the best,")[0], flags=re.M)
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
    iou = 100 * mean_iou(data.masks, predictions, labels=range(21))
    tables = (table_1, four_levels, with_maps, only_maps)
    best = max(row[2] for table in tables for row in table.values())
    assert iou == pytest.approx(best, abs=0.051)


@pytest.mark.slow
def test_table_3(run_benchmark, voc_root):
    """The frozen network, the fine-tuned one and both, without hand-crafted levels."""
    options = "--input-size 96 --epochs 1 --tables 3 --tuning-steps 1"
    printed = run_benchmark("voc2012", ["--root", voc_root], options)
    names = re.findall(r"^Table (.*)$", printed, re.M)
    title = "3, distant + global + maps, zoomnet"
    both = "as it was and fine-tuned"
    assert names == [f"{title} {name}" for name in ("as it was", "fine-tuned", both)]
    rows = re.findall(r"^512, dropout 0.5.*  +[\d.]+ +[\d.]+ +[\d.]+$", printed, re.M)
    assert len(rows) == 9
    assert "training, network, zoomnet" in printed
    assert "local and proximal" not in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--submission val.zip", "a name in .tgz"),
        ("--submission val.tgz --images 1", "needs all images"),
    ],
)
def test_an_impossible_submission_is_refused_first(call_benchmark, options, message):
    """The script exits before it computes anything."""
    done = call_benchmark("voc2012", options)
    assert done.returncode == 2
    assert message in done.stderr
