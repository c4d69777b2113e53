"""Label maps in files that open in color, and back."""

import numpy as np
import pytest
from PIL import Image

from sklearn_zoomout import read_mask, read_masks, write_labels
from sklearn_zoomout.plotting import PALETTE, UNLABELED_COLOR

LABELS = np.array([[0, 1, 2, -1], [7, 7, 0, -1]])


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.TIFF"])
@pytest.mark.parametrize(
    "labels",
    [LABELS, np.array([[0, 254, -1]]), np.array([[0, 255]]), np.array([[0, 300, -1]])],
    ids=["few", "254 and unlabeled", "255", "300"],
)
def test_the_same_labels_are_read_again(tmp_path, name, labels):
    """Whatever number unlabeled pixels have in the file."""
    write_labels(tmp_path / "new" / name, labels)
    np.testing.assert_array_equal(read_mask(tmp_path / "new" / name), labels)
    write_labels(tmp_path / name, labels.tolist())
    assert (tmp_path / name).read_bytes() == (tmp_path / "new" / name).read_bytes()


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_the_file_opens_in_color(tmp_path, name):
    """The colors are those of the figures, and unlabeled pixels are 255 and gray."""
    write_labels(tmp_path / name, LABELS)
    with Image.open(tmp_path / name) as picture:
        indices, rgb = np.array(picture), np.array(picture.convert("RGB"))
    np.testing.assert_array_equal(indices, np.where(LABELS == -1, 255, LABELS))
    for label in np.unique(LABELS):
        color = UNLABELED_COLOR if label == -1 else PALETTE[label]
        (found,) = np.unique(rgb[label == LABELS], axis=0).tolist()
        assert "#{:02X}{:02X}{:02X}".format(*found) == color


def test_all_colors_of_a_palette_differ(tmp_path):
    """Also those of 256 labels."""
    write_labels(tmp_path / "a.png", np.arange(256)[None])
    with Image.open(tmp_path / "a.png") as picture:
        assert len({picture.getpixel((i, 0)) for i in range(256)}) == 256
        rgb = np.array(picture.convert("RGB"))
    assert len(np.unique(rgb.reshape(-1, 3), axis=0)) == 256


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_names_and_colors_stand_in_the_file(tmp_path, name):
    """They are read again, also by name."""
    colors = {"tree": "green", "sea": (0, 0, 200)}
    names = {0: "sky", 1: "tree", 7: "sea"}
    write_labels(tmp_path / name, LABELS, colors, names)
    masks = read_masks([tmp_path / name])
    assert masks.names == names
    assert masks.colors[1] == (0, 128, 0)
    assert masks.colors[7] == (0, 0, 200)
    assert masks.unlabeled == (255,)
    write_labels(tmp_path / name, masks[0], masks.colors, masks.names)
    assert repr(read_masks([tmp_path / name])) == repr(masks)


def test_numbers_above_256_are_stored_in_16_bits(tmp_path):
    """Unlabeled pixels are then 65535."""
    write_labels(tmp_path / "a.png", np.array([[0, 300, -1]]))
    with Image.open(tmp_path / "a.png") as picture:
        assert np.array(picture).tolist() == [[0, 300, 65535]]


@pytest.mark.parametrize(
    ("name", "labels", "message"),
    [
        ("a.jpg", LABELS, "path: expected a file that ends in .png"),
        ("a.png", LABELS[None], r"labels: expected a label map .*\(1, 2, 4\)"),
        ("a.png", LABELS + 0.5, r"labels: expected integer .* 0\.5"),
        ("a.png", LABELS - 5, "labels: expected labels >= 0"),
        ("a.png", LABELS + 65_530, "labels: expected labels below 65535, got 65537"),
        ("a.png", np.zeros((0, 4), int), r"\(0, 4\)"),
    ],
)
def test_what_is_no_label_map_is_refused(tmp_path, name, labels, message):
    """No file is left."""
    with pytest.raises(ValueError, match=message):
        write_labels(tmp_path / name, labels)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    """The file is replaced only when it is complete."""
    write_labels(tmp_path / "a.png", LABELS)
    before = (tmp_path / "a.png").read_bytes()

    def save(picture, file, **options):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(OSError, match="disk full"):
        write_labels(tmp_path / "a.png", LABELS + 1)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == before
