"""Wrong and unusual images, masks and parameters, through the pipeline."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline

from sklearn_zoomout import (
    Backbone,
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    GlobalFeatures,
    LocalFeatures,
    PixelFusion,
    ProximalFeatures,
    SegmentedImage,
    SuperpixelSegmenter,
    ZoomoutClassifier,
    mark_unlabeled,
)
from sklearn_zoomout.exceptions import (
    AbsentClassWarning,
    EmptyMaskWarning,
    LostClassWarning,
    MaskWarning,
    SuperpixelWarning,
)
from sklearn_zoomout.labels import superpixel_labels


def color_pipeline(n_segments=30, **classifier):
    """Make a pipeline of color alone, which is fast."""
    return Pipeline(
        [
            ("superpixels", SuperpixelSegmenter(n_segments)),
            ("local", LocalFeatures(descriptors=("color",), random_state=0)),
            (
                "classifier",
                ZoomoutClassifier(
                    hidden_units=(8,), max_epochs=2, random_state=0, **classifier
                ),
            ),
        ]
    )


def all_features(images, n_segments):
    """Describe images by all hand-crafted features of the local and proximal level."""
    superpixels = SuperpixelSegmenter(n_segments).fit_transform(images)
    levels = [
        level(n_textons=8, n_words=20, random_state=0)
        for level in (LocalFeatures, ProximalFeatures)
    ]
    tables = [level.fit_transform(superpixels) for level in levels]
    return np.concatenate(tables, axis=1)


def no_work(rgb):
    """Replace the superpixel method where an error must come before it."""
    raise AssertionError("work began before the input was checked")


@pytest.fixture(scope="module")
def fitted(images, masks):
    """A fitted pipeline, which tests must not change."""
    return color_pipeline().fit(images, masks)


def change(items, index, changed):
    """Return the list with one item replaced."""
    return [changed if i == index else item for i, item in enumerate(items)]


def with_value(image, value):
    """Return the image as floats with one value, at row 3, column 5, replaced."""
    image = image / 255
    image[3, 5, 1] = value
    return image


# How an image is spoiled, and what the error must say besides "images[2]".
BAD_IMAGES = {
    "missing file": (lambda x: None, ["None", "cv2.imread"]),
    "pair": (lambda x: (x, x[..., 0]), ["pair", "zip(*pairs)"]),
    "alpha channel": (lambda x: np.dstack([x, x[..., 0]]), ["RGBA", "[..., :3]"]),
    "channels first": (lambda x: np.moveaxis(x, 2, 0), ["(3, 50, 90)", "moveaxis"]),
    "five channels": (lambda x: np.dstack([x, x[..., :2]]), ["(50, 90, 5)", "fit"]),
    "NaN": (lambda x: with_value(x, np.nan), ["row 3, column 5", "nodata"]),
    "infinity": (lambda x: with_value(x, np.inf), ["finite", "row 3, column 5"]),
    "float to 255": (lambda x: x.astype(float), ["0..1", "looks like 0..255"]),
    "negative float": (lambda x: with_value(x, -0.5), ["0..1", "-0.5"]),
    "int8": (lambda x: (x // 2).astype(np.int8), ["int8", "value_range=(0, "]),
    "int16": (lambda x: x.astype(np.int16), ["int16", "value_range=(0, "]),
    "int32": (lambda x: x.astype(np.int32), ["int32", "value_range=(0, "]),
    "int64": (lambda x: x.astype(np.int64), ["int64", "value_range=(0, "]),
    "uint64": (lambda x: x.astype(np.uint64), ["uint64", "value_range=(0, "]),
    "uint16": (lambda x: x.astype(np.uint16), ["uint16", "value_range=(0, "]),
    "bool": (lambda x: x > 100, ["bool", "mask"]),
    "object": (lambda x: x.astype(object), ["object", "astype"]),
    "complex": (lambda x: (x / 255).astype(complex), ["complex128", "abs"]),
    "no rows": (lambda x: x[:0], ["(0, 90, 3)", "no pixels"]),
    "no columns": (lambda x: x[:, :0], ["(50, 0, 3)", "no pixels"]),
}


@pytest.mark.parametrize(("spoil", "says"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_image_is_refused(spoil, says, images, masks, fitted):
    """Errors name the bad image and what to do; in fit they come before any work."""
    bad = change(images, 2, spoil(images[2]))
    model = color_pipeline().set_params(superpixels__method=no_work)
    with pytest.raises(ValueError, match=r"images\[2\]") as in_fit:
        model.fit(bad, masks)
    with pytest.raises(ValueError, match=r"images\[2\]") as in_predict:
        fitted.predict(bad)
    for word in says:
        assert word in str(in_fit.value)
        assert word in str(in_predict.value)


@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        (lambda images: images[0], TypeError, r"\(60, 80, 3\).*list"),
        (lambda images: [], ValueError, "at least one"),
        (lambda images: "photo.jpg", TypeError, "list of arrays, got str"),
        (lambda images: iter(images), TypeError, "list of arrays, got"),
    ],
    ids=["one array", "empty list", "path", "iterator"],
)
def test_images_that_are_no_list_are_refused(spoil, error, says, images, fitted):
    """A list of images is needed, with at least one image."""
    with pytest.raises(error, match=f"images: .*{says}"):
        fitted.predict(spoil(images))


@pytest.mark.filterwarnings("ignore::sklearn_zoomout.exceptions.ScaleWarning")
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 2)])
def test_tiny_image_is_described_and_labeled(shape, images, masks):
    """A row, a column or a single pixel is an image like any other."""
    tiny = np.linspace(0, 1, 3 * shape[0] * shape[1]).reshape(*shape, 3)
    assert np.isfinite(all_features([tiny, images[0]], n_segments=1).to_numpy()).all()
    model = color_pipeline().fit(images, masks)
    model.set_params(superpixels__n_segments=1)
    assert model.predict([tiny])[0].shape == shape


@pytest.mark.filterwarnings("ignore::sklearn_zoomout.exceptions.SuperpixelWarning")
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (2, 2)])
@pytest.mark.parametrize("pooling", ["roi", "crop"])
def test_tiny_image_goes_through_the_convnets(shape, pooling, images):
    """Tiny images are resized, and have finite features."""
    tiny = np.linspace(0, 1, 3 * shape[0] * shape[1]).reshape(*shape, 3)
    superpixels = SuperpixelSegmenter(4).fit_transform([tiny])
    for features in (
        ConvnetRegionFeatures(pooling=pooling, input_size=64, crop_size=64),
        GlobalFeatures(crop_size=64),
        ConvnetSuperpixelFeatures(input_size=64),
    ):
        table = features.fit_transform(superpixels)
        assert np.isfinite(table.to_numpy()).all()


@pytest.mark.filterwarnings("ignore::sklearn_zoomout.exceptions.ScaleWarning")
def test_fewer_pixels_than_superpixels_warns(images, fitted):
    """An image of 20 pixels gets fewer superpixels than asked for, with a warning."""
    small = images[0][:4, :5]
    with pytest.warns(SuperpixelWarning, match=r"images\[1\]: .* 20 pixels"):
        predicted = fitted.predict([images[0], small])
    assert predicted[1].shape == (4, 5)


def test_constant_image_has_no_entropy(images):
    """The features of constant images are finite, and each entropy is 0."""
    grays = [np.full((40, 50, 3), gray, np.uint8) for gray in (0, 77, 90, 200, 255)]
    table = all_features([*grays, images[0]], n_segments=30)
    entropies = ["entropy" in column for column in table.columns]
    assert sum(entropies) == 2 * (3 + 1 + 6)
    assert np.isfinite(table.to_numpy()).all()
    assert (table[:-1].to_numpy()[:, entropies] == 0).all()
    assert (table[-1:].to_numpy()[:, entropies] > 0).any()


def test_noise_gets_as_many_superpixels_as_a_photograph():
    """Superpixels do not merge where no two neighboring pixels are alike."""
    rng = np.random.default_rng(0)
    noise = np.clip(rng.normal(0.5, 0.4, (120, 160, 3)), 0, 1)
    superpixels = SuperpixelSegmenter(100).fit_transform([noise])
    assert 70 < superpixels[0].n_segments < 130


LAYOUTS = {
    "read-only": lambda x: np.frombuffer(x.tobytes()).reshape(x.shape),
    "Fortran-ordered": np.asfortranarray,
    "big-endian": lambda x: x.astype(">f8"),
    "non-contiguous": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "reversed": lambda x: x[::-1].copy()[::-1],
    "nested lists": lambda x: x.tolist(),
    "list of float32": lambda x: x.astype(np.float32),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layout_in_memory_does_not_matter(layout, images, fitted):
    """An image in any layout gets the same labels, and is not changed."""
    image = images[0].astype(np.float32).astype(float) / 256
    same = layout(image)
    before = np.array(same)
    np.testing.assert_array_equal(fitted.predict([same])[0], fitted.predict([image])[0])
    np.testing.assert_array_equal(np.array(same), before)


def test_images_of_different_sizes(images, fitted):
    """Each label map has the size of its image."""
    assert len({image.shape for image in images}) > 1
    shapes = [labels.shape for labels in fitted.predict(images)]
    assert shapes == [image.shape[:2] for image in images]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uint8_and_float_give_the_same_features(dtype, images):
    """An image in 0..255 and the same in 0..1 are described by equal numbers."""
    floats = [(image / 255).astype(dtype) for image in images]
    one, other = (all_features(x, 30).to_numpy() for x in (images, floats))
    np.testing.assert_array_equal(one, other)


# How the second mask is spoiled, and what the error must say besides "masks[1]".
BAD_MASKS = {
    "another shape": (lambda y: y[:-1], ["(64, 72)", "(63, 72)"]),
    "transposed": (lambda y: y.T, ["(64, 72)", "(72, 64)"]),
    "colors": (lambda y: np.dstack([y, y, y]), ["palette PNG", "(64, 72, 3)"]),
    "fractions": (lambda y: y + 0.5, ["integer", "0.5", "row 0, column 0"]),
    "NaN": (lambda y: np.where(y == y[0, 0], np.nan, y), ["integer", "nan", "row 0"]),
    "names": (lambda y: y.astype(str), ["integer", "dtype <U"]),
    "negative label": (lambda y: np.where(y == 1, -2, y), ["-2", "-1"]),
}


@pytest.mark.parametrize(("spoil", "says"), BAD_MASKS.values(), ids=BAD_MASKS)
def test_bad_mask_is_refused(spoil, says, images, masks):
    """fit names the bad mask and what to do, before any work."""
    model = color_pipeline().set_params(superpixels__method=no_work)
    with pytest.raises(ValueError, match=r"masks\[1\]") as in_fit:
        model.fit(images, change(masks, 1, spoil(masks[1])))
    for word in says:
        assert word in str(in_fit.value)


def test_number_of_masks_must_be_that_of_images(images, masks):
    """fit names both numbers when they differ."""
    model = color_pipeline().set_params(superpixels__method=no_work)
    with pytest.raises(ValueError, match="3 masks for 4 images"):
        model.fit(images, masks[:3])


def test_two_marks_of_unlabeled_pixels_are_refused(images, masks):
    """A mask in which 255 is to become -1 cannot have -1 too."""
    spoiled = change(masks, 1, np.where(masks[1] == 1, -1, masks[1]))
    with pytest.raises(ValueError, match=r"masks\[1\].*-1 too"):
        color_pipeline().fit(images, mark_unlabeled(spoiled, 255))


def test_label_unseen_in_fit_is_refused_when_scoring(images, masks, fitted):
    """A score over classes that the model does not know would be meaningless."""
    unseen = change(masks, 3, np.where(masks[3] == 1, 7, masks[3]))
    with pytest.raises(ValueError, match=r"masks\[3\].*\[7\].*fit"):
        fitted.score(images, unseen)


def test_declared_class_that_is_absent_warns(images, masks):
    """Its weight is 0, and the other classes are learned."""
    model = color_pipeline(classes=[0, 1, 2, 7]).set_params(
        classifier__max_epochs=30, classifier__learning_rate=1e-2
    )
    with pytest.warns(AbsentClassWarning, match="7"):
        model.fit(images, masks)
    classifier = model[-1]
    np.testing.assert_array_equal(classifier.classes_, [0, 1, 2, 7])
    assert classifier.class_frequency_[3] == 0
    assert np.isfinite(model.predict_proba(images)[0]).all()
    assert set(np.unique(model.predict(images)[0])) <= {0, 1, 2}


def test_one_class_only_is_refused(images, masks):
    """One class teaches nothing."""
    with pytest.raises(ValueError, match="(?i)one class|two classes"):
        color_pipeline().fit(images, [np.zeros_like(mask) for mask in masks])


def with_lines(masks):
    """Return the masks with lines of class 3, which are thinner than superpixels."""
    lines = [mask.copy() for mask in masks]
    for mask in lines:
        mask[::20, 5:-5] = 3
    return lines


def test_a_class_that_wins_no_superpixel_warns(images, masks):
    """It is not learned, and the warning names it."""
    with pytest.warns(AbsentClassWarning, match=r"classes \[3\].*in no superpixel"):
        color_pipeline().fit(images, with_lines(masks))


def test_the_error_for_one_class_names_those_that_win_no_superpixel(images, masks):
    """They are in the masks, but no superpixel is left to learn them."""
    lines = with_lines([np.zeros_like(mask) for mask in masks])
    with pytest.raises(ValueError, match=r"only class 0; classes \[3\].*n_segments"):
        color_pipeline().fit(images, lines)


def test_a_class_that_loses_most_pixels_warns_unless_pixels_are_learned(
    images, masks, monkeypatch
):
    """A pipeline of superpixels alone says so; one with pixels learns thin classes."""
    lines = with_lines(masks)
    for mask in lines:
        mask[:20, :16] = 3
        mask[::10, 5:-5] = 3
    with pytest.warns(LostClassWarning, match=r"class 3 keeps \d+% of its pixels"):
        color_pipeline().fit(images, lines)
    monkeypatch.setattr(PixelFusion, "_learn", lambda *fitted: {})  # takes seconds
    fused = color_pipeline()
    fused.set_params(classifier=PixelFusion(fused[-1]))
    with warnings.catch_warnings():
        warnings.simplefilter("error", MaskWarning)
        fused.fit(images, lines)
    with pytest.warns(LostClassWarning, match=r"class 3 keeps \d+% of its pixels"):
        fused.set_params(classifier__weight=0).fit(images, lines)


def test_an_image_without_a_labeled_pixel_is_skipped(images, masks):
    """It changes nothing of what is learned; a warning names it."""
    unlabeled = np.full_like(masks[1], -1)
    with pytest.warns(EmptyMaskWarning, match=r"masks\[1\]"):
        skipped = color_pipeline().fit(images, change(masks, 1, unlabeled))
    keep = [0, 2, 3]
    without = color_pipeline().fit([images[i] for i in keep], [masks[i] for i in keep])
    np.testing.assert_allclose(
        skipped.predict_proba(images)[0],
        without.predict_proba(images)[0],
        rtol=1e-4,
        atol=1e-6,
    )


def test_masks_without_a_labeled_pixel_are_refused(images, masks):
    """There is nothing to learn from."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyMaskWarning)
        with pytest.raises(ValueError, match="(?i)masks.*label"):
            color_pipeline().fit(images, [np.full_like(mask, -1) for mask in masks])


