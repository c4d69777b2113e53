"""What a folder of stored features consists of, and the superpixels in it."""

import json
import os
from collections.abc import Sequence
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.digests import digest_array
from .._utils.mapped import forget_pages, open_map
from .._utils.writing import write_whole
from ..regions import SegmentedImage
from ..superpixels import Superpixels

FORMAT = 1
MANIFEST = "manifest.json"
_ENTRIES = {"finished", "dtype", "n_images", "n_done", "parameters", "blocks"}
IMAGES, SEGMENTS = "images.bin", "segments.bin"
#: What is known of an image: its size, its superpixels, and a hash of its pixels.
IMAGE_RECORD = np.dtype(
    [("height", "<i8"), ("width", "<i8"), ("n_segments", "<i8"), ("digest", "S16")]
)
SEGMENT_TYPE = np.dtype("<u2")
MOST_SEGMENTS = 2**16


def block_file(i: int) -> str:
    """Name the file of the i-th block."""
    return f"block_{i}.bin"


def digest_image(image: NDArray[Any]) -> bytes:
    """Hash the pixels of an image, its size and its dtype, as in `IMAGE_RECORD`."""
    return digest_array(image)[:16].encode()


def pixels_of(item: Any) -> NDArray[Any]:
    """Give the pixels of an image, or of a segmented one."""
    return item.image if isinstance(item, SegmentedImage) else np.asarray(item)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read what a folder says that it holds.

    Raises
    ------
    FileNotFoundError
        If it says nothing.
    ValueError
        If what it says cannot be understood.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} holds no stored features ({MANIFEST} is missing); make them "
            "with store_features."
        )
    try:
        manifest = json.loads(path.read_bytes())
        version = manifest["format"]
        missing = _ENTRIES - manifest.keys() if version == FORMAT else ()
        if missing:
            raise KeyError(*missing)
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(
            f"{path} cannot be read ({error!r}); delete the folder, and make it again "
            "with store_features."
        ) from error
    if version != FORMAT:
        raise ValueError(
            f"{path}: expected format {FORMAT}, got {version!r}, of another version of "
            "sklearn-zoomout; use that version, or make the folder again with "
            "store_features."
        )
    return manifest


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Replace what a folder says that it holds, as a whole or not at all."""
    with write_whole(folder / MANIFEST) as file:
        file.write(json.dumps(manifest).encode())
        file.flush()
        os.fsync(file.fileno())


def read_records(folder: Path, n_images: int) -> NDArray[Any]:
    """Read what is known of the first images."""
    if n_images == 0:
        return np.empty(0, IMAGE_RECORD)  # before there is a file
    return np.fromfile(folder / IMAGES, IMAGE_RECORD, n_images)


def file_sizes(manifest: dict[str, Any], records: NDArray[Any]) -> dict[str, int]:
    """Give the number of bytes that each file has for these images."""
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
    """Compare the sizes of the files with what the manifest says, and read records.

    Raises
    ------
    ValueError
        If a file is shorter, or the folder is finished and a file is longer.
    """
    n_images = manifest["n_done"]
    found = {p.name: p.stat().st_size for p in folder.glob("*.bin")}
    expected = {IMAGES: n_images * IMAGE_RECORD.itemsize}
    if found.get(IMAGES, 0) >= expected[IMAGES]:
        expected = file_sizes(manifest, read_records(folder, n_images))
    for name, size in expected.items():
        actual = found.get(name, 0)
        # What a chunk left that was not finished is overwritten.
        if actual < size or (manifest["finished"] and actual > size):
            raise ValueError(
                f"{folder / name}: expected {size} bytes, got {actual}; the file was "
                "damaged. Delete the folder, and make it again with store_features."
            )
    return read_records(folder, n_images)


class StoredSuperpixels(Superpixels):
    """Superpixels whose label maps are read from a file when they are asked for.

    Parameters
    ----------
    folder : path
        Where `store_features` has put them.
    records : ndarray of IMAGE_RECORD of shape (n_stored,)
        What is known of the stored images.
    images : sequence of array-like of shape (height, width, 3), default=None
        The images, read when their pixels are asked for.
    positions : ndarray of integers of shape (n_images,), default=None
        Which of the stored images; all by default.
    """

    def __init__(
        self,
        folder: Path,
        records: NDArray[Any],
        images: Sequence[Any] | None = None,
        positions: NDArray[Any] | None = None,
    ) -> None:
        self._folder = folder
        self._records = records
        self._images = images
        n_stored = len(records)
        self._positions = np.arange(n_stored) if positions is None else positions
        pixels = records["height"] * records["width"]
        self._starts = np.concatenate([[0], np.cumsum(pixels)])
        path, n_pixels = folder / SEGMENTS, int(self._starts[-1])
        self._segments = open_map(path, SEGMENT_TYPE, (n_pixels,))
        self._set_counts(records["n_segments"][self._positions])

    def __reduce__(self) -> Any:
        parts = self._folder, self._records, self._images, self._positions
        return StoredSuperpixels, parts

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, key: Any) -> Any:
        """Return one segmented image for an integer, else `Superpixels`."""
        if isinstance(key, tuple):  # scikit-learn indexes arrays as X[rows, ...]
            key = key[0]
        if not isinstance(key, Integral):
            chosen = self._positions[key]
            return StoredSuperpixels(self._folder, self._records, self._images, chosen)
        i = int(self._positions[int(key)])
        height, width, n_segments, _ = self._records[i].item()
        flat = self._segments[self._starts[i] : self._starts[i + 1]].astype(np.int32)
        forget_pages(self._segments)
        return _StoredImage(self, i, flat.reshape(height, width), n_segments)

    def read_image(self, i: int) -> NDArray[Any]:
        """Read the pixels of the i-th of the stored images.

        Raises
        ------
        ValueError
            If there are no images, or it is another image than was stored.
        """
        if self._images is None:
            raise ValueError(
                f"images[{i}]: its pixels were not stored; give the images to "
                "open_features(folder, images)."
            )
        image = pixels_of(self._images[i])
        if digest_image(image) != self._records["digest"][i]:
            raise ValueError(
                f"images[{i}]: expected the image whose features are stored in "
                f"{self._folder}, got another one, or one that was changed."
            )
        return image


class _StoredImage(SegmentedImage):
    """A segmented image that reads its pixels when they are asked for."""

    def __init__(
        self,
        source: StoredSuperpixels,
        position: int,
        segments: NDArray[np.int32],
        n_segments: int,
    ) -> None:
        self._source = source
        self._position = position
        self.segments = segments
        self.n_segments = n_segments
        self._share()

    def __reduce__(self) -> Any:
        parts = self._source, self._position, self.segments, self.n_segments
        return _StoredImage, parts

    @cached_property
    def image(self) -> NDArray[Any]:  # type: ignore[override]
        return self._source.read_image(self._position)
