"""The local level: what a small convnet learns about superpixels (section 4.2.1)."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import KFold
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval

from .._utils.checkpoints import check_checkpoint
from .._utils.device import check_device, device_to_predict_on
from .._utils.fitting import fresh_fit
from .._utils.frozen_params import FrozenParams, FrozenParamsMixin
from .._utils.random_draws import draw_evenly
from ..backbones import Training
from ..descriptors import cut_patches, rgb_to_lab
from ..descriptors._patches import PATCH_SIZE
from ..labels import LabeledRows, check_classes, check_present, label_rows
from ..loss import check_class_weight, class_weights
from ..masks._present import PresentLabels
from ..superpixels import SegmentedImage, Superpixels
from ..table import FeatureTable
from ._base import RegionFeatures

if TYPE_CHECKING:
    from ._local_net import LocalNet


# Superpixels of an image are similar. Trained on 100 images of Stanford Background,
# the network had a log-loss on new images of 1.23 after one pass, 1.34 after 1.35.
# 2,000 steps take 2.5 to 4 minutes of one core.
_LEAST_STEPS, _MOST_STEPS = 200, 2000


class LocalConvnetFeatures(FrozenParamsMixin, RegionFeatures):
    """Class probabilities of each superpixel, by a small convnet trained in `fit`.

    The learned part of the paper's local level. The bounding box of the superpixel
    in L*a*b* is resized to 25 x 25 pixels, standardized, and padded with zeros to
    35 x 35. Three convolutions of 5 x 5 (32, 32 and 64 filters), each followed by the
    maximum over 3 x 3 with stride 2 and a ReLU, leave 576 values; two layers of 1,152
    ReLU units and a softmax turn them into the probabilities of the classes, which
    are the features.

    The outputs of a network on its own training superpixels are too good. A classifier
    that learns from them relies on them too much. `fit_transform` therefore describes
    every training image by a network that was trained on other images, as
    `sklearn.preprocessing.TargetEncoder` does, so that ``fit(X, y).transform(X)``
    differs from ``fit_transform(X, y)``. `transform` uses one network, trained on all
    images.

    Parameters
    ----------
    background : int or None, default=None
        None trains the network on all classes. A label trains it on two classes,
        background (this label) and foreground (all others), as the paper's second
        network on PASCAL VOC. For both, put two levels into a union.
    cv : int or None, default=3
        Number of folds of images for the outputs of `fit_transform`, at most one per
        image with a label. It trains that many networks and the one for `transform`.
        None is the paper's way: one network, whose outputs on its own training
        superpixels leak their labels.
    classes : array-like of integers of shape (n_classes,), default=None
        All classes, so that a class that is absent from a fold keeps its column; by
        default the labels of the masks.
    training : Training or None, default=None
        Steps, batches, rates and weights of the classes, and a folder of checkpoints,
        of which every fold has its own. None is ``Training()``.
    device : str, default="cpu"
        Where torch trains and predicts. A level that was trained on "cuda" predicts on
        the CPU where there is none.
    random_state : int, RandomState instance or None, default=None
        Determines the first weights, the superpixels of each step and the folds.
    verbose : int, default=0
        Show progress bars if positive.

    Attributes
    ----------
    classes_ : ndarray of int64 of shape (n_classes,)
        The classes, sorted; 0 and 1, background and foreground, if there is a
        `background`.
    net_ : torch.nn.Module
        The network that was trained on all images, on the CPU.
    n_features_out_ : int
        Number of columns: one per class, or 2.

    Raises
    ------
    ValueError
        If a parameter is out of its range, masks are missing or do not fit their
        images, fewer than two classes are left, the loss becomes NaN, or
        `fit_transform` finds one image only and `cv` is not None.

    Notes
    -----
    The paper does not state how these networks were trained; optimizer, steps and
    batches are this library's choices. A step draws its superpixels from all labeled
    ones, none twice before all were drawn once. Only those drawn are held in memory,
    3.75 kB each: up to 480 MB by default.

    References
    ----------
    Mostajabi, Yadollahpour, Shakhnarovich, "Feedforward semantic segmentation with
    zoom-out features", arXiv 1412.0774, section 4.2.1.

    Examples
    --------
    >>> from sklearn_zoomout import LocalConvnetFeatures, SuperpixelSegmenter, Training
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=3, random_state=0)
    >>> superpixels = SuperpixelSegmenter(n_segments=100).fit_transform(images)
    >>> training = Training(max_steps=5, batch_size=16)
    >>> features = LocalConvnetFeatures(training=training, random_state=0)
    >>> features.fit_transform(superpixels, masks).columns[:2]
    ['local_convnet__class_0', 'local_convnet__class_1']
    """

    # Raised when a trained network comes to say something else, for `load_model`.
    cache_version = 1
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "background": [Interval(Integral, 0, None, closed="left"), None],
        "cv": [Interval(Integral, 2, None, closed="left"), None],
        "classes": ["array-like", None],
        "training": [Training, None],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        background: int | None = None,
        *,
        cv: int | None = 3,
        classes: ArrayLike | None = None,
        training: Training | None = None,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.background = background
        self.cv = cv
        self.classes = classes
        self.training = training
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @property
    def _training(self) -> Training:
        return Training() if self.training is None else self.training

    def _as_frozen(self, name: str) -> FrozenParams | None:
        return self._training if name == "training" else None

    @property
    def block_name(self) -> str:
        """Return "local_convnet", or "local_foreground"."""
        return "local_convnet" if self.background is None else "local_foreground"

    def column_names(self) -> list[str]:
        """Names of the columns, such as "class_3", without the name of the block."""
        if self.background is not None:
            return ["background", "foreground"]
        return [f"class_{label}" for label in self.classes_]

    def learn(self, superpixels: Superpixels, masks: Any = None) -> None:
        """Train the network of `transform`.

        Parameters
        ----------
        superpixels : Superpixels
            The training images.
        masks : sequence of array-like of integers of shape (height, width)
            Their label maps.
        """
        labeled, weight = self._label(superpixels, masks)
        rng = check_random_state(self.random_state)
        self.net_ = self._train(superpixels, labeled, weight, _draw_seed(rng))
        self.classes_ = labeled.classes

    def fit_transform(
        self, superpixels: Superpixels, masks: Any = None
    ) -> FeatureTable:
        """Fit, and describe each training image by a network of other images.

        Parameters
        ----------
        superpixels : Superpixels
            The training images.
        masks : sequence of array-like of integers of shape (height, width)
            Their label maps.

        Returns
        -------
        FeatureTable
            One block of ``n_features_out_`` columns. If `cv` is None, they come from
            the network of `transform`; so do those of images without a label, which
            took no part in training.
        """
        if self.cv is None:
            return super().fit_transform(superpixels, masks)
        with fresh_fit(self):
            superpixels = self._check_to_fit(superpixels)
            labeled, weight = self._label(superpixels, masks)
            rng = check_random_state(self.random_state)
            seed = _draw_seed(rng)  # first, as in fit
            folds = self._split(labeled, self.cv, rng)
            net = self._train(superpixels, labeled, weight, seed)
            described: dict[int, NDArray[np.float32]] = {}
            for train, held_out in folds:
                seen = labeled.of_images(train)
                fold_net = self._train(superpixels, seen, weight, _draw_seed(rng))
                outputs = self._outputs(fold_net, superpixels[held_out])
                described.update(zip(held_out.tolist(), outputs, strict=True))
            images = range(len(superpixels))
            rest = [i for i in images if i not in described]
            outputs = self._outputs(net, superpixels[rest])
            described.update(zip(rest, outputs, strict=True))
            self.net_, self.classes_ = net, labeled.classes
            self.n_features_out_ = len(self.column_names())
            return self._tabulate(superpixels, (described[i] for i in images))

    def describe(self, segmented: SegmentedImage) -> NDArray[np.float32]:
        """Describe one image.

        Parameters
        ----------
        segmented : SegmentedImage

        Returns
        -------
        ndarray of shape (n_segments, n_features_out_), float32
            Probabilities; the sum of a row is 1.
        """
        return next(self._outputs(self.net_, [segmented]))

    def _describe_all(self, superpixels: Superpixels) -> Iterator[NDArray[Any]]:
        return self._outputs(self.net_, superpixels)

    def _outputs(
        self, net: "LocalNet", superpixels: Sequence[SegmentedImage]
    ) -> Iterator[NDArray[np.float32]]:
        """Describe images by a network."""
        from ._local_net import predict_local_proba

        device = device_to_predict_on(self.device)
        for segmented in self._progress(superpixels, len(superpixels)):
            patches = cut_patches(rgb_to_lab(segmented.rgb), segmented.boxes)
            yield predict_local_proba(net, patches, device)

    def _check_to_fit(self, superpixels: Any) -> Superpixels:
        superpixels = super()._check_to_fit(superpixels)
        n_bands = superpixels[0].n_bands
        if n_bands is not None:
            raise ValueError(
                f"{self.block_name}: expected RGB or gray images, got {n_bands} bands; "
                "leave this level out, or pass three of the bands as "
                "images[..., [2, 1, 0]]."
            )
        check_device(self.device)
        check_checkpoint(self._training.checkpoint, self.random_state)
        return superpixels

    def _label(
        self, superpixels: Superpixels, masks: Any
    ) -> tuple[LabeledRows, NDArray[np.float64]]:
        """Label the superpixels, and compute the weights of the classes."""
        if masks is None:
            self._refuse_missing()
        labeled = label_rows(superpixels, masks, check_classes(self.classes))
        if self.background is not None:
            labeled = self._foreground(labeled)
        # Those of all images also serve in the folds, where a class may be absent.
        weight = class_weights(
            self._training.class_weight, labeled.classes, labeled.frequency()
        )
        return labeled, weight

    def _refuse_missing(self) -> NoReturn:
        raise ValueError(
            f"masks: {type(self).__name__} learns from label maps, got none; call "
            "fit(superpixels, masks)."
        )

    def _check_params_before_fit(self) -> None:
        super()._check_params_before_fit()
        check_device(self.device)
        check_checkpoint(self._training.checkpoint, self.random_state)
        check_classes(self.classes)

    def _check_labels_before_fit(self, labels: PresentLabels | None) -> None:
        if labels is None:
            self._refuse_missing()
        classes, present = check_present(labels, self.classes)
        if self.background is not None:
            found = classes[present] != self.background
            self._refuse_one_part(found.astype(np.int64), classes)
            classes, present = np.array([0, 1]), np.array([True, True])
        check_class_weight(self._training.class_weight, classes, present)
        if self.cv is not None:
            self._refuse_one_image(np.flatnonzero(labels.labeled), self.cv)

    def _foreground(self, labeled: LabeledRows) -> LabeledRows:
        """Label background as 0 and all other classes as 1."""
        codes = (labeled.classes[labeled.codes] != self.background).astype(np.int64)
        self._refuse_one_part(codes, labeled.classes)
        return replace(labeled, codes=codes, classes=np.array([0, 1]))

    def _refuse_one_part(
        self, codes: NDArray[np.int64], classes: NDArray[np.int64]
    ) -> None:
        for code, part in enumerate(("background", "foreground")):
            if code not in codes:
                raise ValueError(
                    "masks: expected superpixels of foreground and background, got no "
                    f"{part} among classes {classes.tolist()}; the background "
                    f"is the label {self.background}, pass another as background."
                )

    @staticmethod
    def _split(
        labeled: LabeledRows, cv: int, rng: np.random.RandomState
    ) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Split the images that have a label into folds."""
        images = np.unique(labeled.images)
        LocalConvnetFeatures._refuse_one_image(images, cv)
        folds = KFold(min(cv, len(images)), shuffle=True, random_state=rng)
        return [(images[train], images[test]) for train, test in folds.split(images)]

    @staticmethod
    def _refuse_one_image(images: NDArray[np.int64], cv: int) -> None:
        if len(images) < 2:
            raise ValueError(
                f"cv={cv}: expected at least two images with labels, so that each "
                "can be described by a network that was trained on others, got one; "
                "pass cv=None for outputs on the network's own training image, or "
                "label more."
            )

    def _train(
        self,
        superpixels: Superpixels,
        labeled: LabeledRows,
        weight: NDArray[np.float64],
        seed: int,
    ) -> "LocalNet":
        from ._local_net import train_local_net

        n_rows = len(labeled.rows)
        size = min(self._training.batch_size, n_rows)
        n_steps = self._n_steps(n_rows)
        order = draw_evenly(n_rows, n_steps * size, np.random.default_rng(seed))
        drawn, order = np.unique(order, return_inverse=True)
        batches = order.reshape(n_steps, size)
        return train_local_net(
            _cut_rows(superpixels, labeled.rows[drawn]),
            labeled.codes[drawn],
            batches,
            class_weight=weight,
            training=self._training,
            device=self.device,
            seed=seed,
            verbose=self.verbose,
        )

    def _n_steps(self, n_rows: int) -> int:
        if self._training.max_steps is not None:
            return self._training.max_steps
        one_pass = math.ceil(n_rows / self._training.batch_size)
        return min(max(one_pass, _LEAST_STEPS), _MOST_STEPS)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def _draw_seed(rng: np.random.RandomState) -> int:
    return int(rng.randint(np.iinfo(np.int32).max))


def _cut_rows(superpixels: Superpixels, rows: NDArray[np.int64]) -> NDArray[np.float16]:
    """Cut the patches of some rows, in ascending order."""
    patches = np.empty((len(rows), 3, PATCH_SIZE, PATCH_SIZE), dtype=np.float16)
    ends = np.searchsorted(rows, superpixels.row_offsets)
    for i, (start, stop) in enumerate(zip(ends[:-1], ends[1:], strict=True)):
        if start < stop:
            boxes = superpixels[i].boxes[rows[start:stop] - superpixels.row_offsets[i]]
            lab = rgb_to_lab(superpixels[i].rgb)
            patches[start:stop] = cut_patches(lab, boxes)
    return patches
