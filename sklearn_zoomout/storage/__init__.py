"""Features in files: written while they are computed, mapped when they are used."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from .._utils.mapped import open_map
from ..table import Block, FeatureTable, check_table
from . import _layout
from ._append import append_features, warn_of_coarse_columns
from ._compare import (
    describe_parameters,
    different_features,
    different_images,
)

_DTYPES = ("float32", "float16")


def store_features(
    transformer: Any,
    images: Sequence[Any],
    folder: str | os.PathLike[str],
    *,
    dtype: str = "float32",
    images_at_once: int = 16,
    verbose: int = 0,
) -> FeatureTable:
    """Compute the features of images into the files of a folder.

    For more than fits in memory: only the images that are being worked on, and what
    is computed of them, are held. If the work is interrupted, even by a loss of power,
    the same call goes on after the last images that were finished; if it was finished,
    the call computes nothing anew.

    Parameters
    ----------
    transformer : fitted estimator
        What turns images into a `FeatureTable`, such as a
        `sklearn.pipeline.Pipeline` of a `SuperpixelSegmenter` and a
        `sklearn.pipeline.FeatureUnion`, or, if ``images`` are `Superpixels`, the
        latter alone. Fit it on some of the images, as many as fit in memory.
    images : sequence of array-like of shape (height, width, 3), or Superpixels
        The images; a `datasets.FileSequence` reads them when they are needed.
    folder : str or path
        Where to write; created if missing.
    dtype : {"float32", "float16"}, default="float32"
        What to store the features as. float16 takes half the space, with three
        digits; computing with them is done in float32.
    images_at_once : int, default=16
        Number of images after which the work is secured.
    verbose : int, default=0
        Show a progress bar if positive.

    Returns
    -------
    FeatureTable
        See `open_features`.

    Warns
    -----
    PrecisionWarning
        If a column varies so little beside its values that float16 blurs it.

    Raises
    ------
    ValueError
        If the folder holds features of other images or of another transformer, or as
        another dtype; if a value is beyond the range of float16; if an image has more
        than 65,536 superpixels; or if a file was damaged.
    RuntimeError
        If another process is storing features in the folder.

    Notes
    -----
    The folder has a file of all rows for each block of columns, one of all label maps,
    and ``manifest.json``, which is replaced after every ``images_at_once`` images. A
    block that is the same for all superpixels of an image, such as the global level,
    takes one row an image. The pixels are not stored.

    Whether the transformer is the same as before an interruption is seen from its
    parameters and, since it may have been fitted on other images, from the features of
    the first image, which are computed again. The images are read and compared with
    hashes. The values of finished folders are not compared with anything but their
    number.

    ``transform`` of `LocalConvnetFeatures` gives outputs that a classifier trusts too
    much if it is trained on the images of their ``fit``: fit it on others.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_zoomout import LocalFeatures, SuperpixelSegmenter, store_features
    >>> from sklearn_zoomout import ZoomoutClassifier
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=4, random_state=0)
    >>> features = make_pipeline(
    ...     SuperpixelSegmenter(n_segments=50), LocalFeatures(blocks=("color",))
    ... ).fit(images[:2])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = store_features(features, images, folder, dtype="float16")
    ...     classifier = ZoomoutClassifier(max_epochs=5, random_state=0)
    ...     prediction = classifier.fit(table, masks).predict(table[:1])[0]
    >>> prediction.shape == masks[0].shape
    True
    """
    _check_arguments(transformer, images, dtype, images_at_once)
    folder = Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    with _sole_writer(folder):
        manifest = {
            "format": _layout.FORMAT,
            "finished": False,
            "dtype": dtype,
            "n_images": len(images),
            "n_done": 0,
            "parameters": describe_parameters(transformer),
            "blocks": [],
        }
        if (folder / _layout.MANIFEST).exists():
            manifest = _resume(folder, manifest, transformer, images)
        else:
            _refuse_other_files(folder)
        if not manifest["finished"]:
            _compute(transformer, images, folder, manifest, images_at_once, verbose)
    return open_features(folder, images)


def open_features(
    folder: str | os.PathLike[str], images: Sequence[Any] | None = None
) -> FeatureTable:
    """Open a folder that `store_features` has made.

    Its values stay in their files until rows are asked for, by ``take``, ``batches``
    or a classifier. `ZoomoutClassifier` reads large parts of it ahead of its network,
    and is trained on rows of the parts in a random order. Indexing gives views, and a
    pickle holds names of files only, so that cross-validation copies nothing.

    Parameters
    ----------
    folder : str or path
        The folder.
    images : sequence of array-like of shape (height, width, 3), default=None
        The images, which only what looks at pixels reads, such as `GraphSmoothing`;
        not needed to train, to predict and to score. A pickle of the table copies
        them, unless they are a `datasets.FileSequence`.

    Returns
    -------
    FeatureTable

    Raises
    ------
    FileNotFoundError
        If the folder holds no stored features.
    ValueError
        If it is not finished, one of its files was damaged, or the number of images is
        another.
    """
    folder = Path(folder).expanduser().absolute()
    manifest = _layout.read_manifest(folder)
    if not manifest["finished"]:
        raise ValueError(
            f"{folder} holds the features of {manifest['n_done']} of "
            f"{manifest['n_images']} images; call store_features again, as before, to "
            "compute those of the others."
        )
    if images is not None and len(images) != manifest["n_images"]:
        raise ValueError(
            f"images: expected the {manifest['n_images']} images whose features are "
            f"stored in {folder}, got {len(images)}."
        )
    records = _layout.check_files(folder, manifest)
    superpixels = _layout.StoredSuperpixels(folder, records, images)
    return FeatureTable(superpixels, _open_blocks(folder, manifest, superpixels.n_rows))


def _open_blocks(
    folder: Path, manifest: dict[str, Any], n_rows: int
) -> Iterator[Block]:
    for i, block in enumerate(manifest["blocks"]):
        columns = tuple(block["columns"])
        shape = manifest["n_done"] if block["per_image"] else n_rows, len(columns)
        path = folder / _layout.block_file(i)
        values = open_map(path, manifest["dtype"], shape)
        yield Block(block["name"], columns, values, block["per_image"])


def _check_arguments(
    transformer: Any, images: Any, dtype: Any, images_at_once: Any
) -> None:
    if not hasattr(transformer, "transform"):
        raise TypeError(
            "transformer: expected a fitted transformer of images into a FeatureTable, "
            f"got {type(transformer).__name__}, which has no transform; of a pipeline "
            "that ends with a classifier, pass all steps but the last, pipeline[:-1]."
        )
    if dtype not in _DTYPES:
        raise ValueError(f"dtype: expected one of {list(_DTYPES)}, got {dtype!r}.")
    whole = isinstance(images_at_once, Integral) and images_at_once is not True
    if not whole or images_at_once < 1:
        raise ValueError(
            f"images_at_once: expected an integer >= 1, got {images_at_once!r}."
        )
    if not hasattr(images, "__len__"):
        raise TypeError(
            f"images: expected a sequence, got {type(images).__name__}; use a list, or "
            "datasets.FileSequence for images in files."
        )
    if len(images) == 0:
        raise ValueError("images: expected at least one, got none.")


@contextmanager
def _sole_writer(folder: Path) -> Iterator[None]:
    """Refuse a second process that would write into the folder (but on Windows)."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(folder / "lock", "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise RuntimeError(
                f"{folder}: another process is storing features here; wait until it "
                "has ended, or choose another folder."
            ) from error
        yield


