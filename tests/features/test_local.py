"""The local level: hand-crafted features of superpixels."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_zoomout import LocalFeatures, ProximalFeatures, SuperpixelSegmenter
from sklearn_zoomout.features import _dictionaries, _local

SMALL = {"n_textons": 8, "n_words": 16, "random_state": 0}
SIZES = {"color": 243, "texture": 65, "sift": 1506, "location": 4}


def describe(images, features=None, n_segments=40):
    """Fit the features on images, and return the rows of these images."""
    superpixels = SuperpixelSegmenter(n_segments).fit_transform(images)
    return (features or LocalFeatures(**SMALL)).fit_transform(superpixels).to_numpy()


def test_there_are_1818_columns(superpixels):
    """The defaults make the paper's 1,818 columns, whose names differ."""
    features = LocalFeatures(random_state=0).fit(superpixels[:1])
    names = features.get_feature_names_out()
    table = features.transform(superpixels[:2])
    assert table.n_columns == len(set(names)) == 1818
    for name in [
        "L_hist32_00",
        "b_quantile8_07",
        "texton_07",
        "sift_L_word_123",
        "sift_L_8px_entropy",
        "row_from_center",
    ]:
        assert name in names


@pytest.mark.parametrize("kind", SIZES)
def test_descriptors_can_be_chosen(superpixels, kind):
    """A descriptor has the same columns alone and beside others."""
    superpixels = superpixels[:1]  # fewer samples to cluster
    dictionary = {"n_textons": 64, "n_words": 500, "random_state": 0}
    alone = LocalFeatures(descriptors=[kind], **dictionary).fit_transform(superpixels)
    assert alone.n_columns == SIZES[kind]
    both = LocalFeatures(descriptors=("location", kind), **dictionary)
    if kind == "location":
        both.descriptors = ("color", kind)
    table = both.fit_transform(superpixels)
    columns = [table.columns.index(name) for name in alone.columns]
    np.testing.assert_array_equal(table.to_numpy()[:, columns], alone.to_numpy())


def test_only_chosen_descriptors_fit_dictionaries(superpixels):
    """Without texture and SIFT there is nothing to learn."""
    features = LocalFeatures(descriptors=("color", "location")).fit(superpixels)
    assert not hasattr(features, "textons_")
    assert not hasattr(features, "words_")
    assert len(superpixels.fitted) == 0


def test_histograms_sum_to_one_and_nothing_is_nan(superpixels):
    """Every superpixel has complete histograms, also of words."""
    table = LocalFeatures(**SMALL).fit_transform(superpixels)
    values = dict(zip(table.columns, table.to_numpy().T, strict=True))
    for prefix in ["a_hist32_", "a_quantile8_", "texton_", "sift_b_word_"]:
        members = [
            column
            for name, column in values.items()
            if name.startswith(f"local__{prefix}") and not name.endswith("entropy")
        ]
        np.testing.assert_allclose(sum(members), 1, rtol=1e-5)
    assert np.isfinite(table.to_numpy()).all()


def test_uint8_and_float_images_have_equal_features(images):
    """An image x and the image x / 255 are the same image."""
    floats = [image / 255 for image in images]
    np.testing.assert_array_equal(describe(images), describe(floats))


def test_images_are_left_unchanged(images):
    """Describing an image does not write to it."""
    copies = [image.copy() for image in images]
    for image in copies:
        image.setflags(write=False)
    describe(copies)
    for image, copy in zip(images, copies, strict=True):
        np.testing.assert_array_equal(image, copy)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_constant_image_has_entropy_zero(dtype):
    """All entropies of a constant image are 0, and its histograms are full."""
    image = np.full((40, 50, 3), 0.3 if dtype == np.float64 else 77, dtype=dtype)
    features = LocalFeatures(random_state=0)
    rows = describe([image], features, n_segments=10)
    entropies = [name.endswith("entropy") for name in features.get_feature_names_out()]
    assert sum(entropies) == 10
    assert not rows[:, entropies].any()
    np.testing.assert_allclose(rows[:, :32].sum(axis=1), 1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 37), (37, 1), (3, 5)])
def test_smallest_images_are_described(shape, images):
    """Images of a pixel or of a line have finite features, in fit and later."""
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    tiny = SuperpixelSegmenter(n_segments=1).fit_transform([image])
    assert np.isfinite(LocalFeatures().fit_transform(tiny).to_numpy()).all()
    large = SuperpixelSegmenter(n_segments=40).fit_transform(images)
    rows = LocalFeatures(**SMALL).fit(large).transform(tiny).to_numpy()
    assert np.isfinite(rows).all()


