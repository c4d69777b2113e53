"""Annotation files of strangers are refused before they take memory."""

import json
import tracemalloc

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from sklearn_zoomout import read_masks
from sklearn_zoomout.masks import _annotations
from sklearn_zoomout.masks._shapes import Patch

SIZE = {"imageHeight": 40, "imageWidth": 60}


def coco(segmentation, height=40, width=60):
    """Content of a file of COCO with one object."""
    return {
        "images": [{"id": 1, "height": height, "width": width, "file_name": "a.jpg"}],
        "annotations": [
            {"id": 0, "image_id": 1, "category_id": 3, "segmentation": segmentation}
        ],
    }


def labelme(points, kind="polygon", **size):
    """Content of a file of labelme with one shape."""
    shape = {"label": "a", "shape_type": kind, "points": points}
    return {"shapes": [shape]} | SIZE | size


def cvat(element, width=60):
    """Content of a file of CVAT with one shape."""
    return (
        f'<annotations><image id="0" name="a.jpg" width="{width}" height="40">{element}'
        "</image></annotations>"
    )


def refuse(path, content, match):
    """Check that a file is refused by name, without memory for what it declares."""
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=match) as caught:
            read_masks(path)
        assert tracemalloc.get_traced_memory()[1] < 6e7
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)


def test_entities_are_refused(tmp_path):
    """They expand to gigabytes, or name other files."""
    levels = "".join(
        f'<!ENTITY a{i} "{f"&a{i - 1};" * 10 if i else "ha"}">' for i in range(12)
    )
    bomb = f"<!DOCTYPE x [{levels}]><annotations>&a11;</annotations>"
    refuse(tmp_path / "a.xml", bomb, r"a\.xml: expected XML without a document type")
    other = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><annotations/>'
    refuse(tmp_path / "a.xml", other, "without a document type")
    path = tmp_path / "b.xml"
    path.write_bytes(bomb.encode("utf-16"))
    with pytest.raises(ValueError, match="without a document type"):
        read_masks(path)


@pytest.mark.parametrize(
    "text", ["[" * 10**5, '{"shapes":' * 10**5, '{"shapes": ' + "9" * 5000, "\x00", "{"]
)
def test_deep_and_broken_json_is_refused(tmp_path, text):
    """The parser's recursion and limits are errors of the file."""
    refuse(tmp_path / "a.json", text, r"a\.json cannot be read as JSON")


def test_deep_xml_is_refused(tmp_path):
    """It has no images."""
    refuse(tmp_path / "a.xml", "<a>" * 10**5 + "</a>" * 10**5, "CVAT for images 1.1")


@pytest.mark.parametrize(
    ("height", "width"),
    [(10**6, 10**6), (10**12, 1), (1, 10**12), (0, 5), (-1, 5), ("x", 5), (1e400, 5)],
)
def test_images_of_any_size_are_refused(tmp_path, height, width):
    """Masks have the size that the file declares."""
    size = {"imageHeight": height, "imageWidth": width}
    refuse(tmp_path / "a.json", labelme([[0, 0], [9, 0], [9, 9]], **size), r"a\.json")
    refuse(tmp_path / "b.json", coco([], height, width), r"b\.json")
    region = {"type": "brushlabels", "value": {"brushlabels": ["a"], "rle": [0]}}
    region |= {"original_height": height, "original_width": width}
    task = {"data": {"image": "a"}, "annotations": [{"result": [region]}]}
    refuse(tmp_path / "c.json", [task], r"c\.json")


@pytest.mark.parametrize(
    "counts", [[10**12], [0, 10**12], [2**62] * 4 + [2400], [2**64], [1e30], "PPPP5"]
)
def test_run_lengths_of_many_pixels_are_refused(tmp_path, counts):
    """Those of the object, and those of the image."""
    segmentation = {"counts": counts, "size": [40, 60]}
    refuse(tmp_path / "a.json", coco(segmentation), r"a\.json")
    segmentation = {"counts": [10**12], "size": [10**6, 10**6]}
    refuse(tmp_path / "a.json", coco(segmentation, 10**6, 10**6), "the limit")
    mask = (
        '<mask label="a" rle="{}" left="0" top="0" width="1000000" height="1000000"/>'
    )
    refuse(tmp_path / "a.xml", cvat(mask.format(10**12)), "the limit")


