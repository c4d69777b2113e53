"""Distant and global levels: what a convnet sees (section 4.2.3)."""

import os
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from ..backbones import FrozenNetwork
from ..cache import FeatureCache
from ..regions import SegmentedImage
from ..superpixels import Superpixels
from ._convnet import ConvnetFeatures
from ._resizing import resize
from .fine_tuning import FineTuning
from .pooling import BoxPooling

if TYPE_CHECKING:
    import torch

# Pooled regions go through fully connected layers in groups: large ones, because each
# reads all weights (480 MB for VGG-16), but 256 regions hold 100 MB themselves.
_REGIONS_AT_ONCE = 256


class ConvnetRegionFeatures(ConvnetFeatures):
    """Describe the box around each superpixel's surroundings by a convnet.

    The distant level of the paper: the bounding box of all superpixels within a
    graph distance of 3, as a network sees it that has learned from ImageNet. Images
    and crops are resized by antialiased bilinear interpolation.

    Parameters
    ----------
    backbone : str or callable, default="zoomnet"
        - "zoomnet": a small network that comes with the library, weights included;
        - a convolutional classifier of torchvision, such as "squeezenet1_0" or
          "vgg16" (the paper's), or "mobilenet_v2_tf2" (torchvision's MobileNet V2
          with TensorFlow's preprocessing and padding);
        - "cnn_s", the paper's other network, and "vgg16_caffe", VGG-16 with Caffe's
          preprocessing: 0..255 in the order BGR, less the mean over ImageNet;
        - "timm:NAME", the convolutional model NAME of timm, such as
          "timm:mobilenetv3_small_100" or, with the name of its weights,
          "timm:resnet18.a1_in1k" (needs ``pip install timm``);
        - a callable without arguments that returns a ``torch.nn.Module`` from images
          standardized by ImageNet's mean and deviation (N, 3, H, W) to maps
          (N, C, h, w).
    weights : "default", str, path or None, default="default"
        - "default": for "zoomnet" those of the library. For others a file in the
          folder that the environment variable SKLEARN_ZOOMOUT_WEIGHTS names, if its
          name begins with the backbone's, or is the one that the authors of CNN-S and
          VGG-16 gave it (VGG_CNN_S.caffemodel, for non-commercial use only, and
          VGG_ILSVRC_16_layers.caffemodel; a file for "timm:NAME" begins with
          timm_NAME, dots included); otherwise torchvision's ImageNet weights, or
          timm's own, downloaded with a progress bar unless they have been already.
          For a callable: as it returns the network.
        - a path: a .safetensors file, a state dict (.pth, .pt), or for CNN-S and
          VGG-16 a .caffemodel, which brings Caffe's preprocessing; no code in it is
          run.
        - None: random weights.
    radius : int, default=3
        Graph distance up to which superpixels belong to the region; 0 is the
        superpixel's own bounding box.
    pooling : {"roi", "crop"}, default="roi"
        "roi" runs the network once per image and averages its maps over the boxes;
        "crop", the paper's way, runs it once per region, resized to `crop_size` x
        `crop_size` pixels: about a hundred times the work.
    layers : sequence of str or None, default=None
        Modules of the network whose maps are averaged over the region, such as
        ``("blocks.5", "blocks.15")`` of ZoomNet. None takes the network's own
        features: of ZoomNet its last maps at strides 16 and 32 (96 and 160 values),
        of VGG, CNN-S and AlexNet the last hidden layer after its ReLU ("fc7", 4,096
        values), of others the last map.
    input_size : int, default=640
        Longer side in pixels that the image is resized to when `pooling` is "roi";
        its aspect ratio is kept, unless the shorter side would have less than 96.
    crop_size : int, default=224
        Sides in pixels of a crop when `pooling` is "crop".
    flip : bool, default=False
        Average the network's maps of the image with those of its mirror image: twice
        the work, and more accurate.
    dtype : {"float32", "bfloat16", "float16"}, default="float32"
        What the network computes in; features are float32 all the same. "bfloat16" is
        1.4 to 2 times as fast, the larger the network the more, on processors that have
        instructions for it (AVX512-BF16 or AMX; on others it is slower), and changes
        features by about a tenth of their deviation. "float16" is meant for GPUs: many
        times slower on most processors, it changes them by less than a hundredth, and
        has no large numbers; an error is raised if one occurs.
    fine_tune : FineTuning or None, default=None
        Train the network on the masks of `fit` first; see `FineTuning`. None leaves it
        as it is.
    batch_size : int, default=16
        Crops that go through the network at once.
    device : str, default="cpu"
        Device of torch, such as "cuda".
    memory : str, path, FeatureCache or None, default=None
        A folder that keeps the rows of every image, so that they are computed once
        only; see `FeatureCache`, which also bounds its size. Delete the folder to clear
        it. Features of a callable backbone are not kept, since its code may change.
    random_state : int, RandomState instance or None, default=0
        Seed of random weights.
    verbose : int, default=0
        Show a progress bar if positive.

    Attributes
    ----------
    weights_ : str
        The file of the weights, or "random", "callable" or "timm".
    layers_ : tuple of str
        Names of the tapped modules.
    weights_sha256_ : str
        Digest of that file (of the tensors when there is none, or the model is of
        timm). A network that is loaded again after unpickling must have the same.
    n_features_out_ : int
        Number of columns.

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
        **ConvnetFeatures._parameter_constraints,
        "radius": [Interval(Integral, 0, None, closed="left")],
        "pooling": [StrOptions({"roi", "crop"})],
        "crop_size": [Interval(Integral, 1, None, closed="left")],
    }
    cache_version = 1

    def __init__(
        self,
        backbone: str | Callable[[], Any] = "zoomnet",
        weights: str | os.PathLike | None = "default",
        *,
        radius: int = 3,
        pooling: str = "roi",
        layers: Sequence[str] | None = None,
        input_size: int = 640,
        crop_size: int = 224,
        flip: bool = False,
        dtype: str = "float32",
        fine_tune: FineTuning | None = None,
        batch_size: int = 16,
        device: str = "cpu",
        memory: str | os.PathLike | FeatureCache | None = None,
        random_state: Any = 0,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.weights = weights
        self.radius = radius
        self.pooling = pooling
        self.layers = layers
        self.input_size = input_size
        self.crop_size = crop_size
        self.flip = flip
        self.dtype = dtype
        self.fine_tune = fine_tune
        self.batch_size = batch_size
        self.device = device
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    @property
    def block_name(self) -> str:
        """Return "distant" for the paper's radius of 3."""
        return "distant" if self.radius == 3 else f"radius{self.radius}"

    def _describe(
        self, segmented: SegmentedImage, network: FrozenNetwork
    ) -> "torch.Tensor":
        boxes = segmented.region_boxes(self.radius)
        look = self._crop if self.pooling == "crop" else self._pool
        return look(segmented, boxes, network)

    @property
    def sees_whole_image(self) -> bool:
        """Whether `pooling` is "roi"."""
        return self.pooling == "roi"

    def _crop(
        self, segmented: SegmentedImage, boxes: NDArray[Any], network: FrozenNetwork
    ) -> "torch.Tensor":
        import torch

        pixels = network.prepare(segmented.rgb)
        size = (self.crop_size, self.crop_size)
        # In a small image many regions have the same box.
        boxes, box_of_region = np.unique(boxes, axis=0, return_inverse=True)
        rows = []
        for part in _batches(len(boxes), self.batch_size):
            crops = [
                resize(pixels[:, top:bottom, left:right], size)
                for top, left, bottom, right in boxes[part]
            ]
            rows.append(network.vectors(torch.stack(crops)))
        return torch.cat(rows)[torch.from_numpy(box_of_region.ravel())]

    def _pool(
        self, segmented: SegmentedImage, boxes: NDArray[Any], network: FrozenNetwork
    ) -> "torch.Tensor":
        import torch

        maps = self.image_maps(segmented, network)
        pools = [BoxPooling(m[0], segmented.shape) for m in maps]
        if network.head is None:
            return torch.cat([pool.average(boxes) for pool in pools], dim=1).flatten(1)
        parts = _batches(len(boxes), _REGIONS_AT_ONCE)
        regions = (pools[0].average(boxes[part], network.grid) for part in parts)
        return torch.cat([network.fc7(region) for region in regions])


