"""What can be refused at once is refused before the first superpixel is computed."""

import numpy as np
import pytest
from sklearn.linear_model import Perceptron
from sklearn.pipeline import FeatureUnion, Pipeline

pytest.importorskip("torch")

from skorch.callbacks import EarlyStopping, EpochScoring, LRScheduler  # noqa: E402

from sklearn_zoomout import (  # noqa: E402
    Backbone,
    ConvnetRegionFeatures,
    GraphSmoothing,
    IslandRemoval,
    LocalConvnetFeatures,
    LocalFeatures,
    PixelFusion,
    SuperpixelSegmenter,
    ZoomoutClassifier,
    ZoomoutUnion,
    zoomout_pipeline,
)
from sklearn_zoomout.tiles import ZoomoutPipeline  # noqa: E402

CLASSIFIER = ZoomoutClassifier((), max_epochs=1)


class Counter:
    """A method of superpixels that counts its calls."""

    def __init__(self):
        self.n_calls = 0

    def __call__(self, image):
        self.n_calls += 1
        rows, columns = np.indices(image.shape[:2]) // 16
        return rows * (columns.max() + 1) + columns


class Recorder:
    """Masks that are read one by one, and count how often."""

    def __init__(self, masks):
        self.masks, self.reads = masks, []

    def __len__(self):
        return len(self.masks)

    def __getitem__(self, i):
        self.reads.append(i)
        return self.masks[i]


@pytest.fixture
def method():
    return Counter()


@pytest.fixture
def make(method):
    """Make a pipeline of a level and a last step."""

    def make(last=CLASSIFIER, level=None, kind=ZoomoutPipeline, union=ZoomoutUnion):
        level = LocalFeatures(("color",)) if level is None else level
        steps = [
            ("superpixels", SuperpixelSegmenter(method=method)),
            ("zoomout", union([("level", level)])),
            ("classifier", last),
        ]
        return kind(steps)

    return make


def wrong_parameters():
    """Pairs of what is wrong in a pipeline, and what the error says."""
    return {
        "hidden_units": ({"last": ZoomoutClassifier((0,))}, "hidden_units: expected"),
        "dropout": ({"last": ZoomoutClassifier(dropout=2)}, "'dropout' parameter"),
        "classes": ({"last": ZoomoutClassifier(classes=[3])}, "classes: expected two"),
        "device": ({"last": ZoomoutClassifier(device="cuda:77")}, "device='cuda:77'"),
        "estimator": (
            {"last": ZoomoutClassifier(estimator=Perceptron().fit)},
            "'estimator' parameter",
        ),
        "callback": ({"last": ZoomoutClassifier(callbacks=[3])}, r"callbacks\[0\]"),
        "callback_without_loss": (
            {"last": ZoomoutClassifier(callbacks=[EarlyStopping()])},
            "set validation_fraction",
        ),
        "callback_of_rates": (
            {"last": ZoomoutClassifier(callbacks=[LRScheduler()])},
            "pass schedule='constant'",
        ),
        "callback_of_rows": (
            {"last": ZoomoutClassifier(callbacks=[EpochScoring("accuracy")])},
            r"callbacks\[0\]: EpochScoring predicts single rows",
        ),
        "within_pixels": (
            {"last": PixelFusion(ZoomoutClassifier((0,)))},
            "hidden_units: expected",
        ),
        "pixels_cv": ({"last": PixelFusion(CLASSIFIER, cv=1)}, "'cv' parameter"),
        "pixels_sigmas": (
            {"last": PixelFusion(CLASSIFIER, sigmas=(0,))},
            "sigmas: expected",
        ),
        "smoothing_estimator": (
            {"last": GraphSmoothing(Perceptron())},
            "predict_superpixel_proba",
        ),
        "smoothing_pixels": (
            {"last": GraphSmoothing(PixelFusion(CLASSIFIER))},
            "put it outside",
        ),
        "smoothing_cv": (
            {"last": GraphSmoothing(CLASSIFIER, cv=iter([]))},
            "cv: expected folds",
        ),
        "islands": (
            {"last": IslandRemoval(GraphSmoothing(CLASSIFIER, strengths=[-1]))},
            "strengths: expected",
        ),
        "descriptors": ({"level": LocalFeatures(("taste",))}, "descriptors: expected"),
        "level": ({"level": LocalFeatures(n_words=0)}, "'n_words' parameter"),
        "backbone": (
            {"level": ConvnetRegionFeatures("resnet19")},
            "resnet19",
        ),
        "backbone_device": (
            {"level": ConvnetRegionFeatures(Backbone(device="cuda:77"))},
            "device='cuda:77'",
        ),
        "layers": (
            {"level": ConvnetRegionFeatures(layers=("blocks.99",))},
            "has no module 'blocks.99'",
        ),
        "local_device": (
            {"level": LocalConvnetFeatures(device="cuda:77")},
            "device='cuda:77'",
        ),
        "dropped": ({"level": "drop"}, "transformer_list: expected at least one level"),
    }


