"""Images of any channels and any numeric type, through whole pipelines."""

import pickle

import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline

from sklearn_zoomout import (
    GraphSmoothing,
    IslandRemoval,
    LocalFeatures,
    PixelFusion,
    SuperpixelSegmenter,
    ZoomoutClassifier,
    open_features,
    store_features,
    zoomout_pipeline,
)
from sklearn_zoomout.inspection import error_budget, zoom_importance
from sklearn_zoomout.metrics import mean_iou, mean_iou_scorer
from sklearn_zoomout.postprocessing._pixels import choose_filters, draw_pixels

NAN = float("nan")


def small_pipeline(**options):
    """Make the default pipeline, small."""
    small = {"n_segments": 30, "input_size": 96, "max_epochs": 15, "random_state": 0}
    model = zoomout_pipeline(backbone="zoomnet", pixels=True, **{**small, **options})
    return model.set_params(classifier__n_pixels=500, classifier__compress=False)


def color_pipeline(pixels=False, **options):
    """Make a pipeline of color alone, which is fast."""
    last = ZoomoutClassifier(hidden_units=(8,), max_epochs=30, random_state=0)
    if pixels:
        last = PixelFusion(last, n_pixels=500, weight=0.5, random_state=0)
    return Pipeline(
        [
            ("superpixels", SuperpixelSegmenter(30, **options)),
            ("local", LocalFeatures(("color", "location"), random_state=0)),
            ("classifier", last),
        ]
    )


def make_bands(n_images, seed=0, told_by=4):
    """Make images of five noisy bands, one of which tells left from right halves."""
    rng = np.random.default_rng(seed)
    images, masks = [], []
    for i in range(n_images):
        mask = np.zeros((48, 64), dtype=np.int64)
        mask[:, 32:] = 1
        mask = mask[:, ::-1] if i % 2 else mask  # so that places tell nothing
        image = rng.normal(120, 15, (48, 64, 5))
        image[..., told_by] += np.where(mask == 1, 50, -50)
        images.append(image.clip(0, 255).astype(np.uint8))
        masks.append(mask)
    return images, masks


def accuracy(model, images, masks):
    """Return the share of pixels that are right."""
    pairs = zip(model.predict(images), masks, strict=True)
    return np.mean([np.mean(labels == mask) for labels, mask in pairs])


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"bands": [(0, 1, 2), (4, 4, 4)]}])
def test_a_class_that_one_band_tells_is_learned(options):
    """By the default, and with chosen bands; without the band nothing is."""
    images, masks = make_bands(6)
    new, truth = make_bands(4, seed=1)
    model = small_pipeline(**options).fit(images, masks)
    assert accuracy(model, new, truth) > 0.9
    if not options:
        four, new = ([image[..., :4] for image in some] for some in (images, new))
        model = small_pipeline(channels="bands").fit(four, masks)
        assert 0.3 < accuracy(model, new, truth) < 0.7


@pytest.mark.parametrize("levels", [["local"], ["maps"]])
def test_superpixels_alone_learn_a_class_that_one_band_tells(levels):
    """Hand-crafted features do, and those of the network do."""
    images, masks = make_bands(6)
    new, truth = make_bands(4, seed=1)
    model = zoomout_pipeline(
        levels=levels, n_segments=30, max_epochs=30, random_state=0
    )
    if levels == ["maps"]:
        model.set_params(zoomout__backbone="zoomnet", zoomout__maps__input_size=96)
    assert accuracy(model.fit(images, masks), new, truth) > 0.9


def test_gray_images_have_the_labels_of_the_same_images_in_rgb(images, masks):
    """In training, in prediction, and mixed."""
    gray = [images[0][..., 1:2], *(image[..., 1] for image in images[1:])]
    rgb = [np.dstack([image[..., 1]] * 3) for image in images]
    one, other = (small_pipeline().fit(x, masks) for x in (gray, rgb))
    for model, new in ((one, rgb), (other, gray), (one, gray)):
        for a, b in zip(model.predict(new), other.predict(rgb), strict=True):
            np.testing.assert_array_equal(a, b)
    assert one[-1].filters_.gray


def test_a_declared_range_scores_as_the_image_in_8_bits(images, masks):
    """12 bits in 16 have 16 steps for each of 8 bits."""
    rng = np.random.default_rng(0)
    fine = [16 * x.astype(np.uint16) + rng.integers(0, 16, x.shape) for x in images]
    fine = [image.astype(np.uint16) for image in fine]
    model = color_pipeline().fit(images, masks)
    in_12_bits = color_pipeline(value_range=(0, 4095)).fit(fine, masks)
    score = in_12_bits.score(fine, masks)
    assert score == pytest.approx(model.score(images, masks), abs=0.01)
    assert score > 0.9


