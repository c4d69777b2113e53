"""Opening of pictures, upright and with errors that name the file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageOps


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
