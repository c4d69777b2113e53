"""What the convnet levels share: a network, and how it sees an image."""

import os
import threading
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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

# For every kind of pass over an image the layers that any of several levels needs, and
# their maps as soon as one of these has computed them.
_Passes = dict[Any, tuple[tuple[str, ...], dict[str, Any]]]


class _Shared(threading.local):
    """The image that levels describe together in this thread, and passes over it.

    A context variable would follow tasks into the event loop of a cluster's worker, and
    from there into tasks of other images.
    """

    passes: tuple[SegmentedImage, _Passes] | None = None


_SHARED = _Shared()


@contextmanager
def share_passes(
    levels: Sequence[RegionFeatures], segmented: SegmentedImage
) -> Iterator[None]:
    """Let levels share the maps of an image, and forget these afterwards.

    Parameters
    ----------
    levels : sequence of RegionFeatures
        Those that will describe the image meanwhile, fitted.
    segmented : SegmentedImage
        The image.
    """
    layers: dict[Any, dict[str, None]] = {}  # a set that keeps its order
    for level in levels:
        if isinstance(level, ConvnetFeatures) and level.sees_whole_image:
            names = level.layers_
            layers.setdefault(level.pass_key, {}).update(dict.fromkeys(names))
    passes: _Passes = {key: (tuple(names), {}) for key, names in layers.items()}
    outer, _SHARED.passes = _SHARED.passes, (segmented, passes)
    try:
        yield
    finally:
        _SHARED.passes = outer


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
        self._seed, self._fine_tuned = seed, fine_tuned
        self._loaded = (self._arguments, network)
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
        network = (self.backbone, self.weights_sha256_, self._preprocessing)
        return (*network, self.flip, self.dtype, self.device, self.input_size)

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
        layers, maps = self._shared_pass(segmented)
        if not set(network.layers).issubset(layers):
            return network.maps(self._whole_image(segmented, network))
        if not maps:
            image = self._whole_image(segmented, network)
            maps.update(zip(layers, network.maps(image, layers), strict=True))
        return [maps[name] for name in network.layers]

    def _shared_pass(
        self, segmented: SegmentedImage
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Find the layers and the maps of a pass over this very image."""
        if _SHARED.passes is None or _SHARED.passes[0] is not segmented:
            return (), {}
        return _SHARED.passes[1].get(self.pass_key, ((), {}))

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
        state.pop("_loaded", None)
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
        # One attribute, since another thread may load the network anew meanwhile.
        loaded_with, network = getattr(self, "_loaded", (None, None))
        arguments = self._arguments
        if network is None or loaded_with != arguments:
            network = load_shared_network(*arguments, again=True)
            if network.sha256 != self.weights_sha256_:
                raise ValueError(
                    f"weights: expected those of fit ({self.weights_}, sha256 "
                    f"{self.weights_sha256_}), found {network.source} (sha256 "
                    f"{network.sha256}); bring the same file, or fit again."
                )
            self._loaded = (arguments, network)
        return network
