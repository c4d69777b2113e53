"""Stored features, mapped from their files."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .._utils.memory_maps import open_map
from ..superpixels._reading import Reading
from ._block import Block
from ._checksums import RowChecks, check_files
from ._feature_table import FeatureTable
from ._layout import block_file, read_manifest, row_offsets
from ._stored_superpixels import StoredSuperpixels


def open_features(
    folder: str | os.PathLike[str], images: Sequence[Any] | None = None
) -> FeatureTable:
    """Open a folder that `store_features` wrote.

    The values stay in their files. They are read when rows are used, by ``take``,
    ``batches`` or a classifier. `ZoomoutClassifier` reads large parts of the table
    ahead of its network, and trains on the rows of a part in random order. Indexing
    returns views, and a pickle contains only the names of the files, so
    cross-validation copies no values.

    Each file has a checksum for each image. It is compared when rows of the image are
    read for the first time, and that of a label map whenever it is read. Damage is an
    error that names the file and the image.

    Parameters
    ----------
    folder : str or path
        The folder.
    images : sequence of array-like of shape (height, width[, n_channels]), default=None
        The stored images, in the same order, as they were passed to `store_features`.
        They are read in the same way. They are read only when pixels are used,
        for instance by `GraphSmoothing`. Training, prediction and scores do not need
        them. A pickle of the table contains the images, unless they are a
        `datasets.FileSequence`.

    Returns
    -------
    FeatureTable

    Raises
    ------
    FileNotFoundError
        If the folder contains no stored features.
    ValueError
        If the folder is not finished or has another format, the number of images is
        wrong, or the manifest, a record or the size of a file is. Other damage is
        found when it is read.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_zoomout import LocalFeatures, SuperpixelSegmenter
    >>> from sklearn_zoomout import open_features, store_features
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=2, random_state=0)
    >>> features = make_pipeline(
    ...     SuperpixelSegmenter(n_segments=50), LocalFeatures(descriptors=("color",))
    ... ).fit(images)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     stored = store_features(features, images, folder)
    ...     table = open_features(folder)
    >>> table
    FeatureTable(2 images, ... superpixels, 243 columns; local: 243)
    """
    folder = Path(folder).expanduser().absolute()
    manifest = read_manifest(folder)
    if not manifest["finished"]:
        raise ValueError(
            f"{folder} contains the features of {manifest['n_done']} of "
            f"{manifest['n_images']} images; call store_features again with the same "
            "arguments to compute the others."
        )
    if images is not None and len(images) != manifest["n_images"]:
        raise ValueError(
            f"images: expected the {manifest['n_images']} images whose features are "
            f"stored in {folder}, got {len(images)}."
        )
    records = check_files(folder, manifest)
    reading = Reading.from_json(manifest["reading"])
    superpixels = StoredSuperpixels(folder, records, images, reading=reading)
    return FeatureTable(superpixels, _open_blocks(folder, manifest, records))


def _open_blocks(
    folder: Path, manifest: dict[str, Any], records: NDArray[Any]
) -> Iterator[Block]:
    offsets = {kind: row_offsets(records, kind) for kind in (False, True)}
    for i, block in enumerate(manifest["blocks"]):
        columns, path = tuple(block["columns"]), folder / block_file(i)
        rows, per_image = offsets[block["per_image"]], block["per_image"]
        values = open_map(path, manifest["dtype"], (int(rows[-1]), len(columns)))
        checks = RowChecks(path, rows, records["checksums"][:, 1 + i].copy())
        yield Block(block["name"], columns, values, per_image, checks)
