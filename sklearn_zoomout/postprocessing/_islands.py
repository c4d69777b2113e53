"""Removal of islands of an irrelevant class (section 4.4)."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.base import clone, is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import HasMethods

from ..exceptions import FewIslandsWarning
from ..superpixels import SegmentedImage
from ._base import LabeledImage, Postprocessor, mean_colors

N_FEATURES = 9


class Islands(NamedTuple):
    """The isolated regions of a labeled image.

    Attributes
    ----------
    members : csr_array of float64 of shape (n_islands, n_segments)
        Ones where a superpixel belongs to an island.
    own : ndarray of intp of shape (n_islands,)
        The code of the island's class.
    around : ndarray of intp of shape (n_islands,)
        The code of the class of all superpixels next to it.
    """

    members: sparse.csr_array
    own: NDArray[np.intp]
    around: NDArray[np.intp]


def find_islands(segmented: SegmentedImage, codes: NDArray[np.intp]) -> Islands:
    """Find the regions of one class that are surrounded by one other class.

    A region is a connected component of superpixels of equal class. An island has
    fewer pixels than each neighboring region. Therefore no two islands are neighbors.

    Parameters
    ----------
    segmented : SegmentedImage
        The superpixels.
    codes : ndarray of integers of shape (n_segments,)
        The class of each superpixel, 0 or above.

    Returns
    -------
    Islands

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout import SegmentedImage
    >>> from sklearn_zoomout.postprocessing._islands import find_islands
    >>> segments = np.arange(5)[None]  # five superpixels side by side
    >>> segmented = SegmentedImage(np.zeros((1, 5, 3)), segments)
    >>> islands = find_islands(segmented, np.array([0, 0, 1, 0, 0]))
    >>> islands.members.toarray(), islands.own, islands.around
    (array([[0., 0., 1., 0., 0.]]), array([1]), array([0]))
    """
    n = segmented.n_segments
    graph = segmented.adjacency.tocoo()
    first, second = graph.coords
    same = codes[first] == codes[second]
    inside = sparse.coo_array((graph.data[same], (first[same], second[same])), (n, n))
    n_regions, region = connected_components(inside, directed=False)
    own = np.zeros(n_regions, dtype=np.intp)
    own[region] = codes
    # Pairs of regions that border on each other.
    border = np.unique(np.stack([region[first], region[second]])[:, ~same], axis=1)
    lowest = np.full(n_regions, np.iinfo(np.intp).max)
    highest = np.full(n_regions, -1)
    np.minimum.at(lowest, border[0], own[border[1]])
    np.maximum.at(highest, border[0], own[border[1]])
    areas = np.bincount(region, segmented.areas, n_regions)
    smallest = np.zeros(n_regions, dtype=np.int64)
    smallest[border[0]] = segmented.segments.size
    np.minimum.at(smallest, border[0], areas[border[1]])
    islands = np.flatnonzero((lowest == highest) & (areas < smallest))
    members = (islands[:, None] == region).astype(np.float64)
    return Islands(sparse.csr_array(members), own[islands], lowest[islands])


def describe_islands(
    segmented: SegmentedImage, proba: NDArray[np.float32], islands: Islands
) -> NDArray[np.float64]:
    """Describe islands by features that separate mistakes from small objects.

    Parameters
    ----------
    segmented : SegmentedImage
        The superpixels.
    proba : ndarray of float32 of shape (n_segments, n_classes)
        Their class probabilities.
    islands : Islands
        The islands.

    Returns
    -------
    ndarray of float64 of shape (n_islands, 9)
        The ring of an island is the set of superpixels next to it. The columns are:

        - the logarithm of the island's share of the image;
        - the logarithm of its number of superpixels;
        - whether it touches the border of the image;
        - the mean probabilities of its class and of the surrounding class on the
          island, and the same two on the ring;
        - the highest probability of its class on the island;
        - the distance in L*a*b* between the mean colors of the island and the ring.
    """
    members, own, around = islands
    if len(own) == 0:
        return np.empty((0, N_FEATURES))
    ring = (members @ segmented.adjacency.astype(np.float64)).sign()
    ring -= ring.multiply(members)
    share = segmented.areas / segmented.areas.sum()

    def mean(regions: sparse.csr_array, values: NDArray[Any]) -> NDArray[np.float64]:
        return (regions @ (values * share[:, None])) / (regions @ share)[:, None]

    on_border = np.zeros(segmented.n_segments)
    for line in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        on_border[segmented.segments[line]] = 1
    colors = mean_colors(segmented)
    each = np.arange(len(own))
    on_island, on_ring = mean(members, proba), mean(ring, proba)
    return np.column_stack(
        [
            np.log(members @ share),
            np.log(members.sum(axis=1)),
            members @ on_border > 0,
            on_island[each, own],
            on_island[each, around],
            on_ring[each, own],
            on_ring[each, around],
            members.multiply(proba.T[own]).max(axis=1).toarray(),
            np.linalg.norm(mean(members, colors) - mean(ring, colors), axis=1),
        ]
    )


class IslandRemoval(Postprocessor):
    """Learn which isolated regions to flip to the label around them (section 4.4).

    An island is a connected region of superpixels of one predicted class. All its
    neighbors have one other class and belong to larger regions. A binary classifier
    decides by its size, probabilities and color whether to flip it. The classifier is
    trained on the islands of out-of-fold predictions. The target is the decision with
    more correct pixels.

    Parameters
    ----------
    estimator : estimator with ``predict_superpixel_proba``
        A `ZoomoutClassifier`, or a `GraphSmoothing` that contains one. A fitted
        estimator inside `sklearn.frozen.FrozenEstimator` is not fitted again. Then
        ``fit`` needs images that this estimator was not trained on.

        An estimator of your own needs the methods ``fit(table, masks)`` and
        ``predict_superpixel_proba(table)``. After ``fit`` it needs the attributes
        ``classes_``, sorted, ``n_features_in_`` and ``feature_names_in_``. If it has a
        parameter ``classes``, each fold sets it to the classes of all images.
    island_classifier : scikit-learn classifier, default=None
        Decides which islands to flip. None is logistic regression on standardized
        features.
    cv : int, splitter, iterable or None, default=3
        The folds of images for the out-of-fold predictions, as in
        `sklearn.model_selection.cross_val_predict`. An integer is the number of folds,
        at most one per image. An integer or a splitter splits only the images that have
        a label. The indices of an iterable count all images. The iterable must not be a
        generator, which cannot be cloned.

    Attributes
    ----------
    estimator_ : estimator
        The estimator, fitted on all images.
    island_classifier_ : scikit-learn classifier
        The fitted clone of ``island_classifier``, or a
        `sklearn.dummy.DummyClassifier` after a `FewIslandsWarning`.
    n_islands_, n_to_flip_ : int
        Number of islands in the training data of ``island_classifier_``, and number of
        those that should be flipped.
    classes_ : ndarray of int64 of shape (n_classes,)
        The classes, sorted.
    n_features_in_ : int
        Number of feature columns.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Their names.
    mean_ : ndarray of float64 of shape (n_features_in_,) or None
        Their means. None if the estimator has no ``mean_``.

    Warns
    -----
    FewIslandsWarning
        In ``fit``, if there is no island to learn from, or all islands should get the
        same decision. In prediction, all islands then get this decision. Without any
        island to learn from, no island is flipped.

    See Also
    --------
    GraphSmoothing : Make nearby superpixels of similar color agree.

    Notes
    -----
    ``fit`` trains the estimator once for each fold and once on all images. A clean-up
    step that contains another one, with 3 folds each, trains a classifier 16 times.

    On the superpixels of a flipped island, the probabilities of the two classes are
    exchanged. If the higher one is below 1, it is then raised to the next float32.
    Otherwise two equal probabilities would give the label of the first class.

    References
    ----------
    Mostajabi, Yadollahpour, Shakhnarovich, "Feedforward semantic segmentation with
    zoom-out features", arXiv 1412.0774, 2014.

    Examples
    --------
    >>> from sklearn_zoomout import IslandRemoval, LocalFeatures
    >>> from sklearn_zoomout import SuperpixelSegmenter, ZoomoutClassifier
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=6, random_state=0)
    >>> superpixels = SuperpixelSegmenter(n_segments=100).fit_transform(images)
    >>> local = LocalFeatures(descriptors=("color", "location"))
    >>> table = local.fit_transform(superpixels)
    >>> model = IslandRemoval(ZoomoutClassifier(max_epochs=5, random_state=0))
    >>> model.fit(table, masks).predict(table)[0].shape == masks[0].shape
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **Postprocessor._parameter_constraints,
        "island_classifier": [HasMethods(["fit", "predict"]), None],
    }

    def __init__(
        self, estimator: Any, *, island_classifier: Any = None, cv: Any = 3
    ) -> None:
        self.estimator = estimator
        self.island_classifier = island_classifier
        self.cv = cv

    def _check_params(self) -> None:
        super()._check_params()
        classifier = self.island_classifier
        if classifier is not None and not is_classifier(classifier):
            raise ValueError(
                "island_classifier: expected a classifier, got "
                f"{type(classifier).__name__}."
            )

    def _learn(self, images: list[LabeledImage], n_classes: int) -> dict[str, Any]:
        described, gained = [], []
        for segmented, proba, counts in images:
            islands = find_islands(segmented, proba.argmax(axis=1))
            described.append(describe_islands(segmented, proba, islands))
            pixels, each = islands.members @ counts, np.arange(len(islands.own))
            gained.append(pixels[each, islands.around] - pixels[each, islands.own])
        x, gain = np.concatenate(described), np.concatenate(gained)
        # An island teaches nothing if both labels have the same number of correct
        # pixels.
        x, flip = x[gain != 0], gain[gain != 0] > 0
        return {
            "island_classifier_": self._fit_classifier(x, flip),
            "n_islands_": len(flip),
            "n_to_flip_": int(flip.sum()),
        }

    def _fit_classifier(self, x: NDArray[np.float64], flip: NDArray[np.bool_]) -> Any:
        if flip.any() and not flip.all():
            classifier = self.island_classifier
            if classifier is None:
                classifier = make_pipeline(StandardScaler(), LogisticRegression())
            return clone(classifier).fit(x, flip)
        decision = bool(flip.any())
        warnings.warn(
            f"the out-of-fold predictions have {len(flip)} islands to learn from, "
            f"{flip.sum()} of them to be flipped; all islands will be "
            f"{'flipped' if decision else 'kept'}. More images give more islands.",
            FewIslandsWarning,
            stacklevel=4,
        )
        constant = DummyClassifier(strategy="constant", constant=decision)
        return constant.fit(np.zeros((1, N_FEATURES)), [decision])

    def _change(
        self, segmented: SegmentedImage, proba: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        islands = find_islands(segmented, proba.argmax(axis=1))
        if len(islands.own) == 0:
            return proba
        described = describe_islands(segmented, proba, islands)
        flip = self.island_classifier_.predict(described).astype(bool)
        island, rows = islands.members[flip].tocoo().coords
        own, around = islands.own[flip][island], islands.around[flip][island]
        proba = proba.copy()
        low, high = proba[rows, around], proba[rows, own]
        proba[rows, own] = low
        # Raise it to the next larger number, since argmax takes the first of equal
        # probabilities. If it is 1 already, all others are 0.
        proba[rows, around] = np.nextafter(high, np.float32(1))
        return proba
