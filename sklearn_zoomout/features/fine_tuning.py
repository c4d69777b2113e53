"""Fine-tuning of a backbone on the labels of superpixels."""

import hashlib
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from .._rows import draw_evenly
from .._utils.digests import digest_array, digest_state
from .._utils.params import validate_params
from ..cache import FeatureCache, entry_key
from ..labels import LabeledRows, label_rows
from ..loss import class_weights
from ..superpixels import Superpixels

if TYPE_CHECKING:
    from ..backbones import FineTunedWeights, FrozenNetwork

# Of n images, this many times the square root of n are shown. On Stanford Background,
# one draw of 20 lost 0.9 points of mean IoU by 80 passes, 0.3 by 30; 572 gained by 4.
_SHOWN = 100


class _Shared(threading.local):
    """What the levels that are fitted together in this thread have fine-tuned."""

    weights: "dict[Any, tuple[FineTunedWeights, Any, Any]] | None" = None


_SHARED = _Shared()


@dataclass(frozen=True)
class FineTuning:
    """How a backbone is trained on the masks before it describes superpixels.

    The parameter ``fine_tune`` of the convnet levels takes one. In `fit`, the network
    is trained together with a linear classifier of its maps of every resolution,
    averaged over superpixels, to tell their labels. The classifier is thrown away, and
    the level looks at images through the network. Levels with the same backbone,
    weights and ``fine_tune`` have the same network, which a `ZoomoutUnion` trains once.
    Fully connected layers (fc7 of VGG) stay as they are.

    Parameters
    ----------
    max_steps : int or None, default=None
        Training steps; None for as many as show 100 times the square root of the
        number of labeled images: each of 20 about 22 times, of 500 about 4 times.
    batch_size : int, default=4
        Images of a step.
    learning_rate : float, default=1e-4
        First step size of AdamW; it falls to 0. That of the linear classifier is ten
        times as large.
    class_weight : "balanced", float or None, default=None
        The weight of a class in the log-loss: None is 1; "balanced" is one over its
        frequency among the training superpixels, as in equation (2). A number a in
        0..1 lies between the two: one over the frequency to the power a.
    input_size : int, default=320
        Longer side in pixels at which the images of a step are seen, times 3/4 to 4/3;
        of the larger ones a part is seen. It need not be that of the levels: a small
        one shows whole images, in little time.
    random_state : int, default=0
        Determines the order of the images, and what is seen of them.

    Raises
    ------
    InvalidParameterError
        A ``ValueError`` and ``TypeError``, if a parameter is not what it may be.

    Notes
    -----
    The network knows its training images: their features tell more than those of
    others, as the outputs of `LocalConvnetFeatures` with ``cv=None`` do. What a
    classifier measures on some of them (the ``valid_loss`` of `ZoomoutClassifier`, the
    strength of `GraphSmoothing`) is too good. Cross-validation of a pipeline is not
    touched by this: every fold trains a network of its own.

    It can cost accuracy, where labels are few or the classes are many kinds of objects:
    compare by cross-validation before you keep it.

    Half of the images are mirrored, at random. Batch normalization keeps its moments,
    and nothing is dropped out, since batches are small and steps are few.

    On a GPU the sums of gradients have no fixed order: weights of two fits differ in
    their last digits, and so do features.

    To search over it, let levels that belong together change together, such as by
    ``{"zoomout": [zoomout_pipeline()["zoomout"],
    zoomout_pipeline(fine_tune=True)["zoomout"]]}``: ``zoomout__maps__fine_tune`` is
    that of one level.

    Examples
    --------
    >>> from sklearn_zoomout import (
    ...     ConvnetSuperpixelFeatures, FineTuning, SuperpixelSegmenter
    ... )
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=4, random_state=0)
    >>> superpixels = SuperpixelSegmenter(n_segments=50).fit_transform(images)
    >>> fine_tune = FineTuning(max_steps=5, input_size=160)
    >>> maps = ConvnetSuperpixelFeatures(input_size=160, fine_tune=fine_tune)
    >>> maps.fit_transform(superpixels, masks)
    FeatureTable(4 images, ... superpixels, 328 columns; maps: 328)
    """

    max_steps: int | None = None
    batch_size: int = 4
    learning_rate: float = 1e-4
    class_weight: str | float | None = None
    input_size: int = 320
    random_state: int = 0

    # Raised when training changes, for what `memory` keeps.
    cache_version: ClassVar[int] = 2
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "max_steps": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "class_weight": [
            StrOptions({"balanced"}),
            Interval(Real, 0, 1, closed="both"),
            None,
        ],
        "input_size": [Interval(Integral, 1, None, closed="left")],
        "random_state": [Interval(Integral, 0, 2**32 - 1, closed="both")],
    }

    def __post_init__(self) -> None:
        validate_params(self)
        for name, value in asdict(self).items():
            if isinstance(value, np.generic):  # equal settings are to look alike
                object.__setattr__(self, name, value.item())

    def train(
        self,
        superpixels: Superpixels,
        masks: Any,
        *,
        backbone: Any,
        weights: Any,
        device: str,
        seed: int,
        cache: FeatureCache | None,
        verbose: int,
    ) -> "FineTunedWeights":
        """Train a backbone, unless that has been done.

        Parameters
        ----------
        superpixels : Superpixels
            The training images.
        masks : sequence of array-like of integers of shape (height, width)
            Their label maps.
        backbone, weights, device, seed
            See `load_network`.
        cache : FeatureCache or None
            Where to keep the weights.
        verbose : int
            Show a progress bar if positive.

        Returns
        -------
        FineTunedWeights

        Raises
        ------
        ValueError
            If masks are missing or do not fit their images, superpixels of fewer than
            two classes are labeled, or the loss becomes NaN.
        """
        if masks is None:
            raise ValueError(
                "masks: fine_tune learns from label maps, got none; call "
                "fit(superpixels, masks), or pass fine_tune=None."
            )
        from ..backbones import FineTunedWeights, load_network

        network = load_network(backbone, weights, "all", device, seed)
        shared = _SHARED.weights
        key = (id(superpixels), id(masks), *_identity(network), device, self)
        if shared is not None and key in shared:
            return shared[key][0]
        labeled = _with_classes_present(label_rows(superpixels, masks))
        before = network.weights()
        after = self._recall_or_train(network, superpixels, labeled, cache, verbose)
        # What lies behind the last map is as it was.
        changed = {
            name: values
            for name, values in after.items()
            if not np.array_equal(values, before[name])
        }
        fine_tuned = FineTunedWeights(network.sha256, changed)
        if shared is not None:
            # With the data: ids are theirs for as long as they exist.
            shared[key] = (fine_tuned, superpixels, masks)
        return fine_tuned

    def _recall_or_train(
        self,
        network: "FrozenNetwork",
        superpixels: Superpixels,
        labeled: LabeledRows,
        cache: FeatureCache | None,
        verbose: int,
    ) -> dict[str, NDArray[np.float32]]:
        """Give the trained weights, and keep them for the next time."""
        if cache is None:
            return self._train(network, superpixels, labeled, verbose)
        key = self._cache_key(network, superpixels, labeled)
        kept = cache.get(key)
        if kept is None:
            trained = self._train(network, superpixels, labeled, verbose)
            cache.put(key, np.concatenate([v.ravel() for v in trained.values()]))
            return trained
        like = network.weights()
        parts = np.split(kept, np.cumsum([v.size for v in like.values()])[:-1])
        return {
            name: part.reshape(like[name].shape)
            for name, part in zip(like, parts, strict=True)
        }

    def _cache_key(
        self, network: "FrozenNetwork", superpixels: Superpixels, labeled: LabeledRows
    ) -> str:
        state = digest_state(self, {"network": _identity(network), **asdict(self)})
        data = hashlib.sha256()
        for segmented in superpixels:
            data.update(segmented.digest.encode())
        for labels in (labeled.rows, labeled.classes[labeled.codes]):
            data.update(digest_array(labels).encode())
        return entry_key(state, data.hexdigest())

    def _train(
        self,
        network: "FrozenNetwork",
        superpixels: Superpixels,
        labeled: LabeledRows,
        verbose: int,
    ) -> dict[str, NDArray[np.float32]]:
        """Train a network, and give its weights."""
        from ._region_training import NO_LABEL, train_on_regions

        codes = np.full(superpixels.n_rows, NO_LABEL)
        codes[labeled.rows] = labeled.codes
        images = np.unique(labeled.images)
        size = min(self.batch_size, len(images))
        n_steps = self.max_steps
        if n_steps is None:
            n_steps = math.ceil(_SHOWN * math.sqrt(len(images)) / size)
        rng = np.random.default_rng(self.random_state)
        order = images[draw_evenly(len(images), n_steps * size, rng)]
        train_on_regions(
            network,
            superpixels,
            np.split(codes, superpixels.row_offsets[1:-1]),
            order.reshape(n_steps, size),
            class_weight=class_weights(
                self.class_weight, labeled.classes, labeled.frequency()
            ),
            input_size=self.input_size,
            learning_rate=self.learning_rate,
            rng=rng,
            verbose=verbose,
        )
        return network.weights()


def _identity(network: "FrozenNetwork") -> tuple[str, str]:
    """Tell networks apart: the same weights can go with other preprocessing."""
    return network.sha256, repr(network.spec)


def _with_classes_present(labeled: LabeledRows) -> LabeledRows:
    """Leave out classes that won no superpixel: nobody can learn them."""
    present, codes = np.unique(labeled.codes, return_inverse=True)
    return replace(labeled, codes=codes, classes=labeled.classes[present])


@contextmanager
def share_fine_tuning() -> Iterator[None]:
    """Let levels that are fitted meanwhile, on the same images, share networks."""
    outer, _SHARED.weights = _SHARED.weights, {}
    try:
        yield
    finally:
        _SHARED.weights = outer
