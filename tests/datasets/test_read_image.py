"""Pictures of every kind are read with the values that their files hold."""

import cv2
import numpy as np
import pytest
from PIL import Image

from sklearn_zoomout.datasets import read_image, read_photograph
from sklearn_zoomout.datasets._pillow_picture import turn_upright

tifffile = pytest.importorskip("tifffile")


@pytest.fixture
def gray():
    return np.random.default_rng(0).integers(0, 256, (4, 6), dtype=np.uint8)


@pytest.fixture
def colors():
    return np.random.default_rng(1).integers(0, 256, (4, 6, 3), dtype=np.uint8)


@pytest.fixture
def deep():
    """Colors of 16 bits, whose low bytes matter."""
    return np.random.default_rng(2).integers(0, 65_536, (4, 6, 3), dtype=np.uint16)


@pytest.fixture
def save(tmp_path):
    """Give a function that saves an array with Pillow and returns the path."""

    def save_as(name, array, mode=None, **options):
        picture = Image.fromarray(array)
        path = tmp_path / name
        (picture.convert(mode) if mode else picture).save(path, **options)
        return path

    return save_as


def equal(image, expected):
    """Compare values and dtype."""
    assert image.dtype == expected.dtype
    np.testing.assert_array_equal(image, expected)


def mode_of(path):
    """Return the mode that Pillow gives a file."""
    with Image.open(path) as picture:
        return picture.mode


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.webp", "a.ppm"])
def test_colors_of_8_bits(save, colors, name):
    """Formats without a loss give back what was saved."""
    options = {"lossless": True} if name == "a.webp" else {}
    equal(read_image(save(name, colors, **options)), colors)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.pgm"])
def test_gray_has_two_dimensions(save, gray, name):
    """There is no axis of channels."""
    equal(read_image(save(name, gray)), gray)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_black_and_white_are_0_and_255(save, gray, name):
    """One bit per pixel."""
    path = save(name, gray > 127)
    assert mode_of(path) == "1"
    equal(read_image(path), np.where(gray > 127, 255, 0).astype(np.uint8))


@pytest.mark.parametrize("name", ["a.png", "a.gif", "a.tif"])
def test_a_palette_becomes_its_colors(save, colors, name):
    """Positions in the palette would mean nothing to a model."""
    path = save(name, colors, "P")
    with Image.open(path) as picture:
        assert picture.mode == "P"
        equal(read_image(path), np.array(picture.convert("RGB")))


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_cmyk_becomes_rgb(save, colors, name):
    """Pictures for print are close to what they were."""
    flat = np.ascontiguousarray(np.broadcast_to(colors[0, 0], (8, 8, 3)))
    image = read_image(save(name, flat, "CMYK"))
    assert image.shape == (8, 8, 3)
    assert np.abs(image - flat.astype(int)).max() < 12


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_gray_of_16_bits(tmp_path, deep, name):
    """All bits are kept."""
    path = tmp_path / name
    assert cv2.imwrite(str(path), deep[..., 0])
    equal(read_image(path), deep[..., 0])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u2", "i2", "u4", "f4", "f8"])
def test_tiff_of_any_number_type(tmp_path, order, dtype):
    """Both orders of bytes become that of the machine."""
    values = np.arange(24).reshape(4, 6).astype(dtype) * 3
    tifffile.imwrite(tmp_path / "a.tif", values, byteorder=order)
    equal(read_image(tmp_path / "a.tif"), values)


@pytest.mark.parametrize("name", ["a.png", "a.ppm"])
def test_colors_of_16_bits(tmp_path, deep, name):
    """Pillow would drop the low bytes."""
    path = tmp_path / name
    assert cv2.imwrite(str(path), deep[..., ::-1])
    assert mode_of(path) == "RGB"
    equal(read_image(path), deep)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_colors_of_16_bits(tmp_path, deep, compression):
    """Pillow would drop the low bytes."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, deep, photometric="rgb", compression=compression)
    equal(read_image(path), deep)


def test_tiff_colors_of_16_bits_compressed_by_lzw(tmp_path, deep):
    """OpenCV decodes what tifffile needs another library for."""
    path = tmp_path / "a.tif"
    options = [cv2.IMWRITE_TIFF_COMPRESSION, 5]
    assert cv2.imwrite(str(path), deep[..., ::-1], options)
    equal(read_image(path), deep)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_bands_are_last(tmp_path, planar, dtype):
    """The file's metadata tells how bands are stored."""
    bands = np.random.default_rng(0).integers(0, 200, (8, 9, 5)).astype(dtype)
    stored = bands if planar == "contig" else np.moveaxis(bands, -1, 0)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, photometric="minisblack", planarconfig=planar)
    equal(read_image(path), bands)


def test_a_fourth_band_that_is_no_alpha_is_kept(tmp_path, gray, colors):
    """Pillow would drop near infrared."""
    bands = np.dstack([colors, gray])
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, bands, photometric="rgb", extrasamples=["unspecified"])
    equal(read_image(path), bands)