def _refuse_other_files(folder: Path) -> None:
    ours = ("lock", tempfile.gettempprefix())  # of a manifest that was not finished
    names = sorted(path.name for path in folder.iterdir())
    others = [name for name in names if not name.startswith(ours)]
    if others:
        raise ValueError(
            f"{folder}: expected an empty folder, or one that store_features has made, "
            f"got one with {others[:5]}; choose another."
        )


def _resume(
    folder: Path, asked: dict[str, Any], transformer: Any, images: Sequence[Any]
) -> dict[str, Any]:
    """Compare what is asked for with what a folder holds, and give its manifest."""
    manifest = _layout.read_manifest(folder)
    records = _layout.check_files(folder, manifest)
    there, now = manifest["parameters"], asked["parameters"]
    different = [
        f"{key} {manifest[key]} there, {asked[key]} now"
        for key in ("dtype", "n_images")
        if manifest[key] != asked[key]
    ] + [
        f"{name or 'transformer'} {there.get(name)} there, {now.get(name)} now"
        for name in sorted(there | now)
        if there.get(name) != now.get(name)
    ]
    if not different:
        stored = _layout.StoredSuperpixels(folder, records)
        different = different_images(stored, records, images)
    if not different and len(records):
        blocks = _open_blocks(folder, manifest, stored.n_rows)
        table = FeatureTable(stored, blocks)
        different = different_features(table[:1], transformer.transform(images[:1]))
    if different:
        raise ValueError(
            f"{folder} holds other features than those asked for: "
            f"{'; '.join(different[:5])}. Choose another folder, or delete this one."
        )
    return manifest


def _compute(
    transformer: Any,
    images: Sequence[Any],
    folder: Path,
    manifest: dict[str, Any],
    images_at_once: int,
    verbose: int,
) -> None:
    """Append the features of the images that are not yet there."""
    n_done, n_images = manifest["n_done"], len(images)
    with tqdm(
        total=n_images,
        initial=n_done,
        desc="features",
        unit="image",
        disable=not verbose,
    ) as bar:
        for start in range(n_done, n_images, images_at_once):
            chunk = images[start : start + images_at_once]
            try:
                table = check_table(transformer.transform(chunk)).compact()
            except Exception as error:
                if start:
                    error.add_note(f"images[0] is images[{start}] of store_features.")
                raise
            if len(table) != len(chunk):
                raise ValueError(
                    f"transformer: expected features of {len(chunk)} images, got those "
                    f"of {len(table)}."
                )
            append_features(table, folder, manifest)
            bar.update(len(table))
    if manifest["dtype"] == "float16":
        warn_of_coarse_columns(manifest["blocks"])
    _layout.write_manifest(folder, manifest | {"finished": True})
