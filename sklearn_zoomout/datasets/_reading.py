"""Arrays that stay in their files until asked for."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from .._utils.lazy import LazySequence

_KINDS = ["BMP", "JPEG", "PNG", "TIFF", "WEBP"]
# What Pillow turns into RGB without a loss: gray, palettes and other colors.
_MODES = ["RGB", "L", "P", "CMYK", "YCbCr"]


class FileSequence(LazySequence):
    """A sequence of arrays, each read from its file whenever it is asked for.

    It takes the place of a list of arrays: in scikit-learn's splitters and searches,
    in every ``fit`` and ``predict`` and in the measures of this package. Nothing is
    kept: a second access reads again, and a pickle for another process holds only the
    names of the files. Therefore scikit-learn's own ``Pipeline(memory=)`` compares two
    of them by the names of their files. A `FeatureCache` compares the pixels.

    Parameters
    ----------
    read : callable
        Returns the array of one of ``files``, such as `read_photograph`. To be
        pickled, it must be a function of a module.
    files : iterable
        What to read: anything that ``read`` understands.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.datasets import FileSequence
    >>> arrays = FileSequence(np.load, ["a.npy", "b.npy", "c.npy"])
    >>> arrays[[0, 2]]
    FileSequence(2 arrays, not in memory)
    """

    def __init__(self, read: Callable[[Any], NDArray[Any]], files: Iterable[Any]):
        if isinstance(files, (str, os.PathLike)):
            raise TypeError(
                f"files: expected a list of files, got the path {os.fspath(files)!r}; "
                "list them, for example with sorted(Path(folder).glob('*.jpg'))."
            )
        super().__init__(read, list(files))


def read_photograph(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read a photograph as RGB, upright.

    With `FileSequence`, it makes a sequence of photographs of their files, which are
    read when they are asked for.

    Parameters
    ----------
    path : str or path
        A JPEG, PNG, TIFF, WebP or BMP file. Gray and CMYK photographs and those with a
        palette are converted. A photograph that was taken with a turned camera, by
        its EXIF data, is turned upright.

    Returns
    -------
    ndarray of uint8 of shape (height, width, 3)

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged or no photograph, has several frames, transparent pixels or
        16 bits a channel, or so many pixels that it may be an attack.

    Examples
    --------
    >>> from pathlib import Path
    >>> from sklearn_zoomout.datasets import FileSequence, read_photograph
    >>> files = sorted(Path("photos").glob("*.jpg"))
    >>> FileSequence(read_photograph, files)
    FileSequence(0 arrays, not in memory)
    """
    cure = f"expected a whole file in one of the formats {', '.join(_KINDS)}"
    with open_picture(path, _KINDS, cure) as picture:
        n_frames = getattr(picture, "n_frames", 1)
        # The first frame of an MPO file, as telephones write them, is the photograph.
        if n_frames > 1 and picture.format != "MPO":
            raise ValueError(
                f"{path}: expected one picture, got {n_frames} frames; save the one "
                "that is meant."
            )
        if picture.mode not in _MODES or picture.has_transparency_data:
            raise ValueError(
                f"{path}: expected 8 bits a channel and no alpha channel, got mode "
                f"{picture.mode}; convert the file to RGB first."
            )
        return np.array(picture.convert("RGB"))


@contextmanager
def open_picture(
    path: str | os.PathLike[str], kinds: list[str], cure: str
) -> Iterator[Image.Image]:
    """Open a picture upright, and let the error of a damaged one name it.

    Parameters
    ----------
    path : str or path
        The file.
    kinds : list of str
        The formats that it may have, as Pillow names them.
    cure : str
        What the error says to do.

    Yields
    ------
    PIL.Image.Image

    Raises
    ------
    ValueError
        If it cannot be read as one of these formats.
    """
    with open(path, "rb") as file:
        try:
            with Image.open(file, formats=kinds) as picture:
                ImageOps.exif_transpose(picture, in_place=True)
                yield picture
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(
                f"{path} cannot be read as a {' or '.join(kinds)} file ({error}); "
                f"{cure}."
            ) from error


def read_description(name: str) -> str:
    """Read the text on a data set that its ``DESCR`` holds."""
    return (Path(__file__).parent / "descr" / f"{name}.rst").read_text("utf-8")
