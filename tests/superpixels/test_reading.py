"""How single arrays are read: channels, ranges, missing data, and what is learned."""

import json
from contextlib import nullcontext

import numpy as np
import pytest
from sklearn.pipeline import Pipeline

from sklearn_zoomout import SuperpixelSegmenter, zoomout_pipeline
from sklearn_zoomout.exceptions import BlackImageWarning
from sklearn_zoomout.superpixels import _value_range
from sklearn_zoomout.superpixels._reading import Reading, reading_of
from sklearn_zoomout.superpixels._value_range import check_value_range

NAN = float("nan")


@pytest.fixture
def image():
    """A small image in uint8."""
    return np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("nodata", [None, 0, -9999.5, np.float32(3), NAN])
@pytest.mark.parametrize("value_range", [None, ((0.0, 1.0),), ((0.0, 9.0), (1.0, 2.0))])
def test_a_reading_survives_json(nodata, value_range):
    """Also a NaN, which JSON does not have, and tuples, which it makes lists."""
    reading = Reading("bands", value_range, nodata, 2)
    text = json.dumps(reading.to_json(), allow_nan=False)
    again = Reading.from_json(json.loads(text))
    np.testing.assert_equal(vars(again), vars(reading))


def test_the_reading_of_a_pipeline_is_that_of_its_segmenter():
    """Also of one in another; what has no segmenter reads RGB."""
    segmenter = SuperpixelSegmenter(channels="bands", nodata=7)
    inner = Pipeline([("superpixels", segmenter), ("other", SuperpixelSegmenter())])
    outer = Pipeline([("inner", inner), ("last", "passthrough")])
    for model in (segmenter, inner, outer):
        assert reading_of(model) == Reading("bands", nodata=7)
    assert reading_of(zoomout_pipeline(channels="rgba")) == Reading("rgba")
    assert reading_of(object()) == Reading()


def test_errors_have_the_name_of_the_images():
    """It is that of the argument."""
    for images, error in (([None], ValueError), ("a.jpg", TypeError)):
        with pytest.raises(error, match="^tiles"):
            Reading().read(images, "tiles")
        for learn in (Reading().learn, Reading().learn_range):
            with pytest.raises(error, match="^images"):
                learn(images)
    for learn in (Reading().learn, Reading().learn_range):
        with pytest.raises(TypeError, match="put an image into a list"):
            learn(np.zeros((4, 5, 3)))


def test_pixels_without_data_come_from_the_image_and_from_the_caller(image):
    """Either is enough."""
    image[2, 3] = 0
    of_caller = np.ones((6, 8), dtype=bool)
    reading = Reading(nodata=0)
    known = (image != 0).any(axis=2)
    np.testing.assert_array_equal(
        reading.read_one(image, "image", of_caller).valid, known
    )
    assert Reading().read_one(image, "image", of_caller).valid is None
    of_caller[5, 5] = False
    np.testing.assert_array_equal(
        Reading().read_one(image, "image", of_caller).valid, of_caller
    )
    np.testing.assert_array_equal(
        reading.read_one(image, "image", of_caller).valid, known & of_caller
    )


def test_transparency_and_nodata_add_up(image):
    """A pixel has data if it is neither transparent nor of the value."""
    alpha = np.full((6, 8, 1), 9, dtype=np.uint8)
    alpha[0, 0], image[1, 1] = 0, 5
    image[2, 2, :2] = 5
    read = Reading("rgba", nodata=5).read_one(np.dstack([image, alpha]), "image")
    assert np.argwhere(~read.valid).tolist() == [[0, 0], [1, 1]]
    for other in (image, image[..., :1]):
        assert Reading("rgba").read_one(other, "image").valid is None


def test_one_band_that_is_nan_has_no_data(image):
    """Of any other value, all bands must have it."""
    floats = image / 255
    floats[4, 4, 1] = NAN
    read = Reading(nodata=NAN).read_one(floats, "image")
    assert np.argwhere(~read.valid).tolist() == [[4, 4]]
    with pytest.raises(ValueError, match="finite"):
        Reading(value_range=((0, 1),)).read_one(floats, "image")


