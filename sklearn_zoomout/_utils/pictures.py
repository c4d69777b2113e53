"""Opening of pictures, upright and with errors that name the file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from PIL import Image, ImageOps

from .foreign_files import FileError, check_size, explain_damage, open_file, too_large

#: The tag of EXIF and TIFF that says how the camera was turned.
ORIENTATION = 274


@contextmanager
def open_picture(
    path: str | os.PathLike[str], kinds: list[str], cure: str
) -> Iterator[Image.Image]:
    """Open a picture upright, with an error that names the file if it is damaged.

    Parameters
    ----------
    path : str or path
        The file.
    kinds : list of str
        The accepted formats, by Pillow's names.
    cure : str
        The end of the error, which says what to do.

    Yields
    ------
    PIL.Image.Image

    Raises
    ------
    OSError
        If the file cannot be opened.
    FileError
        If it cannot be read as one of these formats, has too many pixels, or Pillow
        would drop half of the bits of each channel. Every error of the block but a
        FileError becomes one.
    """
    with open_file(path) as file, decode_picture(file, path, kinds, cure) as picture:
        if has_deep_colors(picture):
            raise FileError(
                f"{path}: expected 8 bits per channel, got 16; convert the file, or "
                "read it by datasets.read_image."
            )
        ImageOps.exif_transpose(picture, in_place=True)
        yield picture


@contextmanager
def decode_picture(
    file: IO[bytes], name: object, kinds: list[str], cure: str
) -> Iterator[Image.Image]:
    """Let Pillow read the header of a picture, and check its size.

    Parameters
    ----------
    file : binary file
        The bytes.
    name : object
        The name of the picture in errors.
    kinds, cure
        See `open_picture`.

    Yields
    ------
    PIL.Image.Image
        As it is stored. It is not decoded yet.

    Raises
    ------
    FileError
        See `open_picture`.
    """
    with (
        explain_damage(name, f"read as a {' or '.join(kinds)} file", cure),
        _open(file, name, kinds) as picture,
    ):
        check_size(name, picture.height, picture.width)
        yield picture


def _open(file: IO[bytes], name: object, kinds: list[str]) -> Image.Image:
    try:
        return Image.open(file, formats=kinds)
    # A warning up to twice the limit; it is raised where warnings are errors.
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise too_large(name, f"more ({error})") from error


def has_deep_colors(picture: Image.Image) -> bool:
    """Return whether Pillow would keep only 8 of the 16 bits of each channel.

    Parameters
    ----------
    picture : PIL.Image.Image
        A picture that is open, and not decoded yet.

    Returns
    -------
    bool
    """
    tiles: list[Any] = getattr(picture, "tile", [])
    if picture.mode not in ("RGB", "RGBA", "LA", "CMYK") or not tiles:
        return False
    arguments = tiles[0][3]
    if picture.format == "PPM":
        return isinstance(arguments, tuple) and arguments[-1] > 255
    return ";16" in str(arguments)
