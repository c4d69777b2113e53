"""What the convnet levels share: a backbone, and forward passes over an image."""

import contextlib
import os
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from ..._utils.device import check_device, device_to_predict_on
from ..._utils.frozen_params import FrozenParams, FrozenParamsMixin
from ..._utils.shared_results import SharedResults
from ..._utils.threads import one_torch_thread
from ...backbones import Backbone, Network
from ...backbones._backbone import BackboneLike, as_backbone
from ...backbones._fine_tuned import FineTunedWeights
from ...backbones._loading import load_shared_network
from ...backbones._network import Taps
from ...cache import FeatureCache, OpenCache
from ...exceptions import CacheWarning
from ...masks._present import PresentLabels
from ...superpixels import SegmentedImage, Superpixels
from .._base import RegionFeatures
from ._bands import Triple, choose_views, prefixes_of, views_of
from ._fine_tuning import fine_tune, refuse_no_masks, refuse_wrong_checkpoint
from ._resizing import blocks_shape, resize_blocks, resize_longer_side

if TYPE_CHECKING:
    import torch


# Of so many views of an image, feature maps are kept for other levels.
_VIEWS_AT_ONCE = 8


class ConvnetLevel(FrozenParamsMixin, RegionFeatures):
    """Base of the levels that describe superpixels by a convnet.

    The network is loaded when it is needed. A pickle holds only the weights that
    fine-tuning has changed.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "backbone": [Backbone, str, callable, None],
        "layers": [tuple, list, None],
        "bands": [list, tuple, None],
        "memory": [str, os.PathLike, FeatureCache, None],
        "verbose": ["verbose"],
    }
    # Weights count by their digest, random and fine-tuned ones too.
    _not_in_key = RegionFeatures._not_in_key | {
        "backbone",
        "default_backbone",
        "layers",
        "bands",
        "weights_",
        "_fine_tuned",
    }

    backbone: BackboneLike
    layers: str | Sequence[str] | None
    bands: Sequence[Sequence[int]] | None
    memory: str | os.PathLike | FeatureCache | None
    verbose: int
    #: What ``backbone=None`` stands for; a `ZoomoutUnion` sets its own.
    default_backbone: BackboneLike = None
    _fine_tuned: FineTunedWeights | None
    _taps: Taps
    #: The bands that the network sees one after the other; None sees RGB.
    _views: "tuple[Triple, ...] | None" = None

    @abstractmethod
    def _describe(self, segmented: SegmentedImage, network: Network) -> "torch.Tensor":
        """Compute the rows of one image."""

    def describe(self, segmented: SegmentedImage) -> NDArray[np.float32]:
        """Describe one image.

        Parameters
        ----------
        segmented : SegmentedImage
            The image and its superpixels.

        Returns
        -------
        ndarray of float32 of shape (n_segments, n_columns), or (n_columns,) if
        `per_image`
        """
        import torch

        network = self.get_network()
        limit = one_torch_thread if network.is_small else contextlib.nullcontext
        with torch.inference_mode(), limit():
            if self._views is None:
                return self._describe(segmented, network).cpu().numpy()
            views = views_of(segmented, self._views)
            rows = [self._describe(view, network).cpu() for view in views]
            return torch.cat(rows, dim=-1).numpy()

    def learn(self, superpixels: Superpixels, masks: Any = None) -> None:
        """Load the network, and train it first if the backbone says so.

        Parameters
        ----------
        superpixels : Superpixels
            The training images.
        masks : sequence of array-like of integers of shape (height, width)
            Their label maps. They are ignored unless the network is trained.
        """
        backbone = self._backbone
        # Wrong names of layers and missing weights are refused before any training.
        network = load_shared_network(backbone)
        taps = network.taps(self.layers)
        views = choose_views(self.bands, superpixels[0], self.block_name)
        if views is not None and backbone.fine_tune is not None:
            raise ValueError(
                f"{self.block_name}: fine_tune learns from RGB or gray images, got "
                "bands; pass a Backbone with fine_tune=None."
            )
        fine_tuned = None
        if backbone.fine_tune is not None:
            cache = None if backbone.is_callable else self._open_cache()
            fine_tuned = fine_tune(backbone, superpixels, masks, cache, self.verbose)
            network = load_shared_network(backbone, fine_tuned)
        self._fine_tuned, self._taps, self._views = fine_tuned, taps, views
        self._loaded = (backbone, network)
        self.layers_ = taps.layers
        self.weights_ = network.source
        self.weights_sha256_ = network.sha256
        # A file of weights can have another preprocessing than the backbone's name.
        self._preprocessing = repr(network.spec)

    def _check_params_before_fit(self) -> None:
        super()._check_params_before_fit()
        backbone = self._backbone
        check_device(backbone.device)
        refuse_wrong_checkpoint(backbone)
        if not backbone.is_callable:  # it is called once, by `learn`
            load_shared_network(backbone).taps(self.layers)

    def _check_labels_before_fit(self, labels: PresentLabels | None) -> None:
        if self._backbone.fine_tune is not None and labels is None:
            refuse_no_masks()

    @property
    def _backbone(self) -> Backbone:
        backbone = self.backbone
        return as_backbone(self.default_backbone if backbone is None else backbone)

    def _as_frozen(self, name: str) -> FrozenParams | None:
        return self._backbone if name == "backbone" else None

    def pass_key(self) -> tuple[Any, ...] | None:
        """Return what levels that share a forward pass have in common.

        Returns
        -------
        tuple or None
            None if this level reads no feature maps of the whole image.
        """
        return None

    def column_names(self) -> list[str]:
        """Return the names of the columns, such as "fc7_0012" or "band3_fc7_0012"."""
        names = ["fc7"] if self._taps.fc7 else self._taps.layers
        return [
            f"{prefix}{name or 'map'}_{i:04d}"
            for prefix in prefixes_of(self._views)
            for name, width in zip(names, self._taps.widths, strict=True)
            for i in range(width)
        ]

    def get_network(self) -> Network:
        """Return the network of ``fit``, loaded again if needed.

        That is after unpickling, or when a parameter of the backbone has been changed.
        After unpickling, it is on the CPU, with a warning, if torch has no such device.

        Returns
        -------
        Network

        Raises
        ------
        ValueError
            If its weights are not those of ``fit``.
        """
        # One attribute, since another thread may load the network again meanwhile.
        loaded_as, network = getattr(self, "_loaded", (None, None))
        backbone = self._backbone
        if network is None or loaded_as != backbone:
            here = backbone
            if network is None:  # fitted elsewhere, where there may have been a GPU
                here = backbone.replace(device=device_to_predict_on(backbone.device))
            network = load_shared_network(here, self._fine_tuned, again=True)
            if network.sha256 != self.weights_sha256_:
                raise ValueError(
                    f"weights: expected those of fit ({self.weights_}, sha256 "
                    f"{self.weights_sha256_}), found {network.source} (sha256 "
                    f"{network.sha256}); bring the same file, or fit again."
                )
            self._loaded = (backbone, network)
        return network

    def _open_cache(self) -> OpenCache | None:
        cache = super()._open_cache()
        if cache is not None and self._backbone.is_callable:
            warnings.warn(
                "memory: features of a callable backbone are not kept, since its code "
                "may change; name a backbone, or write a RegionFeatures of your own "
                "that has a cache_version.",
                CacheWarning,
                stacklevel=3,
            )
            return None
        return cache

    def _cache_state(self) -> dict[str, Any]:
        backbone = self._backbone
        computed = (backbone.name, backbone.dtype, backbone.flip)
        return super()._cache_state() | {"backbone": computed}

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_loaded", None)
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self._backbone.fine_tune is not None
        return tags


class ConvnetMapLevel(ConvnetLevel):
    """Base of the convnet levels that read feature maps of the whole image."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ConvnetLevel._parameter_constraints,
        "input_size": [Interval(Integral, 1, None, closed="left")],
        "input_scale": [Interval(Real, 0, 16, closed="right"), None],
    }
    _not_in_key = ConvnetLevel._not_in_key | {"input_scale_"}

    input_size: int
    input_scale: float | None

    def learn(self, superpixels: Superpixels, masks: Any = None) -> None:
        """Load the network, and remember at which scale it sees the images.

        Parameters
        ----------
        superpixels : Superpixels
            The training images.
        masks : sequence of array-like of integers of shape (height, width)
            Their label maps. They are ignored unless the network is trained.
        """
        super().learn(superpixels, masks)
        longer = [max(segmented.shape) for segmented in superpixels]
        scale = self.input_scale or np.median([self.input_size / n for n in longer])
        self.input_scale_ = float(scale)

    @property
    def block_side(self) -> int | None:
        """Pixels of the image that become 32 of the network, with `input_scale`."""
        scale = self.input_scale
        return None if scale is None else max(round(32 / scale), 1)

    def pass_key(self) -> tuple[Any, ...] | None:
        """Return what levels that share a forward pass have in common.

        Returns
        -------
        tuple
            The network and the size at which it sees the image.
        """
        return (self.get_network().key, *self._size)

    @property
    def _size(self) -> tuple[int | None, int | None]:
        block = self.block_side
        return (None, block) if block else (self.input_size, None)

    def seen_shape(self, segmented: SegmentedImage) -> tuple[int, int]:
        """Return height and width that the feature maps cover, in pixels of the image.

        With `input_scale` they may be more than the image has.
        """
        shape, block = segmented.shape, self.block_side
        return blocks_shape(shape, block) if block else shape

    def image_maps(
        self, segmented: SegmentedImage, network: Network
    ) -> list["torch.Tensor"]:
        """Compute the feature maps of an image, or take those of another level.

        Parameters
        ----------
        segmented : SegmentedImage
            The image.
        network : Network
            The network.

        Returns
        -------
        maps : list of tensors of shape (1, C, h, w), float32
            One per layer.
        """

        def forward(layers: Sequence[str]) -> list["torch.Tensor"]:
            pixels = network.prepare(segmented.rgb)
            block = self.block_side
            if block:
                image = resize_blocks(pixels, block)
            else:
                image = resize_longer_side(pixels, self.input_size)
            return network.maps(image[None], layers)

        passes: Passes | None = segmented.passes
        if passes is None:
            return forward(self.layers_)
        return passes.maps((network.key, *self._size), self.layers_, forward)


