"""Labels of pixels, from superpixels and filters."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import jaccard_score
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline

from sklearn_zoomout import (
    FeatureTable,
    GraphSmoothing,
    IslandRemoval,
    LocalFeatures,
    PixelFusion,
    SegmentedImage,
    Superpixels,
    SuperpixelSegmenter,
    ZoomoutClassifier,
    open_features,
    store_features,
    zoomout_pipeline,
)
from sklearn_zoomout.metrics import mean_iou, mean_iou_scorer
from sklearn_zoomout.postprocessing._pixel_folds import (
    label_strokes,
    split_pixels,
    teach_thin_classes,
)
from sklearn_zoomout.postprocessing._pixel_model import predict_by_net, train_net
from sklearn_zoomout.postprocessing._pixel_weight import WEIGHTS, _mean_iou
from sklearn_zoomout.postprocessing._pixels import (
    DrawnPixels,
    PixelFilters,
    choose_images,
    draw_pixels,
)
from sklearn_zoomout.table import Block

SIGMAS = (0.5, 2)


def grid(height, width, size=8):
    """Square superpixels."""
    rows, columns = np.mgrid[:height, :width] // size
    return rows * (width // size) + columns


def make_lines(n_images=4, seed=0, gray=False):
    """Lines of one pixel, 20, on a ground, 10, in superpixels of 8 x 8 pixels.

    In two corners whole superpixels are 20. The features are the shares of 20.
    """
    rng = np.random.default_rng(seed)
    items, masks, features = [], [], []
    for _ in range(n_images):
        mask = np.full((40, 48), 10)
        mask[rng.integers(3, 37, 2)] = 20
        mask[:, rng.integers(3, 45, 2)] = 20
        mask[:8, 40:] = mask[32:, :16] = 20
        colors = np.array([[90, 120, 100], [160, 90, 100]])
        if gray:
            colors = np.repeat(colors[:, :1], 3, axis=1)
        noise = rng.normal(0, 5, mask.shape + (1 if gray else 3,))
        image = (colors[mask // 20] + noise).round().clip(0, 255).astype(np.uint8)
        segments = grid(*mask.shape)
        segmented = SegmentedImage(image, segments)
        share = segmented.count((mask == 20).astype(int), 2)[:, 1] / segmented.areas
        features.append(np.stack([share, rng.normal(size=len(share))], axis=1))
        items.append(segmented)
        masks.append(mask)
    block = Block("a", ("x", "y"), np.concatenate(features).astype(np.float32))
    return FeatureTable(Superpixels(items), [block]), masks


def make_halves(n_images=4, seed=0):
    """Two halves that features tell apart, and of which pixels show nothing."""
    rng = np.random.default_rng(seed)
    mask = np.where(np.arange(48) < 24, 10, 20) * np.ones((40, 1), dtype=int)
    segments = grid(*mask.shape)
    items = [
        SegmentedImage(rng.integers(0, 255, (40, 48, 3), dtype=np.uint8), segments)
        for _ in range(n_images)
    ]
    side = mask[4::8, 4::8].ravel() / 10
    features = np.stack([side, rng.normal(size=len(side))], axis=1)
    block = Block("a", ("x", "y"), np.tile(features, (n_images, 1)).astype(np.float32))
    return FeatureTable(Superpixels(items), [block]), [mask] * n_images


class Unsure(GaussianNB):
    """Is never certain, as few estimators of images are."""

    def predict_proba(self, x):
        return 0.1 + 0.8 * super().predict_proba(x)


@pytest.fixture
def classifier():
    """A classifier of superpixels that takes milliseconds."""
    return ZoomoutClassifier(estimator=Unsure(), class_weight=None)


@pytest.fixture(scope="module")
def lines():
    return make_lines()


@pytest.fixture(scope="module")
def new_lines():
    return make_lines(seed=1)


def fusion(classifier, **params):
    """A small model with a seed."""
    small = {"sigmas": SIGMAS, "n_pixels": 1500, "compress": False}
    params = small | {"random_state": 0} | params
    return PixelFusion(classifier, **params)


@pytest.mark.parametrize("compress", [True, False])
def test_lines_of_one_pixel_are_learned(compress, classifier, lines, new_lines):
    """Superpixels cannot follow them, and pixels can."""
    table, masks = new_lines
    before = clone(classifier).fit(*lines).score(table, masks)
    model = fusion(classifier, compress=compress).fit(*lines)
    assert before < 0.75
    assert model.score(table, masks) > 0.85
    assert model.weight_ > 0.3
    assert len(model.nets_) == compress
    assert (model.forest_ is None) == compress


def test_predictions_agree_with_each_other(classifier, lines, new_lines):
    """Label maps are the most probable classes; superpixels are the estimator's."""
    model, (table, masks) = fusion(classifier).fit(*lines), new_lines
    predicted, proba = model.predict(table), model.predict_proba(table)
    for one, of_pixels in zip(predicted, proba, strict=True):
        assert one.dtype == np.uint8
        assert of_pixels.dtype == np.float32
        np.testing.assert_array_equal(one, model.classes_[of_pixels.argmax(axis=2)])
        np.testing.assert_allclose(of_pixels.sum(axis=2), 1, rtol=1e-5)
    np.testing.assert_array_equal(
        model.predict_superpixel_proba(table),
        clone(classifier).fit(*lines).predict_superpixel_proba(table),
    )
    assert model.score(table, masks) == mean_iou(masks, predicted)
    np.testing.assert_array_equal(model.feature_names_in_, table.columns)
    assert model.n_features_in_ == table.n_columns == len(model.mean_)