class GlobalFeatures(ConvnetFeatures):
    """Describe the whole image by a convnet.

    The global level of the paper: all superpixels of an image share one feature
    vector, which is stored once. The image is resized to a square (the aspect ratio
    is not kept) by antialiased bilinear interpolation.

    Parameters
    ----------
    backbone, weights, layers
        See `ConvnetRegionFeatures`.
    input_size : int, default=224
        Sides in pixels of the square that the image is resized to.
    flip, dtype, fine_tune
        See `ConvnetRegionFeatures`.
    batch_size : int, default=16
        Images that go through the network at once; in a `ZoomoutUnion` it is one.
    device, memory, random_state, verbose
        See `ConvnetRegionFeatures`.

    Attributes
    ----------
    weights_, weights_sha256_, n_features_out_
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

    per_image = True
    block_name = "global"
    sees_whole_image = False
    cache_version = 1

    def __init__(
        self,
        backbone: str | Callable[[], Any] = "zoomnet",
        weights: str | os.PathLike | None = "default",
        *,
        layers: Sequence[str] | None = None,
        input_size: int = 224,
        flip: bool = False,
        dtype: str = "float32",
        fine_tune: FineTuning | None = None,
        batch_size: int = 16,
        device: str = "cpu",
        memory: str | os.PathLike | FeatureCache | None = None,
        random_state: Any = 0,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.weights = weights
        self.layers = layers
        self.input_size = input_size
        self.flip = flip
        self.dtype = dtype
        self.fine_tune = fine_tune
        self.batch_size = batch_size
        self.device = device
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    def _square(
        self, segmented: SegmentedImage, network: FrozenNetwork
    ) -> "torch.Tensor":
        size = (self.input_size, self.input_size)
        return resize(network.prepare(segmented.rgb), size)

    def _describe(
        self, segmented: SegmentedImage, network: FrozenNetwork
    ) -> "torch.Tensor":
        return network.vectors(self._square(segmented, network)[None])[0]

    def _describe_all(self, superpixels: Superpixels) -> Iterator[NDArray[Any]]:
        yield from self._progress(self._in_batches(superpixels), len(superpixels))

    def _in_batches(self, superpixels: Superpixels) -> Iterator[NDArray[Any]]:
        import torch

        network = self.get_network()
        for part in _batches(len(superpixels), self.batch_size):
            with torch.inference_mode():
                squares = [self._square(item, network) for item in superpixels[part]]
                vectors = network.vectors(torch.stack(squares)).cpu().numpy()
            yield from vectors


def _batches(n_items: int, batch_size: int) -> Iterator[slice]:
    return (slice(i, i + batch_size) for i in range(0, n_items, batch_size))
