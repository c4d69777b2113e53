"""Photographs of scikit-image and scikit-learn, with scribbled labels."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.utils import Bunch

from ..masks import UNLABELED
from ._reading import read_description

# fmt: off
CLASS_NAMES = (
    "sky", "foliage", "building", "flower", "water", "person", "spacecraft",
    "background",
)
# fmt: on

# The photographs, with the package that holds them and what installs it. They are read
# in place, because the functions of scikit-image would download missing files.
_PHOTOGRAPHS = {
    "astronaut.png": ("skimage.data", "scikit-image"),
    "china.jpg": ("sklearn.datasets.images", "scikit-learn"),
    "flower.jpg": ("sklearn.datasets.images", "scikit-learn"),
    "rocket.jpg": ("skimage.data", "scikit-image"),
}
_STROKES = files("sklearn_zoomout.datasets")  # holds the folders scribbles and checks
_UNLABELED_INDEX = 255


def load_scribbled_photographs() -> Bunch:
    """Load four photographs with scribbled labels of eight classes.

    Nothing is downloaded. The photographs come with scikit-image and scikit-learn, and
    the labels come with this library. 2 to 3 % of the pixels of each photograph have a
    label for training. About as many other pixels have a label to check predictions.

    Returns
    -------
    data : sklearn.utils.Bunch
        The photographs are in the order of their names. The attributes are

        - ``images``: list of (height, width, 3) arrays of uint8, RGB
        - ``scribbles``: list of (height, width) arrays of int16, the labels for
          training, with -1 for unlabeled pixels
        - ``checks``: list of (height, width) arrays of int16, the labels for checks,
          with -1 for unlabeled pixels
        - ``class_names``: list of the 8 names. The name of label k is at position k
        - ``filenames``: list of str, such as ``"china.jpg"``
        - ``DESCR``: str, how the labels were made, and the sources and licenses of
          the photographs

    Raises
    ------
    OSError
        If a file is missing or damaged. The error names the package that ships it.
    ValueError
        If the labels are not palette indices of the classes, or do not have the size of
        their photograph.

    Examples
    --------
    >>> from sklearn_zoomout.datasets import load_scribbled_photographs
    >>> data = load_scribbled_photographs()
    >>> data.filenames
    ['astronaut.png', 'china.jpg', 'flower.jpg', 'rocket.jpg']
    >>> data.images[0].shape, data.scribbles[0].shape
    ((512, 512, 3), (512, 512))
    >>> data.class_names[data.scribbles[2].max()]
    'flower'
    """
    images = [_read_photograph(name) for name in _PHOTOGRAPHS]
    return Bunch(
        images=images,
        scribbles=_read_strokes("scribbles", images),
        checks=_read_strokes("checks", images),
        class_names=list(CLASS_NAMES),
        filenames=list(_PHOTOGRAPHS),
        DESCR=read_description("photographs"),
    )


def _read_photograph(name: str) -> np.ndarray:
    """Return a photograph from the package that ships it."""
    package, distribution = _PHOTOGRAPHS[name]
    return np.array(_read_picture(files(package) / name, distribution).convert("RGB"))


def _read_strokes(kind: str, images: list[np.ndarray]) -> list[np.ndarray]:
    """Return the labels of one kind, scribbles or checks, on all photographs."""
    return [
        _read_labels(_STROKES / kind / f"{Path(name).stem}.png", image.shape[:2])
        for name, image in zip(_PHOTOGRAPHS, images, strict=True)
    ]


def _read_labels(file: Traversable, shape: tuple[int, ...]) -> np.ndarray:
    """Return the labels of a PNG file, its palette indices or -1 where unlabeled."""
    picture = _read_picture(file, "sklearn-zoomout")
    if picture.mode != "P":
        raise ValueError(
            f"{file}: expected a picture with a palette, whose indices are the labels, "
            f"got mode {picture.mode!r}; save it with its original palette."
        )
    indices = np.array(picture, dtype=np.int16)
    if indices.shape != shape:
        raise ValueError(
            f"{file}: expected {shape} pixels, the size of its photograph, got "
            f"{indices.shape}; do not scale or crop it."
        )
    labels = np.where(indices == _UNLABELED_INDEX, np.int16(UNLABELED), indices)
    if labels.max() >= len(CLASS_NAMES):
        raise ValueError(
            f"{file}: expected palette indices below {len(CLASS_NAMES)}, or "
            f"{_UNLABELED_INDEX} for unlabeled pixels, got {labels.max()}."
        )
    return labels


def _read_picture(file: Traversable, distribution: str) -> Image.Image:
    """Decode a picture that is part of a distribution."""
    try:
        with file.open("rb") as stream, Image.open(stream) as picture:
            picture.load()
    # Pillow raises SyntaxError for some damaged headers.
    except (OSError, SyntaxError) as error:
        raise OSError(
            f"{file} cannot be read ({error}). It comes with {distribution}; install "
            "it again."
        ) from error
    return picture