@pytest.mark.parametrize("weight", [0.05, 0.3, 0.7, 1])
def test_sum_is_what_the_docstring_says(weight, classifier, lines, new_lines):
    """Also where only the pixels that can change are evaluated."""
    model = fusion(classifier, weight=weight).fit(*lines)
    assert model.weight_ == weight
    assert model.weights_ is None
    assert model.scores_ is None
    table, _ = new_lines
    contexts = clone(classifier).fit(*lines).predict_proba(table)
    filters = PixelFilters(SIGMAS, gray=False)
    for i, segmented in enumerate(table.superpixels):
        every = np.arange(segmented.segments.size)
        features = filters.describe(segmented, every)
        near = model.forest_.predict_proba(features).reshape(contexts[i].shape)
        sums = (1 - weight) * np.log(np.maximum(contexts[i], 1e-3))
        sums = sums + weight * np.log(np.maximum(near, 1e-3))
        odds = np.exp(sums)
        expected = odds / odds.sum(axis=2, keepdims=True)
        np.testing.assert_allclose(model.predict_proba(table)[i], expected, rtol=1e-4)
        labels = model.classes_[sums.argmax(axis=2)]
        differ = labels != model.predict(table)[i]
        # Only ties may be decided by rounding.
        assert (np.abs(np.diff(sums, axis=2)[differ]) < 1e-5).all()


def test_only_pixels_that_can_change_are_evaluated(lines, monkeypatch):
    """A small weight leaves the certain superpixels alone."""

    class UnsureWhereYIsPositive(GaussianNB):
        def predict_proba(self, x):
            certain = 0.01 + 0.98 * super().predict_proba(x)
            return np.where(x[:, 1:] > 0, 0.5, certain)

    table, _ = lines
    inner = ZoomoutClassifier(estimator=UnsureWhereYIsPositive(), class_weight=None)
    model = fusion(inner, weight=0.1).fit(*lines)
    seen = []
    original = model.forest_.predict_proba
    monkeypatch.setattr(
        model.forest_, "predict_proba", lambda x: seen.append(len(x)) or original(x)
    )
    some = model.predict(table)
    n_some = sum(seen)
    model.predict_proba(table)
    assert 0 < n_some < 0.7 * (sum(seen) - n_some)
    assert len(some) == len(table)


@pytest.mark.parametrize("weight", [0, "auto"])
def test_weight_of_zero_is_the_estimator(weight, classifier):
    """Chosen where pixels show nothing, or given."""
    data = make_halves()
    table, _ = data
    model = fusion(classifier, weight=weight).fit(*data)
    inner = clone(classifier).fit(*data)
    assert model.weight_ == 0
    assert model.forest_ is None
    assert model.nets_ == []
    for method in ("predict", "predict_proba"):
        one, other = getattr(model, method)(table), getattr(inner, method)(table)
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    if weight == "auto":
        assert model.scores_.argmax() == 0
        np.testing.assert_array_equal(model.weights_, WEIGHTS)


