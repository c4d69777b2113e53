"""Every estimator passes every check, and every check catches a broken estimator."""

import copy
import inspect
import re

import numpy as np
import pytest
import sklearn.utils.estimator_checks as sklearn_checks
from estimator_checks import CHECKS
from sklearn.base import BaseEstimator
from sklearn.pipeline import FeatureUnion

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
    RegionFeatures,
    SuperpixelSegmenter,
    Training,
    ZoomoutClassifier,
)

DICTIONARY = {"n_textons": 8, "n_words": 20, "random_state": 0}
CLASSIFIER = ZoomoutClassifier(hidden_units=(8,), max_epochs=2, random_state=0)
ESTIMATORS = [
    SuperpixelSegmenter(n_segments=40),
    LocalFeatures(**DICTIONARY),
    # With folds, fit_transform differs from fit().transform() by design.
    LocalConvnetFeatures(cv=None, training=Training(2, 8), random_state=0),
    ProximalFeatures(**DICTIONARY),
    ConvnetRegionFeatures(input_size=64),
    GlobalFeatures(crop_size=64),
    ConvnetSuperpixelFeatures(input_size=64),
    ConvnetRegionFeatures(
        Backbone(fine_tune=FineTuning(2, input_size=64)), input_size=64
    ),
    CLASSIFIER,
    GraphSmoothing(CLASSIFIER, cv=2),
    IslandRemoval(CLASSIFIER, cv=2),
    PixelFusion(
        CLASSIFIER, sigmas=(1, 2), n_pixels=300, compress=False, cv=2, random_state=0
    ),
]

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


class MeanColor(RegionFeatures):
    """Mean color of each superpixel, relative to that of the training images."""

    block_name = "color"

    def __init__(self, gain=1.0, offsets=(0, 0, 0), n_jobs=None):
        self.gain = gain
        self.offsets = offsets
        self.n_jobs = n_jobs

    def learn(self, superpixels, masks=None):
        self.mean_ = np.mean([s.rgb.mean(axis=(0, 1)) for s in superpixels], axis=0)

    def describe(self, segmented):
        labels = segmented.segments.ravel()
        channels = segmented.rgb.reshape(-1, 3).T
        sums = np.array([np.bincount(labels, channel) for channel in channels])
        return self.gain * ((sums / segmented.areas).T - self.mean_ + self.offsets)

    def column_names(self):
        return ["red", "green", "blue"]


class InitConverts(MeanColor):
    def __init__(self, gain=1.0, offsets=(0, 0, 0), n_jobs=None):
        super().__init__(gain, np.asarray(offsets), n_jobs)


class InitAddsAttribute(MeanColor):
    def __init__(self, gain=1.0, offsets=(0, 0, 0), n_jobs=None):
        super().__init__(gain, offsets, n_jobs)
        self.mean_ = None


class SetParamsDoesNothing(MeanColor):
    def set_params(self, **params):
        return self


class CloneKeepsWhatWasLearned(MeanColor):
    def __sklearn_clone__(self):
        return copy.deepcopy(self)


class FitReturnsNothing(MeanColor):
    def fit(self, superpixels, masks=None):
        super().fit(superpixels, masks)


class FitReplacesParameter(MeanColor):
    def learn(self, superpixels, masks=None):
        super().learn(superpixels, masks)
        self.gain = 2.0


class FitChangesParameterInPlace(MeanColor):
    def learn(self, superpixels, masks=None):
        super().learn(superpixels, masks)
        self.offsets[0] += 1


class FitPaintsImages(MeanColor):
    def learn(self, superpixels, masks=None):
        super().learn(superpixels, masks)
        superpixels[0].image[:5] = 0


class TransformPaintsImages(MeanColor):
    def describe(self, segmented):
        described = super().describe(segmented)
        segmented.image[:5] = 0
        return described


class FitNamesWithoutUnderscore(MeanColor):
    def learn(self, superpixels, masks=None):
        super().learn(superpixels, masks)
        self.average = self.mean_


class TransformFits(MeanColor):
    def transform(self, superpixels):
        return self.fit(superpixels)._describe_table(superpixels)

    def _describe_table(self, superpixels):
        return super().transform(superpixels)


class TransformNeedsAttribute(MeanColor):
    def transform(self, superpixels):
        self.mean_.sum()
        return super().transform(superpixels)


class TransformDropsAnImage(MeanColor):
    def transform(self, superpixels):
        return super().transform(superpixels)[:-1]


class DescribesByNaN(MeanColor):
    def describe(self, segmented):
        described = super().describe(segmented)
        described[0] = np.nan
        return described


class NamesTooFew(MeanColor):
    def get_feature_names_out(self, input_features=None):
        return super().get_feature_names_out()[:-1]


class NamesTwice(MeanColor):
    def column_names(self):
        return ["red", "green", "red"]


class NamesInAnotherOrder(MeanColor):
    def get_feature_names_out(self, input_features=None):
        return super().get_feature_names_out()[::-1]


class DependsOnTheFirstImage(MeanColor):
    def transform(self, superpixels):
        self.mean_ = superpixels[0].rgb.mean(axis=(0, 1))
        return super().transform(superpixels)


class DependsOnNumberOfImages(MeanColor):
    def transform(self, superpixels):
        self.mean_ = np.full(3, 1 / len(superpixels))
        return super().transform(superpixels)


class FitTransformIsAnother(MeanColor):
    def fit_transform(self, superpixels, masks=None):
        return MeanColor(gain=2.0).fit(superpixels).transform(superpixels)


