"""A fit that fails or is interrupted leaves no fit behind, and no mixture of two."""

import copy
from functools import partial

import pytest
from interrupted_calls import Interruption
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import FeatureUnion, Pipeline

pytest.importorskip("torch")

from sklearn_zoomout import (  # noqa: E402
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
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
)
from sklearn_zoomout.tiles import ZoomoutPipeline  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn_zoomout.exceptions.FewIslandsWarning"
)
COLOR = {"descriptors": ("color",)}
TEXTURE = {"descriptors": ("texture",), "n_textons": 4, "random_state": 0}
CLASSIFIER = ZoomoutClassifier(estimator=GaussianNB(var_smoothing=1e-2))
TRAINING = Training(max_steps=1, batch_size=4)


def union(kind=ZoomoutUnion):
    """A union of two levels."""
    return kind(
        [("local", LocalFeatures(**TEXTURE)), ("proximal", ProximalFeatures(**COLOR))]
    )


TRANSFORMERS = {
    "local": LocalFeatures(**TEXTURE),
    "proximal": ProximalFeatures(**COLOR),
    "local_convnet": LocalConvnetFeatures(training=TRAINING, cv=2),
    "local_convnet_of_all": LocalConvnetFeatures(training=TRAINING, cv=None),
    "distant": ConvnetRegionFeatures(input_size=64),
    "maps": ConvnetSuperpixelFeatures(input_size=64),
    "global": GlobalFeatures(crop_size=64),
    "zoomout_union": union(),
    "feature_union": union(FeatureUnion),
}
LABELERS = {
    "classifier": ZoomoutClassifier((2,), max_epochs=1),
    "linear": ZoomoutClassifier(()),
    "warm": ZoomoutClassifier((2,), max_epochs=1, warm_start=True),
    "estimator": CLASSIFIER,
    "smoothing": GraphSmoothing(CLASSIFIER, cv=2),
    "islands": IslandRemoval(CLASSIFIER, cv=2),
    "pixels": PixelFusion(
        CLASSIFIER, n_pixels=50, weight=0.5, sigmas=(1,), compress=False
    ),
    "warm_pixels": PixelFusion(
        ZoomoutClassifier((2,), max_epochs=1, warm_start=True),
        **{"n_pixels": 50, "weight": 0.5, "sigmas": (1,), "compress": False},
    ),
}


def pipeline_of(kind, *steps, last=CLASSIFIER):
    """A pipeline of superpixels, steps and a last one."""
    named = [(f"step{i}", clone(step)) for i, step in enumerate(steps)]
    segmenter = SuperpixelSegmenter(n_segments=12)
    return kind([("superpixels", segmenter), *named, ("classifier", clone(last))])


PIPELINES = {
    "zoomout_pipeline": pipeline_of(ZoomoutPipeline, union()),
    "zoomout_pipeline_of_sklearn_union": pipeline_of(
        ZoomoutPipeline, union(FeatureUnion)
    ),
    "sklearn_pipeline": pipeline_of(Pipeline, union()),
    "sklearn_pipeline_of_sklearn_union": pipeline_of(Pipeline, union(FeatureUnion)),
    "sklearn_pipeline_of_a_level": pipeline_of(Pipeline, LocalFeatures(**TEXTURE)),
    "warm": pipeline_of(ZoomoutPipeline, LocalFeatures(**COLOR), last=LABELERS["warm"]),
}


@pytest.fixture(scope="module")
def superpixels(images):
    """A few superpixels."""
    return SuperpixelSegmenter(n_segments=12).fit_transform(images)


@pytest.fixture
def interruption(monkeypatch):
    return Interruption(monkeypatch)


def assert_never_fitted(interruption, estimator, fits, use):
    """Interrupt the first fit and a later one, at many calls."""
    one, other = fits
    places = interruption.places_of(partial(other, clone(estimator)))
    assert places
    earlier = clone(estimator)
    one(earlier)
    for at in places:
        for fitted, fit in ((clone(estimator), one), (copy.deepcopy(earlier), other)):
            interruption.interrupt(partial(fit, fitted), at)
            with pytest.raises(NotFittedError):
                use(fitted)


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_level_is_not_fitted_after_an_interruption(
    interruption, superpixels, masks, name, method
):
    """Whether it describes the images of fit or not, and in a union too."""

    def fit(chosen, level):
        getattr(level, method)(superpixels[chosen], [masks[i] for i in chosen])

    assert_never_fitted(
        interruption,
        TRANSFORMERS[name],
        [partial(fit, [0, 1]), partial(fit, [2, 3])],
        lambda level: level.transform(superpixels),
    )


