"""Pictures of any kind, with the values that the file holds."""

import os
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .._utils.foreign_files import open_file
from ._alpha import ALPHAS, apply_alpha
from ._pillow_picture import read_with_pillow
from ._tiff_picture import read_tiff

# Little and big endian, TIFF and BigTIFF.
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_image(
    path: str | os.PathLike[str], *, page: int | None = None, alpha: str = "error"
) -> NDArray[Any]:
    """Read a picture of any kind, upright, with the values that the file holds.

    Parameters
    ----------
    path : str or path
        A BMP, GIF, JPEG, PNG, PPM, TGA, TIFF or WebP file.
    page : int, default=None
        The page or frame, from 0. It must be given if there are several. The pages of a
        TIFF file are read together if its metadata says that they are channels.
    alpha : {"error", "drop", "white", "nodata", "keep"}, default="error"
        What to do if pixels are transparent. "error" raises an error, "drop" ignores
        it, "white" puts the picture on white, "keep" returns alpha as the last channel.
        "nodata" returns float32 in 0..1 with NaN where alpha is 0. If all pixels are
        opaque, alpha is dropped, but for "keep".

    Returns
    -------
    ndarray of shape (height, width) or (height, width, n_channels)
        Gray pictures have two dimensions. 8 bits per channel are uint8, 16 bits uint16,
        floating point stays as it is. Palettes, CMYK and YCbCr become RGB. Black and
        white are 0 and 255.

    Raises
    ------
    OSError
        If the file cannot be opened: FileNotFoundError, PermissionError or
        IsADirectoryError.
    ImportError
        If it is a TIFF file, and tifffile is missing.
    ValueError
        If it is damaged or of another kind, is a pipe or a device, has several pages or
        transparent pixels that no argument is about, or is larger than the limit.

    See Also
    --------
    read_photograph : Reads photographs as RGB in uint8.
    sklearn_zoomout.rasters.open_raster : Reads windows of files larger than memory.

    Notes
    -----
    No other errors are raised, whatever the file is, and all name it. See "Files from
    strangers" in the user guide.

    The limit is ``PIL.Image.MAX_IMAGE_PIXELS`` pixels, 89,478,485 unless you change it,
    and 16 bytes of values for each of them. None removes it. A picture is compared with
    the limit before it is decoded.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from PIL import Image
    >>> from sklearn_zoomout.datasets import read_image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "depth.png"
    ...     Image.fromarray(np.full((2, 3), 1000, np.uint16)).save(path)
    ...     image = read_image(path)
    >>> image
    array([[1000, 1000, 1000],
           [1000, 1000, 1000]], dtype=uint16)
    """
    if alpha not in ALPHAS:
        raise ValueError(f"alpha: expected one of {list(ALPHAS)}, got {alpha!r}.")
    with open_file(path) as file:
        is_tiff = file.read(4) in _TIFF
    read = read_tiff if is_tiff else read_with_pillow
    image, opacity = read(Path(path), page)
    return apply_alpha(image, opacity, alpha, str(path))
