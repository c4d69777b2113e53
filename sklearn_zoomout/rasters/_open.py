"""Opening of arrays and files as rasters."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._utils.foreign_files import check_regular, explain_damage
from .._utils.optional import explain_missing
from ..images import refuse_masked
from ._axes import channels_are_first
from ._geotiff_source import open_with_rasterio
from ._raster import Number, Raster
from ._source import ArraySource, Source
from ._tiff_source import open_with_tifffile
from ._window import describe

# They fit in memory, and may be turned, which rasterio does not know.
_PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
_ZARR_FILES = (".zarray", ".zgroup", "zarr.json")
# Far more than the bands of any camera. GDAL takes their square of time.
_MOST_CHANNELS = 5000


def open_raster(
    source: Any,
    *,
    nodata: Number | None = None,
    channels: Sequence[int] | None = None,
    channel_axis: int | None = None,
    page: int | None = None,
) -> Raster:
    """Open an image of which windows are read, so that it need not fit in memory.

    Parameters
    ----------
    source : array-like of shape (height, width) or (height, width, n_channels), or path
        A NumPy array or memory map, an array of zarr, dask or h5py, or anything else
        that has a shape and a dtype and is sliced like an array. Or the path of a TIFF
        or GeoTIFF file, of a ``.zarr`` folder, of a ``.npy`` file, or of another file
        that rasterio reads. A `Raster` is returned as it is.
    nodata : int or float, default=None
        The value of pixels without data, which may be NaN. None takes it from the tags
        of a TIFF file; arrays, zarr folders and ``.npy`` files have none.
    channels : sequence of int, default=None
        The positions of the channels to read, from 0. None reads all.
    channel_axis : {0, 2, -1}, default=None
        The axis of the channels in an array of three dimensions. None takes the last
        one if it is no longer than the two others; otherwise the axis must be given.
        TIFF files tell which axis it is, unless the channels are on separate pages.
    page : int, default=None
        The page of a TIFF file, from 0. It must be given if there are several.

    Returns
    -------
    Raster
        A context manager. ``raster.read(top, left, bottom, right)`` reads a window.

    Raises
    ------
    TypeError
        If ``source`` is neither an array nor a path.
    OSError
        If the file does not exist or cannot be opened.
    ImportError
        If a library is missing that reads the file.
    ValueError
        If the image has not two or three dimensions, or its channels could be on two
        axes; if a channel or page does not exist; if ``nodata`` is no value of the
        dtype; or if the file cannot be read, is a pipe or a device, or names other
        files without the ending ``.vrt``, ``.xml`` or ``.json``. Later, when a window
        is read, if the file is damaged. All errors about a file name it.

    See Also
    --------
    create_output : Writes the results of windows.
    sklearn_zoomout.datasets.read_image : Reads a picture of any kind into memory.

    Notes
    -----
    A pixel of an integer image has no data if all its channels are ``nodata``, since a
    value such as 0 is an ordinary one of a single channel. A pixel of a floating-point
    image has none if any of its channels is ``nodata`` or NaN; NaN counts only if a
    ``nodata`` value is known. Pixels whose alpha is 0, or that are masked in the file,
    have none either. The alpha channel is not among the channels.

    The colors of a palette are read as RGB. Values are those of the file, without its
    scale and offset.

    TIFF files are read by rasterio if it is installed. Otherwise tifffile reads them,
    together with zarr if they are compressed or tiled.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.rasters import open_raster
    >>> planes = np.zeros((4, 500, 400), np.float32)
    >>> raster = open_raster(planes, channel_axis=0, channels=[2, 1, 0], nodata=np.nan)
    >>> raster
    Raster(shape=(500, 400, 3), dtype=float32, nodata=nan)
    >>> raster.read_reduced(50, 40)[0].shape
    (50, 40, 3)
    """
    if isinstance(source, Raster):
        if any(x is not None for x in (nodata, channels, channel_axis, page)):
            raise ValueError(
                "source: expected an array or a path together with other arguments, "
                "got a Raster; pass them when it is opened."
            )
        return source
    is_path = isinstance(source, (str, os.PathLike))
    if is_path:
        opened = _open_path(Path(source).expanduser(), channel_axis, page)
    else:
        if page is not None:
            raise ValueError(f"page: expected None for an array, got {page!r}.")
        opened = _open_array(source, None, channel_axis)
    try:
        if is_path:
            _check_shape(opened.shape, str(source))
        return Raster(
            opened, _check_channels(opened, channels), _check_nodata(opened, nodata)
        )
    except BaseException:
        opened.close()
        raise


def _check_shape(shape: tuple[int, int, int], name: str) -> None:
    """Refuse an image of a file without pixels, or of channels that are damage."""
    if min(shape) < 1 or shape[2] > _MOST_CHANNELS:
        raise ValueError(
            f"{name}: expected pixels of 1 to {_MOST_CHANNELS} channels, got the shape "
            f"{shape}."
        )


def _open_path(path: Path, channel_axis: int | None, page: int | None) -> Source:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder.")
    check_regular(path)
    suffix = path.suffix.lower()
    if page is not None and suffix not in (".tif", ".tiff"):
        raise ValueError(f"page: expected None for {path}, got {page!r}.")
    if suffix == ".npy":
        return _open_npy(path, channel_axis)
    if path.is_dir():
        return _open_zarr(path, channel_axis)
    if suffix in _PICTURES:
        raise ValueError(
            f"{path}: expected a TIFF, .npy or .zarr file, got a picture; read it into "
            "memory, open_raster(datasets.read_image(path))."
        )
    if suffix in (".tif", ".tiff"):
        return _open_tiff(path, channel_axis, page)
    if channel_axis is not None:
        raise ValueError(f"channel_axis: expected None for {path}.")
    return open_with_rasterio(path, None)


def _open_tiff(path: Path, channel_axis: int | None, page: int | None) -> Source:
    if channel_axis is not None:
        return open_with_tifffile(path, channel_axis, page)
    try:
        return open_with_rasterio(path, page)
    except (ImportError, NotImplementedError, OSError) as error:
        try:
            return open_with_tifffile(path, None, page)
        except ImportError as missing:
            raise missing from error


def _open_npy(path: Path, channel_axis: int | None) -> Source:
    cure = "expected a file of one array of numbers, written by numpy.save"
    with explain_damage(path, "mapped", cure):
        array = np.lib.format.open_memmap(path, mode="r")
    return _open_array(array, path, channel_axis, own_map=True)


def _open_zarr(path: Path, channel_axis: int | None) -> Source:
    if not any((path / name).exists() for name in _ZARR_FILES):
        raise ValueError(f"{path}: expected a zarr array, got another folder.")
    with explain_missing(f"{path}: reading zarr", "rasters"):
        import zarr
    with explain_damage(path, "read as zarr", "write it again"):
        opened = zarr.open(path, mode="r")
    if isinstance(opened, zarr.Group):
        names = sorted(opened.array_keys())
        raise ValueError(
            f"{path}: expected a zarr array, got a group with the arrays {names}; pass "
            "the folder of one of them."
        )
    _check_codecs(opened, path)
    return _open_array(opened, path, channel_axis)


def _check_codecs(array: Any, path: Path) -> None:
    """Refuse chunks that are pickles, which would be run when a window is read."""
    filters = getattr(array.metadata, "filters", None) or ()
    codecs = (*filters, getattr(array.metadata, "compressor", None))
    if any(getattr(codec, "codec_id", None) == "pickle" for codec in codecs):
        raise ValueError(f"{path}: expected chunks of numbers, got pickles.")


def _open_array(
    array: Any, path: Path | None, channel_axis: int | None, *, own_map: bool = False
) -> Source:
    name = "source" if path is None else str(path)
    refuse_masked(array, name, "pass source.filled(value) with nodata=value")
    if not all(hasattr(array, x) for x in ("shape", "dtype", "ndim", "__getitem__")):
        raise TypeError(
            f"{name}: expected an array, or the path of a file, got {describe(array)}; "
            "convert it with numpy.asarray, or pass its path."
        )
    first = channels_are_first(tuple(array.shape), name, channel_axis)
    if np.dtype(array.dtype).kind not in "iufb":
        raise ValueError(f"{name}: expected numbers, got dtype {array.dtype}.")
    return ArraySource(array, channels_first=first, own_map=own_map, path=path)


def _check_channels(source: Source, channels: Sequence[int] | None) -> list[int]:
    n_channels = source.shape[2]
    if channels is None:
        return list(range(n_channels))
    listed = np.asarray(channels)
    whole = listed.ndim == 1 and listed.size > 0 and listed.dtype.kind in "iu"
    if not whole or listed.min() < 0 or listed.max() >= n_channels:
        raise ValueError(
            f"channels: expected a list of positions in 0..{n_channels - 1}, got "
            f"{channels!r}."
        )
    return [int(channel) for channel in listed]


def _check_nodata(source: Source, nodata: Number | None) -> Number | None:
    given = nodata is not None
    value = nodata if given else source.nodata
    if value is None:
        return None
    if not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"nodata: expected a number, got {describe(nodata)}.")
    if source.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return float(source.dtype.type(value))
    limits = (0, 1) if source.dtype.kind == "b" else _limits(source.dtype)
    if limits[0] <= value <= limits[1] and value == int(value):
        return int(value)
    if not given:
        return None  # no pixel has that value
    raise ValueError(
        f"nodata: expected a value of {source.dtype}, got {nodata!r}, which no pixel "
        "can have; leave it out if all pixels have data."
    )


def _limits(dtype: "np.dtype[Any]") -> tuple[int, int]:
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)
