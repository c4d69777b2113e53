"""The distant level: what a convnet sees in a box around a superpixel (4.2.3)."""

import os
from collections.abc import Iterator, Sequence
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
from ._pooling import BoxPooling
from ._resizing import resize

if TYPE_CHECKING:
    import torch

# Regions go through fully connected layers in groups. Large groups are faster, since
# each reads all weights (480 MB for VGG-16), but 256 regions hold 100 MB themselves.
_REGIONS_AT_ONCE = 256
# Crops in one forward pass.
_CROPS_AT_ONCE = 16


class ConvnetRegionFeatures(ConvnetMapLevel):
    """Describe the box around each superpixel's surroundings by a convnet.

    The distant level of the paper: the bounding box of all superpixels within a graph
    distance of 3, described by a network that was trained on ImageNet. Images and crops
    are resized by antialiased bilinear interpolation.

    Parameters
    ----------
    backbone : Backbone, str, callable or None, default=None
        The network; a name or a callable is short for ``Backbone(name)``. None is the
        backbone of the `ZoomoutUnion` that this level is in, or else "zoomnet".
    radius : int, default=3
        Graph distance up to which superpixels belong to the region. 0 is the bounding
        box of the superpixel itself.
    pooling : {"roi", "crop"}, default="roi"
        "roi" runs the network once per image and averages its feature maps over the
        boxes. "crop", the paper's way, runs it once per region, resized to `crop_size`
        x `crop_size` pixels, which takes about a hundred times as long.
    layers : sequence of str or None, default=None
        Modules of the network whose feature maps are averaged over the region, such as
        ``("blocks.5", "blocks.15")`` of ZoomNet. None reads the network's own features:
        of ZoomNet its last maps at strides 16 and 32 (96 and 160 values), of VGG, CNN-S
        and AlexNet the last hidden layer after its ReLU ("fc7", 4,096 values), of
        others the last map.
    input_size : int, default=640
        Longer side in pixels that the image is resized to when `pooling` is "roi". Its
        aspect ratio is kept, unless the shorter side would have less than 96 pixels.
    input_scale : float or None, default=None
        Pixels that the network sees per pixel of the image, whatever its size, in place
        of `input_size`: 1 for images as they are, 0.5 for half of their size. It is
        rounded such that 32 pixels of the network are whole pixels of the image.
    crop_size : int, default=224
        Sides in pixels of a crop when `pooling` is "crop".
    bands : sequence of triples of int, or None, default=None
        The bands, counted from 0, that the network sees as red, green and blue, such as
        ``[(0, 1, 2), (3, 3, 3)]``. It sees one triple after the other, and the columns
        of all lie side by side. None sees the colors of RGB images, and every band of
        others, each as a gray image.
    memory : str, path, FeatureCache or None, default=None
        A folder that keeps the rows of every image, so that they are computed only
        once; see `FeatureCache`, which also bounds its size. Delete the folder to clear
        it. Features of a callable backbone are not kept, since its code may change.
    verbose : int, default=0
        Show a progress bar if positive.

    Attributes
    ----------
    weights_ : str
        The file of the weights, or "random", "callable" or "timm".
    layers_ : tuple of str
        Names of the modules whose maps are read.
    weights_sha256_ : str
        Digest of that file (of the tensors if there is none, or the model is of timm).
        A network that is loaded again after unpickling must have the same.
    n_features_out_ : int
        Number of columns.
    input_scale_ : float
        Pixels that the network sees per pixel of the images of fit, the median.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or the backbone, its weights or a layer does
        not exist.

    References
    ----------
    .. [1] Mostajabi, Yadollahpour, Shakhnarovich, "Feedforward semantic segmentation
       with zoom-out features", arXiv 1412.0774, 2014.
    .. [2] Girshick, "Fast R-CNN", ICCV 2015.

    Examples
    --------
    >>> from sklearn_zoomout import ConvnetRegionFeatures, SuperpixelSegmenter
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=2, random_state=0)
    >>> superpixels = SuperpixelSegmenter(n_segments=50).fit_transform(images)
    >>> distant = ConvnetRegionFeatures(input_size=320)
    >>> distant.fit_transform(superpixels)
    FeatureTable(2 images, ... superpixels, 256 columns; distant: 256)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ConvnetMapLevel._parameter_constraints,
        "radius": [Interval(Integral, 0, None, closed="left")],
        "pooling": [StrOptions({"roi", "crop"})],
        "crop_size": [Interval(Integral, 1, None, closed="left")],
    }
    cache_version = 2

    def __init__(
        self,
        backbone: BackboneLike = None,
        *,
        radius: int = 3,
        pooling: str = "roi",
        layers: Sequence[str] | None = None,
        input_size: int = 640,
        input_scale: float | None = None,
        crop_size: int = 224,
        bands: Sequence[Sequence[int]] | None = None,
        memory: str | os.PathLike | FeatureCache | None = None,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.radius = radius
        self.pooling = pooling
        self.layers = layers
        self.input_size = input_size
        self.input_scale = input_scale
        self.crop_size = crop_size
        self.bands = bands
        self.memory = memory
        self.verbose = verbose

    @property
    def block_name(self) -> str:
        """Return "distant" for the paper's radius of 3."""
        return "distant" if self.radius == 3 else f"radius{self.radius}"

    def pass_key(self) -> tuple[Any, ...] | None:
        """Return what levels that share a forward pass have in common.

        Returns
        -------
        tuple or None
            None if `pooling` is "crop".
        """
        return None if self.pooling == "crop" else super().pass_key()

    def _describe(self, segmented: SegmentedImage, network: Network) -> "torch.Tensor":
        boxes = segmented.region_boxes(self.radius)
        describe = self._crop if self.pooling == "crop" else self._pool
        return describe(segmented, boxes, network)

    def _crop(
        self, segmented: SegmentedImage, boxes: NDArray[Any], network: Network
    ) -> "torch.Tensor":
        import torch

        pixels = network.prepare(segmented.rgb)
        size = (self.crop_size, self.crop_size)
        # In a small image many regions have the same box.
        boxes, box_of_region = np.unique(boxes, axis=0, return_inverse=True)
        rows = []
        for part in _parts(len(boxes), _CROPS_AT_ONCE):
            crops = [
                resize(pixels[:, top:bottom, left:right], size)
                for top, left, bottom, right in boxes[part]
            ]
            rows.append(network.vectors(torch.stack(crops), self._taps))
        return torch.cat(rows)[torch.from_numpy(box_of_region.ravel())]

    def _pool(
        self, segmented: SegmentedImage, boxes: NDArray[Any], network: Network
    ) -> "torch.Tensor":
        import torch

        maps = self.image_maps(segmented, network)
        seen = self.seen_shape(segmented)
        pools = [BoxPooling(m[0], seen) for m in maps]
        if not self._taps.fc7:
            return torch.cat([pool.average(boxes) for pool in pools], dim=1).flatten(1)
        parts = _parts(len(boxes), _REGIONS_AT_ONCE)
        regions = (pools[0].average(boxes[part], network.grid) for part in parts)
        return torch.cat([network.fc7(region) for region in regions])


def _parts(n_items: int, size: int) -> Iterator[slice]:
    return (slice(i, i + size) for i in range(0, n_items, size))
