"""Lazy sequences of arrays in files, and readers of pictures."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.foreign_files import FileError
from .._utils.lazy import LazySequence
from .._utils.pictures import open_picture

_KINDS = ["BMP", "JPEG", "PNG", "TIFF", "WEBP"]
# Modes that Pillow converts to RGB without a loss: gray, palettes and other colors.
_MODES = ["RGB", "L", "P", "CMYK", "YCbCr"]


class FileSequence(LazySequence):
    """A sequence of arrays that are read from their files at each access.

    It can replace a list of arrays in scikit-learn's splitters and searches, in every
    ``fit`` and ``predict``, and in the measures of this package. Arrays are not kept in
    memory. A second access reads the file again, and a pickle for another process holds
    only the names of the files. Therefore scikit-learn's own ``Pipeline(memory=)``
    compares two sequences by the names of their files. A `FeatureCache` compares the
    pixels.

    Parameters
    ----------
    read : callable
        Returns the array of one of ``files``, such as `read_photograph`. Only a
        function of a module can be pickled.
    files : iterable
        The arguments of ``read``, usually paths.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.datasets import FileSequence
    >>> arrays = FileSequence(np.load, ["a.npy", "b.npy", "c.npy"])
    >>> arrays[[0, 2]]
    FileSequence(2 arrays, not in memory)
    """

    def __init__(self, read: Callable[[Any], NDArray[Any]], files: Iterable[Any]):
        if not callable(read):
            raise TypeError(
                "read: expected a function that returns the array of a file, got "
                f"{read!r:.60}; the order is FileSequence(read, files)."
            )
        if isinstance(files, (str, os.PathLike)):
            raise TypeError(
                f"files: expected a list of files, got the path {os.fspath(files)!r}; "
                "list them, for example with sorted(Path(folder).glob('*.jpg'))."
            )
        super().__init__(read, list(files))


def read_photograph(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read a photograph as RGB, upright.

    ``FileSequence(read_photograph, files)`` is a sequence of photographs that are read
    at each access.

    Parameters
    ----------
    path : str or path
        A JPEG, PNG, TIFF, WebP or BMP file. Gray photographs, CMYK photographs and
        photographs with a palette are converted. A photograph whose EXIF data says that
        the camera was turned is rotated upright.

    Returns
    -------
    ndarray of uint8 of shape (height, width, 3)

    Raises
    ------
    OSError
        If the file cannot be opened: FileNotFoundError, PermissionError or
        IsADirectoryError.
    ValueError
        If it is damaged or not a photograph, is a pipe or a device, has several frames,
        transparent pixels or 16 bits per channel, or has more pixels than
        ``PIL.Image.MAX_IMAGE_PIXELS``, which is 89,478,485 unless you change it.

    Notes
    -----
    No other errors are raised, whatever the file is, and all name it. See "Files from
    strangers" in the user guide.

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
        # Phones write MPO files, whose first frame is the photograph.
        if n_frames > 1 and picture.format != "MPO":
            raise FileError(
                f"{path}: expected one picture, got {n_frames} frames; save one of "
                "them to a file of its own."
            )
        if picture.mode not in _MODES or picture.has_transparency_data:
            raise FileError(
                f"{path}: expected 8 bits per channel and no alpha channel, got mode "
                f"{picture.mode}; convert the file to RGB first, or read it by "
                "datasets.read_image."
            )
        return np.array(picture.convert("RGB"))


def read_description(name: str) -> str:
    """Read the description of a data set, the text of its ``DESCR``."""
    return (Path(__file__).parent / "descr" / f"{name}.rst").read_text("utf-8")
