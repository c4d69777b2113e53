"""TIFF files that tifffile reads, without rasterio or if their pages are channels."""

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from .._utils.foreign_files import FileError, explain_damage
from .._utils.optional import explain_missing
from .._utils.tiffs import check_number_of_parts, check_pages
from ._axes import channels_are_first
from ._source import ArraySource, Georeference, PaletteSource, Source
from ._window import Window

_NODATA = 42113
# The scale, the tie points, the transform, and the keys of the coordinate system.
_GEOREFERENCE = (33550, 33922, 34264, 34735, 34736, 34737)
_REDUCED_OR_MASK = 5  # bits of the tag NewSubfileType


def open_with_tifffile(
    path: Path, channel_axis: int | None, page: int | None
) -> Source:
    """Open a TIFF file with tifffile, and with zarr if it is compressed or tiled.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    channel_axis : int or None
        The axis of the channels, if the file does not tell.
    page : int or None
        The page, from 0.

    Returns
    -------
    Source

    Raises
    ------
    ImportError
        If tifffile is missing, or zarr and the file needs it.
    ValueError
        If the file cannot be read, has several pages, or the axis of the channels is
        unknown.
    """
    with explain_missing(f"{path}: reading TIFF", "rasters"):
        import tifffile
    files = ExitStack()
    try:
        with explain_damage(path, "read as TIFF", "expected a whole file"):
            file = files.enter_context(tifffile.TiffFile(path))
            check_pages(file, path)
            image = _choose_image(file, path, page)
            check_number_of_parts(image.keyframe, path)
            shape, axes = tuple(image.shape), image.axes
        if channel_axis is not None or len(shape) == 2:
            first = channels_are_first(shape, str(path), channel_axis)
        elif len(shape) == 3 and axes[0] in "CS":
            first = True
        elif len(shape) == 3 and axes[2] in "CS":
            first = False
        else:
            raise ValueError(
                f"{path}: expected one image, got the axes {axes!r} of shape {shape}; "
                "pass page=0, 1, ... to read one page, or channel_axis=0 if its pages "
                "are the channels."
            )
        with explain_damage(path, "read as TIFF", "expected a whole file"):
            return _make_source(path, file, image, first, files)
    except BaseException:
        files.close()
        raise


def _choose_image(file: Any, path: Path, page: int | None) -> Any:
    if page is not None:
        n_pages = len(file.pages)
        if not 0 <= page < n_pages:
            raise FileError(f"page: expected 0..{n_pages - 1} for {path}, got {page}.")
        return file.pages[page]
    whole = [
        series
        for series in file.series
        if not int(series.keyframe.subfiletype) & _REDUCED_OR_MASK
    ]
    if len(whole) != 1:
        raise FileError(
            f"{path}: expected one image, got {len(whole)} of the shapes "
            f"{[series.shape for series in whole]}; pass page=0, 1, ... to read one."
        )
    return whole[0]


def _make_source(
    path: Path, file: Any, image: Any, first: bool, files: ExitStack
) -> Source:
    keyframe = image.keyframe
    array = _open_pixels(path, file, image, files)
    source = ArraySource(
        array,
        channels_first=first,
        alpha=_alpha_channel(keyframe) if len(image.shape) == 3 else None,
        own_map=isinstance(array, np.memmap),
        lock=threading.Lock(),
        files=files,
        path=path,
    )
    source.georeference = _georeference(keyframe)
    tag = keyframe.tags.get(_NODATA)
    source.nodata = None if tag is None else _number(tag.value)
    try:
        source.read(Window(0, 0, 1, 1), [0])
    except Exception as error:
        raise FileError(
            f"{path} cannot be read by tifffile ({error}); install rasterio, pip "
            'install "sklearn-zoomout[rasters]", or save the file without compression.'
        ) from error
    if keyframe.colormap is None or source.shape[2] != 1:
        return source
    return PaletteSource(source, (keyframe.colormap.T >> 8).astype(np.uint8))


def _open_pixels(path: Path, file: Any, image: Any, files: ExitStack) -> Any:
    """Return a map of the pixels, or a zarr array if they are not in one piece."""
    is_series = hasattr(image, "dataoffset")
    if is_series or image.is_memmappable:
        offset = image.dataoffset if is_series else image.dataoffsets[0]
        if offset is not None:
            # Not by tifffile.memmap, which opens the file again, without its checks.
            dtype = image.dtype.newbyteorder(file.byteorder)
            return np.memmap(path, dtype, "r", offset, image.shape)
    with explain_missing(f"{path}: reading compressed or tiled TIFF", "rasters"):
        import zarr

        store = files.enter_context(image.aszarr(**({"level": 0} if is_series else {})))
    return zarr.open_array(store, mode="r")


def _alpha_channel(keyframe: Any) -> int | None:
    extra = [int(kind) for kind in keyframe.extrasamples]
    alphas = [i for i, kind in enumerate(extra) if kind in (1, 2)]
    return keyframe.samplesperpixel - len(extra) + alphas[0] if alphas else None


def _number(text: Any) -> float | None:
    try:
        return float(str(text).strip("\0 "))
    except ValueError:
        return None


def _georeference(keyframe: Any) -> Georeference | None:
    tags = [keyframe.tags.get(code) for code in _GEOREFERENCE]
    kept = tuple(
        (tag.code, int(tag.dtype), tag.count, tag.value, True) for tag in tags if tag
    )
    return Georeference(tags=kept) if kept else None
