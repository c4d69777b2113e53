"""Photographs that come with the dependencies, scribbled on for this project."""

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
# in place: scikit-image's own functions would download what they do not find.
_PHOTOGRAPHS = {
    "astronaut.png": ("skimage.data", "scikit-image"),
    "china.jpg": ("sklearn.datasets.images", "scikit-learn"),
    "flower.jpg": ("sklearn.datasets.images", "scikit-learn"),
    "rocket.jpg": ("skimage.data", "scikit-image"),
}
_STROKES = files("sklearn_zoomout.datasets")  # holds the folders scribbles and checks
_UNLABELED_INDEX = 255


def load_scribbled_photographs() -> Bunch:
    """Load four photographs with scribbled labels: eight classes, no download.

    The photographs come with scikit-image and scikit-learn, the strokes with this
    library. 2 to 3 % of the pixels of each photograph have a label to learn from, and
    about as many other pixels a label to check predictions.

    Returns
    -------
    data : sklearn.utils.Bunch
        With the attributes, photographs in the order of their names

        - ``images``: list of (height, width, 3) arrays of uint8, RGB
        - ``scribbles``: list of (height, width) arrays of int16, the labels to learn
          from; -1 where there is none
        - ``checks``: list of (height, width) arrays of int16, labels at other places;
          -1 where there is none
        - ``class_names``: list of the 8 names, that of label k at position k
        - ``filenames``: list of str, such as ``"china.jpg"``
        - ``DESCR``: str, how the strokes were made, and the sources and licenses of
          the photographs

    Raises
    ------
    OSError
        If a file is missing or damaged, naming the package that ships it.
    ValueError
        If strokes are no palette indices of the classes, or not of the size of their
        photograph.

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
    """Return the palette indices of a PNG file as labels, -1 where there is none."""
    picture = _read_picture(file, "sklearn-zoomout")
    if picture.mode != "P":
        raise ValueError(
            f"{file}: expected a picture with a palette, whose indices are the labels, "
            f"got mode {picture.mode!r}; save it with the palette it had."
        )
    indices = np.array(picture, dtype=np.int16)
    if indices.shape != shape:
        raise ValueError(
            f"{file}: expected {shape} pixels as in its photograph, got "
            f"{indices.shape}; do not scale or crop it."
        )
    labels = np.where(indices == _UNLABELED_INDEX, np.int16(UNLABELED), indices)
    if labels.max() >= len(CLASS_NAMES):
        raise ValueError(
            f"{file}: expected palette indices below {len(CLASS_NAMES)}, or "
            f"{_UNLABELED_INDEX} where there is no label, got {labels.max()}."
        )
    return labels


def _read_picture(file: Traversable, distribution: str) -> Image.Image:
    """Decode a picture that a distribution ships."""
    try:
        with file.open("rb") as stream, Image.open(stream) as picture:
            picture.load()
    # Pillow raises SyntaxError at some broken headers.
    except (OSError, SyntaxError) as error:
        raise OSError(
            f"{file} cannot be read ({error}). It comes with {distribution}: install "
            "that again."
        ) from error
    return picture
