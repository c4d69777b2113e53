"""What the convnet levels share: a network, and how it sees an image."""

import os
import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from ..backbones import FineTunedWeights, FrozenNetwork, load_shared_network
from ..cache import FeatureCache
from ..exceptions import CacheWarning
from ..regions import SegmentedImage
from ..superpixels import Superpixels
from ._base import RegionFeatures
from ._resizing import resize_longer_side
from .fine_tuning import FineTuning

if TYPE_CHECKING:
    import torch

#: What the levels of a `ZoomoutUnion` share while it describes an image in this thread:
#: for every kind of pass, the layers that any of them needs, and their maps as soon as
#: one has computed them.
SHARED_MAPS: ContextVar[dict[Any, tuple[tuple[str, ...], dict[str, Any]]] | None] = (
    ContextVar("shared maps", default=None)
)


class ConvnetFeatures(RegionFeatures):
    """A network that is loaded on use; only what training has changed is pickled."""

    @property
    def sees_whole_image(self) -> bool:
        """Whether the network sees the image at `input_size`, as others may, too."""
        return True

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "backbone": [str, callable],
        "weights": [str, os.PathLike, None],
        "layers": [tuple, list, None],
        "input_size": [Interval(Integral, 1, None, closed="left")],
        "flip": ["boolean"],
        "dtype": [StrOptions({"float32", "bfloat16", "float16"})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "fine_tune": [FineTuning, None],
        "memory": [str, os.PathLike, FeatureCache, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # Weights count by their digest, random and fine-tuned ones too.
    _not_in_key = RegionFeatures._not_in_key | {
        "weights",
        "weights_",
        "fine_tune",
        "_fine_tuned",
        "random_state",
        "_seed",
        "batch_size",
        "device",
    }

    backbone: str | Callable[[], Any]
    weights: str | os.PathLike | None
    fine_tune: FineTuning | None
    memory: str | os.PathLike | FeatureCache | None
    layers: str | Sequence[str] | None
    flip: bool
    dtype: str
    device: str
    random_state: Any
    verbose: int
    input_size: int
    batch_size: int
    _fine_tuned: FineTunedWeights | None

    @abstractmethod
    def _describe(
        self, segmented: SegmentedImage, network: FrozenNetwork
    ) -> "torch.Tensor":
        """Compute the rows of one image."""

    def describe(self, segmented: SegmentedImage) -> NDArray[np.float32]:
        """Describe one image.

        Parameters
        ----------
        segmented : SegmentedImage
            The image and its superpixels.

        Returns
        -------
        ndarray of shape (n_segments, n_columns), or (n_columns,) if `per_image`
            float32.
        """
        import torch

        with torch.inference_mode():
            return self._describe(segmented, self.get_network()).cpu().numpy()

    def learn(self, superpixels: Superpixels, masks: Any = None) -> None:
        """Load the network, and train it if `fine_tune` says so.

        Parameters
        ----------
        superpixels : Superpixels
            The training images.
        masks : sequence of array-like of integers of shape (height, width)
            Their label maps; ignored unless the network is trained.
        """
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        # What cannot be loaded, or layers that do not exist, are seen before training.
        fine_tuned = None
        network = load_shared_network(*self._arguments_of(seed, fine_tuned))
        if self.fine_tune is not None:
            fine_tuned = self.fine_tune.train(
                superpixels,
                masks,
                backbone=self.backbone,
                weights=self.weights,
                device=self.device,
                seed=seed,
                cache=None if callable(self.backbone) else self._open_cache(),
                verbose=self.verbose,
            )
            network = load_shared_network(*self._arguments_of(seed, fine_tuned))
        self._seed, self._fine_tuned, self._network = seed, fine_tuned, network
        self._loaded_with = self._arguments
        self.layers_ = network.layers
        self.weights_ = network.source
        self.weights_sha256_ = network.sha256
        # A file of weights can bring another preprocessing than the backbone's name.
        self._preprocessing = repr(network.spec)
        names = ["fc7"] if network.head is not None else network.layers
        self._columns = [
            f"{name or 'map'}_{i:04d}"
            for name, width in zip(names, network.widths, strict=True)
            for i in range(width)
        ]

    @property
    def pass_key(self) -> tuple[Any, ...]:
        """What passes over an image have in common whose maps are the same."""
        weights = self.weights_sha256_
        numbers = (self.dtype, self.device)
        return (self.backbone, weights, self.flip, *numbers, self.input_size)

    def image_maps(
        self, segmented: SegmentedImage, network: FrozenNetwork
    ) -> list["torch.Tensor"]:
        """Compute the network's maps of the image, or take those of another level.

        Parameters
        ----------
        segmented : SegmentedImage
            The image.
        network : FrozenNetwork
            The network.

        Returns
        -------
        maps : list of tensors of shape (1, C, h, w), float32
            One per tapped layer.
        """
        shared = SHARED_MAPS.get()
        if shared is None:
            return network.maps(self._whole_image(segmented, network))
        layers, maps = shared[self.pass_key]
        if not maps:
            image = self._whole_image(segmented, network)
            maps.update(zip(layers, network.maps(image, layers), strict=True))
        return [maps[name] for name in network.layers]

    def _whole_image(
        self, segmented: SegmentedImage, network: FrozenNetwork
    ) -> "torch.Tensor":
        pixels = network.prepare(segmented.rgb)
        return resize_longer_side(pixels, self.input_size)[None]

    def column_names(self) -> list[str]:
        """Names of the columns, such as "fc7_0012", without the name of the block."""
        return self._columns

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.fine_tune is not None
        return tags

    def _open_cache(self) -> FeatureCache | None:
        cache = super()._open_cache()
        if cache is not None and callable(self.backbone):
            warnings.warn(
                "memory: features of a callable backbone are not kept, since its code "
                "may change; name a backbone, or write a RegionFeatures of your own "
                "that has a cache_version.",
                CacheWarning,
                stacklevel=3,
            )
            return None
        return cache

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        for name in ("_network", "_loaded_with"):
            state.pop(name, None)
        return state

    @property
    def _arguments(self) -> tuple[Any, ...]:
        """The arguments of `load_network`, after fit."""
        return self._arguments_of(self._seed, self._fine_tuned)

    def _arguments_of(
        self, seed: int, fine_tuned: FineTunedWeights | None
    ) -> tuple[Any, ...]:
        layers = tuple(self.layers) if isinstance(self.layers, list) else self.layers
        options = (self.device, seed, self.flip, self.dtype)
        return (self.backbone, self.weights, layers, *options, fine_tuned)

    def get_network(self) -> FrozenNetwork:
        """Give the network that was fitted, or load it again.

        That is after unpickling, or when a parameter such as `device` has been changed.
        """
        network = getattr(self, "_network", None)
        if network is None or self._loaded_with != self._arguments:
            network = load_shared_network(*self._arguments, again=True)
            if network.sha256 != self.weights_sha256_:
                raise ValueError(
                    f"weights: expected those of fit ({self.weights_}, sha256 "
                    f"{self.weights_sha256_}), found {network.source} (sha256 "
                    f"{network.sha256}); bring the same file, or fit again."
                )
            self._network, self._loaded_with = network, self._arguments
        return network
