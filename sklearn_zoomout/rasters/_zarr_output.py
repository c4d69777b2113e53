"""Outputs in zarr folders."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .._utils.optional import explain_missing
from .._utils.writing import replace_whole
from ._layout import Layout
from ._output import Put
from ._source import Georeference

_CHUNK = 512


def check_folder(path: Path) -> None:
    """Raise an error if a folder would be replaced that is not of zarr.

    Parameters
    ----------
    path : pathlib.Path
        The folder to write.

    Raises
    ------
    ValueError
        If it exists and is no zarr array.
    """
    ours = [path / name for name in (".zarray", "zarr.json")]
    if path.exists() and not any(file.exists() for file in ours):
        raise ValueError(
            f"target: expected a new folder, or a zarr array to replace, got {path}, "
            "which holds something else; choose another name."
        )


@contextmanager
def zarr_folder(
    path: Path, layout: Layout, georeference: Georeference | None
) -> Iterator[Put]:
    """Write a zarr array with the labels and names of the classes as attributes.

    Parameters
    ----------
    path : pathlib.Path
        The folder.
    layout : Layout
        The shape and type.
    georeference : Georeference or None
        Not written.

    Yields
    ------
    callable
        Writes a window.

    Raises
    ------
    ImportError
        If zarr is missing.
    """
    with explain_missing(f"{path}: writing zarr", "rasters"):
        import zarr
    attributes: dict[str, Any] = {"classes": layout.classes.tolist()}
    if layout.names is not None:
        attributes["names"] = layout.names
    if layout.colors is not None:
        attributes["colors"] = layout.colors.tolist()
    if layout.unlabeled is not None:
        attributes["unlabeled"] = layout.unlabeled
    height, width = layout.shape[:2]
    with replace_whole(path) as temporary:
        array = zarr.create_array(
            temporary,
            shape=layout.shape,
            dtype=layout.dtype,
            chunks=(min(height, _CHUNK), min(width, _CHUNK), *layout.shape[2:]),
            fill_value=layout.fill,
            attributes=attributes,
        )

        def put(window: Any, values: Any) -> None:
            array[window.slices] = values

        yield put
