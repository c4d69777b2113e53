"""A fitted pipeline that describes windows of any size as the images of fit."""

import copy
import math
from typing import Any

from sklearn.pipeline import Pipeline

from ..features import GlobalFeatures
from ..features.convnet._level import ConvnetMapLevel
from ..superpixels import SuperpixelSegmenter

# How much sides may be changed so that cells and blocks begin together, relatively.
_TOLERANCE = 0.06


def is_pipeline_of_images(model: Any) -> bool:
    """Return whether a model is a pipeline whose first step cuts superpixels."""
    steps = getattr(model, "steps", None) or [("", None)]
    return isinstance(steps[0][1], SuperpixelSegmenter)


def is_absolute(model: Pipeline) -> bool:
    """Return whether superpixels have the same area in images of any size."""
    return model.steps[0][1].segment_area is not None


def at_scale_of_fit(model: Pipeline) -> Pipeline:
    """Copy a fitted pipeline, with sizes in pixels in place of sizes of images.

    Parameters
    ----------
    model : Pipeline
        A fitted pipeline. Sizes that its parameters state in pixels are kept.

    Returns
    -------
    Pipeline
        Its superpixels have the area, and its networks see the image at the scale, that
        they have on average in the images of fit, changed by a few percent such that
        cells and blocks have a small common multiple.
    """
    scaled = copy.deepcopy(model)
    segmenter = scaled.steps[0][1]
    levels = map_levels(scaled)
    relative = [level for level in levels if level.input_scale is None]
    for level in relative:
        level.input_scale = level.input_scale_
    scales = {level.input_scale_ for level in relative}
    if segmenter.segment_area is None:
        side = segmenter.segment_area_**0.5
        if len(scales) == 1 and len(relative) == len(levels):
            side, block = _fit_together(side, 32 / scales.pop())
            for level in relative:
                level.input_scale = 32 / block
        segmenter.segment_area = float(max(round(side), 1) ** 2)
    return scaled


def map_levels(model: Pipeline) -> list[ConvnetMapLevel]:
    """Return the levels of a pipeline that read maps of the whole image."""
    return [
        part
        for part in model.get_params(deep=True).values()
        if isinstance(part, ConvnetMapLevel)
        and getattr(part, "pooling", "roi") != "crop"
    ]


def block_sides(model: Pipeline) -> set[int]:
    """Return the pixels of the image that become 32 of a network, of all levels."""
    return {level.block_side for level in map_levels(model) if level.block_side}


def sees_scene(model: Pipeline) -> bool:
    """Return whether a level of a pipeline describes the whole scene."""
    parts = model.get_params(deep=True).values()
    return any(isinstance(part, GlobalFeatures) for part in parts)


def _fit_together(cell: float, block: float) -> tuple[int, int]:
    """Round the sides of cells and blocks such that their common multiple is small.

    Examples
    --------
    >>> from sklearn_zoomout.tiles._scale import _fit_together
    >>> _fit_together(19.4, 27.8)
    (20, 28)
    """

    def around(side: float) -> range:
        spread = _TOLERANCE * side
        return range(max(math.ceil(side - spread), 1), math.floor(side + spread) + 1)

    pairs = [
        (c, b)
        for c in around(cell) or [max(round(cell), 1)]
        for b in around(block) or [max(round(block), 1)]
    ]
    # A common multiple of eight cells is as good as a smaller one.
    small = [pair for pair in pairs if math.lcm(*pair) <= 8 * pair[0]]
    if not small:
        return min(pairs, key=lambda pair: math.lcm(*pair))
    return min(
        small,
        key=lambda pair: abs(math.log(pair[0] / cell)) + abs(math.log(pair[1] / block)),
    )
