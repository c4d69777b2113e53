"""Two rounds of pixels: the second sees what the first says about the surroundings."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier

from ..descriptors._filters import N_RESPONSES, pixel_filters
from ..superpixels import SegmentedImage
from ..table import FeatureTable
from ._pixel_model import Predict, predict_by_forest, predict_by_net, train_net
from ._pixel_weight import FLOOR, WEIGHTS, OutOfFold, score_weights
from ._pixels import Band, DrawnPixels, PixelFilters, draw_pixels

# Fewer labeled pixels are too few for a second round, and for a network.
_LEAST_LABELED = 500_000
# The weight of the pixels from which a second round is worth its time.
_LEAST_WEIGHT = 0.5
# The pixels to learn from, and the networks.
_N_PIXELS = 200_000
_HIDDEN_UNITS, _DROPOUT, _STEPS, _LEARNING_RATE = (64, 64), 0.1, 1200, 3e-3


def need_two_rounds(codes: Sequence[NDArray[np.int32]], held_out: OutOfFold) -> bool:
    """Return whether images are held out, labels are many, and pixels count much.

    Parameters
    ----------
    codes : sequence of ndarray of int32 of shape (height, width)
        The class of every pixel as a position in the list of classes, or -1.
    held_out : OutOfFold
        What is predicted of held-out pixels.

    Returns
    -------
    bool
    """
    n_labeled = sum(np.count_nonzero(image_codes >= 0) for image_codes in codes)
    of_images = held_out.context is not None
    many = bool(n_labeled >= _LEAST_LABELED)
    weight = WEIGHTS[held_out.scores.argmax()]
    return of_images and many and bool(weight >= _LEAST_WEIGHT)


def fit_two_rounds(
    table: FeatureTable,
    codes: Sequence[NDArray[np.int32]],
    filters: PixelFilters,
    held_out: OutOfFold,
    *,
    n_classes: int,
    seed: int,
    n_jobs: int | None,
) -> tuple[list[Any], NDArray[np.float64]]:
    """Train the network of each round, and score the weights anew.

    The second learns from probabilities of the first that are out of fold, since those
    of its own training pixels are too good. The weights are scored by a second network
    of every fold.

    Parameters
    ----------
    table : FeatureTable
        The images.
    codes : sequence of ndarray of int32 of shape (height, width)
        The class of every pixel as a position in the list of classes, or -1.
    filters : PixelFilters
        How pixels are described.
    held_out : OutOfFold
        The images of each fold, and the probabilities of superpixels out of fold.
    n_classes : int
        Number of classes.
    seed : int
        Seed of the draws and of the networks.
    n_jobs : int or None
        How many images to work on at once, in threads.

    Returns
    -------
    nets : list of ZoomoutNet
        The first and the second.
    scores : ndarray of float64 of shape (n_weights,)
        For each of the weights.
    """
    assert held_out.context is not None
    rng = np.random.default_rng(seed)
    draws: dict[str, Any] = {"n_labeled": _N_PIXELS, "n_others": 0}
    pixels = draw_pixels(table, codes, filters, **draws, rng=rng, n_jobs=n_jobs)
    # Filters of the image and of all probabilities but one, and the superpixel's.
    of_proba = (n_classes - 1) * len(filters.sigmas) * N_RESPONSES
    n_features = filters.n_filters + of_proba + n_classes
    again = np.empty((len(pixels.codes), n_features), dtype=np.float32)
    described = np.zeros(len(pixels.codes), dtype=bool)
    for images in held_out.images:
        others = ~np.isin(pixels.images, images)
        net = _train(pixels, pixels.features, n_classes, seed, others, _STEPS // 2)
        first = predict_by_net(net)
        found = Parallel(n_jobs, prefer="threads")(
            delayed(_describe_drawn)(
                table, int(i), filters, held_out.context, first, pixels, n_features
            )
            for i in images
        )
        for rows, features in found:
            again[rows] = features
            described[rows] = True
    near = np.zeros((len(described), n_classes), dtype=np.float32)
    for images in held_out.images:
        held = described & np.isin(pixels.images, images)
        net = _train(pixels, again, n_classes, seed, described & ~held, _STEPS // 2)
        near[held] = predict_by_net(net)(again[held].T)
    context = held_out.context[pixels.rows[described]]
    labels = pixels.codes[described], pixels.shares[described]
    scores = score_weights(context, near[described], *labels)
    nets = [
        _train(pixels, pixels.features, n_classes, seed),
        _train(pixels, again, n_classes, seed, described),
    ]
    return nets, scores


def _describe_drawn(
    table: FeatureTable,
    i: int,
    filters: PixelFilters,
    context: NDArray[np.float32],
    first: Predict,
    pixels: DrawnPixels,
    n_features: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return which of the drawn pixels are in an image, and their features."""
    rows = np.flatnonzero(pixels.images == i)
    positions = pixels.positions[rows]
    of_image = context[table.row_offsets[i] : table.row_offsets[i + 1]]
    features = np.empty((len(rows), n_features), dtype=np.float32)
    for band, planes in _describe_again(filters, table.superpixels[i], of_image, first):
        band.take(planes, positions, out=features)
    return rows, features


