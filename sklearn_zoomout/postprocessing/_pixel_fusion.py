"""`PixelFusion`: labels of pixels, from superpixels and from filters of pixels."""

from collections.abc import Callable, Iterator, Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from scipy import special
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from .._utils.before_fit import check_labels_before_fit, check_params_before_fit
from .._utils.fitting import fresh_fit
from .._utils.params import validate_params
from .._utils.threads import one_thread
from ..classifier import SuperpixelClassifier
from ..labels import encode_labels
from ..masks import in_small_type
from ..masks._present import PresentLabels, refuse_missing
from ..superpixels import SegmentedImage
from ..table import FeatureTable, check_table
from ._base import attributes_of, check_candidates, check_estimator, fit_inside
from ._pixel_folds import teach_thin_classes
from ._pixel_model import compress_forest, fit_forest
from ._pixel_rounds import fit_two_rounds, need_two_rounds, predict_near
from ._pixel_weight import WEIGHTS, can_change, predict_out_of_fold, weigh
from ._pixels import PixelFilters, choose_filters, choose_images, draw_pixels

# Pixels, labeled or not, from which the network learns what the forest predicts.
_N_OTHERS = 30_000


class PixelFusion(SuperpixelClassifier):
    """Label pixels by their superpixels and by what is seen at the pixel itself.

    The pixel is the closest zoom level. A forest of extremely randomized trees learns
    the classes of pixels from small filters: for every channel a Gaussian, the
    magnitude of its gradient and the eigenvalues of its Hessian, and for opponent
    colors a Gaussian, at several sizes. The label of a pixel is the class with the
    largest ::

        (1 - weight) * log p(superpixel) + weight * log p(pixel)

    Probabilities below 0.001 count as 0.001. One weight holds for all pixels, chosen by
    the IoU of out-of-fold predictions: small where filters do not help, as on most
    photographs, and close to 1 where they suffice, as for stains and membranes.

    Where there are whole masks, of 500,000 pixels or more in several images, and the
    weight is 0.5 or more, two networks take the place of the forest. The second also
    sees what the first says about the surroundings of a pixel, through the same
    filters [1]_, and the log-probabilities of the superpixel.

    Parameters
    ----------
    estimator : estimator with ``predict_superpixel_proba``
        A `ZoomoutClassifier`, or a clean-up step of superpixels around one. See
        `GraphSmoothing` for what an estimator of your own needs.
    sigmas : sequence of float, default=(0.5, 1, 2, 4, 8, 16)
        The standard deviations of the Gaussians in pixels.
    n_pixels : int, default=20000
        Number of labeled pixels from which the forest learns. They are drawn evenly
        over the images, and in every image evenly over the classes. In the forest and
        in the mean IoU, a pixel has the weight of the pixels that it stands for.
    n_images : int, default=100
        Pixels are learned from at most so many images, drawn at random, and the weight
        is chosen on them. If an image of every class needs more, it is more.
    weight : "auto" or float, default="auto"
        The weight of the pixels, in 0..1. "auto" chooses among 0, 0.05, 0.1, 0.2, ...,
        0.95 and 1, the smallest of equal scores. A number needs no folds.
    cv : int or None, default=None
        Number of folds, None for 3 of images or 5 of strokes. Images are held out if as
        many as folds have labels, and most classes are in several folds. Else strokes
        are, connected pixels of a class; the only one of a class is cut into parts.
    compress : bool, default=True
        Train a small network to predict what the forest predicts [2]_. It predicts
        about ten times as fast, and its labels differ a little. False keeps the forest.
    n_jobs : int or None, default=None
        How many images, and how many trees, to work on at once, in threads.
    random_state : int, RandomState or None, default=None
        Seed of the draws of pixels, of the folds, of the forest and of the network. The
        seed of ``estimator`` is its own.

    Attributes
    ----------
    estimator_ : estimator
        The estimator, fitted on all images.
    classes_ : ndarray of int64 of shape (n_classes,)
        The classes, sorted.
    weight_ : float
        The weight of the pixels.
    weights_ : ndarray of float64 of shape (n_weights,) or None
        The candidates, ascending. None if ``weight`` is a number.
    scores_ : ndarray of float64 of shape (n_weights,) or None
        For each of ``weights_``, the mean IoU of out-of-fold labels, averaged with that
        of probabilities, of which a pixel adds a share to every class. If only the
        first fold was tried, see Notes, none exceeds that of weight 0.
    forest_ : ExtraTreesClassifier or None
        The forest. Its classes are positions in ``classes_``. None if networks have
        taken its place, or if ``weight_`` is 0.
    nets_ : list of torch.nn.Module
        The network that predicts what the forest predicts, or the networks of the first
        and the second round. Empty without ``compress``, or if ``weight_`` is 0.
    filters_ : PixelFilters or None
        How pixels are described: ``filters_.gray`` tells whether all images of fit are
        gray, and one channel is used. None if ``weight`` is 0.
    n_features_in_ : int
        Number of feature columns.
    feature_names_in_, mean_ : ndarray of shape (n_features_in_,)
        Their names, and their means, or None if the estimator has no ``mean_``.

    Notes
    -----
    ``fit`` trains the estimator and a forest once for each fold and once on all images.
    If images are held out, it first has 2 epochs on the first fold, unless
    ``max_epochs`` is set; the weight is 0 if none gains 0.005. With ``warm_start``, the
    one on all images continues. Filters are not kept: a table of files needs its
    images, ``open_features(folder, images)``. A class with the majority in no
    superpixel is taught by those with a large share. ``predict`` evaluates only the
    pixels whose label filters can change.

    References
    ----------
    .. [1] Tu, Bai, "Auto-context and its application to high-level vision tasks and 3D
       brain image segmentation", PAMI 32 (10), 2010.
    .. [2] Buciluă, Caruana, Niculescu-Mizil, "Model compression", KDD 2006.

    Examples
    --------
    >>> from sklearn_zoomout import LocalFeatures, PixelFusion
    >>> from sklearn_zoomout import SuperpixelSegmenter, ZoomoutClassifier
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=4, random_state=0)
    >>> superpixels = SuperpixelSegmenter(n_segments=50).fit_transform(images)
    >>> local = LocalFeatures(descriptors=("color", "location"))
    >>> table = local.fit_transform(superpixels)
    >>> classifier = ZoomoutClassifier(max_epochs=5, random_state=0)
    >>> model = PixelFusion(classifier, n_pixels=500, random_state=0)
    >>> model.fit(table, masks).predict(table)[0].shape == masks[0].shape
    True
    >>> model.scores_.shape
    (13,)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "estimator": [HasMethods(["fit"])],
        "sigmas": [list, tuple, np.ndarray],
        "n_pixels": [Interval(Integral, 2, None, closed="left")],
        "n_images": [Interval(Integral, 1, None, closed="left")],
        "weight": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both")],
        "cv": [Interval(Integral, 2, None, closed="left"), None],
        "compress": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }
    # Other steps would change its superpixels, and lose its pixels.
    _labels_pixels = True

    def __init__(
        self,
        estimator: Any,
        *,
        sigmas: Sequence[float] = (0.5, 1, 2, 4, 8, 16),
        n_pixels: int = 20_000,
        n_images: int = 100,
        weight: "str | float" = "auto",
        cv: int | None = None,
        compress: bool = True,
        n_jobs: int | None = None,
        random_state: "int | np.random.RandomState | None" = None,
    ) -> None:
        self.estimator = estimator
        self.sigmas = sigmas
        self.n_pixels = n_pixels
        self.n_images = n_images
        self.weight = weight
        self.cv = cv
        self.compress = compress
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Sequence[ArrayLike]) -> Self:
        """Fit the estimator, choose the weight of the pixels, and fit their forest.

        Parameters
        ----------
        X : FeatureTable
            Features of the superpixels of n_images images.
        y : sequence of array-like of integers of shape (height, width)
            The masks, a label map for every image.

        Returns
        -------
        self : PixelFusion

        Raises
        ------
        ValueError
            If a parameter is wrong, the pixels of a stored table are missing, there are
            too few labels for folds, or the estimator cannot be fitted to all images or
            to a fold.
        """
        earlier = getattr(self, "estimator_", None)
        with fresh_fit(self):
            validate_params(self)
            self._check_params()
            table = check_table(X)
            # Labels will be taken away, and -1 has no place in uint8.
            images = table.superpixels
            masks = [np.asarray(mask, np.int64) for mask in images.iter_masks(y)]
            filters = choose_filters(images, self.sigmas) if self.weight != 0 else None
            estimator = clone(self.estimator)
            if earlier is not None and getattr(estimator, "warm_start", False):
                estimator = earlier.set_params(**estimator.get_params(deep=False))
            taught = teach_thin_classes(images, masks) if filters else masks
            fit_inside(estimator, table, taught, pixels=filters is not None)
            learned = self._learn(table, masks, taught, estimator.classes_, filters)
            self.__dict__.update(
                attributes_of(estimator) | learned | {"filters_": filters}
            )
        return self

    def _check_params_before_fit(self) -> None:
        validate_params(self)
        self._check_params()
        check_params_before_fit(self.estimator)

    def _check_labels_before_fit(self, labels: PresentLabels | None) -> None:
        if labels is None:
            refuse_missing()
        check_labels_before_fit(self.estimator, labels)

    def _check_params(self) -> None:
        check_estimator(self.estimator, type(self).__name__)
        check_candidates("sigmas", self.sigmas, "> 0")

    def predict(self, X: Any) -> NDArray[np.object_]:
        """Label every pixel.

        Parameters
        ----------
        X : FeatureTable
            Features of the superpixels, with the columns of fit.

        Returns
        -------
        ndarray of object of shape (n_images,)
            A label map each, as of `ZoomoutClassifier`.

        Raises
        ------
        ValueError
            If an image has colors, all images of fit are gray, and ``weight_`` > 0.
        """
        table = self._check_fitted_table(X)
        if self.weight_ == 0:
            return self.estimator_.predict(table)
        return self._of_images(table, self._label_pixels)

    def predict_proba(self, X: Any) -> NDArray[np.object_]:
        """Predict the class probabilities of every pixel.

        They are the softmax of the weighted sum of log-probabilities. If the weight is
        0, they are those of the estimator.

        Parameters
        ----------
        X : FeatureTable
            Features of the superpixels, with the columns of fit.

        Returns
        -------
        ndarray of object of shape (n_images,)
            An array each, float32 (height, width, n_classes), with NaN for no data.
        """
        table = self._check_fitted_table(X)
        if self.weight_ == 0:
            return self.estimator_.predict_proba(table)
        return self._of_images(table, self._weigh_pixels)

    def _row_probabilities(self, table: FeatureTable) -> NDArray[np.float32]:
        return self.estimator_.predict_superpixel_proba(table)

    def _learn(
        self,
        table: FeatureTable,
        masks: list[NDArray[Any]],
        taught: list[NDArray[Any]],
        classes: NDArray[np.int64],
        filters: PixelFilters | None,
    ) -> dict[str, Any]:
        """Choose the weight and fit the model of pixels; return the attributes."""
        learned: dict[str, Any] = dict.fromkeys(("weights_", "scores_", "forest_"))
        learned |= {"nets_": [], "weight_": 0.0 if filters is None else self.weight}
        if filters is None:
            return learned
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        draws = np.random.default_rng(seed)
        codes = [
            encode_labels(mask, classes, f"masks[{i}]").astype(np.int32)
            for i, mask in enumerate(masks)
        ]
        images = choose_images(codes, self.n_images, draws)
        table, n_classes = table[images], len(classes)
        taught, codes = ([items[i] for i in images] for items in (taught, codes))
        pixels = draw_pixels(
            table,
            codes,
            filters,
            n_labeled=self.n_pixels,
            n_others=_N_OTHERS if self.compress else 0,
            rng=draws,
            n_jobs=self.n_jobs,
        )
        common: dict[str, Any] = {"seed": seed, "n_jobs": self.n_jobs}
        if self.weight == "auto":
            labeled = table, taught, codes, pixels, classes
            held_out = predict_out_of_fold(
                self.estimator, *labeled, cv=self.cv, **common
            )
            scores = held_out.scores
            if self.compress and need_two_rounds(codes, held_out):
                learned["nets_"], scores = fit_two_rounds(
                    table, codes, filters, held_out, n_classes=n_classes, **common
                )
            learned |= {"weights_": WEIGHTS.copy(), "scores_": scores}
            learned["weight_"] = float(WEIGHTS[scores.argmax()])
        if learned["weight_"] == 0:
            learned["nets_"] = []
        elif not learned["nets_"]:
            forest = fit_forest(pixels.features, pixels.codes, pixels.shares, **common)
            if self.compress:
                imitated = forest, pixels.others, n_classes, seed, learned["weight_"]
                learned["nets_"] = [compress_forest(*imitated)]
            else:
                learned["forest_"] = forest
        return learned

    def _of_images(
        self, table: FeatureTable, work: Callable[..., NDArray[Any]]
    ) -> NDArray[np.object_]:
        """Do some work on every image, on several at once."""
        assert self.filters_ is not None
        self.filters_.check(table.superpixels)
        proba = self.estimator_.predict_superpixel_proba(table)
        parts = np.split(proba, table.row_offsets[1:-1])
        maps = np.empty(len(table), dtype=object)
        with one_thread():
            parallel = Parallel(self.n_jobs, prefer="threads")
            done = parallel(
                delayed(work)(table.superpixels[i], parts[i]) for i in range(len(table))
            )
        for i, image in enumerate(done):
            maps[i] = image
        return maps

    def _label_pixels(
        self, segmented: SegmentedImage, proba: NDArray[np.float32]
    ) -> NDArray[Any]:
        """Return the label map of an image."""
        segments = segmented.segments.ravel()
        context = weigh(proba, 1 - self.weight_)
        codes = context.argmax(axis=1)[segments]
        open_rows = can_change(context, self.weight_)
        if open_rows.any():
            chosen = open_rows[segments]
            for pixels, near in self._near(segmented, proba, chosen):
                sums = weigh(near, self.weight_)
                sums += context[segments[pixels]]
                codes[pixels] = sums.argmax(axis=1)
        return segmented.mark_nodata(
            in_small_type(self.classes_)[codes].reshape(segmented.shape)
        )

    def _weigh_pixels(
        self, segmented: SegmentedImage, proba: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the probabilities of the pixels of an image."""
        segments = segmented.segments.ravel()
        context = weigh(proba, 1 - self.weight_)
        fused = np.empty((segments.size, proba.shape[1]), dtype=np.float32)
        every = np.ones(segments.size, dtype=bool)
        for pixels, near in self._near(segmented, proba, every):
            sums = weigh(near, self.weight_) + context[segments[pixels]]
            fused[pixels] = special.softmax(sums, axis=1)
        return segmented.mark_nodata(fused.reshape(*segmented.shape, -1))

    def _near(self, *pixels: Any) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Yield positions of the chosen pixels, and their probabilities by filters."""
        assert self.filters_ is not None
        models = self.nets_, self.forest_, self.filters_, len(self.classes_)
        return predict_near(*models, *pixels)