def test_smallest_of_the_best_weights_is_chosen(classifier, lines):
    """scores_ are those of weights_, ascending."""
    model = fusion(classifier).fit(*lines)
    assert model.scores_.shape == model.weights_.shape == (13,)
    best = model.weights_[model.scores_ == model.scores_.max()]
    assert model.weight_ == best[0]


@pytest.mark.parametrize("data", ["halves", "lines"])
@pytest.mark.parametrize("max_epochs", [None, 3])
def test_first_fold_can_be_enough(data, max_epochs, monkeypatch, lines):
    """It is, after two epochs, where pixels gain nothing there."""
    epochs = []
    fit = ZoomoutClassifier.fit

    def count(self, table, masks):
        epochs.append(self.max_epochs)
        return fit(self, table, masks)

    monkeypatch.setattr(ZoomoutClassifier, "fit", count)
    quick = {"learning_rate": 0.03, "batch_size": 4, "random_state": 0}
    inner = ZoomoutClassifier((8,), max_epochs=max_epochs, **quick)
    model = fusion(inner).fit(*(lines if data == "lines" else make_halves()))
    first = [max_epochs, max_epochs or 2]
    if data == "halves":
        assert epochs == first
        assert model.weight_ == 0
        assert model.scores_.shape == (13,)
        assert model.scores_.argmax() == 0
    else:
        assert epochs == first + 3 * [max_epochs]
        assert model.weight_ > 0


def test_mean_iou_counts_pixels_by_what_they_stand_for():
    """It is scikit-learn's with sample weights."""
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 3, (2, 100))
    share = rng.uniform(1, 5, 100)
    counts = np.zeros((1, 4, 4))
    np.add.at(counts[0], (true, predicted), share)
    expected = jaccard_score(true, predicted, average="macro", sample_weight=share)
    np.testing.assert_allclose(_mean_iou(counts), expected)


def test_strokes_of_one_image_are_folds(classifier):
    """A single image with scribbles is enough."""
    table, (mask,) = make_lines(1)
    rng = np.random.default_rng(0)
    scribbles = np.where(rng.random(mask.shape) < 0.2, mask, -1)
    model = fusion(classifier).fit(table, [scribbles])
    assert model.weight_ > 0.3
    assert model.score(table, [mask]) > 0.8


def pixels_of(codes, n_labeled=10_000):
    """Draw pixels of black images."""
    items = [
        SegmentedImage(np.zeros((*c.shape, 3), np.uint8), np.zeros(c.shape, int))
        for c in codes
    ]
    values = np.zeros((len(items), 1), np.float32)
    table = FeatureTable(Superpixels(items), [Block("a", ("x",), values)])
    filters = PixelFilters((1.0,), gray=True)
    rng = np.random.default_rng(0)
    return draw_pixels(table, codes, filters, n_labeled=n_labeled, n_others=50, rng=rng)


def test_pixels_are_drawn_evenly():
    """Over images, then over classes; shares count what each pixel stands for."""
    one = np.zeros((20, 20), dtype=np.int32)
    one[:2, :5] = 1
    two = np.full((20, 20), -1, dtype=np.int32)
    two[:2] = 1
    none = np.full((20, 20), -1, dtype=np.int32)
    pixels = pixels_of([one, none, two], n_labeled=120)
    assert isinstance(pixels, DrawnPixels)
    pairs, counts = np.unique(
        np.stack([pixels.images, pixels.codes]), axis=1, return_counts=True
    )
    assert pairs.T.tolist() == [[0, 0], [0, 1], [2, 1]]
    assert counts.tolist() == [70, 10, 40]
    assert pixels.shares[pixels.images == 2].tolist() == [1] * 40
    np.testing.assert_allclose(pixels.shares.sum(), 440)
    assert len(pixels.others) == 50
    assert len(set(zip(pixels.images, pixels.positions, strict=True))) == 120