@pytest.mark.parametrize("name", LABELERS)
def test_a_last_step_is_not_fitted_after_an_interruption(
    interruption, superpixels, masks, name
):
    """With ``warm_start`` too, which begins with an earlier fit."""
    table = LocalFeatures(**COLOR).fit_transform(superpixels)

    def fit(chosen, model):
        model.fit(table[chosen], [masks[i] for i in chosen])

    assert_never_fitted(
        interruption,
        LABELERS[name],
        [partial(fit, [0, 1]), partial(fit, [2, 3])],
        lambda model: model.predict(table),
    )


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_a_segmenter_refuses_images_after_an_interruption(
    interruption, images, masks, method
):
    """Though it needs no fit, the steps behind it may be of another one."""

    def fit(chosen, segmenter):
        getattr(segmenter, method)(images[chosen], masks[chosen])

    segmenter = SuperpixelSegmenter(n_segments=12)
    assert_never_fitted(
        interruption,
        segmenter,
        [partial(fit, np_slice) for np_slice in (slice(0, 2), slice(2, 4))],
        lambda fitted: fitted.transform(images),
    )
    assert len(segmenter.transform(images)) == len(images)


def test_a_segmenter_works_again_after_a_fit(images):
    """Its next fit makes it usable."""
    segmenter = SuperpixelSegmenter(n_segments=12)
    with pytest.raises(ValueError, match="images"):
        segmenter.fit([images[0][..., :2, None]])
    with pytest.raises(NotFittedError):
        segmenter.transform(images)
    assert len(segmenter.fit(images).transform(images)) == len(images)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_is_not_fitted_after_an_interruption(
    interruption, images, masks, name
):
    """No step of an earlier fit predicts after one of the interrupted fit."""

    def fit(chosen, model):
        model.fit(images[chosen], masks[chosen])

    assert_never_fitted(
        interruption,
        PIPELINES[name],
        [partial(fit, slice(0, 2)), partial(fit, slice(2, 4))],
        lambda model: model.predict(images),
    )


class Failing(LocalFeatures):
    """A level that fails when it is told to."""

    fails = False

    def __sklearn_clone__(self):
        return self

    def fit_transform(self, superpixels, masks=None):
        """Fail as a step of another library, which leaves its earlier fit."""
        if self.fails:
            raise RuntimeError("failed")
        return super().fit_transform(superpixels, masks)


def test_a_zoomout_pipeline_forgets_steps_of_others_too(images, masks):
    """A step in the middle that keeps its earlier fit when it fails."""
    failing = Failing(**COLOR)
    model = pipeline_of(ZoomoutPipeline, failing).fit(images, masks)
    failing.fails = True
    with pytest.raises(RuntimeError, match="failed"):
        model.fit(images, masks)
    with pytest.raises(NotFittedError):
        model[:-1].transform(images)
    with pytest.raises(NotFittedError):
        model.predict(images)


def test_a_warm_pipeline_continues(images, masks):
    """``warm_start`` begins with the weights of the fit before, also in a pipeline."""
    model = PIPELINES["warm"]
    model = clone(model).set_params(classifier__learning_rate=1e-12).fit(images, masks)
    before = model[-1].net_.module_.layers[1].weight.detach().clone()
    after = model.fit(images, masks)[-1].net_.module_.layers[1].weight
    assert before.allclose(after, atol=1e-6)


def test_a_frozen_step_is_kept(images, masks):
    """What is frozen is not fitted again, so that it is not forgotten."""
    from sklearn.frozen import FrozenEstimator

    level = LocalFeatures(**COLOR)
    level.fit(SuperpixelSegmenter(n_segments=12).fit_transform(images))
    model = pipeline_of(ZoomoutPipeline, FrozenEstimator(level)).fit(images, masks)
    with pytest.raises(TypeError):
        model.fit(images)
    assert hasattr(level, "n_features_out_")
