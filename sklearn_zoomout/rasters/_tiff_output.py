"""Outputs in TIFF files, by rasterio or else by tifffile."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from .._utils.optional import explain_missing
from .._utils.writing import replace_whole
from ._geotiff_source import without_georeference_warning
from ._layout import Layout
from ._output import Put
from ._source import Georeference
from ._window import Window

_TILE = 256
# GDAL's tags for its metadata and for the nodata value.
_METADATA, _NODATA = 42112, 42113


def tiff_file(
    path: Path, layout: Layout, georeference: Georeference | None
) -> AbstractContextManager[Put]:
    """Write a TIFF file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    layout : Layout
        The shape and type, the names and the colors.
    georeference : Georeference or None
        Where the image lies.

    Returns
    -------
    context manager
        Gives the function that writes a window.

    Raises
    ------
    ValueError
        If the labels are too large for a palette.
    """
    palette = layout.colors is not None and layout.kind == "labels"
    # A palette has one color for each value of the type.
    if palette and layout.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"colors: expected labels of uint8 or uint16 for the palette of {path}, "
            f"got {layout.dtype}; leave out the colors."
        )
    tagged = georeference is not None and bool(georeference.tags)
    if find_spec("rasterio") is not None and not tagged:
        return _by_rasterio(path, layout, georeference)
    return _by_tifffile(path, layout, georeference)


@contextmanager
def _by_rasterio(
    path: Path, layout: Layout, georeference: Georeference | None
) -> Iterator[Put]:
    import rasterio
    from rasterio.windows import Window as RasterioWindow

    labels = layout.kind == "labels"
    profile = {
        "driver": "GTiff",
        "height": layout.shape[0],
        "width": layout.shape[1],
        "count": 1 if labels else layout.shape[2],
        "dtype": layout.dtype.name,
        "nodata": layout.fill,
        "tiled": True,
        "blockxsize": _TILE,
        "blockysize": _TILE,
        "compress": "deflate",
        "predictor": 1 if labels else 3,
        "interleave": "band",
        "BIGTIFF": "IF_SAFER",  # the size is unknown before it is compressed
        **(georeference.profile if georeference is not None else {}),
    }
    with replace_whole(path) as temporary, without_georeference_warning():
        dataset = rasterio.open(temporary, "w", **profile)
        with dataset:
            if labels:
                _describe_labels(dataset, layout)
            else:
                for band, name in enumerate(layout.band_names, start=1):
                    dataset.set_band_description(band, name)

            def put(window: Window, values: NDArray[Any]) -> None:
                height, width = window.shape
                place = RasterioWindow(window.left, window.top, width, height)
                planes = values[None] if labels else np.moveaxis(values, -1, 0)
                dataset.write(planes, window=place)

            yield put


def _describe_labels(dataset: Any, layout: Layout) -> None:
    dataset.set_band_description(1, "labels")
    if layout.colors is not None:
        colors = {
            int(label): (*map(int, color), 255)
            for label, color in zip(layout.classes, layout.colors, strict=True)
        }
        if layout.unlabeled is not None:
            colors[layout.unlabeled] = (0, 0, 0, 0)
        dataset.write_colormap(1, colors)
    if layout.names is not None:
        named = zip(layout.classes, layout.names, strict=True)
        dataset.update_tags(1, **{f"class_{label}": name for label, name in named})


@contextmanager
def _by_tifffile(
    path: Path, layout: Layout, georeference: Georeference | None
) -> Iterator[Put]:
    with explain_missing(f"{path}: writing TIFF", "rasters"):
        import tifffile
    labels = layout.kind == "labels"
    options: dict[str, Any] = {"photometric": "minisblack", "metadata": None}
    if not labels:
        options["planarconfig"] = "separate"
    elif layout.colors is not None:
        colors = np.zeros((3, np.iinfo(layout.dtype).max + 1), np.uint16)
        # 255 becomes 65535, the largest value of a TIFF palette.
        colors[:, layout.classes] = layout.colors.T.astype(np.uint16) * 257
        options |= {"photometric": "palette", "colormap": colors}
    tags = [(_METADATA, "s", 0, _metadata(layout), True)]
    if layout.fill is not None:
        tags.append((_NODATA, "s", 0, str(layout.fill), True))
    if georeference is not None:
        tags += georeference.tags
    with replace_whole(path) as temporary:
        array = tifffile.memmap(
            temporary,
            shape=layout.shape if labels else (layout.shape[2], *layout.shape[:2]),
            dtype=layout.dtype,
            extratags=tags,
            **options,
        )

        def put(window: Window, values: NDArray[Any]) -> None:
            array[(..., *window.slices)] = (
                values if labels else np.moveaxis(values, -1, 0)
            )

        yield put
        array.flush()


def _metadata(layout: Layout) -> str:
    """Return GDAL's description of the bands or classes."""
    if layout.kind == "labels":
        items = [(0, "DESCRIPTION", "labels")]
        named = zip(layout.classes, layout.names or [], strict=bool(layout.names))
        items += [(0, f"class_{label}", name) for label, name in named]
    else:
        items = [(i, "DESCRIPTION", name) for i, name in enumerate(layout.band_names)]
    lines = [
        f'  <Item name="{key}" sample="{i}"'
        + (' role="description"' if key == "DESCRIPTION" else "")
        + f">{escape(escape(name))}</Item>"  # GDAL reads both
        for i, key, name in items
    ]
    return "\n".join(["<GDALMetadata>", *lines, "</GDALMetadata>"])