def test_images_are_folds_if_classes_remain():
    """Else strokes are, and no class is lost from a fold."""
    both = np.repeat([[0], [1]], 10, axis=1).astype(np.int32)
    pixels = pixels_of([both] * 3)
    groups, folds, of_images = split_pixels(pixels, [both] * 3, None, 0)
    assert of_images
    assert [np.unique(pixels.images[held]).tolist() for held in folds] != []
    assert all(len(np.unique(pixels.images[held])) == 1 for held in folds)
    assert np.sum(folds, axis=0).tolist() == [1] * 60
    assert [group.min() for group in groups] == [0, 1, 2]
    only = [both, both * 0, both * 0]
    pixels = pixels_of(only)
    _, folds, of_images = split_pixels(pixels, only, None, 0)
    assert not of_images
    assert len(folds) == 5
    assert all(set(pixels.codes[~held]) == {0, 1} for held in folds)
    assert np.sum(folds, axis=0).tolist() == [1] * 60


def test_a_class_of_one_image_is_not_held_out():
    """The other classes are, by image, if they are most of all."""
    both = np.repeat([[0], [1]], 10, axis=1).astype(np.int32)
    rare = both.copy()
    rare[1, :5] = 2
    codes = [rare, both, both]
    pixels = pixels_of(codes)
    groups, folds, of_images = split_pixels(pixels, codes, None, 0)
    assert of_images
    assert [group.max() for group in groups] == [0, 1, 2]
    assert len(folds) == 3
    expected = (pixels.codes != 2).astype(int)
    np.testing.assert_array_equal(np.sum(folds, axis=0), expected)


def test_strokes_are_connected_pixels_of_a_class():
    """Diagonal neighbors are connected; a single stroke of a class is cut."""
    codes = np.array([[0, -1, 1, 1], [-1, 0, -1, -1], [2, 2, 2, 2], [0, 0, -1, 1]])
    more = np.array([[1, 1]])
    strokes = label_strokes([codes.astype(np.int32), more.astype(np.int32)], 2)
    same = [
        {(i, *place) for place in np.argwhere(strokes[i] == number).tolist()}
        for i in range(2)
        for number in np.unique(strokes[i][strokes[i] >= 0])
    ]
    assert {(0, 2, 0), (0, 2, 1)} in same
    assert {(0, 2, 2), (0, 2, 3)} in same
    assert {(0, 3, 3)} in same
    assert {(1, 0, 0), (1, 0, 1)} in same
    assert len(same) == 7
    assert (strokes[0][codes == -1] == -1).all()


def test_class_of_one_pixel_is_not_held_out(classifier):
    """It stays in all folds' training, and is no error."""
    table, masks = make_lines()
    masks = [mask.copy() for mask in masks]
    masks[0][20, 20] = 30
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = fusion(
            ZoomoutClassifier(max_epochs=1, random_state=0, classes=[10, 20, 30])
        )
        model.fit(table, masks)
    assert model.classes_.tolist() == [10, 20, 30]
    assert model.predict_proba(table)[0].shape == (40, 48, 3)


@pytest.mark.parametrize("weight", [0.5, "auto"])
def test_lines_thinner_than_every_superpixel(weight, lines):
    """A class with the majority in no superpixel is learned all the same."""
    table, masks = lines
    masks = [mask.copy() for mask in masks]
    for mask in masks:
        mask[:8, 40:] = mask[32:, :16] = 10
    inner = ZoomoutClassifier((4,), max_epochs=2, random_state=0)
    with pytest.raises(ValueError, match="the majority in no superpixel"):
        clone(inner).fit(table, masks)
    with pytest.raises(ValueError, match="the majority in no superpixel"):
        fusion(inner, weight=0).fit(table, masks)
    model = fusion(inner, weight=weight).fit(table, masks)
    assert model.classes_.tolist() == [10, 20]
    assert np.mean(model.predict(table)[0] == 20) > 0.02


def test_thin_classes_are_taught_by_their_largest_shares():
    """Other pixels of these superpixels have no label; nothing else changes."""
    superpixels = make_lines(2)[0].superpixels
    first = np.full((40, 48), 10)
    first[0, 0:8], first[3, 8:11], first[4, 16:24] = 20, 20, 20
    second = np.full((40, 48), 10)
    one, two = teach_thin_classes(superpixels, [first, second])
    assert two is second
    expected = first.copy()
    for left in (0, 16):
        box = expected[:8, left : left + 8]
        box[box == 10] = -1
    np.testing.assert_array_equal(one, expected)
    first[:8, :8] = 20
    assert teach_thin_classes(superpixels, [first, second])[0] is first