def test_tie_goes_to_the_smaller_class():
    """Two pixels each of 5 and 3 make a superpixel of 3."""
    segmented = SegmentedImage(
        np.zeros((2, 4, 3)), np.repeat([[0, 0, 1, 1]], 2, axis=0)
    )
    labels = superpixel_labels(segmented, [[5, 3, 9, 8], [3, 5, 9, -1]])
    np.testing.assert_array_equal(labels, [3, 9])


BAD_PARAMETERS = [
    ("superpixels__n_segments", 0),
    ("superpixels__n_segments", -5),
    ("superpixels__n_segments", 2.5),
    ("superpixels__n_segments", "500"),
    ("superpixels__n_segments", True),
    ("superpixels__compactness", 0),
    ("superpixels__compactness", -1.0),
    ("local__descriptors", ("colour",)),
    ("classifier__hidden_units", (0,)),
    ("classifier__max_epochs", 0),
    ("classifier__dropout", 1.5),
    ("classifier__learning_rate", -1.0),
]


@pytest.mark.parametrize(("name", "value"), BAD_PARAMETERS)
def test_bad_parameter_is_refused(name, value, images, masks):
    """fit names the parameter and its value."""
    model = color_pipeline().set_params(**{name: value})
    with pytest.raises(ValueError) as error:
        model.fit(images, masks)
    assert name.partition("__")[2] in str(error.value)
    wrong = value[0] if isinstance(value, tuple) else value
    assert repr(wrong).strip("'") in str(error.value)