class AddsNoise(MeanColor):
    def describe(self, segmented):
        return super().describe(segmented) + np.random.default_rng().normal()


class FitGoesOn(MeanColor):
    def learn(self, superpixels, masks=None):
        super().learn(superpixels, masks)
        self.mean_ = self.mean_ + getattr(self, "_before", 0)
        self._before = self.mean_


class ForgetsWhenPickled(MeanColor):
    def __getstate__(self):
        return super().__getstate__() | {"mean_": np.zeros(3)}


class CannotBePickled(MeanColor):
    def learn(self, superpixels, masks=None):
        super().learn(superpixels, masks)
        self.function_ = lambda: None


class DependsOnJobs(MeanColor):
    def describe(self, segmented):
        return super().describe(segmented) * self.n_jobs


class DrawsGlobally(MeanColor):
    def learn(self, superpixels, masks=None):
        super().learn(superpixels, masks)
        np.random.normal()


class SeedsTorch(MeanColor):
    def learn(self, superpixels, masks=None):
        import torch

        super().learn(superpixels, masks)
        torch.manual_seed(0)


# For each check, estimators with the fault that it is for, and its message.
BROKEN = {
    "init_only_assigns": {
        InitConverts: "changes offsets",
        InitAddsAttribute: "sets {'mean_'}",
    },
    "params_round_trip": {SetParamsDoesNothing: "gain cannot be set"},
    "clone": {CloneKeepsWhatWasLearned: "keeps learned state"},
    "fit_returns_self": {FitReturnsNothing: "does not return self"},
    "fit_keeps_params": {
        FitReplacesParameter: "replaces gain",
        FitChangesParameterInPlace: "in place",
    },
    "input_unchanged": {
        FitPaintsImages: "changes its input",
        TransformPaintsImages: "changes its input",
    },
    "fitted_names": {FitNamesWithoutUnderscore: "sets ['average']"},
    "not_fitted": {
        TransformFits: "got no error",
        TransformNeedsAttribute: "AttributeError",
    },
    "one_output_per_image": {TransformDropsAnImage: "returns 3 items for 4 images"},
    "outputs_are_finite": {DescribesByNaN: "NaN"},
    "feature_names": {
        NamesTooFew: "2 names for 3 columns",
        NamesTwice: "same name",
        NamesInAnotherOrder: "otherwise",
    },
    "order_of_images": {
        DependsOnTheFirstImage: "depends on the order",
        DependsOnNumberOfImages: "depends on other images",
    },
    "fit_transform": {FitTransformIsAnother: "differs from fit().transform()"},
    "repeated_output": {AddsNoise: "differs from the first"},
    "repeated_fit": {FitGoesOn: "differs from a fresh one"},
    "pickle": {
        ForgetsWhenPickled: "changes the output",
        CannotBePickled: "cannot be pickled",
    },
    "n_jobs": {DependsOnJobs: "changes the output"},
    "global_random_state": {DrawsGlobally: "random state", SeedsTorch: "random state"},
}
CAUGHT = [
    (name, broken, says)
    for name, many in BROKEN.items()
    for broken, says in many.items()
]


def name_of(item):
    """Name a check or an estimator in the list of tests."""
    return item.__name__ if inspect.isroutine(item) else type(item).__name__


@pytest.fixture
def inputs_for(images, superpixels):
    """A function that returns the input of an estimator of any step."""

    def inputs_for(estimator):
        if isinstance(estimator, SuperpixelSegmenter):
            return images
        if hasattr(estimator, "predict"):
            return MeanColor().fit_transform(superpixels)
        return superpixels

    return inputs_for


@pytest.mark.filterwarnings("ignore::sklearn_zoomout.exceptions.FewIslandsWarning")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_estimator_passes(check, estimator, inputs_for, masks):
    """Each public estimator passes each check."""
    check(estimator, inputs_for(estimator), masks)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
@pytest.mark.parametrize("check", SKLEARN_CHECKS, ids=name_of)
def test_estimator_passes_sklearn(check, estimator):
    """Each public estimator passes scikit-learn's checks that need no table."""
    check(type(estimator).__name__, estimator)


def test_every_public_estimator_is_checked():
    """A new estimator cannot be forgotten in the list above.

    The checks do not apply to a FeatureUnion; it has tests of its own.
    """
    public = [getattr(sklearn_zoomout, name) for name in sklearn_zoomout.__all__]
    public = {
        thing
        for thing in public
        if inspect.isclass(thing)
        and issubclass(thing, BaseEstimator)
        and not inspect.isabstract(thing)
        and not issubclass(thing, FeatureUnion)
    }
    assert {type(estimator) for estimator in ESTIMATORS} == public


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_good_estimator_passes(check, superpixels, masks):
    """The base class of the broken estimators passes."""
    check(MeanColor(), superpixels, masks)


@pytest.mark.parametrize(("name", "broken", "says"), CAUGHT)
def test_broken_estimator_is_caught(name, broken, says, superpixels, masks):
    """Each check finds the fault that it is for."""
    check = {check.__name__: check for check in CHECKS}[f"check_{name}"]
    # Some change the images, which other tests share, or their parameters.
    superpixels = copy.deepcopy(superpixels)
    with pytest.raises(AssertionError, match=re.escape(says)):
        check(broken(offsets=[0, 0, 0]), superpixels, masks)


def test_every_check_has_a_broken_estimator():
    """A check that cannot fail is useless."""
    assert {check.__name__ for check in CHECKS} == {f"check_{name}" for name in BROKEN}