class Passes:
    """The forward passes over one image, which its levels share.

    Parameters
    ----------
    levels : iterable of transformers
        The fitted levels that will describe the image.
    """

    def __init__(self, levels: Iterable[Any]) -> None:
        # A dict for each pass: a set of layers that keeps its order.
        self._layers: dict[Any, dict[str, None]] = {}
        for level in levels:
            key = level.pass_key() if isinstance(level, ConvnetLevel) else None
            if key is not None:
                self._layers.setdefault(key, {}).update(dict.fromkeys(level.layers_))
        self._maps = SharedResults()
        self._of_bands = SharedResults(_VIEWS_AT_ONCE)

    def of(self, bands: Triple) -> "Passes":
        """Return the passes over the same image when the network sees some bands.

        Parameters
        ----------
        bands : tuple of 3 int
            The bands.

        Returns
        -------
        Passes
            The same for all levels that ask for these bands.
        """

        def make() -> "Passes":
            passes = Passes(())
            passes._layers = self._layers
            return passes

        return self._of_bands.get(bands, make)

    def maps(
        self,
        key: tuple[Any, ...],
        layers: Sequence[str],
        forward: Callable[[Sequence[str]], list["torch.Tensor"]],
    ) -> list["torch.Tensor"]:
        """Return the feature maps of a pass, computed by the first level that asks.

        Parameters
        ----------
        key : tuple
            All that the maps depend on, except the image.
        layers : sequence of str
            The layers of the level.
        forward : callable
            Computes the maps of layers.

        Returns
        -------
        maps : list of tensors of shape (1, C, h, w), float32
            One per layer.
        """
        planned = list(self._layers.get(key, ()))
        if not set(layers).issubset(planned):
            return forward(layers)
        maps = self._maps.get(
            key, lambda: dict(zip(planned, forward(planned), strict=True))
        )
        return [maps[name] for name in layers]
