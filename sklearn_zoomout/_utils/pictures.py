"""Opening of pictures, upright and with errors that name the file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image, ImageOps

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
    ValueError
        If it cannot be read as one of these formats, or Pillow would drop half of
        the bits of each channel.
    """
    with open(path, "rb") as file:
        try:
            with Image.open(file, formats=kinds) as picture:
                if has_deep_colors(picture):
                    raise ValueError(
                        f"{path}: expected 8 bits per channel, got 16; convert the "
                        "file, or read it by datasets.read_image."
                    )
                ImageOps.exif_transpose(picture, in_place=True)
                yield picture
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(
                f"{path} cannot be read as a {' or '.join(kinds)} file ({error}); "
                f"{cure}."
            ) from error


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