def test_a_thin_class_takes_no_last_superpixel():
    """Two classes whose largest share is in the same superpixel both get one."""
    superpixels = make_lines(1)[0].superpixels
    mask = np.full((40, 48), 10)
    mask[:8, :5], mask[:8, 5:8] = 20, 30  # 20 wins this superpixel, and only this
    mask[8, 8:11] = 30
    (taught,) = teach_thin_classes(superpixels, [mask])
    assert (taught[:8, :8] == mask[:8, :8]).all()
    assert set(np.unique(taught[8:16, 8:16])) == {-1, 30}
    mask[8, 8:11] = 10
    (taught,) = teach_thin_classes(superpixels, [mask])
    assert taught is mask


@pytest.mark.parametrize(
    ("dtype", "label"),
    [("uint8", 1), ("uint8", 255), ("uint16", 65535), ("int8", 1), ("bool", 1)],
)
def test_masks_of_every_type_are_equal(dtype, label, classifier, lines):
    """Labels are taken away in folds, also where -1 has no place in the type."""
    table, masks = lines
    masks = [np.where(mask == 20, label, 0) for mask in masks]
    expected = fusion(classifier).fit(table, masks)
    model = fusion(classifier).fit(table, [mask.astype(dtype) for mask in masks])
    np.testing.assert_array_equal(model.scores_, expected.scores_)
    assert model.classes_.tolist() == [0, label]


def test_masks_without_a_label_are_refused(classifier, lines):
    """As by the estimator inside."""
    table, masks = lines
    with pytest.raises(ValueError, match="no labeled pixels|labeled"):
        fusion(classifier).fit(table, [np.full_like(mask, -1) for mask in masks])


@pytest.mark.parametrize("compress", [True, False])
def test_a_seed_repeats_the_fit(compress, classifier, lines):
    """With any number of jobs; a pickle predicts the same."""
    table, masks = lines
    model = fusion(classifier, compress=compress, n_jobs=2).fit(table, masks)
    again = fusion(classifier, compress=compress).fit(table, masks)
    restored = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.scores_, again.scores_)
    for other in (again, restored):
        for a, b in zip(
            model.predict_proba(table), other.predict_proba(table), strict=True
        ):
            np.testing.assert_array_equal(a, b)


def test_gray_images_have_one_channel(classifier, lines):
    """Colors are then refused; gray images among colors are not."""
    gray, masks = make_lines(gray=True)
    model = fusion(classifier).fit(gray, masks)
    assert model.filters_.gray
    assert model.filters_.n_filters == 8
    assert model.score(gray, masks) > 0.8
    with pytest.raises(ValueError, match=r"images\[0\].*gray image.*colors"):
        model.predict(lines[0])
    colors = fusion(classifier).fit(*lines)
    assert colors.filters_.n_filters == 24 + 4
    assert len(colors.predict(gray)) == 4


