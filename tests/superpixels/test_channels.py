"""What the channels and the values of images are, and where they have no data."""

import pickle
import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_zoomout import SegmentedImage, SuperpixelSegmenter
from sklearn_zoomout.exceptions import BlackImageWarning, ClippedImageWarning
from sklearn_zoomout.superpixels import slic

NAN = float("nan")


def segment(images, **options):
    """Cut images into about 40 superpixels."""
    return SuperpixelSegmenter(n_segments=40, **options).fit_transform(images)


def with_hole(image, value):
    """Return a copy with a value in all channels of some pixels, and where it is."""
    changed = image.copy()
    changed[10:20, 15:40] = value
    hole = np.zeros(image.shape[:2], dtype=bool)
    hole[10:20, 15:40] = True
    return changed, hole


def five_bands(image):
    """Return an RGB image with two of its channels once more."""
    return np.dstack([image, image[..., :2]])


@pytest.mark.parametrize("index", [np.s_[..., 1], np.s_[..., 1:2]])
def test_gray_images_are_those_of_three_equal_channels(images, index, tmp_path):
    """Superpixels, digests, pickles and entries of a cache are the same."""
    gray = [image[index] for image in images]
    rgb = [np.dstack([image[..., 1]] * 3) for image in images]
    segmenter = SuperpixelSegmenter(n_segments=40, memory=tmp_path).fit(gray)
    assert segmenter.n_channels_ == 3
    one, other = segmenter.transform(gray), segmenter.transform(rgb)
    n_files = len(list(tmp_path.rglob("*.npy")))
    assert n_files == len(images)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.segments, b.segments)
        assert a.digest == b.digest
        assert a.n_bands is None
        np.testing.assert_array_equal(a.rgb, b.rgb)
        copy = pickle.loads(pickle.dumps(a))
        np.testing.assert_array_equal(copy.image, b.image)
        np.testing.assert_array_equal(copy.segments, b.segments)
    assert np.shares_memory(one[0].image, gray[0])


def test_equal_bands_have_the_superpixels_of_a_gray_image(images):
    """Every band is lightness, and distances do not grow with their number."""
    gray = [image[..., 1] for image in images]
    bands = [np.dstack([image] * 5) for image in gray]
    for a, b in zip(segment(gray), segment(bands), strict=True):
        assert np.mean(a.segments != b.segments) < 0.01


def test_superpixels_follow_a_boundary_in_any_band():
    """Also one that only the last of six bands shows."""
    inside = np.zeros((60, 60), dtype=bool)
    inside[20:43, 13:37] = True
    image = np.full((60, 60, 6), 0.5)
    image[inside, 5] = 1
    (segmented,) = segment([image], compactness=1.0)
    in_both = set(segmented.segments[inside]) & set(segmented.segments[~inside])
    assert not in_both


def test_three_channels_are_bands_if_the_user_says_so(images):
    """They are then neither converted to L*a*b* nor shown as colors."""
    (rgb,), (bands,) = segment(images[:1]), segment(images[:1], channels="bands")
    assert (rgb.n_bands, bands.n_bands) == (None, 3)
    assert rgb.digest != bands.digest
    assert not np.array_equal(rgb.segments, bands.segments)
    with pytest.raises(ValueError, match=r"image: .*3 bands.*channels.*show"):
        _ = bands.rgb
    np.testing.assert_array_equal(bands.show((2, 2, 0)).rgb, rgb.rgb[..., [2, 2, 0]])


def test_transparent_pixels_have_no_data(images):
    """They are a superpixel of their own, which has no neighbors."""
    alpha = np.full(images[0].shape[:2], 255, dtype=np.uint8)
    alpha[:, 50:] = 0
    alpha[0, 0] = 1  # almost transparent
    rgba = np.dstack([images[0], alpha])
    (segmented,) = segment([rgba, images[1]], channels="rgba")[:1]
    np.testing.assert_array_equal(segmented.valid, alpha > 0)
    assert segmented.image.shape[2] == 3
    assert segmented.adjacency[[segmented.nodata_segment]].nnz == 0
    mean = np.rint(images[0][alpha > 0].mean(axis=0))
    np.testing.assert_array_equal(segmented.image[5, 60], mean)
    np.testing.assert_array_equal(segmented.image[alpha > 0], images[0][alpha > 0])
    with pytest.raises(ValueError, match=r'images\[0\]: expected RGBA.*"bands"'):
        segment([five_bands(images[0])], channels="rgba")


