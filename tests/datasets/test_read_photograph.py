"""Photographs are read from their paths, upright and as RGB, or refused by name."""

import numpy as np
import pytest
from PIL import Image

from sklearn_zoomout import SuperpixelSegmenter
from sklearn_zoomout.datasets import FileSequence, read_photograph


@pytest.fixture
def save(tmp_path):
    """Give a function that saves a picture and returns its path."""

    def save_as(name, array, mode=None, **options):
        picture = Image.fromarray(np.asarray(array, np.uint8))
        path = tmp_path / name
        (picture.convert(mode) if mode else picture).save(path, **options)
        return path

    return save_as


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff"])
def test_pixels_are_those_of_the_file(save, pixels, name):
    """Formats without a loss give back what was saved."""
    np.testing.assert_array_equal(read_photograph(save(name, pixels)), pixels)


@pytest.mark.parametrize(("name", "mode"), [("a.png", "L"), ("a.png", "P")])
def test_other_colors_become_rgb(save, pixels, name, mode):
    """Gray and palettes have three channels afterwards."""
    path = save(name, pixels, mode)
    with Image.open(path) as picture:
        assert picture.mode == mode
        expected = np.array(picture.convert("RGB"))
    np.testing.assert_array_equal(read_photograph(path), expected)


def test_cmyk_becomes_rgb(save, pixels):
    """Photographs for print are close to what they were."""
    flat = np.broadcast_to(pixels[0, 0], (8, 8, 3))
    read = read_photograph(save("a.jpg", flat, "CMYK"))
    assert np.abs(read - flat.astype(int)).max() < 12


def test_a_turned_photograph_is_given_upright(save, pixels):
    """EXIF's orientation 6 is a quarter turn."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save("a.png", pixels, exif=exif)
    np.testing.assert_array_equal(read_photograph(path), np.rot90(pixels, -1))


def test_a_sequence_of_paths_takes_the_place_of_a_list(save, images):
    """Superpixels are the same as those of the arrays."""
    paths = [save(f"{i}.png", image) for i, image in enumerate(images)]
    segmenter = SuperpixelSegmenter(n_segments=20)
    lazy = segmenter.fit_transform(FileSequence(read_photograph, paths))
    for one, other in zip(lazy, segmenter.transform(images), strict=True):
        np.testing.assert_array_equal(one.segments, other.segments)


@pytest.mark.parametrize("content", [b"", b"<html></html>", b"\xff\xd8\xff\xe0"])
def test_what_is_no_photograph_is_refused(tmp_path, content):
    """The error names the file."""
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.jpg cannot be read as a BMP or JPEG"):
        read_photograph(path)


def test_a_truncated_photograph_is_refused(save, images):
    """Nothing is filled in with gray."""
    path = save("a.jpg", images[0])
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"a\.jpg cannot be read"):
        read_photograph(path)


def test_transparent_deep_and_animated_pictures_are_refused(save, pixels, tmp_path):
    """No rule says what their pixels are."""
    with pytest.raises(ValueError, match="mode RGBA; convert the file"):
        read_photograph(save("a.png", pixels, "RGBA"))
    deep = tmp_path / "deep.png"
    Image.fromarray(np.full((3, 3), 999, np.uint16)).save(deep)
    with pytest.raises(ValueError, match="got mode I;16"):
        read_photograph(deep)
    other = Image.fromarray(255 - pixels)
    animated = save("b.png", pixels, save_all=True, append_images=[other])
    with pytest.raises(ValueError, match="got 2 frames"):
        read_photograph(animated)


def test_a_missing_photograph_keeps_its_own_error(tmp_path):
    """Python's error names the path already."""
    with pytest.raises(FileNotFoundError, match="none.jpg"):
        read_photograph(tmp_path / "none.jpg")


def test_the_first_frame_of_a_telephones_jpeg_is_read(tmp_path):
    """MPO files hold a preview or a second view besides."""
    pixels = np.full((8, 12, 3), 128, dtype=np.uint8)
    path = tmp_path / "telephone.jpg"
    frames = {"save_all": True, "append_images": [Image.fromarray(pixels[:4])]}
    Image.fromarray(pixels).save(path, "MPO", **frames)
    np.testing.assert_allclose(read_photograph(path), pixels, atol=2)


def test_a_folder_is_no_list_of_files(tmp_path):
    """A string would be taken for its letters."""
    for folder in (tmp_path, str(tmp_path)):
        with pytest.raises(TypeError, match="list them"):
            FileSequence(read_photograph, folder)