def test_bands_of_rows_change_nothing(lines, monkeypatch):
    """Large images are described in bands."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (403, 30, 3), dtype=np.uint8)
    segmented = SegmentedImage(image, np.zeros((403, 30), int))
    filters = PixelFilters((0.5, 8.0), gray=False)
    (band,) = filters.bands(segmented)
    whole = band.flat()
    monkeypatch.setattr("sklearn_zoomout.postprocessing._pixels._BAND_PIXELS", 1)
    bands = list(filters.bands(segmented))
    assert len(bands) > 1
    joined = np.concatenate([band.flat() for band in bands], axis=1)
    np.testing.assert_allclose(joined, whole, atol=1e-5)
    positions = rng.permutation(403 * 30)[:100]
    np.testing.assert_allclose(
        filters.describe(segmented, positions),
        whole[:, positions].T,
        atol=1e-5,
    )


def test_bands_are_equal(monkeypatch):
    """The last one is not thinner than its margins."""
    monkeypatch.setattr("sklearn_zoomout.postprocessing._pixels._BAND_PIXELS", 10 * 500)
    filters = PixelFilters((0.5, 1.0), gray=True)
    for height, n_bands in [(510, 1), (740, 1), (760, 2), (1010, 2)]:
        black = np.zeros((height, 10, 3), np.uint8)
        segmented = SegmentedImage(black, np.zeros((height, 10), int))
        n_rows = [len(b.planes[0, b.inside]) for b in filters.bands(segmented)]
        assert len(n_rows) == n_bands
        assert sum(n_rows) == height
        assert max(n_rows) - min(n_rows) <= 1


@pytest.mark.parametrize("n_pixels", [1, 5000])
def test_a_net_predicts_planes_as_it_predicts_rows(n_pixels):
    """Also far values, which are clipped, in several blocks."""
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (3000, 5)).astype(np.float32)
    options = {"hidden_units": (6, 4), "steps": 5, "learning_rate": 1e-2}
    net = train_net(x, rng.integers(0, 3, 3000), 3, 0, **options)
    planes = rng.normal(3, 20, (5, n_pixels)).astype(np.float32)
    expected = net(torch.from_numpy(planes.T)).softmax(dim=1)
    proba = predict_by_net(net)(planes)
    np.testing.assert_allclose(proba, expected, atol=1e-6)


def make_rooms(n_images=4, seed=0, gray=True):
    """Bright and dark rooms with noise, which only the surroundings tell from noise."""
    rng = np.random.default_rng(seed)
    items, masks = [], []
    for _ in range(n_images):
        mask = np.kron(rng.integers(0, 2, (5, 6)), np.ones((8, 8), dtype=int))
        image = 100 + 30 * mask[..., None] + rng.normal(0, 60, (*mask.shape, 1))
        image = np.repeat(image.round().clip(0, 255), 3, axis=2).astype(np.uint8)
        items.append(SegmentedImage(image, grid(*mask.shape)))
        masks.append(mask)
    values = rng.normal(size=(30 * n_images, 1)).astype(np.float32)
    return FeatureTable(Superpixels(items), [Block("a", ("x",), values)]), masks


@pytest.fixture
def few_labels_suffice(monkeypatch):
    """Two rounds, though masks are small."""
    rounds = "sklearn_zoomout.postprocessing._pixel_rounds."
    monkeypatch.setattr(rounds + "_LEAST_LABELED", 100)
    monkeypatch.setattr(rounds + "_STEPS", 200)


def test_second_round_sees_the_surroundings(classifier, few_labels_suffice):
    """It is better than one round, the same in bands of rows, and repeatable."""
    table, masks = make_rooms()
    new_table, new_masks = make_rooms(seed=1)
    model = fusion(classifier, sigmas=(0.5,), compress=True)
    one = clone(model).set_params(weight=1.0).fit(table, masks)
    two = clone(model).fit(table, masks)
    assert two.weight_ >= 0.5
    assert (len(one.nets_), len(two.nets_)) == (1, 2)
    assert two.forest_ is None
    assert two.score(new_table, new_masks) > one.score(new_table, new_masks) + 0.02
    again = clone(model).set_params(n_jobs=2).fit(table, masks)
    restored = pickle.loads(pickle.dumps(two))
    proba = two.predict_proba(new_table)
    for other in (again, restored):
        for a, b in zip(proba, other.predict_proba(new_table), strict=True):
            np.testing.assert_array_equal(a, b)
    for labels, p in zip(two.predict(new_table), proba, strict=True):
        np.testing.assert_array_equal(labels, two.classes_[p.argmax(axis=2)])


def test_second_round_in_bands(classifier, few_labels_suffice, monkeypatch):
    """Filters of probabilities need rows above and below too."""
    table, masks = make_lines(gray=True)
    model = fusion(classifier, sigmas=(0.5, 2, 8), compress=True).fit(table, masks)
    assert len(model.nets_) == 2
    rng = np.random.default_rng(0)
    image = np.repeat(rng.integers(0, 255, (803, 8, 1), dtype=np.uint8), 3, axis=2)
    segmented = SegmentedImage(image, np.zeros((803, 8), int))
    values = np.zeros((1, 2), np.float32)
    tall = FeatureTable(Superpixels([segmented]), [Block("a", ("x", "y"), values)])
    (whole,) = model.predict_proba(tall)
    monkeypatch.setattr("sklearn_zoomout.postprocessing._pixels._BAND_PIXELS", 1)
    (in_bands,) = model.predict_proba(tall)
    assert len(list(model.filters_.bands(segmented))) > 3
    np.testing.assert_allclose(in_bands, whole, atol=1e-4)


@pytest.mark.parametrize("change", ["strokes", "few labels", "forest", "weight"])
def test_one_round_is_enough(change, classifier, few_labels_suffice, monkeypatch):
    """For strokes, few labels, a forest that is kept, or a given weight."""
    table, masks = make_lines(4)
    params = {"compress": True}
    if change == "strokes":
        table, masks = table[[0, 1]], masks[:2]
    elif change == "few labels":
        of_rounds = "sklearn_zoomout.postprocessing._pixel_rounds._LEAST_LABELED"
        monkeypatch.setattr(of_rounds, 10_000)
    elif change == "forest":
        params = {"compress": False}
    else:
        params |= {"weight": 1}
    model = fusion(classifier, **params).fit(table, masks)
    assert model.weight_ >= 0.5
    assert len(model.nets_) == (change != "forest")


def test_images_with_every_class_are_chosen():
    """Even if these are more than asked for."""
    codes = [np.full((2, 2), code, np.int32) for code in (0, 0, -1, 1, 0, 2)]
    rng = np.random.default_rng(0)
    assert choose_images(codes, 6, rng).tolist() == list(range(6))
    for n in (1, 3, 4):
        chosen = choose_images(codes, n, rng)
        assert len(chosen) == max(n, 3)
        assert {3, 5} < set(chosen.tolist())


def test_pixels_of_some_images_are_learned(classifier, lines, monkeypatch):
    """The others teach only the estimator."""
    table, masks = make_lines(8)
    seen = []
    module = "sklearn_zoomout.postprocessing._pixel_fusion.draw_pixels"
    monkeypatch.setattr(
        module, lambda t, *a, **k: seen.append(len(t)) or draw_pixels(t, *a, **k)
    )
    model = fusion(classifier, n_images=5).fit(table, masks)
    assert seen == [5]
    assert model.score(*lines) > 0.85
    expected = clone(classifier).fit(table, masks).predict_superpixel_proba(table)
    np.testing.assert_array_equal(model.predict_superpixel_proba(table), expected)


def test_stored_tables_need_their_images(classifier, images, masks, tmp_path):
    """Without them the error tells how to pass them, before any work."""
    steps = SuperpixelSegmenter(30), LocalFeatures(descriptors=("color",))
    features = make_pipeline(*steps).fit(images)
    stored = store_features(features, images, tmp_path)
    small = {"n_pixels": 300, "weight": 0.5}
    got = fusion(classifier, **small).fit(stored, masks).predict(stored)
    in_memory = features.transform(images)
    expected = fusion(classifier, **small).fit(in_memory, masks).predict(in_memory)
    for a, b in zip(got, expected, strict=True):
        assert (a == b).mean() > 0.99
    without = open_features(tmp_path)
    with pytest.raises(ValueError, match=r"pixels are not stored.*open_features"):
        fusion(classifier, **small).fit(without, masks)
    fusion(classifier, weight=0).fit(without, masks)


def test_around_other_steps(classifier, lines):
    """Smoothing stands inside, not outside; a frozen estimator is kept."""
    model = fusion(GraphSmoothing(classifier, strengths=[1], cv=2)).fit(*lines)
    assert isinstance(model.estimator_, GraphSmoothing)
    assert model.score(*lines) > 0.8
    frozen = FrozenEstimator(clone(classifier).fit(*lines))
    assert fusion(frozen).fit(*lines).estimator_.estimator is frozen.estimator
    for outer in (GraphSmoothing, IslandRemoval, PixelFusion):
        says = rf"labels pixels; put it outside, as PixelFusion\({outer.__name__}"
        with pytest.raises(ValueError, match=says):
            outer(fusion(classifier)).fit(*lines)


def test_in_a_pipeline_and_grid_search(images, masks):
    """Parameters of both estimators can be searched."""
    inner = ZoomoutClassifier((8,), max_epochs=2, random_state=0)
    model = Pipeline(
        [
            ("superpixels", SuperpixelSegmenter(30)),
            ("local", LocalFeatures(descriptors=("color",), random_state=0)),
            ("classifier", fusion(inner, n_pixels=300)),
        ]
    )
    grid = {
        "classifier__weight": [0, 0.5],
        "classifier__estimator__dropout": [0, 0.5],
    }
    search = GridSearchCV(model, grid, scoring=mean_iou_scorer, cv=2)
    assert 0 <= search.fit(images, masks).best_score_ <= 1


def test_pipeline_with_pixels():
    """They are the default, but for chosen levels and the papers' presets."""
    model = zoomout_pipeline(hidden_units=(5,), n_jobs=2, random_state=3)
    last = model["classifier"]
    assert isinstance(last, PixelFusion)
    assert last.estimator.hidden_units == (5,)
    assert (last.n_jobs, last.random_state) == (2, 3)
    for options in (
        {"pixels": False},
        {"levels": ["local"]},
        {"preset": "arxiv2014"},
        {"preset": "cvpr2015"},
    ):
        assert isinstance(zoomout_pipeline(**options)[-1], ZoomoutClassifier)
        others = options | {"pixels": True}
        if "pixels" not in options:
            assert isinstance(zoomout_pipeline(**others)[-1], PixelFusion)