def test_white_may_be_0(tmp_path, deep):
    """Inverted gray becomes usual gray."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, deep[..., 0], photometric="miniswhite")
    equal(read_image(path), 65_535 - deep[..., 0])


def test_pages_that_are_channels(tmp_path, deep):
    """ImageJ writes one page per channel."""
    path = tmp_path / "a.tif"
    planes = np.ascontiguousarray(np.moveaxis(deep, -1, 0))
    tifffile.imwrite(path, planes, imagej=True, metadata={"axes": "CYX"})
    equal(read_image(path), deep)


def test_other_pages_must_be_chosen(save, gray, tmp_path):
    """The error names the argument."""
    other = Image.fromarray(255 - gray)
    path = save("a.tif", gray, save_all=True, append_images=[other])
    with pytest.raises(ValueError, match=r"a\.tif: .*got 2 pages; pass page=0"):
        read_image(path)
    equal(read_image(path, page=1), 255 - gray)
    with pytest.raises(ValueError, match=r"page: expected 0\.\.1 .*got 2"):
        read_image(path, page=2)


def test_overviews_are_no_pages(tmp_path, colors):
    """A cloud-optimized GeoTIFF holds one picture."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(colors, photometric="rgb")
        file.write(colors[::2, ::2], photometric="rgb", subfiletype=1)
    equal(read_image(path), colors)


def test_frames_must_be_chosen(save, gray):
    """Animations hold several pictures."""
    frames = [Image.fromarray(gray // 2)]
    path = save("a.gif", gray, save_all=True, append_images=frames)
    with pytest.raises(ValueError, match=r"got 2 frames; pass page=0"):
        read_image(path)
    assert read_image(path, page=1).shape[:2] == gray.shape


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_agrees_with_pillow(save, colors, deep, tmp_path, orientation):
    """EXIF has eight orientations, for pictures of 8 and of 16 bits."""
    exif = Image.Exif()
    exif[274] = orientation
    turned = read_image(save("a.png", colors, exif=exif))
    equal(turned, turn_upright(colors, orientation))
    path = tmp_path / "a.tif"
    tags = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(path, deep, photometric="rgb", extratags=tags)
    equal(read_image(path), turn_upright(deep, orientation))


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_transparent_pixels(save, colors, name):
    """Each value of alpha= does what it says."""
    opacity = np.full(colors.shape[:2], 255, np.uint8)
    options = {"lossless": True, "exact": True} if name == "a.webp" else {}
    path = save(name, np.dstack([colors, opacity]), **options)
    equal(read_image(path), colors)
    opacity[0, 0], opacity[1, 1] = 0, 51
    path = save(name, np.dstack([colors, opacity]), **options)
    with pytest.raises(ValueError, match=r"got 2 transparent ones; pass alpha="):
        read_image(path)
    equal(read_image(path, alpha="drop"), colors)
    equal(read_image(path, alpha="keep"), np.dstack([colors, opacity]))
    white = read_image(path, alpha="white")
    assert white[0, 0].tolist() == [255] * 3
    equal(white[1, 1], np.rint(colors[1, 1] / 5 + 204).astype(np.uint8))
    nodata = read_image(path, alpha="nodata")
    assert nodata.dtype == np.float32
    assert np.isnan(nodata).all(axis=2).sum() == 1
    np.testing.assert_allclose(nodata[1:], colors[1:] / 255, rtol=1e-6)


def test_transparency_of_other_kinds(save, gray, colors, deep, tmp_path):
    """Gray with alpha, a transparent color, and 16 bits."""
    opacity = np.where(gray > 127, 255, 0).astype(np.uint8)
    path = tmp_path / "la.png"
    Image.merge("LA", [Image.fromarray(x) for x in (gray, opacity)]).save(path)
    equal(read_image(path, alpha="drop"), gray)
    equal(read_image(path, alpha="keep"), np.dstack([gray, opacity]))

    clear = np.zeros((2, 3), np.uint8)
    clear[0, 0] = 1
    path = save("key.png", clear, transparency=1)
    equal(read_image(path, alpha="keep")[..., 1], (255 - 255 * clear).astype(np.uint8))
    path = save("palette.gif", np.dstack([colors, opacity]))
    with pytest.raises(ValueError, match="transparent"):
        read_image(path)

    four = np.dstack([deep, deep[..., 0]])
    path = tmp_path / "deep.png"
    assert cv2.imwrite(str(path), four[..., [2, 1, 0, 3]])
    equal(read_image(path, alpha="keep"), four)
    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, four, photometric="rgb", extrasamples=["unassalpha"])
    equal(read_image(path, alpha="keep"), four)


def test_an_unknown_rule_is_refused(save, colors):
    """The error lists the rules."""
    with pytest.raises(ValueError, match=r"alpha: expected one of \['error', 'drop'"):
        read_image(save("a.png", colors), alpha="black")


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_picture_that_may_be_an_attack(
    save, colors, deep, tmp_path, monkeypatch, name
):
    """The error names Pillow's limit and how to raise it."""
    path = save(name, colors)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    with pytest.raises(ValueError, match=r"set PIL\.Image\.MAX_IMAGE_PIXELS = None"):
        read_image(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    equal(read_image(path), colors)


@pytest.mark.parametrize("content", [b"", b"<html></html>", b"II*\0", b"\x89PNG"])
def test_what_is_no_picture_is_refused(tmp_path, content):
    """The error names the file."""
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.png cannot be read as"):
        read_image(path)


def test_a_truncated_picture_is_refused(save, tmp_path):
    """Nothing is filled in."""
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    for name in ("a.png", "a.tif"):
        path = save(name, noise)
        path.write_bytes(path.read_bytes()[:5000])
        with pytest.raises(ValueError, match="cannot be"):
            read_image(path)


def test_photographs_of_16_bits_name_the_other_reader(tmp_path, deep):
    """Its colors are not cut to 8 bits."""
    path = tmp_path / "a.png"
    assert cv2.imwrite(str(path), deep)
    with pytest.raises(ValueError, match=r"got 16; .*datasets\.read_image"):
        read_photograph(path)
