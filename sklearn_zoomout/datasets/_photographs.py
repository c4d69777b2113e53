"""Photographs that come with the dependencies, scribbled on for this project."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.utils import Bunch

from ..masks import UNLABELED

CLASS_NAMES = (
    "sky",
    "foliage",
    "building",
    "flower",
    "water",
    "person",
    "spacecraft",
    "background",
)

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

_DESCR = """\
Scribbled photographs
---------------------
Four photographs that scikit-image and scikit-learn ship for their own examples, with
a few strokes on each that say what is there. Nothing is downloaded.

The classes are sky, foliage, building (with launch towers and pad), flower, water,
person (with suit and helmet), spacecraft and background (all else, such as a flag).
Pixels without a stroke are -1.

- The scribbles, to learn from, are strokes 5 or 6 pixels wide on 2 to 3 % of the
  pixels. Ten of them were added after a first prediction, where it looked wrong:
  close to the rocket and the towers, to the roof, hair and shuttle, and on the water
  at the left.
- The checks, to count how much was learned, are other strokes, none closer than 10
  pixels to a scribble, and were drawn before any prediction. They favor the hard
  places: boundaries, small and thin things, and patches that look unlike every
  scribble. They sample the photographs and are no complete ground truth; the shore in
  the haze, the boats and the lamps are in neither.

Both were drawn by eye for this project, without the help of an algorithm, and have its
license. They are PNG files whose palette indices are the labels, 255 where there is
none.

The photographs, as the two libraries describe them:

- astronaut.png (scikit-image): Eileen Collins, from the NASA Great Images database,
  https://flic.kr/p/r9qvLn; public domain.
- china.jpg (scikit-learn): by danielbuechele, CC BY 2.0,
  https://www.flickr.com/photos/danielbuechele/6061409035/
- flower.jpg (scikit-learn): CC BY 2.0; credited to danielbuechele, but with links to
  https://www.flickr.com/photos/vultilion/6056698931/
- rocket.jpg (scikit-image): DSCOVR on Falcon 9, by SpaceX, public domain,
  https://www.flickr.com/photos/spacexphotos/16511594820/
"""


def load_scribbled_photographs() -> Bunch:
    """Load four photographs with scribbled labels: eight classes, no download.

    The photographs come with scikit-image and scikit-learn, the strokes with this
    library. 2 to 3 % of the pixels of each photograph have a label to learn from, and
    about as many others one to check predictions by.

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
        DESCR=_DESCR,
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