@pytest.mark.parametrize("case", wrong_parameters())
def test_wrong_parameters_are_refused_at_once(make, method, images, masks, case):
    """Those of every step, however deep it lies, before an image is read."""
    options, message = wrong_parameters()[case]
    with pytest.raises((ValueError, TypeError), match=message):
        make(**options).fit(images, masks)
    assert method.n_calls == 0


def test_levels_of_a_feature_union_are_asked_too(make, method, images, masks):
    """An unmodified union has no check of its own."""
    model = make(level=LocalFeatures(("taste",)), union=FeatureUnion)
    with pytest.raises(ValueError, match="descriptors: expected"):
        model.fit(images, masks)
    assert method.n_calls == 0


ONE_CLASS = "at least two classes to train on, got only class 7; if it marks unlabeled"


def relabel(masks, *labels):
    """Masks of other labels."""
    return [np.array(labels)[mask] for mask in masks]


def wrong_masks():
    """What the last step or a level is, new labels of 0, 1 and 2, and the error."""
    foreground = LocalConvnetFeatures(5)
    return {
        "void": (
            {},
            (-1, -1, -1),
            "expected labels of 0 or more, got none in 4",
        ),
        "one_class": ({}, (7, 7, 7), ONE_CLASS),
        "one_class_and_void": ({}, (7, -1, 7), ONE_CLASS),
        "one_declared_class": (
            {"last": ZoomoutClassifier(classes=[0, 1])},
            (1, 1, 1),
            r"got only class 1; classes \[0\] have no superpixel",
        ),
        "foreign": (
            {"last": ZoomoutClassifier(classes=[0, 1])},
            (0, 1, 9),
            r"masks\[0\]: expected labels among the classes \[0, 1\], got \[9\]",
        ),
        "foreign_in_a_level": (
            {"level": LocalConvnetFeatures(classes=[0, 1])},
            (0, 1, 9),
            r"masks\[0\]: expected labels among the classes \[0, 1\], got \[9\]",
        ),
        "class_weight": (
            {"last": ZoomoutClassifier(class_weight={9: 1.0})},
            (0, 1, 2),
            r"class_weight: expected weights of the classes \[0, 1, 2\], got \[9\]",
        ),
        "within_pixels": ({"last": PixelFusion(CLASSIFIER)}, (7, 7, 7), ONE_CLASS),
        "within_smoothing": (
            {"last": GraphSmoothing(CLASSIFIER)},
            (7, 7, 7),
            ONE_CLASS,
        ),
        "foreground": ({"level": foreground}, (0, 1, 2), "got no background among"),
        "background": ({"level": foreground}, (5, 5, -1), "got no foreground among"),
    }


