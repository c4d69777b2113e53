"""Rasters of strangers are read in windows, or refused by name."""

import json
import os
import pickle

import numpy as np
import pytest

from sklearn_zoomout.rasters import open_raster
from sklearn_zoomout.rasters._source import ArraySource, PaletteSource
from sklearn_zoomout.rasters._window import Window

tifffile = pytest.importorskip("tifffile")


class Touch:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["a.tif", "a.img", "a.dat"])
def test_files_that_name_others_must_say_so(tmp_path, name):
    """GDAL goes by the content, and would read the other file."""
    rasterio = pytest.importorskip("rasterio")
    other = tmp_path / "other.tif"
    tifffile.imwrite(other, np.ones((4, 4), np.uint8))
    text = (
        '<VRTDataset rasterXSize="4" rasterYSize="4"><VRTRasterBand dataType="Byte" '
        f'band="1"><SimpleSource><SourceFilename>{other}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises((ValueError, OSError), match=name):
        open_raster(path)
    assert rasterio is not None
    path = path.rename(tmp_path / "a.vrt")
    with open_raster(path) as raster:
        assert (raster.read(0, 0, 4, 4) == 1).all()


def test_chunks_that_are_pickles_are_refused(tmp_path):
    """They would be run when a window is read."""
    pytest.importorskip("zarr")
    path = tmp_path / "a.zarr"
    path.mkdir()
    metadata = {
        **{"zarr_format": 2, "shape": [4, 4], "chunks": [4, 4], "dtype": "<f4"},
        **{"compressor": {"id": "pickle", "protocol": 4}, "fill_value": 0},
        **{"order": "C", "filters": None},
    }
    (path / ".zarray").write_text(json.dumps(metadata))
    (path / "0.0").write_bytes(pickle.dumps(Touch(tmp_path / "touched")))
    with pytest.raises(ValueError, match=r"a\.zarr"):
        open_raster(path)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("name", ["a.tif", "a.npy", "a.img"])
def test_pipes_are_refused(tmp_path, name):
    """A read would wait forever."""
    path = tmp_path / name
    os.mkfifo(path)
    with pytest.raises(ValueError, match=f"{name}: expected a regular file"):
        open_raster(path)


def test_pages_in_a_circle_come_to_an_end(tmp_path):
    """Each page names the next, and the last one the first."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for _ in range(3):
            file.write(np.zeros((4, 4), np.uint8))
    with tifffile.TiffFile(path) as file:
        first, last = file.pages[0].offset, file.pages[2]
        place = last.offset + 2 + 12 * len(last.tags)
    content = bytearray(path.read_bytes())
    content[place : place + 4] = first.to_bytes(4, "little")
    path.write_bytes(content)
    # tifffile alone would follow them forever.
    with open_raster(path, page=0) as raster:
        assert raster.read(0, 0, 4, 4).shape == (4, 4, 1)


def test_pages_that_overlap_are_refused(tmp_path):
    """A small file has no place for many of them."""
    path = tmp_path / "a.tif"
    n_pages = 60
    links = [8 + 6 * i for i in range(1, n_pages)] + [0]
    pages = b"".join(b"\0\0" + link.to_bytes(4, "little") for link in links)
    path.write_bytes(b"II*\0" + (8).to_bytes(4, "little") + pages)
    with pytest.raises((ValueError, OSError), match=r"a\.tif"):
        open_raster(path, channel_axis=0)


def test_arrays_without_pixels_are_refused(tmp_path):
    """The error names the file."""
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((0, 4), np.uint8))
    with pytest.raises(ValueError, match=r"a\.npy"):
        open_raster(path)


@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "u4", "i8"])
def test_numbers_beyond_a_palette_are_black(dtype):
    """Whatever their type is; no table of all its values is made."""
    values = np.array([[0, 1]]).astype(dtype)
    palette = np.array([[255, 0, 0]], np.uint8)
    source = PaletteSource(ArraySource(values), palette)
    found = source.read(Window(0, 0, 1, 2), [0, 1, 2])
    assert found.tolist() == [[[255, 0, 0], [0, 0, 0]]]
