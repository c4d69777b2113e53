"""Pictures of strangers are read as they are, or refused by name."""

import io
import os
import struct
import tarfile
import tracemalloc
import warnings
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from sklearn_zoomout import read_mask
from sklearn_zoomout.datasets import (
    fetch_stanford_background,
    read_image,
    read_photograph,
)

tifffile = pytest.importorskip("tifffile")
READERS = [read_photograph, read_image, read_mask]
READERS = [pytest.param(read, id=read.__name__) for read in READERS]


def png(width, height, depth=8, color=0, rows=b""):
    """Return the bytes of a PNG file with any sizes in its header."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body))
        + kind
        + body
        + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def refuse(read, path, match):
    """Check that a reader names the file, and takes no memory for what it declares."""
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(ValueError, match=match) as caught:
                read(path)
        assert tracemalloc.get_traced_memory()[1] < 3e7
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("size", [(170_000_000, 1), (1, 170_000_000), (13_300, 13_300)])
def test_the_limit_is_the_stated_one(tmp_path, read, size):
    """Pillow alone refuses twice as many pixels, and runs out of memory for a row."""
    path = tmp_path / "a.png"
    path.write_bytes(png(*size, rows=b"\0" * 1000))
    refuse(read, path, r"MAX_IMAGE_PIXELS = 89478485 pixels, the limit.* = None")


def test_the_limit_counts_every_pixel(tmp_path, monkeypatch):
    """As many as stated are read, one more is not."""
    path = tmp_path / "a.png"
    Image.new("L", (6, 4)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24)
    assert read_image(path).shape == (4, 6)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 23)
    refuse(read_image, path, "at most PIL.Image.MAX_IMAGE_PIXELS = 23 pixels")


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("compressed", [True, False])
def test_a_huge_text_chunk_is_refused(tmp_path, read, compressed):
    """It is no bomb, and the error names the file."""
    path = tmp_path / "a.png"
    info = PngImagePlugin.PngInfo()
    info.add_itxt("a", "x" * 3_000_000, zip=compressed)
    Image.new("L", (4, 4)).save(path, pnginfo=info)
    if compressed:
        refuse(read, path, "cannot be read")
    else:
        assert read(path).shape[:2] == (4, 4)


@pytest.mark.parametrize("tag", ["ImageWidth", "ImageLength", "TileWidth"])
@pytest.mark.parametrize("number", [0, 2**31, 2**32 - 1, (3, 4)])
@pytest.mark.parametrize("read", READERS[1:])
def test_tiff_files_with_damaged_sizes_are_refused(tmp_path, read, tag, number):
    """Also if a size has become several numbers."""
    path = tmp_path / "a.tif"
    values = np.zeros((16, 16, 3), np.uint16)
    tifffile.imwrite(path, values, photometric="rgb", tile=(16, 16))
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags[tag].overwrite(number, dtype="I")
    refuse(read, path, "a.tif")


@pytest.mark.parametrize("read", READERS)
def test_pipes_are_refused(tmp_path, read):
    """A read from a pipe would wait forever."""
    path = tmp_path / "a.png"
    os.mkfifo(path)
    refuse(read, path, "expected a regular file, got a pipe")


@pytest.mark.parametrize("read", READERS)
def test_devices_and_folders_are_refused(tmp_path, read):
    """Neither is a picture."""
    device = tmp_path / "a.png"
    device.symlink_to("/dev/zero")
    refuse(read, device, "expected a regular file")
    folder = tmp_path / "b.png"
    folder.mkdir()
    if read is not read_mask:
        with pytest.raises(IsADirectoryError, match=r"b\.png"):
            read(folder)


def test_formats_that_are_not_listed_are_refused(tmp_path):
    """Pillow would read more of them, some by starting programs."""
    for kind in ("ICO", "PCX", "EPS"):
        path = tmp_path / "a.png"
        Image.new("RGB", (16, 16)).save(path, kind)
        refuse(read_image, path, "cannot be read as a BMP or GIF")
        refuse(read_photograph, path, "cannot be read as a BMP or JPEG")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("depth", ["8 bits", "16 bits", "16 bits gray"])
def test_all_orientations_of_png(tmp_path, orientation, depth):
    """EXIF turns pictures of 8 and of 16 bits alike, and their masks."""
    from sklearn_zoomout.datasets._pillow_picture import turn_upright

    exif = Image.Exif()
    exif[274] = orientation
    rng, path = np.random.default_rng(0), tmp_path / "a.png"
    values = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    if depth == "8 bits":
        Image.fromarray(values).save(path, exif=exif)
        np.testing.assert_array_equal(
            read_photograph(path), turn_upright(values, orientation)
        )
        labels = tmp_path / "b.png"
        Image.fromarray(values[..., 0] % 3).save(labels, exif=exif)
        np.testing.assert_array_equal(
            read_mask(labels), turn_upright(values[..., 0] % 3, orientation)
        )
    else:
        shape = (4, 6, 3) if depth == "16 bits" else (4, 6)
        values = rng.integers(0, 65_536, shape, dtype=np.uint16)
        plain = cv2.imencode(".png", values[..., ::-1] if values.ndim == 3 else values)
        path.write_bytes(with_exif(plain[1].tobytes(), exif))
    np.testing.assert_array_equal(read_image(path), turn_upright(values, orientation))


def with_exif(content, exif):
    """Insert EXIF data after the header of a PNG file."""
    body = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body)) + b"eXIf" + body
    chunk += struct.pack(">I", zlib.crc32(b"eXIf" + body))
    return content[:33] + chunk + content[33:]


@pytest.mark.parametrize("ending", [".png", ".tif", ".ppm"])
def test_truncated_files_of_16_bits_are_refused(tmp_path, ending):
    """Nothing is filled in, though OpenCV would give a part of a picture."""
    path = tmp_path / f"a{ending}"
    rng = np.random.default_rng(0)
    assert cv2.imwrite(str(path), rng.integers(0, 65_536, (40, 40, 3), dtype=np.uint16))
    content = path.read_bytes()
    for left in (len(content) // 2, len(content) - 40):
        path.write_bytes(content[:left])
        refuse(read_image, path, f"a{ending}")


def test_strips_that_decompress_to_more_are_refused(tmp_path, monkeypatch):
    """tifffile would decompress all of it."""
    from sklearn_zoomout._utils import tiffs

    monkeypatch.setattr(tiffs, "_LARGE_PART", 1000)
    path = tmp_path / "a.tif"
    values = np.zeros((16, 16), np.float32)
    tifffile.imwrite(path, values, compression="zlib")
    np.testing.assert_array_equal(read_image(path), values)
    bomb = zlib.compress(b"\0" * 10**6)
    with tifffile.TiffFile(path, mode="r+") as file:
        tags = file.pages[0].tags
        tags["StripOffsets"].overwrite(len(path.read_bytes()))
        tags["StripByteCounts"].overwrite(len(bomb))
    path.write_bytes(path.read_bytes() + bomb)
    refuse(read_image, path, "expected parts of 1024 bytes, got one of more")


class TestArchive:
    """The archive of Stanford Background."""

    def write(self, folder, change):
        """Write an archive of one image and what `change` adds."""
        picture = io.BytesIO()
        Image.new("RGB", (4, 3)).save(picture, "JPEG")
        with tarfile.open(folder / "iccv09Data.tar.gz", "w:gz") as tar:
            for name, content in (
                ("images/1.jpg", picture.getvalue()),
                ("labels/1.regions.txt", b"0 1 2 3\n" * 3),
            ):
                member = tarfile.TarInfo(f"iccv09Data/{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            change(tar)
        return folder

    @pytest.mark.parametrize("target", ["nowhere", "2.jpg", "/etc/passwd"])
    @pytest.mark.parametrize(
        "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE]
    )
    def test_links_and_devices_are_refused(self, tmp_path, target, kind):
        """Also those that lead to themselves."""

        def add(tar):
            member = tarfile.TarInfo("iccv09Data/images/2.jpg")
            member.type, member.linkname = kind, target
            tar.addfile(member)

        with pytest.raises(ValueError, match=r"iccv09Data\.tar\.gz: .*got a link or"):
            fetch_stanford_background(self.write(tmp_path, add))

    def test_huge_members_are_refused(self, tmp_path):
        """Before they are read."""

        def add(tar):
            member = tarfile.TarInfo("iccv09Data/images/2.jpg")
            member.size = 10**8
            tar.addfile(member, io.BytesIO(b"\0" * 10**8))

        with pytest.raises(
            ValueError, match="of at most 10000000 bytes, got 100000000"
        ):
            fetch_stanford_background(self.write(tmp_path, add))

    def test_damaged_horizons_are_refused(self, tmp_path):
        """The error names the archive."""

        def add(tar):
            member = tarfile.TarInfo("iccv09Data/horizons.txt")
            member.size = 8
            tar.addfile(member, io.BytesIO(b"1 4 3 x\n"))

        with pytest.raises(ValueError, match=r"tar\.gz: horizons\.txt cannot be read"):
            fetch_stanford_background(self.write(tmp_path, add))
