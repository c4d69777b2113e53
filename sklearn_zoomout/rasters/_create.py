"""Creation of outputs in memory, in arrays and in files."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._utils.memory_maps import forget_pages
from .._utils.writing import replace_whole
from ..masks import UNLABELED
from ._layout import (
    Layout,
    check_classes,
    check_colors,
    check_names,
    check_unlabeled,
    smallest_type,
)
from ._output import Put, RasterOutput
from ._raster import Raster
from ._tiff_output import tiff_file
from ._window import Window, describe
from ._zarr_output import check_folder, zarr_folder

_KINDS = ("labels", "probabilities")
_FILES = {
    ".tif": tiff_file,
    ".tiff": tiff_file,
    ".zarr": zarr_folder,
}


def create_output(
    target: Any,
    raster: Raster,
    *,
    kind: str = "labels",
    classes: ArrayLike,
    colors: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    unlabeled: int | None = None,
) -> RasterOutput:
    """Create what the results of a large image are written to, window by window.

    Parameters
    ----------
    target : None, array, or path
        None makes an array in memory. An array of NumPy, zarr or h5py is written into;
        it has the shape of the results. A path ends with ``.tif``, ``.tiff``, ``.npy``
        or ``.zarr``.
    raster : Raster
        The image. The result has its height and width, and a TIFF file its coordinate
        system and transform.
    kind : {"labels", "probabilities"}, default="labels"
        Whether pixels have labels, or probabilities of all classes.
    classes : array-like of int of shape (n_classes,)
        The labels of the classes, such as ``classifier.classes_``.
    colors : array-like of int of shape (n_classes, 3), default=None
        The colors of the classes, RGB in 0..255: the palette of a TIFF file.
    names : sequence of str, default=None
        The names of the classes, which TIFF and zarr files store.
    unlabeled : int, default=None
        What is stored for pixels without a label, whose label is -1 when they are
        written. None chooses it, see below.

    Returns
    -------
    RasterOutput
        A context manager. Windows are written by ``output.write(top, left, values)``.

    Raises
    ------
    TypeError
        If ``target`` is none of these.
    ImportError
        If a library is missing that writes the file.
    ValueError
        If an argument is out of its range, the array does not fit, or the name of the
        file has another ending.

    See Also
    --------
    open_raster : Opens the image.

    Notes
    -----
    Files hold the labels themselves, in the smallest unsigned type that also holds the
    value of pixels without a label. That is the largest value of the type, such as 255.
    A TIFF file names it as its nodata value.

    In memory such pixels are -1 in the smallest signed type. If all pixels of the
    raster have data, the type is the smallest unsigned one, and no pixel may be
    without a label. An array of the caller has -1 if it is signed, and the largest
    value of its type if that is no class.

    Probabilities are float32, of shape (height, width, n_classes), and NaN where there
    is no data. A TIFF file has one band per class.

    TIFF files are written by rasterio, compressed and in tiles. Without it tifffile
    writes them, uncompressed.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from pathlib import Path
    >>> from sklearn_zoomout.rasters import create_output, open_raster
    >>> raster = open_raster(np.zeros((4, 6, 3), np.uint8))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "labels.npy"
    ...     with create_output(path, raster, classes=[0, 1]) as output:
    ...         output.write(0, 0, np.eye(4, 6, dtype=int) - 1)
    ...     labels = np.load(path)
    >>> labels[0]
    array([  0, 255, 255, 255, 255, 255], dtype=uint8)
    """
    if kind not in _KINDS:
        raise ValueError(f"kind: expected one of {list(_KINDS)}, got {kind!r}.")
    checked = check_classes(classes)
    n_classes = len(checked)
    chosen = check_unlabeled(unlabeled, checked)

    def layout(dtype: Any, value: int | None) -> Layout:
        labels = kind == "labels"
        return Layout(
            kind,
            raster.shape[:2] if labels else (*raster.shape[:2], n_classes),
            np.dtype(dtype),
            checked,
            check_names(names, n_classes),
            check_colors(colors, n_classes),
            value if labels else None,
        )

    if target is None:
        if chosen is None and raster.has_nodata:
            chosen = UNLABELED
        dtype, value = smallest_type(checked, chosen, may_lack=False)
        made = layout(dtype if kind == "labels" else np.float32, value)
        fill = made.fill if made.fill is not None else 0
        array = np.full(made.shape, fill, made.dtype)
        return RasterOutput(made, _into(array), array)
    if isinstance(target, (str, os.PathLike)):
        dtype, value = smallest_type(checked, chosen)
        made = layout(dtype if kind == "labels" else np.float32, value)
        return _create_file(Path(target).expanduser(), made, raster)
    made = layout(_type_of(target), _value_for(target, kind, checked, chosen))
    _check_target(target, made)
    return RasterOutput(made, _into(target), target)


def _create_file(path: Path, layout: Layout, raster: Raster) -> RasterOutput:
    suffix = path.suffix.lower()
    if suffix == ".zarr":
        check_folder(path)
    elif path.is_dir():
        raise ValueError(f"target: expected a file, got the folder {path}.")
    if suffix == ".npy":
        return RasterOutput(layout, _npy_file(path, layout), path)
    if suffix not in _FILES:
        raise ValueError(
            f"target: expected a path that ends with .tif, .tiff, .npy or .zarr, got "
            f"{path}; for a picture leave out the target, and save the array."
        )
    return RasterOutput(layout, _FILES[suffix](path, layout, raster.georeference), path)


@contextmanager
def _into(array: Any) -> Iterator[Put]:
    """Write into an array; a map of a file is flushed at the end."""

    def put(window: Window, values: NDArray[Any]) -> None:
        array[window.slices] = values

    yield put
    if isinstance(array, np.memmap):
        array.flush()


@contextmanager
def _npy_file(path: Path, layout: Layout) -> Iterator[Put]:
    with replace_whole(path) as temporary:
        array = np.lib.format.open_memmap(
            temporary, mode="w+", dtype=layout.dtype, shape=layout.shape
        )

        def put(window: Window, values: NDArray[Any]) -> None:
            array[window.slices] = values
            forget_pages(array)

        yield put
        array.flush()


def _type_of(target: Any) -> "np.dtype[Any]":
    if not all(hasattr(target, x) for x in ("shape", "dtype", "__setitem__")):
        raise TypeError(
            "target: expected None, an array that can be written, or a path, got "
            f"{describe(target)}."
        )
    return np.dtype(target.dtype)


def _value_for(
    target: Any, kind: str, classes: NDArray[np.int64], chosen: int | None
) -> int | None:
    dtype = np.dtype(target.dtype)
    if kind == "probabilities" or chosen is not None or dtype.kind not in "iu":
        return chosen
    if dtype.kind == "i":
        return UNLABELED
    highest = int(np.iinfo(dtype).max)
    return None if highest in classes else highest


def _check_target(target: Any, layout: Layout) -> None:
    if tuple(target.shape) != layout.shape:
        raise ValueError(
            f"target: expected shape {layout.shape}, got {tuple(target.shape)}."
        )
    if isinstance(target, np.ndarray) and not target.flags.writeable:
        raise ValueError("target: expected an array that can be written.")
    if layout.kind == "probabilities":
        if layout.dtype.kind != "f":
            raise ValueError(
                f"target: expected floating point, got dtype {layout.dtype}."
            )
        return
    values = [
        *layout.classes,
        *([] if layout.unlabeled is None else [layout.unlabeled]),
    ]
    whole = layout.dtype.kind in "iu"
    if whole:
        info = np.iinfo(layout.dtype)
        whole = info.min <= min(values) and max(values) <= info.max
    if not whole:
        raise ValueError(
            f"target: expected integers that hold {min(values)}..{max(values)}, got "
            f"dtype {layout.dtype}."
        )