@pytest.mark.parametrize(
    ("channels", "n", "bands", "n_read"),
    [
        ("auto", 1, False, 3),
        ("auto", 2, True, 2),
        ("auto", 3, False, 3),
        ("auto", 5, True, 5),
        ("bands", 1, False, 3),
        ("bands", 3, True, 3),
        ("bands", 4, True, 4),
        ("rgba", 4, False, 3),
    ],
)
def test_which_channels_are_bands(channels, n, bands, n_read):
    """Three are not, unless the user says so, and one never is."""
    read = Reading(channels).read_one(np.full((2, 3, n), 0.5), "image")
    assert (read.bands, read.image.shape[2], read.n_pixels) == (bands, n_read, 6)


@pytest.mark.parametrize(
    ("channels", "n", "learned"),
    [("auto", 1, 3), ("auto", 3, 3), ("bands", 1, 1), ("bands", 4, 4), ("rgba", 4, 3)],
)
def test_how_many_channels_are_learned(channels, n, learned):
    """Gray counts as 3, but a single band as 1; the first image decides."""
    images = [np.full((2, 3, n), 0.5)] * 2
    reading = Reading(channels)
    for learn in (reading.learn, reading.learn_range):
        fitted, read = learn(images)
        assert fitted.n_channels == learned
        assert len(read) == 2
        with pytest.raises(ValueError, match=r"^images\[1\].*channels"):
            learn([images[0], np.full((2, 3, 7), 0.5)])


def test_a_range_for_each_channel_colors_gray_images():
    """Its three equal channels are mapped differently."""
    reading = Reading(value_range=((0, 10), (0, 40), (0, 40)))
    read = reading.read_one(np.full((2, 2), 10.0), "image")
    np.testing.assert_allclose(read.image[0, 0], [1, 0.25, 0.25])
    same = Reading(value_range=((0, 20),)).read_one(np.full((2, 2), 10.0), "image")
    np.testing.assert_allclose(same.image, 0.5)
    assert same.image.strides[2] == 0


def test_only_the_range_of_uint8_leaves_uint8_as_it_is(image):
    """Others are mapped, and so are other types with this range."""
    usual, other = Reading(value_range=((0, 255),)), Reading(value_range=((0, 254),))
    assert usual.read_one(image, "image").image is image
    assert other.read_one(image, "image").image.dtype == np.float32
    mapped = usual.read_one(image.astype(np.int16), "image").image
    np.testing.assert_allclose(mapped, image / 255, atol=1e-7)


def test_pixels_without_data_get_the_mean_of_the_others():
    """It is rounded in uint8, and 0 if there are no others; the input stays."""
    image = np.array([[[9], [1], [2]]], dtype=np.uint8)
    read = Reading(nodata=9).read_one(image, "image")
    assert read.image[0, :, 0].tolist() == [2, 1, 2]
    assert read.image.dtype == np.uint8
    assert image[0, 0, 0] == 9
    floats = Reading(nodata=9).read_one(np.array([[[9], [0.25], [0.5]]]), "image")
    assert floats.image[0, :, 0].tolist() == [0.375, 0.25, 0.5]
    empty = Reading(nodata=9).read_one(np.full((2, 2, 1), 9, np.uint8), "image")
    assert not empty.image.any()


@pytest.mark.parametrize(
    ("dark", "warns"),
    [
        (np.uint8(17), True),
        (np.uint8(18), False),
        (np.uint8(0), False),
        (np.uint8(1), True),
        (1 / 15, True),
        (0.067, False),
        (0.0, False),
    ],
)
def test_images_of_at_most_a_fifteenth_are_almost_black(dark, warns):
    """The warning names them, and the largest value of the first."""
    images = [np.full((2, 3, 3), value) for value in (np.uint8(200), dark, dark)]
    largest = dark / 255 if isinstance(dark, np.uint8) else dark
    expected = rf"images\[1, 2\]: almost black, the largest value is {largest:.4f} of 1"
    for read in (Reading().read, Reading().learn):
        with (
            pytest.warns(BlackImageWarning, match=expected) if warns else nullcontext()
        ):
            read(images)