@pytest.mark.parametrize(
    ("change", "value", "options"),
    [
        (lambda x: x, 0, {}),
        (lambda x: x / 255, NAN, {}),
        (lambda x: five_bands(x) / 255, -9999, {}),
        (lambda x: x.astype(np.uint16), 65535, {"value_range": (0, 255)}),
        (lambda x: x.astype(np.int16), -1, {"value_range": "learn"}),
    ],
)
def test_pixels_of_the_value_nodata_have_no_data(images, change, value, options):
    """They do not count in the range, and their labels are not passed on."""
    image, hole = with_hole(change(images[0]), value)
    other = change(images[1])
    segmenter = SuperpixelSegmenter(40, nodata=value, **options)
    masks = [np.ones(x.shape[:2], dtype=np.uint8) for x in (image, other)]
    superpixels = segmenter.fit_transform([image, other], masks)
    np.testing.assert_array_equal(~superpixels[0].valid, hole)
    assert superpixels[0].segments[hole].min() == superpixels[0].nodata_segment
    assert superpixels[0].areas[-1] == hole.sum()
    assert superpixels[1].nodata_segment is None
    assert superpixels[0].channels.min() >= 0
    assert superpixels.has_nodata.tolist() == [True, False]
    first, second = superpixels.iter_masks(masks)
    np.testing.assert_array_equal(first, np.where(hole, -1, 1))
    assert second is masks[1]
    copy = pickle.loads(pickle.dumps(superpixels[0]))
    np.testing.assert_array_equal(copy.valid, ~hole)
    if segmenter.value_range == "learn":
        assert segmenter.value_range_.min() >= 0


def test_a_single_channel_of_the_value_nodata_is_data(images):
    """A pure red is not black."""
    image = images[0].copy()
    image[:5, :, 1:] = 0
    assert segment([image], nodata=0)[0].nodata_segment is None


def test_an_image_without_any_data_is_one_superpixel(images):
    """It can be a tile beside the others."""
    empty = np.full((20, 30, 3), NAN)
    segmented = segment([images[0] / 255, empty], nodata=NAN)[1]
    assert segmented.n_segments == 1
    assert not segmented.valid.any()
    assert np.isfinite(segmented.rgb).all()


def test_the_usual_range_changes_nothing(images):
    """An image in uint8 is as it was, to the bit."""
    for a, b in zip(
        segment(images), segment(images, value_range=(0, 255)), strict=True
    ):
        assert a.digest == b.digest
    floats = [image.astype(np.float32) for image in images]
    for a, b in zip(
        segment(images), segment(floats, value_range=(0, 255)), strict=True
    ):
        np.testing.assert_array_equal(a.rgb, b.rgb)
        np.testing.assert_array_equal(a.segments, b.segments)


def test_declared_ranges_are_mapped_linearly_and_clipped():
    """Of all channels, or of each."""
    image = np.array([[[0, 100, 1000], [-50, 300, 900], [50, 500, 950]]], np.int16)
    ranges = [(0, 100), (100, 300), (900, 1000)]
    with pytest.warns(match="fewer than 40 superpixels"):
        (segmented,) = segment([image], value_range=ranges)
    expected = [[0, 0, 1], [0, 1, 0], [0.5, 1, 0.5]]
    np.testing.assert_allclose(segmented.channels[0], expected)
    assert segmented.image.dtype == np.float32


