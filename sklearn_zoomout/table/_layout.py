"""The files of a stored table.

A folder contains

- ``manifest.json``: the dtype, the blocks with the names of their columns, the number
  of images, how many of them are finished, and how images are read. It is replaced as
  a whole after other files were written, so that bytes beyond what it describes can be
  ignored.
- ``images.bin``: a record of each image, see `IMAGE_RECORD`.
- ``segments.bin``: the label maps of all images, one after the other.
- ``block_0.bin``, ``block_1.bin``, ...: the values of each block, one row after the
  other. A block that is the same for all superpixels of an image has one row per image.
- ``lock``: an empty file that is locked while `store_features` writes.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.digests import digest_array
from .._utils.writing import write_whole
from ..superpixels import SegmentedImage
from ..superpixels._reading import Reading

#: The version of the layout. Raise it when files or entries of the manifest change.
FORMAT = 3
MANIFEST, IMAGES, SEGMENTS = "manifest.json", "images.bin", "segments.bin"
_ENTRIES = {
    *("finished", "dtype", "n_images", "n_done", "blocks"),
    *("transformer", "digest", "reading"),
}
#: The size of an image, the number of its superpixels, the one that has no data or -1,
#: the number of bands, 0 of an RGB image, and a hash of the pixels.
IMAGE_RECORD = np.dtype(
    [
        *(("height", "<i8"), ("width", "<i8"), ("n_segments", "<i8")),
        *(("nodata_segment", "<i8"), ("n_bands", "<i8"), ("digest", "S16")),
    ]
)
SEGMENT_TYPE = np.dtype("<u2")
#: The largest number of superpixels of an image, since label maps are uint16.
MAX_SEGMENTS = 2**16


def block_file(i: int) -> str:
    """Return the name of the file of the i-th block."""
    return f"block_{i}.bin"


def digest_image(image: NDArray[Any]) -> bytes:
    """Return a hash of the pixels, the shape and the dtype of an image.

    Parameters
    ----------
    image : ndarray of shape (height, width, n_channels)

    Returns
    -------
    bytes
        16 hexadecimal digits, as in `IMAGE_RECORD`.
    """
    return digest_array(image)[:16].encode()


def pixels_of(item: Any, reading: Reading, name: str) -> NDArray[Any]:
    """Return the pixels of an image, as it is read, or of a `SegmentedImage`."""
    if isinstance(item, SegmentedImage):
        return item.image
    return reading.read_one(item, name).image


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read and check the manifest of a folder.

    Parameters
    ----------
    folder : path
        The folder.

    Returns
    -------
    dict

    Raises
    ------
    FileNotFoundError
        If the folder has no manifest.
    ValueError
        If the manifest cannot be read, or has another format.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} contains no stored features ({MANIFEST} is missing); compute "
            "them with store_features."
        )
    try:
        manifest = json.loads(path.read_bytes())
        version = manifest["format"]
        missing = _ENTRIES - manifest.keys() if version == FORMAT else ()
        if missing:
            raise KeyError(*missing)
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(
            f"{path} cannot be read ({error!r}); delete the folder and compute the "
            "features again with store_features."
        ) from error
    if version != FORMAT:
        raise ValueError(
            f"{path}: expected format {FORMAT}, got {version!r}, which another version "
            "of sklearn-zoomout wrote; use that version, or delete the folder and "
            "compute the features again with store_features."
        )
    return manifest


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Replace the manifest of a folder, completely or not at all.

    Parameters
    ----------
    folder : path
        The folder.
    manifest : dict
        The new manifest.
    """
    with write_whole(folder / MANIFEST) as file:
        file.write(json.dumps(manifest).encode())
        file.flush()
        os.fsync(file.fileno())


def read_records(folder: Path, n_images: int) -> NDArray[Any]:
    """Read the records of the first images.

    Parameters
    ----------
    folder : path
        The folder.
    n_images : int
        The number of images.

    Returns
    -------
    ndarray of IMAGE_RECORD of shape (n_images,)
    """
    if n_images == 0:  # the file can be missing
        return np.empty(0, IMAGE_RECORD)
    return np.fromfile(folder / IMAGES, IMAGE_RECORD, n_images)


def file_sizes(manifest: dict[str, Any], records: NDArray[Any]) -> dict[str, int]:
    """Compute the size of each file.

    Parameters
    ----------
    manifest : dict
        The manifest, which lists the blocks.
    records : ndarray of IMAGE_RECORD of shape (n_images,)
        The images.

    Returns
    -------
    dict of int
        The size in bytes by the name of the file.
    """
    n_images, n_rows = len(records), int(records["n_segments"].sum())
    n_pixels = int((records["height"] * records["width"]).sum())
    sizes = {
        IMAGES: n_images * IMAGE_RECORD.itemsize,
        SEGMENTS: n_pixels * SEGMENT_TYPE.itemsize,
    }
    itemsize = np.dtype(manifest["dtype"]).itemsize
    for i, block in enumerate(manifest["blocks"]):
        rows = n_images if block["per_image"] else n_rows
        sizes[block_file(i)] = rows * len(block["columns"]) * itemsize
    return sizes


def check_files(folder: Path, manifest: dict[str, Any]) -> NDArray[Any]:
    """Check the sizes of the files, and read the records of the finished images.

    Parameters
    ----------
    folder : path
        The folder.
    manifest : dict
        Its manifest.

    Returns
    -------
    ndarray of IMAGE_RECORD of shape (n_done,)

    Raises
    ------
    ValueError
        If a file is too short, or too long although the folder is finished.
    """
    n_images = manifest["n_done"]
    found = {p.name: p.stat().st_size for p in folder.glob("*.bin")}
    expected = {IMAGES: n_images * IMAGE_RECORD.itemsize}
    if found.get(IMAGES, 0) >= expected[IMAGES]:
        expected = file_sizes(manifest, read_records(folder, n_images))
    for name, size in expected.items():
        actual = found.get(name, 0)
        # Bytes of images that were not finished are overwritten.
        if actual < size or (manifest["finished"] and actual > size):
            raise ValueError(
                f"{folder / name}: expected {size} bytes, got {actual}; the file is "
                "damaged. Delete the folder and compute the features again with "
                "store_features."
            )
    return read_records(folder, n_images)