def test_many_masks_of_a_file_take_little_memory(tmp_path):
    """A line of text can be a mask of a whole image."""
    content = coco({"counts": [0, 10**6], "size": [1000, 1000]}, 1000, 1000)
    content["annotations"] *= 100
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    tracemalloc.start()
    masks = read_masks(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (masks[0] == 3).all()
    assert peak < 6e7


def test_patches_keep_their_pixels():
    """They are compressed, of any shape."""
    rng = np.random.default_rng(0)
    for shape in ((0, 0), (1, 1), (3, 5), (16, 16)):
        inside = rng.random(shape) < 0.5
        np.testing.assert_array_equal(Patch.of(inside).unpack(), inside)


@pytest.mark.parametrize("number", [1e9, -1e9, 1e300, float("nan"), float("inf")])
@pytest.mark.parametrize("kind", ["polygon", "linestrip", "points", "circle"])
def test_positions_far_away_are_refused(tmp_path, number, kind):
    """They would overflow, or be drawn for minutes."""
    points = [[0, 0], [number, 5], [9, 9]]
    refuse(tmp_path / "a.json", labelme(points, kind), r"a\.json cannot be read")


def test_shapes_just_within_the_limit_are_drawn(tmp_path):
    """A line of ten million pixels is cut at the border."""
    path = tmp_path / "a.json"
    far = [[-9e6, 20], [9e6, 20]]
    path.write_text(json.dumps(labelme(far, "linestrip")))
    assert (read_masks(path)[0][20] == 0).all()


def test_annotation_files_have_a_limit(tmp_path, monkeypatch):
    """A billion coordinates do not fit into the largest file."""
    monkeypatch.setattr(_annotations, "LARGEST", 100)
    assert 2**30 < 2 * 10**9
    points = np.zeros((100, 2)).tolist()
    refuse(tmp_path / "a.json", labelme(points), r"a\.json: expected at most 100 bytes")


@pytest.mark.parametrize("shape", ["(1000000000000,)", "(100000, 100000)"])
def test_arrays_that_are_longer_than_their_file_are_refused(tmp_path, shape):
    """The header of an .npy file may declare anything."""
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((4, 4), np.uint8))
    content = path.read_bytes().replace(b"(4, 4), }" + b" " * 20, b"(4, 4), }")
    header = content[10:].partition(b"\n")[0].replace(b"(4, 4)", shape.encode())
    content = content[:8] + (len(header) + 1).to_bytes(2, "little") + header + b"\n"
    path.write_bytes(content + b"\0" * 16)
    with pytest.raises(ValueError, match=r"a\.npy cannot be read as an array"):
        read_masks(path)


def test_arrays_in_hdf5_are_in_their_file(tmp_path):
    """Neither far larger than it, nor the bytes of another file."""
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (10**6, 10**6), np.uint8, chunks=(1000, 1000))
    with pytest.raises(ValueError, match=r"a\.h5 .*the limit"):
        read_masks(path)
    other = tmp_path / "secret"
    other.write_bytes(b"\1" * 16)
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (4, 4), np.uint8, external=[(str(other), 0, 16)])
    with pytest.raises(ValueError, match=r"a\.h5: expected an array in this file"):
        read_masks(path)


@pytest.mark.parametrize(
    "note", [{"names": 5}, {"names": {"x": "a"}}, {"unlabeled": [1]}, {"names": [1]}]
)
def test_damaged_notes_are_refused(tmp_path, note):
    """A note of write_labels has names of labels, and a mark."""
    info = PngImagePlugin.PngInfo()
    info.add_text("sklearn_zoomout", json.dumps({"sklearn_zoomout": note}))
    path = tmp_path / "a.png"
    Image.new("L", (4, 4)).save(path, pnginfo=info)
    with pytest.raises(ValueError, match=r"a\.png: expected names and unlabeled"):
        read_masks(path)


def test_noise_has_no_colors_of_classes(tmp_path):
    """The error names the file."""
    path = tmp_path / "a.png"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    with pytest.raises(ValueError, match=r"a\.png: expected a color per class, got"):
        read_masks(path)
