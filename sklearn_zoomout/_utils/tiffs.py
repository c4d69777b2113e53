"""Opening of TIFF files by tifffile, and checks before their pixels are decoded."""

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from lzma import LZMADecompressor
from pathlib import Path
from typing import Any

from .foreign_files import FileError, check_size, explain_damage, open_file
from .optional import explain_missing

# Numbers of compressions whose decoders know no bound, and a bound of their ratio.
_UNBOUNDED: dict[int, Any] = {
    8: zlib.decompressobj,
    32946: zlib.decompressobj,
    34925: LZMADecompressor,
}
_RATIO = 10_000
_LARGE_PART = 10**9  # bytes
_UNCOMPRESSED = 1
_LEAST_PAGE = 100  # bytes: eight tags of twelve


@contextmanager
def open_tiff(path: Path, cure: str) -> Iterator[Any]:
    """Open a TIFF file, with an error that names the file if it is damaged.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    cure : str
        The end of the error, which says what to do.

    Yields
    ------
    tifffile.TiffFile

    Raises
    ------
    ImportError
        If tifffile is missing.
    OSError
        If the file cannot be opened.
    FileError
        If it is damaged. Every error of the block but a FileError becomes one.
    """
    with explain_missing(f"{path}: reading TIFF", "rasters"):
        import tifffile
    with (
        open_file(path) as stream,
        explain_damage(path, "read as a TIFF file", cure),
        tifffile.TiffFile(stream) as file,
    ):
        check_pages(file, path)
        yield file


def check_pages(file: Any, path: Path) -> None:
    """Refuse more pages than a file has place for; they would overlap."""
    n_pages, size = len(file.pages), file.filehandle.size
    if n_pages > 1 and n_pages * _LEAST_PAGE > size:
        raise FileError(
            f"{path}: expected at most {size // _LEAST_PAGE} pages in {size} bytes, "
            f"got {n_pages}; save it again."
        )


def check_number_of_parts(key: Any, path: Path) -> None:
    """Refuse a page that declares more strips or tiles than it lists."""
    expected, n_parts = math.prod(key.chunked), len(key.dataoffsets)
    if n_parts < expected:
        raise FileError(
            f"{path}: expected {expected} strips or tiles, got {n_parts}; save it "
            "again."
        )


def check_image(file: Any, image: Any, path: Path) -> None:
    """Check a page, or a series of pages, before it is decoded.

    Parameters
    ----------
    file : tifffile.TiffFile
        The file.
    image : tifffile.TiffPage or tifffile.TiffPageSeries
        The page or the series.
    path : pathlib.Path
        Its name in errors.

    Raises
    ------
    FileError
        If it is too large, or the file ends before its last pixel.
    """
    key = image.keyframe
    sizes = (*image.shape, key.imagelength, key.imagewidth, key.samplesperpixel)
    if not all(isinstance(size, int) for size in (*sizes, key.bitspersample)):
        raise FileError(f"{path}: expected numbers as its sizes, got {sizes!r:.200}.")
    n_bytes = math.prod(image.shape) * image.dtype.itemsize
    check_size(path, key.imagelength, key.imagewidth, n_bytes)
    check_number_of_parts(key, path)
    # A part that is decoded at a time may be larger than the image.
    tile = (key.tilelength or 1) * (key.tilewidth or 1)
    check_size(path, 1, tile, tile * key.samplesperpixel * image.dtype.itemsize)
    for page in getattr(image, "pages", None) or [image]:
        if page is not None:
            _check_parts(file.filehandle, key, page, path)


def _check_parts(stream: Any, key: Any, page: Any, path: Path) -> None:
    """Check that the strips or tiles of a page are all in the file, and no bombs."""
    parts = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    end = max((offset + count for offset, count in parts), default=0)
    if end > stream.size:
        raise FileError(
            f"{path} cannot be read: expected {end} bytes, got {stream.size}; copy the "
            "whole file again."
        )
    n_bits = key.imagelength * key.imagewidth * key.samplesperpixel * key.bitspersample
    n_bytes = sum(count for _, count in parts)
    is_short = int(key.compression) == _UNCOMPRESSED and 8 * n_bytes < n_bits
    if is_short or not all(count for _, count in parts):
        raise FileError(
            f"{path}: expected the values of {key.imagelength} x {key.imagewidth} "
            f"pixels, got {n_bytes} bytes and parts without data; save it again, or "
            "read it by rasters.open_raster."
        )
    if int(key.compression) in _UNBOUNDED:
        expected = math.prod(key.chunks) * key.dtype.itemsize
        for offset, count in parts:
            if count * _RATIO > _LARGE_PART:
                _check_bomb(stream, offset, count, expected, key, path)


def _check_bomb(
    stream: Any, offset: int, count: int, expected: int, key: Any, path: Path
) -> None:
    """Decompress a part until it is longer than the image allows."""
    stream.seek(offset)
    decompressor = _UNBOUNDED[int(key.compression)]()
    found = decompressor.decompress(stream.read(count), expected + 1)
    if len(found) > expected:
        raise FileError(
            f"{path}: expected parts of {expected} bytes, got one of more; save it "
            "again."
        )
