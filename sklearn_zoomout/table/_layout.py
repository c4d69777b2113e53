"""The files of a stored table.

A folder contains

- ``manifest.json``: the dtype, the blocks with the names of their columns, the number
  of images, how many of them are finished, how images are read, and a checksum. It is
  replaced as a whole after other files were written, so that bytes beyond what it
  describes can be ignored.
- ``images.bin``: a record of each image, see `record_type`.
- ``segments.bin``: the label maps of all images, one after the other.
- ``block_0.bin``, ``block_1.bin``, ...: the values of each block, one row after the
  other. A block that is the same for all superpixels of an image has one row per image.
- ``lock``: an empty file that is locked while `store_features` writes.

The record of an image has checksums of its label map and of its rows in every block.
They are compared when these are read, see ``_checksums``.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.digests import digest_array
from .._utils.writing import write_whole
from ..superpixels import SegmentedImage
from ..superpixels._reading import Reading

#: The version of the layout. Raise it when files or entries of the manifest change.
FORMAT = 4
MANIFEST, IMAGES, SEGMENTS = "manifest.json", "images.bin", "segments.bin"
DTYPES = ("float32", "float16")
_ENTRIES = {
    *("format", "finished", "dtype", "n_images", "n_done", "blocks"),
    *("transformer", "digest", "reading"),
}
_CHECKSUM = "sha256"
SEGMENT_TYPE = np.dtype("<u2")
#: The largest number of superpixels of an image, since label maps are uint16.
MAX_SEGMENTS = 2**16
#: The cure of a damaged file.
CALL_AGAIN = (
    "call store_features again with the same arguments, which computes only the "
    "damaged images again"
)
DELETE = "delete the folder and compute the features again with store_features"


def record_type(n_blocks: int) -> "np.dtype[Any]":
    """Return the dtype of the record of an image.

    Parameters
    ----------
    n_blocks : int
        The number of blocks.

    Returns
    -------
    dtype
        The size of the image, the number of its superpixels, the one that has no data
        or -1, the number of bands, 0 of an RGB image, and a hash of the pixels. Then
        the checksums of the label map and of the rows in every block, and last that of
        the record itself.
    """
    return np.dtype(
        [
            *(("height", "<i8"), ("width", "<i8"), ("n_segments", "<i8")),
            *(("nodata_segment", "<i8"), ("n_bands", "<i8"), ("digest", "S16")),
            *(("checksums", "<u4", (1 + n_blocks,)), ("checksum", "<u4")),
        ]
    )


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
        if version == FORMAT:
            _check_entries(manifest)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read ({error!r}); {DELETE}.") from error
    if version != FORMAT:
        raise ValueError(
            f"{path}: expected format {FORMAT}, got {version!r}, which another version "
            f"of sklearn-zoomout wrote; use that version, or {DELETE}."
        )
    return manifest


def _check_entries(manifest: dict[str, Any]) -> None:
    """Remove the checksum of a manifest, and refuse what was not written like this."""
    if manifest.pop(_CHECKSUM) != _digest(manifest):
        raise ValueError("its checksum is wrong")
    if manifest.keys() != _ENTRIES:
        raise KeyError(*sorted(manifest.keys() ^ _ENTRIES))
    n_done, n_images = manifest["n_done"], manifest["n_images"]
    if not 0 <= int(n_done) <= int(n_images) or manifest["dtype"] not in DTYPES:
        raise ValueError(n_done, n_images, manifest["dtype"])
    for block in manifest["blocks"]:
        if not block["columns"] or {type(c) for c in block["columns"]} != {str}:
            raise ValueError(block["name"])


def _digest(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest).encode()).hexdigest()


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
        file.write(json.dumps(manifest | {_CHECKSUM: _digest(manifest)}).encode())


def row_offsets(records: NDArray[Any], per_image: bool) -> NDArray[np.int64]:
    """Return the first row of each image in the file of a block.

    Parameters
    ----------
    records : ndarray of records of shape (n_images,)
        The images.
    per_image : bool
        Whether an image has one row.

    Returns
    -------
    ndarray of int64 of shape (n_images + 1,)
        The last one is the number of rows.
    """
    counts = np.ones(len(records), np.int64) if per_image else records["n_segments"]
    return np.concatenate([[0], np.cumsum(counts)])


def byte_offsets(
    manifest: dict[str, Any], records: NDArray[Any]
) -> dict[str, NDArray[np.int64]]:
    """Compute where the bytes of each image begin in each file.

    Parameters
    ----------
    manifest : dict
        The manifest, which lists the blocks.
    records : ndarray of records of shape (n_images,)
        The images.

    Returns
    -------
    dict of ndarray of int64 of shape (n_images + 1,)
        By the name of the file. The last offset is the size of the file.
    """
    pixels = np.cumsum(records["height"] * records["width"])
    offsets = {
        SEGMENTS: SEGMENT_TYPE.itemsize * np.concatenate([[0], pixels]),
    }
    itemsize = np.dtype(manifest["dtype"]).itemsize
    for i, block in enumerate(manifest["blocks"]):
        row = itemsize * len(block["columns"])
        offsets[block_file(i)] = row * row_offsets(records, block["per_image"])
    offsets[IMAGES] = records.itemsize * np.arange(len(records) + 1)
    return offsets


def read_records(folder: Path, manifest: dict[str, Any]) -> NDArray[Any]:
    """Read the records of the finished images. They can be damaged.

    Parameters
    ----------
    folder : path
        The folder.
    manifest : dict
        Its manifest.

    Returns
    -------
    ndarray of records of shape (n_done,)
        Records that the file does not have are zero.
    """
    dtype, path = record_type(len(manifest["blocks"])), folder / IMAGES
    n_done = manifest["n_done"]
    size = path.stat().st_size if path.is_file() else 0
    # The number of images is not believed before the file is found to be as large.
    n_read = min(n_done, size // dtype.itemsize)
    records = np.fromfile(path, dtype, n_read) if n_read else np.empty(0, dtype)
    return np.concatenate([records, np.zeros(n_done - n_read, dtype)])
