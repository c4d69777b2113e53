"""Features that are written to files while they are computed."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from .._utils.digests import digest_transformer
from ..images import check_sequence
from ..superpixels._reading import reading_of
from ._append import append_features, warn_of_coarse_columns
from ._check_table import check_table
from ._feature_table import FeatureTable
from ._layout import FORMAT, MANIFEST, read_manifest, write_manifest
from ._open import open_features
from ._resume import check_same_features

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
    """Compute the features of images, and write them to the files of a folder.

    The features need not fit in memory. Only ``images_at_once`` images and their
    features are held in memory at a time. If the call is interrupted, even by a loss of
    power, the same call continues after the last finished images. If the folder is
    finished, the call computes nothing.

    Parameters
    ----------
    transformer : fitted estimator
        A transformer of images into a `FeatureTable`, such as a
        `sklearn.pipeline.Pipeline` of a `SuperpixelSegmenter` and a
        `sklearn.pipeline.FeatureUnion`. If ``images`` are `Superpixels`, it is the
        union alone. Fit it before on as many of the images as fit in memory.
    images : sequence of array-like of shape (height, width, 3), or Superpixels
        The images. A `datasets.FileSequence` reads each image when it is used.
    folder : str or path
        The folder to write. It is created if it is missing.
    dtype : {"float32", "float16"}, default="float32"
        The dtype of the stored features. float16 takes half the space and has three
        decimal digits. Computations with stored features use float32.
    images_at_once : int, default=16
        The number of images after which finished features are saved.
    verbose : int, default=0
        Show a progress bar if positive.

    Returns
    -------
    FeatureTable
        A table in files, see `open_features`.

    Raises
    ------
    TypeError
        If ``transformer`` has no method ``transform``, a value of it cannot be hashed,
        or ``images`` is not a sequence.
    ValueError
        If an argument is out of its range; if the folder contains other files, or
        features of other images, of another transformer or of another dtype; if a
        value is beyond the range of float16; if an image has more than 65,536
        superpixels; or if a file is damaged.
    RuntimeError
        If another process is storing features in the folder.

    Warns
    -----
    PrecisionWarning
        If the variation of a column is small compared with the steps of float16.

    Notes
    -----
    The folder contains one file of rows for each block of columns, one file of all
    label maps, and ``manifest.json``, which is replaced after every ``images_at_once``
    images. A block that is the same for all superpixels of an image, such as the global
    level, takes one row per image. The pixels are not stored.

    To continue a folder, the transformer must be the same as before. Its parameters,
    its fitted attributes and the versions of sklearn-zoomout and of the packages that
    it computes with are compared by a hash. ``n_jobs``, ``verbose``, ``memory`` and
    ``device`` may differ. A function among the parameters counts by its name. The
    images are read and compared by hashes as well. `open_features` opens a finished
    folder without these comparisons.

    The features that `LocalConvnetFeatures` computes by ``transform`` are too
    confident for the images of its ``fit``. Fit it on other images than those that the
    classifier is trained on.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_zoomout import LocalFeatures, SuperpixelSegmenter, store_features
    >>> from sklearn_zoomout import ZoomoutClassifier
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=4, random_state=0)
    >>> features = make_pipeline(
    ...     SuperpixelSegmenter(n_segments=50), LocalFeatures(descriptors=("color",))
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
    manifest = {
        "format": FORMAT,
        "finished": False,
        "dtype": dtype,
        "n_images": len(images),
        "n_done": 0,
        "transformer": " ".join(repr(transformer).split()),
        "digest": digest_transformer(transformer),
        "reading": reading_of(transformer).to_json(),
        "blocks": [],
    }
    folder.mkdir(parents=True, exist_ok=True)
    with _sole_writer(folder):
        if (folder / MANIFEST).exists():
            stored = read_manifest(folder)
            check_same_features(folder, stored, manifest, images)
            manifest = stored
        else:
            _refuse_other_files(folder)
        if not manifest["finished"]:
            _compute(transformer, images, folder, manifest, images_at_once, verbose)
    return open_features(folder, images)


def _check_arguments(
    transformer: Any, images: Any, dtype: Any, images_at_once: Any
) -> None:
    if not hasattr(transformer, "transform"):
        raise TypeError(
            "transformer: expected a fitted transformer of images into a FeatureTable, "
            f"got {type(transformer).__name__}, which has no method transform; of a "
            "pipeline that ends with a classifier, pass all other steps, pipeline[:-1]."
        )
    if dtype not in _DTYPES:
        raise ValueError(f"dtype: expected one of {list(_DTYPES)}, got {dtype!r}.")
    whole = isinstance(images_at_once, Integral) and images_at_once is not True
    if not whole or images_at_once < 1:
        raise ValueError(
            f"images_at_once: expected an integer >= 1, got {images_at_once!r}."
        )
    check_sequence(images, "images", "an image", single_ndim=3)


@contextmanager
def _sole_writer(folder: Path) -> Iterator[None]:
    """Lock the folder for other processes; does nothing on Windows."""
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
                f"{folder}: another process is storing features in this folder; wait "
                "until it has ended, or choose another folder."
            ) from error
        yield


def _refuse_other_files(folder: Path) -> None:
    # A temporary file is a manifest that a killed process did not finish.
    ours = ("lock", tempfile.gettempprefix())
    names = sorted(path.name for path in folder.iterdir())
    others = [name for name in names if not name.startswith(ours)]
    if others:
        raise ValueError(
            f"{folder}: expected an empty folder, or one that store_features wrote, "
            f"got one with {others[:5]}; choose another folder."
        )


def _compute(
    transformer: Any,
    images: Sequence[Any],
    folder: Path,
    manifest: dict[str, Any],
    images_at_once: int,
    verbose: int,
) -> None:
    """Compute and append the features of all images that are not finished."""
    n_done, n_images = manifest["n_done"], len(images)
    bar = tqdm(
        total=n_images,
        initial=n_done,
        desc="features",
        unit="image",
        disable=not verbose,
    )
    with bar:
        for start in range(n_done, n_images, images_at_once):
            chunk = images[start : start + images_at_once]
            table = _transform_chunk(transformer, chunk, start)
            append_features(table, folder, manifest)
            bar.update(len(table))
    if manifest["dtype"] == "float16":
        warn_of_coarse_columns(manifest["blocks"])
    write_manifest(folder, manifest | {"finished": True})


def _transform_chunk(
    transformer: Any, chunk: Sequence[Any], start: int
) -> FeatureTable:
    """Compute the features of the images from position ``start`` on."""
    try:
        table = check_table(transformer.transform(chunk)).compact()
    except Exception as error:
        if start:
            error.add_note(f"images[0] is images[{start}] of store_features.")
        raise
    if len(table) != len(chunk):
        raise ValueError(
            f"transformer: expected features of {len(chunk)} images, got those of "
            f"{len(table)}."
        )
    return table
