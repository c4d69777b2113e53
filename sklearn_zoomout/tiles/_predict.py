"""Prediction of an image of any size, tile by tile."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from joblib import delayed
from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._utils.parallel import run_in_turn
from .._utils.progress import show_progress
from ..masks import UNLABELED, default_colors
from ..rasters import Raster, create_output, open_raster
from ..superpixels import SegmentedImage, Superpixels
from ..superpixels._place import Place, Scene
from ..superpixels._reading import ReadImage
from ._grid import Tile, choose_grid
from ._scale import at_scale_of_fit, block_sides, is_pipeline_of_images, sees_scene

# Side of a tile in pixels.
_TILE_SIZE = 2048
# Labels that have a color by default.
_PALETTE_SIZE = 256
# Longer side of the whole image, as the global level sees it.
_WHOLE_SIZE = 1024


def predict_tiles(
    model: Pipeline,
    image: Any,
    *,
    output: Any = None,
    proba: bool = False,
    tile_size: int | None = _TILE_SIZE,
    margin: int | None = None,
    scene: str = "window",
    colors: ArrayLike | None = None,
    channel_axis: int | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Any:
    """Label an image of any size, tile by tile, at the scale of fit.

    Superpixels have the area, and networks see the image at the scale, that they have
    in the images of fit. A tile is predicted from a window around it. Windows begin
    where cells of SLIC and blocks of the network begin, so that tiles leave no seams.

    Parameters
    ----------
    model : Pipeline
        A fitted pipeline whose first step is a `SuperpixelSegmenter`.
    image : array-like of shape (height, width, n_channels), path or Raster
        What `rasters.open_raster` opens: an array, a memory map, an array of zarr or
        dask, or a TIFF, GeoTIFF, zarr or npy file. Only one window at a time is in
        memory. Pixels without data are not labeled.
    output : array, path or None, default=None
        What the result is written to; see `rasters.create_output`. None is a new array.
    proba : bool, default=False
        Whether to predict class probabilities in place of labels.
    tile_size : int or None, default=2048
        Side of a tile in pixels, about. None predicts the image at once.
    margin : int or None, default=None
        What a window shows around its tile, in pixels, at least. None is 8 cells of
        SLIC, or 192 pixels of the network, whichever is more.
    scene : {"window", "image"}, default="window"
        What the global level sees: a window around the superpixel, as large as the
        images of fit, or the whole image.
    colors : array-like of int of shape (n_classes, 3), default=None
        The colors of the classes in the palette of a TIFF file, RGB in 0..255. None
        chooses the colors that `write_labels` chooses.
    channel_axis : int or None, default=None
        The axis of the channels of an array; see `rasters.open_raster`.
    n_jobs : int or None, default=None
        How many tiles to predict at once, in threads.
    verbose : int, default=0
        If positive, show a progress bar.

    Returns
    -------
    ndarray, zarr array or pathlib.Path
        The label map of shape (height, width), or the probabilities of shape (height,
        width, n_classes), or where they were written.

    Raises
    ------
    TypeError
        If the model is no such pipeline.
    ValueError
        If a parameter is out of its range, or the image has other channels than those
        of fit.

    Notes
    -----
    A file is written completely or not at all. After an interruption, the same call
    starts from the first tile. If the levels of the model have a ``memory``, the
    features of the tiles that were finished are read from it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout import zoomout_pipeline
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> from sklearn_zoomout.tiles import predict_tiles
    >>> images, masks = make_scenes(n_images=4, random_state=0)
    >>> model = zoomout_pipeline(n_segments=50, pixels=False, random_state=0)
    >>> mosaic = np.block([[[images[0]], [images[1]]], [[images[2]], [images[3]]]])
    >>> labels = predict_tiles(model.fit(images, masks), mosaic, tile_size=100)
    >>> labels.shape == mosaic.shape[:2]
    True
    """
    if not is_pipeline_of_images(model):
        raise TypeError(
            "model: expected a fitted pipeline whose first step is a "
            f"SuperpixelSegmenter, got {type(model).__name__}."
        )
    if scene not in ("window", "image"):
        raise ValueError(f"scene: expected 'window' or 'image', got {scene!r}.")
    for name, value, least in (("tile_size", tile_size, 1), ("margin", margin, 0)):
        if value is not None and value < least:
            raise ValueError(f"{name}: expected {least} or more, got {value!r}.")
    for _, step in (model.steps[0], model.steps[-1]):
        check_is_fitted(step)
    scaled = at_scale_of_fit(model)
    grid = choose_grid(scaled.steps[0][1].cell_side, block_sides(scaled), margin)
    _refuse_same(image, output)
    with open_raster(image, channel_axis=channel_axis) as raster:
        predict = _TilePredictor(scaled, raster, proba, scene == "image")
        tiles = list(grid.tiles(raster.shape[:2], tile_size))
        kind = "probabilities" if proba else "labels"
        classes = scaled.steps[-1][1].classes_
        if colors is None and not proba and classes.max() < _PALETTE_SIZE:
            colors = np.array(default_colors(_PALETTE_SIZE))[classes]
        # The model may know of pixels without data of which the raster does not.
        lacks = not proba and output is None and predict.may_lack
        options: dict[str, Any] = {"unlabeled": UNLABELED} if lacks else {}
        with create_output(
            output, raster, kind=kind, classes=classes, colors=colors, **options
        ) as written:
            results = _in_turn(predict, tiles, n_jobs)
            shown = show_progress(
                results, "tiles", len(tiles), quiet=not verbose, unit="tile"
            )
            for tile, values in zip(tiles, shown, strict=True):
                written.write(tile.top, tile.left, values)
    return written.result


def _refuse_same(image: Any, output: Any) -> None:
    """Refuse to write to what is read, which would destroy the image."""
    paths = [x for x in (image, output) if isinstance(x, (str, os.PathLike))]
    arrays = [x for x in (image, output) if isinstance(x, np.ndarray)]
    same = image is output
    if len(paths) == 2 and os.path.exists(output):
        same = os.path.samefile(image, output)
    elif len(arrays) == 2:
        same = np.may_share_memory(image, output)
    if same and output is not None:
        raise ValueError(
            "output: expected another place than that of the image, which would be "
            "overwritten, got the same."
        )


def _in_turn(
    predict: "_TilePredictor", tiles: list[Tile], n_jobs: int | None
) -> Iterator[NDArray[Any]]:
    tasks = (delayed(predict)(tile) for tile in tiles)
    yield from run_in_turn(tasks, n_jobs, pre_dispatch="n_jobs")


class _TilePredictor:
    """Predicts a tile from a window of an image.

    Parameters
    ----------
    model : Pipeline
        The model, which has sizes in pixels.
    raster : Raster
        The image.
    proba : bool
        Whether to predict probabilities.
    whole : bool
        Whether the global level sees the whole image.
    """

    def __init__(
        self, model: Pipeline, raster: Raster, proba: bool, whole: bool
    ) -> None:
        self.segmenter, self.rest = model.steps[0][1], model[1:]
        self.reading = self.segmenter.reading()
        self.raster, self.proba = raster, proba
        self.n_classes = len(model.steps[-1][1].classes_)
        read = self.reading
        self.may_lack = read.nodata is not None or read.channels == "rgba"
        self.scene: Scene | None = None
        if sees_scene(model):
            reduced = self._see_whole() if whole else None
            self.scene = Scene(self._see, raster.shape[:2], reduced)

    def __call__(self, tile: Tile) -> NDArray[Any]:
        read = self._read(*self.raster.read_with_valid(*tile.window))
        if read.valid is not None and not read.valid[tile.inside].any():
            return self._of_nothing(tile)
        (segmented,) = self.segmenter.cut([read])
        if self.scene is not None:
            segmented = segmented.with_place(Place(self.scene, *tile.window[:2]))
        predict = self.rest.predict_proba if self.proba else self.rest.predict
        return np.asarray(predict(Superpixels([segmented]))[0][tile.inside])

    def _of_nothing(self, tile: Tile) -> NDArray[Any]:
        """Return the result for a tile without data."""
        shape = tile.bottom - tile.top, tile.right - tile.left
        if self.proba:
            return np.full((*shape, self.n_classes), np.nan, dtype=np.float32)
        return np.full(shape, UNLABELED, dtype=np.int16)

    def _read(self, pixels: NDArray[Any], valid: NDArray[np.bool_] | None) -> ReadImage:
        """Read pixels as the images of fit, without those that have no data."""
        return self.reading.read_one(pixels, "image", valid)

    def _see(self, top: int, left: int, bottom: int, right: int) -> SegmentedImage:
        box = self.raster.read_with_valid(top, left, bottom, right)
        return _as_one(self._read(*box))

    def _see_whole(self) -> SegmentedImage:
        height, width = self.raster.shape[:2]
        share = min(_WHOLE_SIZE / max(height, width), 1)
        size = max(round(height * share), 1), max(round(width * share), 1)
        return _as_one(self._read(*self.raster.read_reduced(*size)))


def _as_one(read: ReadImage) -> SegmentedImage:
    """Return an image as a single superpixel."""
    segments = np.zeros(read.image.shape[:2], dtype=np.int32)
    return SegmentedImage(read.image, segments, bands=read.bands)
