"""Every estimator of the library passes every check, and scikit-learn's too."""

import inspect

import pytest
import sklearn.utils.estimator_checks as sklearn_checks
from sklearn.base import BaseEstimator
from sklearn.linear_model import RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import FeatureUnion, Pipeline

import sklearn_zoomout
from sklearn_zoomout import (
    Backbone,
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    FineTuning,
    GlobalFeatures,
    GraphSmoothing,
    IslandRemoval,
    LocalConvnetFeatures,
    LocalFeatures,
    PixelFusion,
    ProximalFeatures,
    SuperpixelSegmenter,
    Training,
    ZoomoutClassifier,
    ZoomoutUnion,
    zoomout_pipeline,
)
from sklearn_zoomout.checks import image_checks_generator, kind_of_estimator

SMALL = {"input_size": 32}
DICTIONARY = {"n_textons": 4, "n_words": 8, "random_state": 0}
CLASSIFIER = ZoomoutClassifier(estimator=GaussianNB(var_smoothing=1e-2))
LEVELS = [("color", LocalFeatures(("color",))), ("place", ProximalFeatures(("color",)))]
ESTIMATORS = {
    "Segmenter": ("segmenter", SuperpixelSegmenter(n_segments=40)),
    "LearningSegmenter": (
        "segmenter",
        SuperpixelSegmenter(segment_area=40, value_range="learn"),
    ),
    "Local": ("level", LocalFeatures(("color", "location"))),
    "DictionaryLocal": ("level", LocalFeatures(**DICTIONARY)),
    "Proximal": ("level", ProximalFeatures(("color",))),
    "DictionaryProximal": ("level", ProximalFeatures(**DICTIONARY)),
    # With folds, fit_transform differs from fit().transform() by design.
    "LocalConvnet": (
        "level",
        LocalConvnetFeatures(cv=None, training=Training(1, 4), random_state=0),
    ),
    "Region": ("level", ConvnetRegionFeatures(**SMALL)),
    "Superpixel": ("level", ConvnetSuperpixelFeatures(**SMALL)),
    "Global": ("level", GlobalFeatures(crop_size=32)),
    "FineTunedRegion": (
        "level",
        ConvnetRegionFeatures(
            Backbone(fine_tune=FineTuning(1, input_size=32)), **SMALL
        ),
    ),
    "Union": ("level", FeatureUnion(LEVELS)),
    "ZoomoutUnion": ("level", ZoomoutUnion(LEVELS)),
    "ZoomoutClassifier": (
        "classifier",
        ZoomoutClassifier(hidden_units=(4,), max_epochs=1, random_state=0),
    ),
    "LinearClassifier": ("classifier", ZoomoutClassifier(())),
    "ClassifierOfSklearn": ("classifier", CLASSIFIER),
    "ClassifierWithoutProbabilities": (
        "classifier",
        ZoomoutClassifier(estimator=RidgeClassifier()),
    ),
    "Smoothing": ("classifier", GraphSmoothing(CLASSIFIER, cv=2)),
    "Islands": ("classifier", IslandRemoval(CLASSIFIER, cv=2)),
    "PixelFusion": (
        "classifier",
        PixelFusion(CLASSIFIER, sigmas=(1,), n_pixels=100, compress=False, cv=2),
    ),
    "Pipeline": (
        "pipeline",
        Pipeline(
            [
                ("superpixels", SuperpixelSegmenter(n_segments=40)),
                ("local", LocalFeatures(("color",))),
                ("classifier", CLASSIFIER),
            ]
        ),
    ),
    "Features": (
        "extractor",
        Pipeline(
            [
                ("superpixels", SuperpixelSegmenter(n_segments=40)),
                ("local", LocalFeatures(("color",))),
            ]
        ),
    ),
    "Labeler": (
        "labeler",
        Pipeline([("local", LocalFeatures(("color",))), ("classifier", CLASSIFIER)]),
    ),
    "Preset": (
        "pipeline",
        zoomout_pipeline(
            levels=["maps"], n_segments=40, hidden_units=(4,), max_epochs=1, **SMALL
        ),
    ),
}
# Checks that fail by design.
EXPECTED = {
    "Islands": {"check_no_warnings": "four images have too few islands to learn from"},
}
# The checks of scikit-learn that need no table of numbers. It skips the others for
# estimators whose input is a list of images.
SKLEARN_CHECKS = [
    sklearn_checks.check_do_not_raise_errors_in_init_or_set_params,
    sklearn_checks.check_estimator_cloneable,
    sklearn_checks.check_estimator_repr,
    sklearn_checks.check_estimator_tags_renamed,
    sklearn_checks.check_get_params_invariance,
    sklearn_checks.check_mixin_order,
    sklearn_checks.check_no_attributes_set_in_init,
    sklearn_checks.check_param_validation,
    sklearn_checks.check_parameters_default_constructible,
    sklearn_checks.check_set_params,
    sklearn_checks.check_valid_tag_types,
]


# Pipelines and unions have required parameters, so that scikit-learn cannot make them.
ALONE = {
    name: estimator
    for name, (_, estimator) in ESTIMATORS.items()
    if not isinstance(estimator, (FeatureUnion, Pipeline))
}


def list_tests(name, kind, estimator):
    """A test for each check of an estimator."""
    expected = EXPECTED.get(name, {})
    for one, check in image_checks_generator(estimator, kind=kind):
        reason = expected.get(check.__name__)
        marks = [pytest.mark.xfail(reason=reason)] if reason else []
        yield pytest.param(one, check, marks=marks, id=f"{name}-{check.__name__}")


@pytest.mark.parametrize(
    ("estimator", "check"),
    [test for name, pair in ESTIMATORS.items() for test in list_tests(name, *pair)],
)
def test_estimator_passes(estimator, check):
    """Each public estimator passes each check."""
    check(estimator)


@pytest.mark.filterwarnings("ignore::sklearn_zoomout.exceptions.FewIslandsWarning")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_kind_is_found_by_trial(name):
    """Nobody needs to say what an estimator takes and returns."""
    kind, estimator = ESTIMATORS[name]
    assert kind_of_estimator(estimator) == kind


@pytest.mark.parametrize("estimator", ALONE.values(), ids=ALONE)
@pytest.mark.parametrize("check", SKLEARN_CHECKS, ids=lambda check: check.__name__)
def test_estimator_passes_sklearn(check, estimator):
    """Each public estimator passes scikit-learn's checks that need no table."""
    check(type(estimator).__name__, estimator)


def test_every_public_estimator_is_checked():
    """A new estimator cannot be forgotten in the list above."""
    public = {getattr(sklearn_zoomout, name) for name in sklearn_zoomout.__all__}
    public = {
        thing
        for thing in public
        if inspect.isclass(thing)
        and issubclass(thing, BaseEstimator)
        and not inspect.isabstract(thing)
    }
    assert public <= {type(estimator) for _, estimator in ESTIMATORS.values()}
