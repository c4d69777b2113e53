"""The global level: what a convnet sees in the whole image (section 4.2.3)."""

import os
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from ...backbones import Network
from ...backbones._backbone import BackboneLike
from ...cache import FeatureCache
from ...superpixels import SegmentedImage, Superpixels
from ._level import ConvnetLevel
from ._resizing import resize

if TYPE_CHECKING:
    import torch


class GlobalFeatures(ConvnetLevel):
    """Describe the whole image by a convnet.

    The global level of the paper: all superpixels of an image share one feature vector,
    which is stored once. The image is resized to a square (the aspect ratio is not
    kept) by antialiased bilinear interpolation.

    In an image that `tiles.predict_tiles` labels, the scene is a window around the
    superpixel, as large as the images of fit.

    Parameters
    ----------
    backbone, layers
        See `ConvnetRegionFeatures`.
    crop_size : int, default=224
        Sides in pixels of the square that the image is resized to.
    bands, memory, verbose
        See `ConvnetRegionFeatures`.

    Attributes
    ----------
    weights_, layers_, weights_sha256_, n_features_out_
        See `ConvnetRegionFeatures`.
    image_shape_ : tuple of 2 int
        Height and width of the images of fit in pixels, the medians.

    Raises
    ------
    ValueError
        See `ConvnetRegionFeatures`.

    Examples
    --------
    >>> from sklearn_zoomout import GlobalFeatures, SuperpixelSegmenter
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=2, random_state=0)
    >>> superpixels = SuperpixelSegmenter(n_segments=50).fit_transform(images)
    >>> GlobalFeatures().fit_transform(superpixels)
    FeatureTable(2 images, ... superpixels, 256 columns; global: 256)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ConvnetLevel._parameter_constraints,
        "crop_size": [Interval(Integral, 1, None, closed="left")],
    }
    per_image = True
    _not_in_key = ConvnetLevel._not_in_key | {"image_shape_"}
    block_name = "global"
    cache_version = 2

    def __init__(
        self,
        backbone: BackboneLike = None,
        *,
        layers: Sequence[str] | None = None,
        crop_size: int = 224,
        bands: Sequence[Sequence[int]] | None = None,
        memory: str | os.PathLike | FeatureCache | None = None,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.layers = layers
        self.crop_size = crop_size
        self.bands = bands
        self.memory = memory
        self.verbose = verbose

    def learn(self, superpixels: Superpixels, masks: Any = None) -> None:
        """Load the network, and remember how large the images are.

        Parameters
        ----------
        superpixels : Superpixels
            The training images.
        masks : sequence of array-like of integers of shape (height, width)
            Their label maps. They are ignored unless the network is trained.
        """
        super().learn(superpixels, masks)
        shapes = np.array([segmented.shape for segmented in superpixels])
        height, width = np.median(shapes, axis=0).astype(int).tolist()
        self.image_shape_ = height, width

    def describe(self, segmented: SegmentedImage) -> NDArray[np.float32]:
        """Describe one image, or the scene of each superpixel of a window.

        Parameters
        ----------
        segmented : SegmentedImage
            The image and its superpixels.

        Returns
        -------
        ndarray of float32 of shape (n_columns,), or (n_segments, n_columns)
        """
        place = segmented.place
        if place is None:
            return super().describe(segmented)
        return place.describe(segmented, super().describe, id(self), self.image_shape_)

    def _describe(self, segmented: SegmentedImage, network: Network) -> "torch.Tensor":
        pixels = network.prepare(segmented.rgb)
        square = resize(pixels, (self.crop_size, self.crop_size))
        return network.vectors(square[None], self._taps)[0]
