"""Files from anywhere: errors that name them, and limits before memory is taken."""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from PIL import Image

#: Bytes of a decoded picture, for each pixel that is allowed: four float32 channels.
BYTES_PER_PIXEL = 16
_LARGE_READ = 2**20
_CURE = (
    "if you trust the file, set PIL.Image.MAX_IMAGE_PIXELS = None, or to a larger "
    "number; windows of a larger image are read by rasters.open_raster"
)


class FileError(ValueError):
    """What is wrong with a file. The message names the file."""


class _Bounded(io.BufferedReader):
    """Reads no more than there is, so that a damaged length takes no memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return bytes."""
        if size is not None and size > _LARGE_READ:
            size = min(size, max(os.fstat(self.fileno()).st_size - self.tell(), 0))
        return super().read(size)


def open_file(path: str | os.PathLike[str]) -> IO[bytes]:
    """Open a regular file for reading.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    binary file

    Raises
    ------
    OSError
        If the file does not exist, is a folder, or may not be read.
    FileError
        If it is a pipe or a device, from which a read could wait forever.
    """
    check_regular(path)
    return _Bounded(open(path, "rb", buffering=0))


def check_regular(path: str | os.PathLike[str]) -> None:
    """Raise FileError for a pipe or a device; others may exist or not."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return  # open says what is wrong
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise FileError(f"{path}: expected a regular file, got a pipe or a device.")


@contextmanager
def explain_damage(name: object, task: str, cure: str) -> Iterator[None]:
    """Turn whatever a parser raises into an error that names the file.

    Parameters
    ----------
    name : object
        The file.
    task : str
        What cannot be done, such as "read as a TIFF file".
    cure : str
        The end of the error, which says what to do.

    Raises
    ------
    FileError
        If the block raises an error. A FileError stays as it is, and so does an
        ImportError, for a library that is missing.
    """
    try:
        yield
    except (FileError, ImportError):
        raise
    # Parsers raise errors of any kind for damaged bytes, also MemoryError for sizes.
    except Exception as error:
        got = str(error) or type(error).__name__
        raise FileError(f"{name} cannot be {task} ({got:.500}); {cure}.") from error


def check_size(name: object, height: int, width: int, n_bytes: int = 0) -> None:
    """Refuse a picture that is larger than allowed, before it is decoded.

    Parameters
    ----------
    name : object
        The file.
    height, width : int
        The number of pixels that it declares.
    n_bytes : int, default=0
        The bytes of its decoded values, if they can be more than 16 for each pixel.

    Raises
    ------
    FileError
        If it has no pixels, more than ``PIL.Image.MAX_IMAGE_PIXELS``, or more bytes
        than 16 for each of those.
    """
    if height < 1 or width < 1:
        raise FileError(f"{name}: expected pixels, got {height} x {width}.")
    limit = Image.MAX_IMAGE_PIXELS
    if limit is None:
        return
    if height * width > limit:
        raise too_large(name, f"{height} x {width}")
    if n_bytes > BYTES_PER_PIXEL * limit:
        raise FileError(
            f"{name}: expected at most {BYTES_PER_PIXEL * limit} bytes, "
            f"{BYTES_PER_PIXEL} x PIL.Image.MAX_IMAGE_PIXELS, got {n_bytes}; {_CURE}."
        )


def too_large(name: object, size: object) -> FileError:
    """Return the error for a picture of too many pixels."""
    return FileError(
        f"{name} cannot be read: expected at most PIL.Image.MAX_IMAGE_PIXELS = "
        f"{Image.MAX_IMAGE_PIXELS} pixels, the limit, got {size}; {_CURE}."
    )


def check_file_size(path: str | os.PathLike[str]) -> None:
    """Refuse a file of more bytes than a decoded picture may have."""
    limit, size = Image.MAX_IMAGE_PIXELS, Path(path).stat().st_size
    if limit is not None and size > BYTES_PER_PIXEL * limit:
        raise FileError(
            f"{path}: expected a file of at most {BYTES_PER_PIXEL * limit} bytes, got "
            f"{size}; {_CURE}."
        )
