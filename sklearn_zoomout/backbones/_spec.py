"""Preprocessing and layers of a network, before it is loaded."""

from dataclasses import dataclass

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
#: The prefix of names of timm's models.
TIMM = "timm:"


@dataclass(frozen=True)
class BackboneSpec:
    """The preprocessing and the layers of a network, known before it is loaded.

    Attributes
    ----------
    name : str
        Name for users.
    architecture : str
        Name of torchvision's constructor, or of our own class, or "timm:" and the
        name of timm's; "" for a network of the user's.
    maps : tuple of str
        Names of the modules whose maps are the network's own features. "" is the whole
        network.
    mean, std : tuple of 3 floats
        Standardization of RGB in [0, 1].
    bgr : bool
        Whether the network takes the standardized channels in the order BGR, as Caffe.
    same_padding : bool
        Whether strided convolutions are padded as TensorFlow's "SAME".
    has_fc7 : bool
        Whether the network's own feature vector is its last hidden layer.
    """

    name: str
    architecture: str
    maps: tuple[str, ...]
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    bgr: bool = False
    same_padding: bool = False
    has_fc7: bool = False

    @property
    def of_timm(self) -> bool:
        """Whether the network is one of timm's."""
        return self.architecture.startswith(TIMM)

    @property
    def file_stem(self) -> str:
        """The beginning of the names of its files: its own name with "_" for ":"."""
        return self.name.replace(":", "_")