def test_learned_ranges_are_one_for_all_images(images):
    """The second image is darker than the first, and stays so."""
    first = images[0].astype(np.uint16) * 100
    segmenter = SuperpixelSegmenter(40, value_range="learn")
    with pytest.raises(NotFittedError):
        segmenter.transform([first])
    superpixels = segmenter.fit_transform([first, first // 4])
    assert segmenter.value_range_.shape == (3, 2)
    low, high = segmenter.value_range_.T
    both = np.concatenate([first.reshape(-1, 3), first.reshape(-1, 3) // 4])
    np.testing.assert_allclose(low, np.quantile(both, 0.001, axis=0))
    np.testing.assert_allclose(high, np.quantile(both, 0.999, axis=0))
    bright, dark = (segmented.channels.mean() for segmented in superpixels)
    assert dark < bright / 3
    alone = segmenter.transform([first // 4])[0]
    np.testing.assert_array_equal(alone.image, superpixels[1].image)
    assert not hasattr(clone(segmenter), "value_range_")


def test_learned_ranges_of_gray_images_hold_for_rgb(images):
    """Gray is three equal channels."""
    gray = [image[..., 0].astype(np.int32) for image in images]
    segmenter = SuperpixelSegmenter(40, value_range="learn").fit(gray)
    assert segmenter.value_range_.shape == (3, 2)
    rgb = [np.dstack([image] * 3) for image in gray]
    pairs = zip(segmenter.transform(gray), segmenter.transform(rgb), strict=True)
    for a, b in pairs:
        np.testing.assert_array_equal(a.image, b.image)


@pytest.mark.parametrize(
    "value_range", [(5, 5), (9, 1), (0, NAN), (0, 1, 2), [(0, 1), (1, 0)], [["a", "b"]]]
)
def test_a_range_must_be_pairs_of_numbers(images, value_range):
    """The first below the second."""
    with pytest.raises(ValueError, match=r"value_range: expected \(low, high\)"):
        segment(images, value_range=value_range)


@pytest.mark.parametrize(
    ("name", "value"), [("channels", "rgb"), ("value_range", "lern"), ("nodata", "0")]
)
def test_other_values_of_the_parameters_are_refused(images, name, value):
    """The error names the parameter."""
    with pytest.raises(ValueError, match=f"'{name}'"):
        segment(images, **{name: value})


def test_pairs_must_be_as_many_as_channels(images):
    """The error names the image."""
    with pytest.raises(ValueError, match=r"images\[0\]: expected 4 channels.*got 3"):
        segment(images, value_range=[(0, 255)] * 4)


def test_images_of_other_channels_than_in_fit_are_refused(images):
    """In fit and in transform; gray counts as 3."""
    bands = [five_bands(image) for image in images]
    with pytest.raises(ValueError, match=r"images\[2\]: expected 5 channels.*gray"):
        segment([bands[0], bands[1], images[2]])
    fitted = SuperpixelSegmenter(40).fit(bands)
    assert fitted.n_channels_ == 5
    with pytest.raises(ValueError, match=r"images\[1\]: expected 5 channels.*got 3"):
        fitted.transform([bands[0], images[1][..., 0]])
    rgb = SuperpixelSegmenter(40).fit([images[0], images[1][..., 0]])
    with pytest.raises(ValueError, match=r"images\[0\]: expected 3 channels.*got 5"):
        rgb.transform(bands)


@pytest.mark.filterwarnings("ignore::sklearn_zoomout.exceptions.BlackImageWarning")
def test_swapped_images_and_masks_are_told(images, masks):
    """Masks that are small integers pass as gray images."""
    small = [mask.astype(np.uint8) for mask in masks]
    with pytest.raises(ValueError, match=r"images\[0\].*swapped.*fit\(images, masks\)"):
        SuperpixelSegmenter(40).fit(small, images)


def test_a_fit_that_fails_leaves_nothing_behind(images):
    """As everywhere."""
    segmenter = SuperpixelSegmenter(40, value_range="learn").fit(images)
    with pytest.raises(ValueError, match=r"images\[0\]"):
        segmenter.fit([None])
    with pytest.raises(NotFittedError):
        segmenter.transform(images)


@pytest.mark.parametrize("n_bands", [1, 2, 6])
def test_slic_takes_any_number_of_channels(n_bands):
    """As float32 or any other numbers."""
    channels = np.random.default_rng(0).normal(50, 20, (40, 50, n_bands))
    one, other = (slic(c, 20, 10) for c in (channels, channels.astype(np.float32)))
    np.testing.assert_array_equal(one, other)
    assert one.shape == (40, 50)


@pytest.mark.parametrize(
    ("lab", "error", "says"),
    [
        (np.zeros((4, 5, 3)).tolist(), TypeError, "got list.*numpy.asarray"),
        (np.zeros((4, 5)), ValueError, "shape (4, 5).*image[..., None]"),
        (np.zeros((0, 5, 3)), ValueError, "shape (0, 5, 3)"),
        (np.zeros((4, 5, 3), complex), ValueError, "complex128"),
        (np.where(np.eye(4)[..., None], np.nan, 0), ValueError, "row 0, column 0"),
    ],
)
def test_slic_refuses_what_is_no_image(lab, error, says):
    """The error says what was expected."""
    pattern = ".*".join(re.escape(part) for part in says.split(".*"))
    with pytest.raises(error, match=f"^lab: .*{pattern}"):
        slic(lab, 4, 10)


def test_data_must_fit_the_segments():
    """Booleans of the shape of the image."""
    image, segments = np.zeros((2, 4, 3)), np.zeros((2, 4), dtype=int)
    for valid in (np.zeros((4, 2), dtype=bool), np.zeros((2, 4))):
        with pytest.raises(ValueError, match=r"valid: expected booleans.*\(2, 4\)"):
            SegmentedImage(image, segments, valid)


def test_what_lies_behind_a_gap_is_not_near():
    """Neighborhoods do not cross pixels without data."""
    segments = np.array([[0, 1, 2, 3]])
    valid = np.array([[True, False, True, True]])
    segmented = SegmentedImage(np.zeros((1, 4, 3)), segments, valid)
    np.testing.assert_array_equal(segmented.segments, [[0, 3, 1, 2]])
    near = segmented.neighborhood(3).toarray()
    np.testing.assert_array_equal(
        near, [[1, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]]
    )


@pytest.mark.parametrize("spoil", [lambda i: i / 255 / 255, lambda i: i // 32])
def test_almost_black_images_warn(spoil):
    """Images that are divided twice, and masks in the place of images."""
    image = np.full((20, 30, 3), 200, dtype=np.uint8)
    image[:10] = 90
    with pytest.warns(BlackImageWarning, match=r"images\[1\].*divided by 255 twice"):
        SuperpixelSegmenter(4).fit_transform([image, spoil(image)])


def test_black_images_do_not_warn():
    """Black is a color."""
    SuperpixelSegmenter(4).fit_transform([np.zeros((20, 30, 3), dtype=np.uint8)])


def test_images_that_the_declared_range_clips_warn(images):
    """The range of 8 bits cuts images of 12 bits to white, for instance."""
    deep = [image.astype(np.uint16) * 16 for image in images]
    with pytest.warns(ClippedImageWarning, match=r"images\[0, 1, .*% of the values"):
        SuperpixelSegmenter(20, value_range=(0, 255)).fit(deep)
    some = [*images[:1], deep[1]]
    with pytest.warns(ClippedImageWarning, match=r"images\[1\]: "):
        SuperpixelSegmenter(20, value_range=(0, 256)).fit(some)


def test_a_few_clipped_values_do_not_warn(images):
    """Neither do many that have no data."""
    deep = [image.astype(np.int32) for image in images]
    for image in deep:
        image[:10] = 5000
    SuperpixelSegmenter(20, value_range=(0, 256)).fit(deep)
    deep[0][:40] = -9999
    SuperpixelSegmenter(20, value_range=(0, 256), nodata=-9999).fit(deep)
