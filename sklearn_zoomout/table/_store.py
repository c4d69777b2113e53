"""Features that are written to files while they are computed."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from .._utils.digests import digest_transformer
from .._utils.writing import lock
from ..images import check_sequence
from ..superpixels._reading import reading_of
from ._append import append_parts, compute_parts, warn_of_coarse_columns
from ._feature_table import FeatureTable
from ._layout import DTYPES, FORMAT, MANIFEST, read_manifest, write_manifest
from ._mend import mend_features
from ._open import open_features
from ._resume import check_same_settings


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
    power, the same call continues after the last finished images. It reads what is
    stored of them, and computes again what is damaged. If the folder is finished and
    sound, it computes nothing.

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
        superpixels; or if ``manifest.json`` is damaged.
    RuntimeError
        If another process is storing features in the folder.

    Warns
    -----
    PrecisionWarning
        If the variation of a column is small compared with the steps of float16.
    CacheWarning
        If something that was stored before was damaged. It has been computed again.

    Notes
    -----
    The folder contains one file of rows for each block of columns, one file of all
    label maps, and ``manifest.json``, which is replaced after every ``images_at_once``
    images. A block that is the same for all superpixels of an image, such as the global
    level, takes one row per image. The pixels are not stored. Each image has a checksum
    in each file.

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
            check_same_settings(folder, stored, manifest)
            manifest = stored
            again = images_at_once, verbose
            mend_features(transformer, images, folder, manifest, *again)
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
    if dtype not in DTYPES:
        raise ValueError(f"dtype: expected one of {list(DTYPES)}, got {dtype!r}.")
    whole = isinstance(images_at_once, Integral) and images_at_once is not True
    if not whole or images_at_once < 1:
        raise ValueError(
            f"images_at_once: expected an integer >= 1, got {images_at_once!r}."
        )
    check_sequence(images, "images", "an image", single_ndim=3)


@contextmanager
def _sole_writer(folder: Path) -> Iterator[None]:
    """Lock the folder for other processes, if the system can."""
    with open(folder / "lock", "ab") as file:
        try:
            lock(file, wait=False)
        except BlockingIOError as error:
            raise RuntimeError(
                f"{folder}: another process is storing features in this folder; wait "
                "until it has ended, or choose another folder."
            ) from error
        yield


def _refuse_other_files(folder: Path) -> None:
    # A process that was killed early may have left a part of a manifest.
    ours = ("lock", f".{MANIFEST}")
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
            part = slice(start, min(start + images_at_once, n_images))
            parts = compute_parts(transformer, images, part, manifest)
            append_parts(parts, folder, manifest)
            bar.update(part.stop - start)
    if manifest["dtype"] == "float16":
        warn_of_coarse_columns(manifest["blocks"])
    write_manifest(folder, manifest | {"finished": True})