@pytest.mark.parametrize("case", wrong_masks())
def test_wrong_labels_are_refused_at_once(make, method, images, masks, case):
    """The labels are known when the masks have been read."""
    options, labels, message = wrong_masks()[case]
    with pytest.raises(ValueError, match=message):
        make(**options).fit(images, relabel(masks, *labels))
    assert method.n_calls == 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, TypeError, r"masks: expected a label map for every image, got none"),
        ({"last": PixelFusion(CLASSIFIER)}, TypeError, "masks: expected a label map"),
        ({"last": GraphSmoothing(CLASSIFIER)}, TypeError, "masks: expected a label"),
        (
            {"level": LocalConvnetFeatures()},
            ValueError,
            "LocalConvnetFeatures learns from label maps, got none",
        ),
        (
            {"level": ConvnetRegionFeatures(Backbone(fine_tune=True))},
            ValueError,
            "fine_tune learns from label maps, got none",
        ),
    ],
)
def test_forgotten_masks_are_noticed_at_once(
    make, method, images, options, error, message
):
    """``fit(images)`` says what is missing."""
    with pytest.raises(error, match=message):
        make(**options).fit(images)
    assert method.n_calls == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"last": GraphSmoothing(CLASSIFIER)}, "GraphSmoothing: expected at least two"),
        ({"level": LocalConvnetFeatures()}, "cv=3: expected at least two images"),
        (
            {"last": ZoomoutClassifier(validation_fraction=0.5)},
            "leaves no image to train on",
        ),
    ],
)
def test_too_few_labeled_images_are_refused_at_once(
    make, method, images, masks, options, message
):
    """Images without a label do not count."""
    labeled = [masks[0], *(np.full_like(mask, -1) for mask in masks[1:])]
    with pytest.raises(ValueError, match=message):
        make(**options).fit(images, labeled)
    assert method.n_calls == 0


def test_wrong_folds_are_refused_at_once(make, method, images, masks):
    """A list of folds must hold out every image once."""
    smoothing = GraphSmoothing(CLASSIFIER, cv=[([0, 1], [2]), ([2, 3], [0])])
    with pytest.raises(ValueError, match="hold out each of the 4 images once"):
        make(smoothing).fit(images, masks)
    assert method.n_calls == 0


def test_labels_where_there_are_no_data_do_not_count(make, method, images, masks):
    """A class that only such pixels have is none."""
    filled = [image.copy() for image in images]
    for image, mask in zip(filled, masks, strict=True):
        image[mask != 1] = 0
    model = make().set_params(superpixels__nodata=0)
    with pytest.raises(ValueError, match="got only class 1"):
        model.fit(filled, masks)
    assert method.n_calls == 0


def test_a_pipeline_of_sklearn_refuses_masks_without_a_label(
    make, method, images, masks
):
    """Its first step reads the masks, but does not see the other steps."""
    with pytest.raises(ValueError, match="got none in 4 masks"):
        make(kind=Pipeline).fit(images, relabel(masks, -1, -1, -1))
    assert method.n_calls == 0


def test_masks_are_still_read_once(make, images, masks):
    """The early checks look at the masks that the segmenter has read."""
    lazy = Recorder(masks)
    make().fit(images, lazy)
    # The end of a sequence is found by a read beyond it.
    assert sorted(i for i in lazy.reads if i < len(masks)) == [0, 1, 2, 3]


def test_a_network_of_a_callable_is_built_once(make, images, masks):
    """It may be large, and it may be another one each time."""
    import torch

    built = []

    def network():
        built.append(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, stride=2)))
        return built[-1]

    level = ConvnetRegionFeatures(network, layers=("0",), input_size=64)
    make(level=level).fit(images, masks)
    assert len(built) == 1


def test_the_pipeline_of_one_call_refuses_at_once(method, images, masks):
    """Parameters that were set later are checked too."""
    model = zoomout_pipeline().set_params(
        superpixels__method=method, classifier__estimator__hidden_units=(0,)
    )
    with pytest.raises(ValueError, match="hidden_units: expected"):
        model.fit(images, masks)
    assert method.n_calls == 0


def test_a_refused_fit_can_be_mended(make, method, images, masks):
    """Nothing of the refused fit stays in the steps."""
    model = make(ZoomoutClassifier((0,), max_epochs=1))
    with pytest.raises(ValueError, match="hidden_units"):
        model.fit(images, masks)
    model.set_params(classifier__hidden_units=(2,)).fit(images, masks)
    assert len(model.predict(images)) == len(images)
    assert "_on_labels" not in vars(model[0])