@pytest.mark.parametrize("features", [ConvnetRegionFeatures, GlobalFeatures])
def test_unknown_backbone_is_refused(features, superpixels):
    """The error names the backbone and suggests others."""
    with pytest.raises(ValueError, match="squeezenet9.*squeezenet1_0"):
        features("squeezenet9").fit(superpixels)


@pytest.mark.parametrize("step", ["features", "classifier"])
def test_missing_gpu_is_refused(step, images, masks, superpixels):
    """The CPU does not take the place of a GPU silently."""
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises((ValueError, RuntimeError), match="(?i)cuda.*cpu"):
        if step == "features":
            GlobalFeatures(Backbone(device="cuda")).fit(superpixels)
        else:
            color_pipeline(device="cuda").fit(images, masks)


def test_predict_before_fit_is_refused(images):
    """A pipeline that is not fitted raises NotFittedError."""
    with pytest.raises(NotFittedError):
        color_pipeline().predict(images)


def test_transform_before_fit_is_refused(superpixels):
    """A transformer that is not fitted raises NotFittedError."""
    with pytest.raises(NotFittedError, match="LocalFeatures"):
        LocalFeatures().transform(superpixels)


def test_other_columns_than_in_fit_are_refused(superpixels, masks):
    """The classifier names the columns that are missing or new."""
    color = LocalFeatures(descriptors=("color",)).fit_transform(superpixels)
    location = LocalFeatures(descriptors=("location",)).fit_transform(superpixels)
    both = np.concatenate([color, location], axis=1)
    classifier = ZoomoutClassifier(hidden_units=(8,), max_epochs=1, random_state=0)
    classifier.fit(color, masks)
    with pytest.raises(ValueError, match="4 new: .*row_from_center"):
        classifier.predict(both)
    both_classifier = clone(classifier).fit(both, masks)
    with pytest.raises(ValueError, match="4 missing: .*row_from_center"):
        both_classifier.predict(color)


@pytest.mark.parametrize("step", ["features", "classifier"])
def test_input_of_another_step_is_refused(step, images, masks):
    """The error for images names the step that is missing."""
    with pytest.raises(TypeError, match="SuperpixelSegmenter"):
        if step == "features":
            LocalFeatures().fit(images)
        else:
            ZoomoutClassifier().fit(images, masks)
