"""A fifth level: a convnet's feature maps, averaged over superpixels (CVPR 2015)."""

import os
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from ...backbones import Network
from ...backbones._backbone import BackboneLike
from ...cache import FeatureCache
from ...superpixels import SegmentedImage
from ._level import ConvnetMapLevel
from ._pooling import SegmentSums

if TYPE_CHECKING:
    import torch


class ConvnetSuperpixelFeatures(ConvnetMapLevel):
    """Average a convnet's feature maps over each superpixel.

    The later form of the method [1]_: the network runs once over the whole image. Its
    feature maps of every resolution are interpolated to the pixels and averaged over
    the superpixel, or over all superpixels within a graph distance. Fine maps describe
    the material of a superpixel, coarse maps the object that it is part of.

    Parameters
    ----------
    backbone : Backbone, str, callable or None, default=None
        See `ConvnetRegionFeatures`.
    radius : int, default=0
        Graph distance up to which superpixels are averaged over. 0 is the superpixel
        itself.
    layers : "all" or sequence of str, default="all"
        Modules of the network whose feature maps are averaged. "all" reads the last map
        of every resolution; of VGG and AlexNet all rectified convolutions (4,224 values
        for VGG-16).
    input_size : int, default=640
        Longer side in pixels that the image is resized to. Its aspect ratio is kept,
        unless the shorter side would have less than 96 pixels.
    input_scale
        See `ConvnetRegionFeatures`.
    bands, memory, verbose
        See `ConvnetRegionFeatures`.

    Attributes
    ----------
    weights_, layers_, weights_sha256_, n_features_out_, input_scale_
        See `ConvnetRegionFeatures`.

    Raises
    ------
    ValueError
        See `ConvnetRegionFeatures`.

    References
    ----------
    .. [1] Mostajabi, Yadollahpour, Shakhnarovich, "Feedforward semantic segmentation
       with zoom-out features", CVPR 2015.

    Examples
    --------
    >>> from sklearn_zoomout import ConvnetSuperpixelFeatures, SuperpixelSegmenter
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=2, random_state=0)
    >>> superpixels = SuperpixelSegmenter(n_segments=50).fit_transform(images)
    >>> ConvnetSuperpixelFeatures(input_size=320).fit_transform(superpixels)
    FeatureTable(2 images, ... superpixels, 328 columns; maps: 328)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ConvnetMapLevel._parameter_constraints,
        "radius": [Interval(Integral, 0, None, closed="left")],
        "layers": [tuple, list, StrOptions({"all"})],
    }
    cache_version = 2

    def __init__(
        self,
        backbone: BackboneLike = None,
        *,
        radius: int = 0,
        layers: str | Sequence[str] = "all",
        input_size: int = 640,
        input_scale: float | None = None,
        bands: Sequence[Sequence[int]] | None = None,
        memory: str | os.PathLike | FeatureCache | None = None,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.radius = radius
        self.layers = layers
        self.input_size = input_size
        self.input_scale = input_scale
        self.bands = bands
        self.memory = memory
        self.verbose = verbose

    @property
    def block_name(self) -> str:
        """Return "maps", followed by the radius unless it is 0."""
        return f"maps{self.radius or ''}"

    def _describe(self, segmented: SegmentedImage, network: Network) -> "torch.Tensor":
        import torch

        maps = self.image_maps(segmented, network)
        shape = self.seen_shape(segmented)
        over = SegmentSums(*_enlarge(segmented, shape))
        sums = np.hstack([over.of(_not_finer(m, shape)) for m in maps])
        sums = sums[: segmented.n_segments]
        if self.radius == 0:
            sums /= segmented.areas[:, None].astype(sums.dtype)
            return torch.from_numpy(sums)
        near = segmented.neighborhood(self.radius)
        areas = segmented.region_areas(self.radius)
        return torch.from_numpy((near @ sums) / areas[:, None].astype(sums.dtype))


def _not_finer(one_map: "torch.Tensor", shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return a map (1, C, h, w) as an array, at most as fine as an image."""
    import torch

    height, width = one_map.shape[2:]
    size = (min(height, shape[0]), min(width, shape[1]))
    if size != (height, width):
        one_map = torch.nn.functional.interpolate(
            one_map, size, mode="bilinear", antialias=True
        )
    return one_map[0].cpu().numpy()


def _enlarge(
    segmented: SegmentedImage, shape: tuple[int, int]
) -> tuple[NDArray[np.int32], int]:
    """Return a label map of a larger shape, and the number of labels.

    What maps cover beyond the image is one more segment.
    """
    segments, n = segmented.segments, segmented.n_segments
    if shape == segmented.shape:
        return segments, n
    below, beside = shape[0] - segments.shape[0], shape[1] - segments.shape[1]
    return np.pad(segments, ((0, below), (0, beside)), constant_values=n), n + 1
