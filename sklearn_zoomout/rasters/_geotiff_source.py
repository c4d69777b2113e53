"""Files that rasterio reads."""

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.foreign_files import FileError, explain_damage, open_file
from .._utils.optional import explain_missing
from ._source import Georeference, PaletteSource, Source
from ._window import Window

# Endings of text that names other files, or servers, from which GDAL then reads.
_REFERRING = {".vrt", ".xml", ".json"}


def open_with_rasterio(path: Path, page: int | None) -> Source:
    """Open a file with rasterio.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    page : int or None
        The page of a TIFF file, from 0.

    Returns
    -------
    Source

    Raises
    ------
    ImportError
        If rasterio is missing.
    NotImplementedError
        If a TIFF file has several pages, and none is chosen.
    ValueError
        If the file cannot be read.
    """
    with explain_missing(f"{path}: reading it", "rasters"):
        import rasterio
    name = str(path) if page is None else f"GTIFF_DIR:{page + 1}:{path}"
    driver = _driver(path)
    with ExitStack() as files:
        try:
            with without_georeference_warning():
                dataset = files.enter_context(rasterio.open(name, driver=driver))
            if page is None and dataset.driver == "GTiff" and dataset.subdatasets:
                raise NotImplementedError(f"{path}: several pages")
            source = _with_colors(_RasterioSource(dataset, path), dataset)
        except (NotImplementedError, ValueError):
            raise
        except Exception as error:  # GDAL's errors are of many kinds
            raise OSError(f"{path} cannot be read by rasterio ({error}).") from error
        files.pop_all()  # it stays open
    return source


def _driver(path: Path) -> str | None:
    """Return the driver of TIFF files, since GDAL goes by the content of a file."""
    suffix = path.suffix.lower()
    if suffix in (".tif", ".tiff"):
        return "GTiff"
    with open_file(path) as file:
        start = file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] in (b"<", b"{", b"[") and suffix not in _REFERRING:
        raise FileError(
            f"{path}: expected pixels, got XML or JSON, which can name other files; "
            f"such a file needs one of the endings {sorted(_REFERRING)}."
        )
    return None


@contextmanager
def without_georeference_warning() -> Iterator[None]:
    """Ignore rasterio's warning of images that are not georeferenced."""
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def _with_colors(source: "_RasterioSource", dataset: Any) -> Source:
    from rasterio.enums import ColorInterp

    if dataset.colorinterp[0] != ColorInterp.palette or source.shape[2] != 1:
        return source
    colors = dataset.colormap(1)
    palette = np.zeros((max(colors) + 1, 3), np.uint8)
    for position, color in colors.items():
        palette[position] = color[:3]
    return PaletteSource(source, palette)


class _RasterioSource(Source):
    """Reads windows of an open dataset of rasterio, which is closed by `close`."""

    def __init__(self, dataset: Any, path: Path):
        from rasterio.enums import ColorInterp, MaskFlags

        kinds = dict(zip(dataset.indexes, dataset.colorinterp, strict=True))
        self._bands = [i for i in kinds if kinds[i] != ColorInterp.alpha]
        alphas = [i for i in kinds if kinds[i] == ColorInterp.alpha]
        if not self._bands:
            raise ValueError(f"{path}: expected bands, got {len(alphas)} alpha bands.")
        # Each look-up collects those of all bands.
        all_dtypes, all_nodata = dataset.dtypes, dataset.nodatavals
        dtypes = {all_dtypes[i - 1] for i in self._bands}
        if len(dtypes) > 1 or np.dtype(min(dtypes)).kind not in "iuf":
            raise ValueError(
                f"{path}: expected bands of one dtype of real numbers, got "
                f"{sorted(dtypes)}; convert the file with rasterio."
            )
        masked = MaskFlags.per_dataset in dataset.mask_flag_enums[0]
        self.shape = (dataset.height, dataset.width, len(self._bands))
        self.dtype = np.dtype(dtypes.pop())
        self.nodata = _common_nodata([all_nodata[i - 1] for i in self._bands])
        self.has_mask = bool(alphas) or masked
        self.block = tuple(dataset.block_shapes[0])
        self.georeference = _georeference(dataset)
        self._alpha = alphas[0] if alphas else None
        self._dataset = dataset
        self._path = path
        self._lock = threading.Lock()  # a dataset is not safe for threads

    def read(self, window: Window, channels: Sequence[int]) -> NDArray[Any]:
        """Return the values of a window, of shape (height, width, n_channels)."""
        bands = [self._bands[channel] for channel in channels]
        planes = self._call(self._dataset.read, bands, window=_of_rasterio(window))
        return np.ascontiguousarray(np.moveaxis(planes, 0, -1))

    def read_mask(self, window: Window) -> NDArray[np.bool_]:
        """Return which pixels of a window have data, of shape (height, width)."""
        return self._mask(window=_of_rasterio(window))

    def read_overview(
        self, height: int, width: int, channels: Sequence[int]
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None] | None:
        """Return the whole image reduced, and its mask, if the file contains that."""
        from rasterio.enums import Resampling

        factor = min(self.shape[0] / height, self.shape[1] / width)
        overviews = self._dataset.overviews(self._bands[0])
        if not any(overview <= factor for overview in overviews):
            return None
        options = {"resampling": Resampling.average}
        planes = self._call(
            self._dataset.read,
            [self._bands[channel] for channel in channels],
            out_shape=(len(channels), height, width),
            **options,
        )
        values = np.ascontiguousarray(np.moveaxis(planes, 0, -1))
        if not self.has_mask:
            return values, None
        return values, self._mask(out_shape=(height, width), **options)

    def _mask(self, **options: Any) -> NDArray[np.bool_]:
        if self._alpha is not None:
            return np.asarray(
                self._call(self._dataset.read, self._alpha, **options) > 0
            )
        return np.asarray(self._call(self._dataset.read_masks, 1, **options) > 0)

    def _call(self, read: Any, *args: Any, **options: Any) -> NDArray[Any]:
        cure = "the file may be damaged or closed"
        with self._lock, explain_damage(self._path, "read in a window", cure):
            return np.asarray(read(*args, **options))

    def close(self) -> None:
        """Close the dataset."""
        with self._lock:
            self._dataset.close()


def _of_rasterio(window: Window) -> Any:
    from rasterio.windows import Window as RasterioWindow

    height, width = window.shape
    return RasterioWindow(window.left, window.top, width, height)


def _common_nodata(values: list[float | None]) -> float | None:
    """Return the value of all bands, or None if they have none or several."""
    first = values[0]
    if first is None or all(x is not None and x != x for x in values):
        return first
    return first if all(x == first for x in values) else None


def _georeference(dataset: Any) -> Georeference | None:
    profile: dict[str, Any] = {}
    points, points_crs = dataset.gcps
    if points:
        profile |= {"gcps": points, "crs": points_crs}
    elif dataset.crs is not None or not dataset.transform.is_identity:
        profile |= {"crs": dataset.crs, "transform": dataset.transform}
    if dataset.rpcs is not None:
        profile["rpcs"] = dataset.rpcs
    return Georeference(profile) if profile else None