@pytest.mark.parametrize("nodata", [-1, NAN])
def test_learned_ranges_leave_out_outliers_and_what_has_no_data(nodata):
    """They are quantiles over all images together, of each channel."""
    rng = np.random.default_rng(0)
    images = [rng.normal(50, 9, (40, 50, 2)) for _ in range(3)]
    images[1][:10] = nodata
    reading, read = Reading("bands", nodata=nodata).learn_range(images)
    values = np.concatenate([images[0], images[1][10:], images[2]]).reshape(-1, 2)
    expected = np.quantile(values, [0.001, 0.999], axis=0).T
    np.testing.assert_allclose(reading.value_range, expected)
    assert all(x.image.min() >= 0 and x.image.max() <= 1 for x in read)
    assert reading.read(images)[2].image.tolist() == read[2].image.tolist()


def test_ranges_of_large_images_are_learned_from_some_of_their_pixels(monkeypatch):
    """Evenly spaced, from the first to the last, and as many of each image."""
    monkeypatch.setattr(_value_range, "_SAMPLED", 12)
    monkeypatch.setattr(_value_range, "_LEAST_SAMPLED", 3)
    monkeypatch.setattr(_value_range, "_OUTLIERS", 0)
    ramp = np.arange(101.0)[None, :, None]
    reading, _ = Reading("bands").learn_range([ramp + 5])
    assert reading.value_range == ((5, 105),)
    spike = ramp.copy()
    spike[0, 50] = 1000
    # Of six images 3 pixels each: the first, the one in the middle, and the last.
    reading, _ = Reading("bands").learn_range([spike] * 6)
    assert reading.value_range == ((0, 1000),)
    # Of three images 4 pixels each, and none of them in the middle.
    reading, _ = Reading("bands").learn_range([spike] * 3)
    assert reading.value_range == ((0, 100),)


def test_constant_channels_become_black():
    """A range of nothing would be a division by zero."""
    image = np.dstack([np.full((2, 3), 7.0), np.arange(6.0).reshape(2, 3)])
    reading, (read,) = Reading("bands").learn_range([image])
    assert reading.value_range[0] == (7, 8)
    assert not read.image[..., 0].any()
    assert read.image[..., 1].max() == 1


def test_gray_images_and_rgb_learn_together():
    """Gray counts in all three channels; of gray alone they are equal."""
    gray, rgb = np.array([[0, 50.0]]), np.array([[[10, 20, 90.0], [10, 30, 10]]])
    reading, read = Reading().learn_range([gray, rgb])
    np.testing.assert_allclose(reading.value_range, [(0, 50), (0, 50), (0, 90)], atol=1)
    assert len(read) == 2
    alone, _ = Reading().learn_range([gray])
    assert len(set(alone.value_range)) == 1
    assert len(alone.value_range) == 3
    band, _ = Reading("bands").learn_range([gray])
    assert len(band.value_range) == 1


def test_a_range_is_not_learned_from_nothing_or_from_infinity():
    """The errors say what there was."""
    with pytest.raises(ValueError, match="expected pixels with data"):
        Reading(nodata=0).learn_range([np.zeros((2, 3, 3), np.uint8)])
    with pytest.raises(ValueError, match=r"images\[1\]: expected finite"):
        Reading().learn_range([np.zeros((2, 3)), np.full((2, 3), np.inf)])


def test_ranges_become_pairs_of_numbers():
    """One pair is that of all channels."""
    assert check_value_range([0, 5]) == ((0.0, 5.0),)
    pairs = check_value_range(np.array([[0, 5], [1, 2]]))
    assert pairs == ((0.0, 5.0), (1.0, 2.0))
    assert {type(x) for pair in pairs for x in pair} == {float}
    for wrong in ([], [[]], np.zeros((0, 2)), np.ones((1, 2, 2)), [(0, 1), (2, 2)]):
        with pytest.raises(ValueError, match="value_range: expected"):
            check_value_range(wrong)