def test_warm_start_continues_the_estimator(lines):
    """The earlier network is trained on; a new one is made without warm_start."""
    table, masks = lines
    inner = ZoomoutClassifier(
        (4,), max_epochs=1, learning_rate=1e-12, warm_start=True, random_state=0
    )
    model = fusion(inner, weight=0.5).fit(table, masks)
    first = model.estimator_.predict_superpixel_proba(table)
    # Another seed, but the weights of the first fit, which so small a rate leaves.
    model.set_params(estimator__random_state=1).fit(table, masks)
    np.testing.assert_allclose(
        model.estimator_.predict_superpixel_proba(table), first, atol=1e-5
    )
    assert model.estimator_.random_state == 1
    cold = model.set_params(estimator__warm_start=False).fit(table, masks)
    assert not np.allclose(cold.estimator_.predict_superpixel_proba(table), first)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sigmas", []),
        ("sigmas", [0]),
        ("sigmas", ["a"]),
        ("sigmas", 3),
        ("n_pixels", 1),
        ("n_pixels", 1.5),
        ("n_images", 0),
        ("weight", -0.1),
        ("weight", 1.1),
        ("weight", "best"),
        ("weight", True),
        ("cv", 1),
        ("compress", 1.5),
        ("estimator", RidgeClassifier()),
        ("estimator", None),
    ],
)
def test_bad_parameter_is_refused(name, value, classifier, lines):
    """The error names the parameter."""
    model = fusion(classifier).set_params(**{name: value})
    with pytest.raises(ValueError, match=name):
        model.fit(*lines)