@pytest.mark.parametrize("pixels", [False, True])
@pytest.mark.parametrize("value", [0, NAN])
def test_pixels_without_data_are_neither_learned_nor_labeled(
    images, masks, pixels, value
):
    """Their wrong labels change nothing, and scores do not count them."""
    images = [image.astype(np.float32).clip(1) for image in images]
    hole = np.zeros(images[0].shape[:2], dtype=bool)
    hole[5:30, 20:70] = True
    images[0][hole] = value
    options = {"pixels": pixels, "nodata": value, "value_range": (0, 255)}
    wrong = [np.where(hole, 7, masks[0]), *masks[1:]]
    right = [np.where(hole, -1, masks[0]), *masks[1:]]
    model = color_pipeline(**options).fit(images, right)
    same = color_pipeline(**options).fit(images, wrong)
    np.testing.assert_array_equal(same.classes_, [0, 1, 2])
    labels, proba = model.predict(images)[0], model.predict_proba(images)[0]
    np.testing.assert_array_equal(labels == -1, hole)
    np.testing.assert_array_equal(np.isnan(proba).all(axis=2), hole)
    assert not np.isnan(proba[~hole]).any()
    np.testing.assert_array_equal(same.predict(images)[0], labels)
    assert model.score(images, wrong) == model.score(images, right) > 0.8
    scored = mean_iou_scorer(model, images, right)
    assert scored == model.score(images, right)
    assert mean_iou_scorer(model, images, masks) == scored
    with pytest.raises(ValueError, match=r"y_pred\[0\].*unlabel what has no data"):
        mean_iou(masks, model.predict(images))
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict(images)[0], labels)


def test_networks_of_pixels_learn_from_pixels_with_data_only():
    """Also what they learn of a forest, from pixels that have no label."""
    images, masks = make_bands(2)
    images[0][:10, :20] = 0
    table = color_pipeline(nodata=0)[:-1].fit_transform(images, masks)
    drawn = draw_pixels(
        table,
        [mask.astype(np.int32) for mask in table.superpixels.iter_masks(masks)],
        choose_filters(table.superpixels, [1.0]),
        n_labeled=10**6,
        n_others=10**6,
        rng=np.random.default_rng(0),
    )
    n_pixels = 2 * 48 * 64 - 10 * 20
    assert len(drawn.others) == len(drawn.features) == n_pixels
    assert drawn.others.shape[1] == 5 * 4


@pytest.mark.parametrize("clean_up", [GraphSmoothing, IslandRemoval])
@pytest.mark.filterwarnings("ignore::sklearn_zoomout.exceptions.FewIslandsWarning")
def test_clean_up_steps_take_bands_with_gaps(clean_up):
    """Means of all bands tell the superpixels apart, and gaps have no neighbors."""
    images, masks = make_bands(4)
    images[0][:10, :20] = 0
    model = color_pipeline(nodata=0)
    model.set_params(classifier=clean_up(model[-1], cv=2)).fit(images, masks)
    labels = model.predict(images)[0]
    assert (labels[:10, :20] == -1).all()
    assert model.score(images, masks) > 0.9


def test_cross_validation_of_images_with_gaps():
    """The scorers leave out what has no data."""
    images, masks = make_bands(4)
    images[0][:10, :20] = 0
    scores = cross_val_score(
        color_pipeline(nodata=0), images, masks, cv=2, scoring=mean_iou_scorer
    )
    assert (scores > 0.9).all()


def test_models_are_inspected_with_images_as_they_were_fitted():
    """Bands in 12 bits with gaps have an error budget and an importance."""
    images, masks = make_bands(4)
    images = [16 * image.astype(np.uint16) for image in images]
    images[0][:10, :20] = 0
    model = color_pipeline(nodata=0, value_range=(0, 4095)).fit(images, masks)
    scores = error_budget(model, images, masks).scores
    assert scores["classifier"]["pixel accuracy"] > 0.9
    importance = zoom_importance(model, images[0], reference=images[1:])
    assert importance.segmented.n_bands == 5
    with pytest.raises(ValueError, match="^image: expected 5 channels"):
        zoom_importance(model, images[0][..., :3])


@pytest.mark.parametrize("kind", ["gray", "bands", "rgba"])
def test_stored_features_are_of_images_as_they_were_read(kind, tmp_path):
    """Pixels are read again in the same way, and gaps stay gaps."""
    images, masks = make_bands(4)
    images = [16 * image.astype(np.int16) for image in images]
    options = {"value_range": "learn", "nodata": NAN if kind == "rgba" else 0}
    images[0][:10, :20] = 0
    if kind == "gray":
        images = [image[..., 4] for image in images]
    elif kind == "rgba":
        images = [image[..., [4, 1, 2, 3]] for image in images]
        options["channels"] = "rgba"
    pixels = kind == "bands"
    model = color_pipeline(pixels, **options).fit(images, masks)
    store_features(model[:-1], images[:2], tmp_path / "half")
    store_features(model[:-1], images, tmp_path / "table")
    table = open_features(tmp_path / "table", images)
    assert table.superpixels.has_nodata.tolist() == [True, False, False, False]
    assert table.superpixels[2].n_bands == (5 if kind == "bands" else None)
    for again in (table, pickle.loads(pickle.dumps(table)), table[[0, 2]]):
        found = model[-1].predict(again)[0]
        np.testing.assert_array_equal(found, model.predict(images)[0])
        assert (found[:10, :20] == -1).all()
    refit = color_pipeline(pixels)[-1].fit(table, masks)
    np.testing.assert_array_equal(refit.predict(table)[0], found)
    with pytest.raises(ValueError, match=r"images\[1\].*other pixels"):
        wrong = open_features(tmp_path / "table", [images[0]] * 4)
        _ = wrong.superpixels[1].image
    np.testing.assert_array_equal(
        store_features(model[:-1], images, tmp_path / "table").to_numpy(),
        table.to_numpy(),
    )
