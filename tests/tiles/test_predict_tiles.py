"""Labels of images that are larger than those of fit."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline

from sklearn_zoomout import zoomout_pipeline
from sklearn_zoomout.datasets import make_scenes
from sklearn_zoomout.exceptions import ScaleWarning
from sklearn_zoomout.metrics import mean_iou
from sklearn_zoomout.tiles import ZoomoutPipeline, labeled_windows, predict_tiles


def mosaic_of(pictures):
    """Put 16 pictures into 4 rows."""
    rows = [np.concatenate(pictures[k : k + 4], axis=1) for k in range(0, 16, 4)]
    return np.concatenate(rows)


@pytest.fixture(scope="module")
def scenes():
    """Images and masks of one size."""
    images, masks = make_scenes(n_images=20, random_state=0)
    height = min(image.shape[0] for image in images)
    width = min(image.shape[1] for image in images)
    return (
        [image[:height, :width] for image in images],
        [mask[:height, :width] for mask in masks],
    )


@pytest.fixture(scope="module")
def model(scenes):
    """A pipeline with all levels but the pixel, fitted."""
    images, masks = scenes
    model = zoomout_pipeline(
        n_segments=60, input_size=192, pixels=False, random_state=0
    )
    return model.fit(images[16:], masks[16:])


@pytest.fixture(scope="module")
def mosaic(scenes):
    """An image of 16 scenes, and its mask."""
    images, masks = scenes
    return mosaic_of(images[:16]), mosaic_of(masks[:16])


def test_tiles_leave_no_seams(model, mosaic):
    """Tiles have the labels that the image has at once."""
    image, _ = mosaic
    at_once = predict_tiles(model, image, tile_size=None)
    tiles = predict_tiles(model, image, tile_size=200)
    assert np.mean(tiles != at_once) < 0.015


def test_an_image_of_fits_size_is_labeled_as_without_tiles(model, scenes):
    """Rounded sizes change little."""
    images, _ = scenes
    labels = mosaic_of([predict_tiles(model, image) for image in images[:16]])
    assert np.mean(labels == mosaic_of(list(model.predict(images[:16])))) > 0.95


def test_a_mosaic_is_seen_at_the_scale_of_its_parts(model, mosaic, scenes):
    """Its labels are closer to theirs than if it were taken for one scene."""
    image, _ = mosaic
    parts = mosaic_of(list(model.predict(scenes[0][:16])))
    with pytest.warns(ScaleWarning):
        as_one_scene = model.predict([image])[0]
    agree = np.mean(predict_tiles(model, image) == parts)
    # Parts of 120 x 160 pixels consist of little but borders.
    assert agree > 0.75
    assert agree > np.mean(as_one_scene == parts) + 0.2


def test_probabilities_have_the_labels_as_their_largest(model, mosaic):
    """Both are written by the same tiles."""
    image, _ = mosaic
    proba = predict_tiles(model, image, proba=True, tile_size=200)
    np.testing.assert_allclose(proba.sum(axis=2), 1, rtol=1e-5)
    labels = predict_tiles(model, image, tile_size=200)
    classes = model[-1].classes_
    np.testing.assert_array_equal(classes[proba.argmax(axis=2)], labels)


def test_tiles_at_once_are_those_one_by_one(model, mosaic):
    """Threads change nothing."""
    one, two = (
        predict_tiles(model, mosaic[0], tile_size=150, n_jobs=n) for n in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


def test_the_scene_can_be_the_whole_image(model, mosaic):
    """The global level then sees all of it, so that probabilities change."""
    image, _ = mosaic
    window, whole = (
        predict_tiles(model, image, proba=True, scene=scene)
        for scene in ("window", "image")
    )
    assert np.abs(window - whole).max() > 0.01


def test_the_pipeline_predicts_large_images_in_tiles(model, mosaic, scenes):
    """Small images beside them are predicted as before."""
    image, mask = mosaic
    small = scenes[0][0]
    pipeline = ZoomoutPipeline(model.steps, tile_above=image.shape[0] * 100)
    with pytest.warns(ScaleWarning, match=r"images\[1\].*larger field of view"):
        labels = pipeline.predict([small, image])
    with pytest.warns(ScaleWarning, match=r"images\[0\].*larger field of view"):
        proba = pipeline.predict_proba([image, small])
    np.testing.assert_array_equal(labels[0], model.predict([small])[0])
    np.testing.assert_array_equal(labels[1], predict_tiles(model, image))
    assert proba[0].shape[:2] == image.shape[:2]
    expected = mean_iou([mask], [labels[1]])
    with pytest.warns(ScaleWarning):
        score = pipeline.score([image], [mask])
    assert score == pytest.approx(expected)


def test_at_once_a_large_image_warns_of_its_scale(model, mosaic):
    """The warning names both cures, and comes with a pipeline of scikit-learn too."""
    image, _ = mosaic
    for pipeline in (model, Pipeline(model.steps)):
        with pytest.warns(
            ScaleWarning, match=r"images\[0\].*segment_area.*predict_til"
        ):
            pipeline.predict([image])


def test_images_of_twice_the_pixels_do_not_warn(model, scenes):
    """Photographs are of many sizes."""
    image = scenes[0][0]
    twice = np.concatenate([image, image])
    with warnings.catch_warnings():
        warnings.simplefilter("error", ScaleWarning)
        model.predict([twice, image[: len(image) // 2 + 1]])


def test_stated_sizes_hold_for_images_of_any_size(scenes, mosaic):
    """Nothing warns, and windows of any size have the labels of the image."""
    images, masks = scenes
    model = zoomout_pipeline(segment_area=256, input_scale=1, pixels=False)
    model.set_params(classifier__random_state=0).fit(images[16:], masks[16:])
    image = mosaic[0][:400, :400]
    with warnings.catch_warnings():
        warnings.simplefilter("error", ScaleWarning)
        labels = model.predict([image])[0]
    tiles = predict_tiles(model, image, tile_size=None)
    np.testing.assert_array_equal(labels, tiles)


def test_a_copy_of_a_pipeline_keeps_its_limit(model):
    """It is a parameter as others are."""
    limited = ZoomoutPipeline(model.steps, tile_above=None)
    assert clone(limited).tile_above is None
    assert isinstance(limited[:-1], ZoomoutPipeline)


def test_other_models_are_refused(scenes):
    """The error names what is expected."""
    with pytest.raises(TypeError, match="first step is a SuperpixelSegmenter"):
        predict_tiles(zoomout_pipeline()[1:], scenes[0][0])
    with pytest.raises(NotFittedError):
        predict_tiles(zoomout_pipeline(), scenes[0][0])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"scene": "all"}, "scene"),
        ({"tile_size": 0}, "tile_size"),
        ({"margin": -1}, "margin"),
    ],
)
def test_wrong_options_are_refused(model, mosaic, options, match):
    """Before any work."""
    with pytest.raises(ValueError, match=match):
        predict_tiles(model, mosaic[0], **options)


def test_a_geotiff_keeps_its_place_on_earth(model, mosaic, tmp_path):
    """The labels have the transform of the image, and pixels without data have none."""
    rasterio = pytest.importorskip("rasterio")
    image, _ = mosaic
    image = np.where(image == 0, 1, image)
    image[:40, :50] = 0
    transform = rasterio.Affine(0.5, 0, 500_000, 0, -0.5, 5_600_000)
    place = {"crs": "EPSG:32632", "transform": transform, "nodata": 0}
    shape = {"height": image.shape[0], "width": image.shape[1], "count": 3}
    source, target = tmp_path / "scene.tif", tmp_path / "labels.tif"
    with rasterio.open(source, "w", dtype="uint8", **shape, **place) as file:
        file.write(np.moveaxis(image, 2, 0))
    assert predict_tiles(model, source, output=target, tile_size=150) == target
    with rasterio.open(target) as file:
        assert file.transform == transform
        assert file.crs == rasterio.crs.CRS.from_string("EPSG:32632")
        labels = file.read(1)
        assert file.nodata == labels[0, 0] == 255
        assert file.count == 1
        assert file.colormap(1)
    assert set(np.unique(labels)) <= {*model[-1].classes_, 255}
    assert (labels == 255).sum() == 40 * 50


def test_windows_of_a_large_image_are_images_to_learn_from(mosaic):
    """Only those with labels are read, and they can be fitted to."""
    image, mask = mosaic
    strokes = np.full(mask.shape, -1)
    strokes[5:10, 5:200] = mask[5:10, 5:200]
    strokes[-20:-10, -200:] = mask[-20:-10, -200:]
    images, masks = labeled_windows(image, strokes, size=150)
    assert 2 <= len(images) == len(masks) < 8
    model = zoomout_pipeline(n_segments=50, input_size=96, pixels=False)
    model.fit(images, masks)
    assert predict_tiles(model, image).shape == mask.shape


def test_windows_need_a_mask_of_their_image(mosaic):
    """The error names both shapes."""
    image, mask = mosaic
    with pytest.raises(ValueError, match="mask: expected shape"):
        labeled_windows(image, mask[1:])
    with pytest.raises(ValueError, match="got none"):
        labeled_windows(image, np.full_like(mask, -1))
    with pytest.raises(ValueError, match="one channel"):
        labeled_windows(image, image)


@pytest.mark.parametrize("suffix", [".npy", "array"])
def test_the_image_is_not_overwritten(model, mosaic, tmp_path, suffix):
    """The output is another place than that of the image."""
    image, place = mosaic[0], tmp_path / f"image{suffix}"
    same = (image, image[..., 0]) if suffix == "array" else (place, str(place))
    np.save(tmp_path / "image.npy", image)
    with pytest.raises(ValueError, match="output: expected another place"):
        predict_tiles(model, same[0], output=same[1])
    np.testing.assert_array_equal(np.load(tmp_path / "image.npy"), image)


def test_a_model_knows_pixels_without_data_of_which_an_array_does_not(scenes, mosaic):
    """They are -1 in tiles, as they are at once."""
    images, masks = scenes
    model = zoomout_pipeline(segment_area=300, nodata=0, levels=["maps"])
    model.set_params(zoomout__maps__input_scale=0.5, classifier__max_epochs=2)
    image = np.maximum(mosaic[0], 1)
    image[:30] = 0
    labels = model.fit(images[16:], masks[16:]).predict([image])[0]
    np.testing.assert_array_equal(labels == -1, (image == 0).all(axis=2))


def test_pixels_without_data_do_not_count_in_the_score_of_tiles(scenes, mosaic):
    """As they do not for images that are predicted at once."""
    images, masks = scenes
    model = zoomout_pipeline(segment_area=300, nodata=0, levels=["maps"])
    model.set_params(zoomout__maps__input_scale=0.5, classifier__max_epochs=2)
    model.fit(images[16:], masks[16:])
    image, mask = np.maximum(mosaic[0], 1), mosaic[1]
    image[:30] = 0
    known = np.where((image == 0).all(axis=2), -1, mask)
    expected = mean_iou([known], model.predict([image]))
    assert model.score([image], [mask]) == pytest.approx(expected)


def test_channels_may_come_first(model, mosaic):
    """If the axis is named."""
    image = mosaic[0][:130, :150]
    labels = predict_tiles(model, np.moveaxis(image, 2, 0), channel_axis=0)
    np.testing.assert_array_equal(labels, predict_tiles(model, image))


def test_windows_are_not_labeled_where_the_image_has_no_data(mosaic, tmp_path):
    """A class of gaps would be learned."""
    rasterio = pytest.importorskip("rasterio")
    image, _ = mosaic
    image = np.maximum(image, 1)
    image[:100] = 0
    path = tmp_path / "scene.tif"
    shape = {"height": image.shape[0], "width": image.shape[1]}
    place = {"transform": rasterio.Affine(2, 0, 5, 0, -2, 7), "crs": "EPSG:32632"}
    with rasterio.open(
        path, "w", dtype="uint8", count=3, nodata=0, **shape, **place
    ) as file:
        file.write(np.moveaxis(image, 2, 0))
    labels = np.where(np.arange(len(image))[:, None] < 100, 1, 2)
    labels = np.broadcast_to(labels, image.shape[:2])
    _, masks = labeled_windows(path, labels, size=150)
    assert set(np.unique(np.concatenate([m.ravel() for m in masks]))) == {-1, 2}