def test_bad_input_is_refused(classifier, lines):
    """Masks, tables and columns are told as by the classifier."""
    table, masks = lines
    with pytest.raises(ValueError, match="3 masks for 4 images"):
        fusion(classifier).fit(table, masks[:3])
    with pytest.raises(TypeError, match="FeatureTable"):
        fusion(classifier).fit(np.zeros((4, 2)), masks)
    with pytest.raises(NotFittedError, match="PixelFusion"):
        fusion(classifier).predict(table)
    model = fusion(classifier).fit(table, masks)
    with pytest.raises(ValueError, match="2 missing"):
        model.predict(table.select([]))
    with pytest.raises(ValueError, match=r"\[11, 21\].*fit"):
        model.score(table, [*masks[:3], masks[3] + 1])


def test_fold_that_cannot_be_fitted_is_named(lines):
    """Here an estimator that is fitted once, and not to a fold."""
    calls = []

    class Once(ZoomoutClassifier):
        def fit(self, X, y):
            calls.append(None)
            if len(calls) > 1:
                raise ValueError("not again.")
            return super().fit(X, y)

    model = fusion(Once(estimator=GaussianNB(), class_weight=None))
    with pytest.raises(ValueError, match="cv: fold 1 of 3: not again. Label more"):
        model.fit(*lines)


def test_training_of_pixels_that_diverges():
    """A loss that is not finite is an error of the step that has it."""
    x = np.full((600, 2), 1e38, np.float32) * np.linspace(-1, 1, 600)[:, None]
    options = {"hidden_units": (4,), "steps": 5, "learning_rate": 1e30}
    message = r"pixels: .* became \w+ in step \d of 5; the values"
    with pytest.raises(ValueError, match=message):
        train_net(x.astype(np.float32), np.arange(600) % 3, 3, 0, **options)
