import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.utils import _safe_indexing

from sklearn_zoomout import (
    LocalFeatures,
    SegmentedImage,
    Superpixels,
    SuperpixelSegmenter,
    ZoomoutClassifier,
)
from sklearn_zoomout.datasets import FileSequence
from sklearn_zoomout.exceptions import SuperpixelWarning
from sklearn_zoomout.superpixels import check_superpixels


def test_every_image_gets_about_as_many_superpixels_as_asked_for(images):
    """Sizes may differ; each label map has the shape of its image."""
    superpixels = SuperpixelSegmenter(n_segments=40).fit_transform(images)
    assert [s.shape for s in superpixels] == [image.shape[:2] for image in images]
    assert all(25 <= s.n_segments <= 55 for s in superpixels)
    assert superpixels.n_rows == sum(s.n_segments for s in superpixels)


def test_superpixels_index_like_an_array(superpixels):
    """Integers give an image; slices and arrays give Superpixels."""
    assert isinstance(superpixels[1], SegmentedImage)
    assert superpixels[-1] is superpixels[3]
    some = superpixels[np.array([2, 0])]
    assert isinstance(some, Superpixels)
    assert [some[0], some[1]] == [superpixels[2], superpixels[0]]
    assert len(superpixels[1:]) == 3
    assert len(_safe_indexing(superpixels, [3, 1])) == 2
    np.testing.assert_array_equal(np.diff(some.row_offsets)[0], some[0].n_segments)
    with pytest.raises(IndexError):
        superpixels[4]


def test_float_images_give_the_superpixels_of_uint8_images(images):
    """The dtype does not matter, the values do."""
    segmenter = SuperpixelSegmenter(n_segments=40)
    floats = segmenter.fit_transform([image / 255 for image in images])
    for a, b in zip(segmenter.transform(images), floats, strict=True):
        np.testing.assert_array_equal(a.segments, b.segments)


def test_threads_give_the_same_superpixels(images):
    """n_jobs changes the time taken, nothing else."""
    one = SuperpixelSegmenter(n_segments=40).transform(images)
    two = SuperpixelSegmenter(n_segments=40, n_jobs=2).transform(images)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.segments, b.segments)


def squares(image):
    """Blocks of 10 x 10 pixels."""
    assert image.dtype == np.float32
    rows, columns = np.indices(image.shape[:2]) // 10
    return rows * 100 + columns


def test_any_callable_can_make_the_superpixels(images):
    """Its labels are renumbered."""
    (segmented,) = SuperpixelSegmenter(method=squares).transform(images[:1])
    assert segmented.n_segments == 48
    assert np.all(segmented.areas == 100)


@pytest.mark.parametrize(
    "method", [lambda image: np.zeros((3, 3), int), lambda image: image[..., 0]]
)
def test_a_callable_that_returns_no_label_map_is_refused(images, method):
    """The error names the image and what was expected."""
    with pytest.raises(ValueError, match=r"images\[0\].*integer label map"):
        SuperpixelSegmenter(method=method).transform(images)


def test_few_pixels_give_few_superpixels_and_a_warning():
    """Tiny images work; one warning names all of them."""
    images = [np.zeros((height, 4, 3)) for height in (3, 300, 5)]
    with pytest.warns(SuperpixelWarning, match=r"images\[0, 2\].* 12 pixels") as record:
        segmented, *_ = SuperpixelSegmenter().transform(images)
    assert len(record) == 1
    assert 1 <= segmented.n_segments <= 12


@pytest.mark.parametrize("value", [0, -5, 2.5, "500", True])
def test_n_segments_must_be_a_positive_integer(images, value):
    """Even True, which Python takes for 1."""
    with pytest.raises(ValueError, match="'n_segments'.*Got"):
        SuperpixelSegmenter(n_segments=value).fit(images)


@pytest.mark.parametrize("value", [0, -1.0, "15", None])
def test_compactness_must_be_positive(images, value):
    """The error names the parameter."""
    with pytest.raises(ValueError, match="'compactness'"):
        SuperpixelSegmenter(compactness=value).fit(images)


def test_wrong_masks_are_refused_before_any_work(images, masks):
    """The first step of a pipeline sees the masks first."""
    segmenter = SuperpixelSegmenter(method=lambda image: pytest.fail("worked"))
    with pytest.raises(ValueError, match=r"masks\[1\]"):
        segmenter.fit_transform(images, [masks[0], masks[0], *masks[2:]])


def test_other_input_is_refused_with_a_word_on_the_pipeline(images, superpixels):
    """A list of segmented images is fine, a list of images is not."""
    assert len(check_superpixels(list(superpixels))) == 4
    with pytest.raises(TypeError, match="SuperpixelSegmenter before this step"):
        check_superpixels(images)


def test_clone_and_pickle(superpixels):
    """Parameters are copied as they are; results of a fit are left behind."""
    segmenter = SuperpixelSegmenter(n_segments=7, method=squares)
    assert clone(segmenter).get_params() == segmenter.get_params()
    superpixels.fitted.get("textons", lambda: 1)
    copy = pickle.loads(pickle.dumps(superpixels))
    assert len(copy.fitted) == 0
    assert copy.n_rows == superpixels.n_rows


def test_a_pipeline_can_name_its_features(images):
    """The segmenter passes the question on to the features behind it."""
    features = LocalFeatures(descriptors=("location",))
    pipeline = make_pipeline(SuperpixelSegmenter(n_segments=40), features).fit(images)
    names = pipeline.get_feature_names_out()
    np.testing.assert_array_equal(names, features.get_feature_names_out())


def test_a_union_without_any_level_is_an_error_of_the_next_step(images, masks):
    """Dropping every level leaves no feature to classify by."""
    union = FeatureUnion([("local", "drop")])
    model = make_pipeline(SuperpixelSegmenter(40), union, ZoomoutClassifier())
    with pytest.raises(TypeError, match="expected a FeatureTable"):
        model.fit(images, masks)


def test_masks_in_files_are_read_once(images, masks):
    """Later steps get the masks that the segmenter has read; others are read."""
    read = []

    def load(i):
        read.append(i)
        return masks[i]

    files = FileSequence(load, range(4))
    superpixels = SuperpixelSegmenter(n_segments=40).fit_transform(images, files)
    for _ in range(3):
        for mask, known in zip(masks, superpixels.iter_masks(files), strict=True):
            np.testing.assert_array_equal(mask, known)
    assert read == [0, 1, 2, 3]
    list(superpixels.iter_masks(files[:]))
    assert read == 2 * [0, 1, 2, 3]


def test_masks_that_were_replaced_since_are_read_again(images, masks):
    """Only masks that are not in memory are trusted to stay the same."""
    masks = [mask.copy() for mask in masks]
    superpixels = SuperpixelSegmenter(n_segments=20).fit_transform(images, masks)
    masks[0] = 0 * masks[0]
    masks[1][:] = 0
    found = list(superpixels.iter_masks(masks))
    assert all(map(np.array_equal, found, masks))
    masks[2] = masks[2] - 5
    with pytest.raises(ValueError, match=r"masks\[2\]"):
        list(superpixels.iter_masks(masks))
    with pytest.raises(ValueError, match="3 masks for 4 images"):
        list(superpixels.iter_masks(masks[:3]))


def test_the_image_of_every_row(superpixels):
    """Rows of a table belong to images in order."""
    counts = [segmented.n_segments for segmented in superpixels]
    assert superpixels.image_of_row.tolist() == np.repeat(range(4), counts).tolist()
