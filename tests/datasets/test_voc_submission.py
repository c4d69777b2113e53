"""Archives for PASCAL VOC's evaluation server."""

import io
import os
import tarfile

import numpy as np
import pytest
from PIL import Image
from tiny_voc import VOC_LISTS, shape_of

from sklearn_zoomout.datasets import (
    _voc_submission as voc_submission,
)
from sklearn_zoomout.datasets import (
    load_voc2012,
    voc_colors,
    write_voc_submission,
)


@pytest.fixture
def ids():
    return list(VOC_LISTS["trainval"])


@pytest.fixture
def predictions(ids):
    """Return a label map for each image of trainval, of several types."""
    rng = np.random.default_rng(0)
    maps = np.empty(len(ids), dtype=object)
    for i, (name, dtype) in enumerate(zip(ids, "BHil", strict=True)):
        maps[i] = rng.integers(0, 21, shape_of(name)).astype(dtype)
    return maps


def read_archive(path):
    """Return the files of a submission by their names."""
    with tarfile.open(path, "r:gz") as tar:
        assert all(member.isfile() for member in tar)
        return {member.name: tar.extractfile(member).read() for member in tar}


@pytest.mark.parametrize("name", ["voc.tgz", "voc.tar.gz"])
def test_archive_has_the_layout_of_the_server(voc, tmp_path, ids, predictions, name):
    """One palette PNG of 8 bits for each image, which reads as the prediction."""
    path = tmp_path / "new" / name
    write_voc_submission(path, ids, predictions, root=voc, split="trainval")
    files = read_archive(path)
    folder = "results/VOC2012/Segmentation/comp6_trainval_cls"
    assert list(files) == [f"{folder}/{name}.png" for name in ids]
    for content, prediction in zip(files.values(), predictions, strict=True):
        assert content[24] == 8  # bits a pixel
        picture = Image.open(io.BytesIO(content))
        assert picture.mode == "P"
        np.testing.assert_array_equal(np.asarray(picture), prediction)
        palette = np.reshape(picture.getpalette(), (-1, 3))
        np.testing.assert_array_equal(palette, voc_colors())


def test_test_split_of_comp5(voc, tmp_path):
    """The competition and the list name the folder."""
    path = tmp_path / "voc.tgz"
    data = load_voc2012(voc, "test")
    prediction = np.zeros(data.images[0].shape[:2], int)
    write_voc_submission(path, data.ids, [prediction], root=voc, competition="comp5")
    folder = "results/VOC2012/Segmentation/comp5_test_cls"
    assert list(read_archive(path)) == [f"{folder}/2008_000005.png"]


def test_what_is_written_reads_back_as_masks(voc, tmp_path, ids, predictions):
    """The loader takes the PNGs of a submission for masks."""
    path = tmp_path / "voc.tgz"
    write_voc_submission(path, ids, predictions, root=voc, split="trainval")
    for name, content in read_archive(path).items():
        (voc / "SegmentationClass" / name.rpartition("/")[2]).write_bytes(content)
    masks = load_voc2012(voc, "trainval").masks
    for mask, prediction in zip(masks, predictions, strict=True):
        np.testing.assert_array_equal(mask, prediction)


def test_order_of_the_images_is_free(voc, tmp_path, ids, predictions):
    """A prediction is compared with, and named like, its own image."""
    path = tmp_path / "voc.tgz"
    write_voc_submission(path, ids[::-1], predictions[::-1], root=voc, split="trainval")
    files = read_archive(path)
    first = Image.open(io.BytesIO(next(iter(files.values()))))
    assert next(iter(files)).endswith("2007_000004.png")
    np.testing.assert_array_equal(np.asarray(first), predictions[-1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ids: ids[:-1], r"got 3.*no prediction: 2007_000004 \(1 in all\)"),
        (lambda ids: [*ids, "2008_000005"], "are not in it: 2008_000005"),
        (lambda ids: [*ids, ids[0]], "occur twice: 2007_000001"),
        (lambda ids: [f"{name}.jpg" for name in ids], "not in it: 2007_000001.jpg"),
        (lambda ids: [], "have no prediction: 2007_000001"),
    ],
)
def test_wrong_ids_are_named(voc, tmp_path, ids, predictions, change, message):
    """The server wants every image of the list once and no other."""
    path = tmp_path / "voc.tgz"
    with pytest.raises(ValueError, match=message):
        write_voc_submission(path, change(ids), predictions, root=voc, split="trainval")
    assert not path.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.T, r"predictions\[1\].*shape \(7, 5\).*got \(5, 7\)"),
        (lambda x: x * 0 + 255, r"predictions\[1\], image 2007_000002.*255\.\.255"),
        (lambda x: x * 0 + 21, r"predictions\[1\], image 2007_000002.*21\.\.21"),
        (lambda x: x.astype(int) * 0 - 1, r"predictions\[1\].*-1\.\.-1; every pixel"),
        (lambda x: x + 0.5, r"predictions\[1\].*integer class labels"),
        (lambda x: voc_colors()[x], r"predictions\[1\].*looks like colors"),
    ],
)
def test_wrong_prediction_is_named(voc, tmp_path, ids, predictions, change, message):
    """What the server could not score is refused before anything is written."""
    path = tmp_path / "new" / "voc.tgz"
    predictions[1] = change(predictions[1])
    with pytest.raises(ValueError, match=message):
        write_voc_submission(path, ids, predictions, root=voc, split="trainval")
    assert not path.parent.exists()


def test_fewer_predictions_than_images_are_refused(voc, tmp_path, ids, predictions):
    """Both numbers are in the error."""
    with pytest.raises(ValueError, match="3 masks for 4 images"):
        write_voc_submission(
            tmp_path / "voc.tgz", ids, predictions[:3], root=voc, split="trainval"
        )


@pytest.mark.parametrize("name", ["voc.zip", "voc", "voc.tar", "tgz"])
def test_other_archives_are_refused(voc, tmp_path, name):
    """The name says what the file is."""
    with pytest.raises(ValueError, match=r"\.tgz or \.tar\.gz"):
        write_voc_submission(tmp_path / name, [], [], root=voc)


def test_failure_leaves_the_older_archive(voc, tmp_path, ids, predictions, monkeypatch):
    """A full disk half way leaves what was there before, and nothing else."""
    path = tmp_path / "out" / "voc.tgz"
    path.parent.mkdir()
    path.write_bytes(b"older")
    encode = voc_submission._encode

    def fail(mask):
        if mask.shape == (7, 5):
            raise OSError("no space left on device")
        return encode(mask)

    monkeypatch.setattr(voc_submission, "_encode", fail)
    with pytest.raises(OSError, match="no space left"):
        write_voc_submission(path, ids, predictions, root=voc, split="trainval")
    assert path.read_bytes() == b"older"
    assert os.listdir(path.parent) == ["voc.tgz"]


@pytest.mark.parametrize(
    "wrong", [{"path": 3}, {"ids": 3}, {"predictions": 3}, {"competition": "comp1"}]
)
def test_wrong_argument_is_named(voc, wrong):
    """An argument of the wrong kind is refused before anything is read."""
    arguments = {"path": "voc.tgz", "ids": [], "predictions": [], "root": voc} | wrong
    with pytest.raises((ValueError, TypeError), match=next(iter(wrong))):
        write_voc_submission(**arguments)
