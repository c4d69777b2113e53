"""Files of masks that are rare, or that are none."""

import numpy as np
import pytest
from PIL import Image

from sklearn_zoomout import read_mask, read_masks
from sklearn_zoomout.masks._colors import as_rgb, color_table, is_color
from sklearn_zoomout.masks._runs import crop, decode_brush

LABELS = np.repeat([[0, 1, 2, 2], [1, 1, 0, 2]], 10, axis=0).repeat(10, axis=1)


def test_a_file_of_several_pages_is_refused(tmp_path):
    """The error says how many there are."""
    pages = [Image.fromarray(LABELS.astype(np.uint8))] * 3
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match=r"a\.tif: expected one mask, got 3 pages"):
        read_mask(tmp_path / "a.tif")


def test_transparent_pixels_of_gray_pictures_are_unlabeled(tmp_path):
    """The gray levels of the others are their labels."""
    alpha = np.where(LABELS == 2, 0, 255)
    Image.fromarray(np.dstack([LABELS, alpha]).astype(np.uint8)).save(
        tmp_path / "a.png"
    )
    expected = np.where(LABELS == 2, -1, LABELS)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([["a", "b"]]), "expected integer class labels, got dtype <U1"),
        (np.zeros((2, 3, 4)), r"one label map .*got shape \(2, 3, 4\)"),
        (np.array([[0.5]]), "expected integer class labels, got 0.5"),
    ],
)
def test_arrays_that_are_no_masks_are_refused(tmp_path, values, message):
    """The error names the file."""
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ValueError, match=rf"a\.npy: .*{message}"):
        read_mask(tmp_path / "a.npy")


def test_hdf5_files_without_one_array_are_refused(tmp_path):
    """As are those that are damaged."""
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["group/one"], file["two"] = np.zeros((2, 3)), np.zeros(4)
    with pytest.raises(
        ValueError, match=r"got \{'group/one': \(2, 3\), 'two': \(4,\)\}"
    ):
        read_mask(path)
    path.write_bytes(b"no HDF5")
    with pytest.raises(ValueError, match=r"a\.h5 cannot be read as an HDF5 file"):
        read_mask(path)


def test_masks_of_many_labels_print_the_first(tmp_path):
    """And the number of the others."""
    np.save(tmp_path / "a.npy", np.arange(1000).reshape(20, 50))
    masks = read_masks(tmp_path)
    assert "and 979 more labels" in repr(masks)


@pytest.mark.parametrize(
    ("color", "expected"),
    [
        ("red", (255, 0, 0)),
        ("#01020380", (1, 2, 3)),
        ([1, 2, 255], (1, 2, 255)),
        (np.array([0, 0, 0], np.uint8), (0, 0, 0)),
    ],
)
def test_colors_have_names_or_numbers(color, expected):
    """All become three integers."""
    assert as_rgb(color) == expected
    assert is_color(color)


@pytest.mark.parametrize(
    "color", ["reddish", "", (1, 2), (1, 2, 256), (-1, 2, 3), (1.0, 2, 3), 5, [[1], 2]]
)
def test_other_colors_are_refused(color):
    """The error shows them."""
    assert not is_color(color)
    with pytest.raises(ValueError, match="^stroke: expected colors such as"):
        as_rgb(color, "stroke")


def test_colors_must_be_distinct():
    """And there must be one."""
    for colors in (["red", (255, 0, 0)], []):
        with pytest.raises(ValueError, match="^colors: expected distinct colors"):
            color_table(colors)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "got other numbers"),
        ([0, 300], "got other numbers"),
        ([-1, 0], "got other numbers"),
        ([0, 0, 0, 9], "got too few"),
        ([0, 0, 0, 9] + [255] * 9, "8 bits per value, got 32"),
    ],
)
def test_brushes_that_are_none_are_refused(data, message):
    """They are bytes, and as many as they say."""
    with pytest.raises(ValueError, match=message):
        decode_brush(data, 1)


def test_nothing_is_cut_to_nothing():
    """An object without pixels has no corner."""
    patch, corner = crop(np.zeros((4, 5), dtype=bool))
    assert (patch.size, corner) == (0, (0, 0))