def predict_near(
    nets: Sequence[Any],
    forest: ExtraTreesClassifier | None,
    filters: PixelFilters,
    n_classes: int,
    segmented: SegmentedImage,
    proba: NDArray[np.float32],
    chosen: NDArray[np.bool_],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Predict the chosen pixels of an image by filters.

    Parameters
    ----------
    nets : sequence of torch.nn.Module
        The networks of two rounds, the only network, or none.
    forest : ExtraTreesClassifier or None
        The forest, if there is no network.
    filters : PixelFilters
        What describes the pixels.
    n_classes : int
        Number of classes.
    segmented : SegmentedImage
        The image.
    proba : ndarray of float32 of shape (n_segments, n_classes)
        The probabilities of its superpixels.
    chosen : ndarray of bool of shape (height * width,)
        The pixels.

    Yields
    ------
    pixels : ndarray of int64 of shape (n,)
        Positions of some of the chosen pixels.
    near : ndarray of float32 of shape (n, n_classes)
        Their probabilities.
    """
    if len(nets) == 2:
        for band, near in predict_by_rounds(nets, filters, segmented, proba):
            inside = np.flatnonzero(chosen[band.pixels])
            yield inside + band.pixels.start, near[inside]
        return
    predict = predict_by_net(nets[0]) if nets else predict_by_forest(forest, n_classes)
    for band in filters.bands(segmented):
        inside = np.flatnonzero(chosen[band.pixels])
        planes = band.flat()
        if len(inside) < planes.shape[1]:
            planes = planes.take(inside, axis=1)
        yield inside + band.pixels.start, predict(planes)


def predict_by_rounds(
    nets: Sequence[Any],
    filters: PixelFilters,
    segmented: SegmentedImage,
    context: NDArray[np.float32],
) -> Iterator[tuple[Band, NDArray[np.float32]]]:
    """Predict the pixels of an image.

    Parameters
    ----------
    nets : sequence of ZoomoutNet
        The first and the second.
    filters : PixelFilters
        How pixels are described.
    segmented : SegmentedImage
        The image.
    context : ndarray of float32 of shape (n_segments, n_classes)
        Probabilities of its superpixels.

    Yields
    ------
    band : Band
        Some rows of the image.
    proba : ndarray of float32 of shape (n_pixels, n_classes)
        The probabilities of their pixels.
    """
    first, second = map(predict_by_net, nets)
    for band, planes in _describe_again(filters, segmented, context, first):
        yield band, second(planes)


def _describe_again(
    filters: PixelFilters,
    segmented: SegmentedImage,
    context: NDArray[np.float32],
    first: Predict,
) -> Iterator[tuple[Band, NDArray[np.float32]]]:
    """Yield rows of an image, and the features of the second round, (n, n_pixels).

    These are the filters of the image, the same filters of the probabilities of the
    first round, and the log-probabilities of the superpixels. The last class has no
    filters, since probabilities sum to 1.
    """
    log_context = np.log(np.maximum(context, np.float32(FLOOR))).T
    for band in filters.bands(segmented, margins=1):
        n_filters, n_rows, width = band.planes.shape
        proba = first(band.planes.reshape(n_filters, -1)).T[:-1]
        maps = np.ascontiguousarray(proba).reshape(-1, n_rows, width)
        around = pixel_filters(maps, filters.sigmas)[:, band.inside]
        segments = segmented.segments[band.rows].ravel()
        parts = band.flat(), around.reshape(len(around), -1), log_context[:, segments]
        yield band, np.concatenate(parts)


def _train(
    pixels: DrawnPixels,
    features: NDArray[np.float32],
    n_classes: int,
    seed: int,
    rows: "NDArray[np.bool_] | slice" = slice(None),
    steps: int | None = None,
) -> Any:
    """Train a network on some of the pixels."""
    return train_net(
        features[rows],
        pixels.codes[rows],
        n_classes,
        seed,
        hidden_units=_HIDDEN_UNITS,
        dropout=_DROPOUT,
        steps=steps or _STEPS,
        learning_rate=_LEARNING_RATE,
        shares=pixels.shares[rows],
    )