def test_result_does_not_depend_on_the_number_of_threads(images):
    """Working on two images at once changes nothing."""
    parallel = describe(images, LocalFeatures(n_jobs=2, **SMALL))
    np.testing.assert_array_equal(describe(images), parallel)


def test_seed_repeats_the_dictionaries(images):
    """Equal seeds make equal features, other seeds make others."""
    other = LocalFeatures(n_textons=8, n_words=16, random_state=1)
    np.testing.assert_array_equal(describe(images), describe(images))
    assert not np.array_equal(describe(images), describe(images, other))


def test_dictionary_samples_no_more_images_than_asked_for(superpixels, monkeypatch):
    """Only dictionary_images of the training images are sampled."""
    seen = []
    original = _dictionaries._draw_from_image
    monkeypatch.setattr(
        _dictionaries,
        "_draw_from_image",
        lambda segmented, *rest: seen.append(segmented) or original(segmented, *rest),
    )
    LocalFeatures(descriptors=("texture",), dictionary_images=3).fit(superpixels)
    assert len(set(map(id, seen))) == len(seen) == 3


@pytest.mark.parametrize("random_state", [0, None])
def test_levels_share_dictionaries_and_work_per_pixel(
    superpixels, monkeypatch, random_state
):
    """The proximal level reuses dictionaries, colors and SIFT of the local level."""
    calls = {"fit": 0, "lab": 0, "sift": 0}

    def count(name, module, attribute):
        original = getattr(module, attribute)

        def counted(*args, **kwargs):
            calls[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(module, attribute, counted)

    count("fit", _dictionaries, "_draw_samples")
    count("lab", LocalFeatures, "_colors")
    count("sift", _local, "image_sift")
    params = SMALL | {"random_state": random_state}
    levels = [LocalFeatures(**params), ProximalFeatures(**params)]
    for level in levels:
        level.fit_transform(superpixels)
    assert levels[0].words_ is levels[1].words_
    assert levels[0].textons_ is levels[1].textons_
    assert calls == {"fit": 2, "lab": len(superpixels), "sift": len(superpixels)}


def test_codes_of_another_dictionary_are_not_used(superpixels):
    """Each transformer counts the words of its own dictionary."""
    first = LocalFeatures(**SMALL)
    second = LocalFeatures(n_textons=8, n_words=16, random_state=1).fit(superpixels)
    expected = second.transform(superpixels).to_numpy()
    first.fit_transform(superpixels)
    again = second.transform(superpixels).to_numpy()
    np.testing.assert_array_equal(again, expected)


def test_training_images_alone_decide_the_dictionary(superpixels):
    """A part of the images, as in a fold, makes another dictionary."""
    whole = LocalFeatures(**SMALL).fit(superpixels)
    part = LocalFeatures(**SMALL).fit(superpixels[:2])
    assert not np.array_equal(whole.words_, part.words_)


def test_clone_and_pickle(superpixels):
    """A clone is not fitted; an unpickled transformer computes the same features."""
    features = LocalFeatures(**SMALL)
    expected = features.fit_transform(superpixels).to_numpy()
    copy = clone(features)
    assert copy.get_params() == features.get_params()
    with pytest.raises(NotFittedError):
        copy.transform(superpixels)
    restored = pickle.loads(pickle.dumps(features))
    fresh = pickle.loads(pickle.dumps(superpixels))
    np.testing.assert_array_equal(restored.transform(fresh).to_numpy(), expected)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"descriptors": ("color", "colour")}, r"descriptors: .*'location'.*'colour'"),
        ({"descriptors": ()}, "descriptors: expected one or more"),
        ({"descriptors": ("color", "color")}, "each once"),
        ({"descriptors": "color"}, "'descriptors' parameter"),
        ({"n_textons": 0}, "'n_textons' parameter"),
        ({"n_words": 2.5}, "'n_words' parameter"),
        ({"n_words": True}, "'n_words' parameter"),
        ({"dictionary_images": -1}, "'dictionary_images' parameter"),
        ({"random_state": "seed"}, "'random_state' parameter"),
    ],
)
def test_wrong_parameters_are_refused(superpixels, params, message):
    """Errors name the parameter, what it may be and what it was."""
    with pytest.raises(ValueError, match=message):
        LocalFeatures(**params).fit(superpixels)


def test_images_instead_of_superpixels_are_refused(images):
    """The error names the step that is missing."""
    with pytest.raises(TypeError, match="SuperpixelSegmenter"):
        LocalFeatures().fit(images)
