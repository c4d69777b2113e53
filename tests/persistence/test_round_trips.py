"""Every estimator of the library, saved and loaded, computes the same."""

import inspect
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from saved_models import assert_same, make_model, round_trip
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneOut,
    RandomizedSearchCV,
    ShuffleSplit,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from skorch.callbacks import EarlyStopping

import sklearn_zoomout
from sklearn_zoomout import (
    Backbone,
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    FeatureCache,
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
    load_model,
    model_info,
    save_model,
    zoomout_pipeline,
)
from sklearn_zoomout.metrics import mean_iou_scorer
from sklearn_zoomout.persistence._container import FORMAT

NET = ZoomoutClassifier((4,), max_epochs=2, random_state=0)
MAPS = ConvnetSuperpixelFeatures("zoomnet", input_size=64)
TUNED = Backbone("zoomnet", fine_tune=FineTuning(max_steps=1, input_size=64))
LEVELS = {
    "local": LocalFeatures(n_textons=4, n_words=4, dictionary_images=1, random_state=0),
    "proximal": ProximalFeatures(("color",), radius=1),
    "local_convnet": LocalConvnetFeatures(
        cv=None, training=Training(max_steps=1), random_state=0
    ),
    "local_foreground": LocalConvnetFeatures(
        0,
        cv=None,
        training=Training(max_steps=1),
        random_state=np.random.RandomState(0),
    ),
    "distant": ConvnetRegionFeatures("zoomnet", input_size=64, radius=1),
    "global": GlobalFeatures("zoomnet", crop_size=64),
    "maps": MAPS,
    "bands": ConvnetSuperpixelFeatures("zoomnet", input_size=64, bands=[[2, 1, 0]]),
    "random": ConvnetSuperpixelFeatures(
        Backbone("zoomnet", None, random_state=3), input_size=64
    ),
    "ZoomoutUnion": ZoomoutUnion(
        [
            ("maps", ConvnetSuperpixelFeatures(input_size=64)),
            ("global", GlobalFeatures(crop_size=64)),
        ],
        backbone="zoomnet",
    ),
    "FeatureUnion": FeatureUnion(
        [("maps", MAPS), ("local", LocalFeatures(("color",)))],
    ),
    "fine-tuned": ZoomoutUnion(
        [("a", MAPS), ("b", GlobalFeatures(crop_size=64))], backbone=TUNED
    ),
}
PIXELS = {"n_pixels": 200, "sigmas": (1, 2), "random_state": 0}
CLASSIFIERS = {
    "linear softmax": ZoomoutClassifier((), random_state=0),
    "not standardized": ZoomoutClassifier(
        (4, 3), standardize=False, max_epochs=1, random_state=np.random.RandomState(3)
    ),
    "validated": ZoomoutClassifier(
        (4,), max_epochs=2, validation_fraction=0.3, random_state=0, classes=range(4)
    ),
    "stopped early": ZoomoutClassifier(
        (4,),
        max_epochs=3,
        validation_fraction=0.3,
        callbacks=[EarlyStopping(patience=1, load_best=True)],
        random_state=0,
    ),
    "GraphSmoothing": GraphSmoothing(NET, cv=KFold(2)),
    "IslandRemoval": IslandRemoval(GraphSmoothing(NET, cv=2), cv=2),
    "PixelFusion": PixelFusion(NET, weight=0.5, **PIXELS),
    "PixelFusion, forest": PixelFusion(NET, weight=0.5, compress=False, **PIXELS),
    "PixelFusion, weight 0": PixelFusion(NET, weight=0),
}
OF_SKLEARN = {
    "logistic": LogisticRegression(),
    "ridge": RidgeClassifier(),
    "sgd": SGDClassifier(loss="log_loss", max_iter=5, tol=None, random_state=0),
    "svm": LinearSVC(),
    "bayes": GaussianNB(),
    "dummy": DummyClassifier(),
    "tree": DecisionTreeClassifier(max_leaf_nodes=7, random_state=0),
    "forest": RandomForestClassifier(3, max_depth=4, random_state=0),
    "extra trees": ExtraTreesClassifier(3, random_state=0),
    "best first": RandomForestClassifier(2, max_leaf_nodes=5, random_state=0),
}


@pytest.mark.filterwarnings("ignore::sklearn_zoomout.exceptions.FewIslandsWarning")
@pytest.mark.filterwarnings("ignore::sklearn_zoomout.exceptions.AbsentClassWarning")
class TestEstimators:
    """Labels and probabilities are equal to the last bit."""

    @pytest.mark.parametrize("name", LEVELS)
    def test_level(self, name, images, masks, tmp_path):
        """Also those with dictionaries, networks and changed weights."""
        channels = "bands" if name == "bands" else "auto"
        segmenter = SuperpixelSegmenter(n_segments=40, channels=channels)
        model = make_model(clone(LEVELS[name]), segmenter=segmenter)
        model.fit(images, masks)
        assert_same(round_trip(model, tmp_path), model, images)

    @pytest.mark.parametrize("name", CLASSIFIERS)
    def test_classifier(self, name, images, masks, tmp_path):
        """And the steps around one."""
        model = make_model(classifier=clone(CLASSIFIERS[name])).fit(images, masks)
        assert_same(round_trip(model, tmp_path), model, images)

    @pytest.mark.parametrize("name", OF_SKLEARN)
    def test_classifier_of_sklearn(self, name, images, masks, tmp_path):
        """Trees and forests as the arrays of their nodes."""
        weight = "balanced" if name != "dummy" else None
        classifier = ZoomoutClassifier(estimator=OF_SKLEARN[name], class_weight=weight)
        model = make_model(classifier=classifier).fit(images, masks)
        assert_same(round_trip(model, tmp_path), model, images)

    def test_classifier_in_a_pipeline_of_sklearn(self, images, masks, tmp_path):
        """A scaler and a classifier as the estimator of a classifier."""
        inner = make_pipeline(RobustScaler(), StandardScaler(), LogisticRegression())
        classifier = ZoomoutClassifier(estimator=inner, class_weight=None)
        model = make_model(classifier=classifier).fit(images, masks)
        assert_same(round_trip(model, tmp_path), model, images)

    def test_frozen_estimator(self, images, masks, tmp_path):
        """A clean-up step around a classifier that is not fitted again."""
        features = make_model()[:2].fit(images, masks)
        fitted = clone(NET).fit(features.transform(images), masks)
        smoothing = GraphSmoothing(FrozenEstimator(fitted), cv=2)
        model = make_model(classifier=smoothing).fit(images, masks)
        assert_same(round_trip(model, tmp_path), model, images)

    def test_default_pipeline(self, images, masks, tmp_path):
        """All steps of `zoomout_pipeline`."""
        model = zoomout_pipeline(
            backbone="zoomnet",
            input_size=64,
            n_segments=40,
            max_epochs=2,
            random_state=0,
        )
        model.set_params(classifier__n_pixels=200, classifier__weight=0.5)
        model.fit(images, masks)
        loaded = round_trip(model, tmp_path)
        assert_same(loaded, model, images)
        assert type(loaded) is type(model)
        path = tmp_path / "model.zoomout"
        size = sum(array.nbytes for array in load_file(path).values())
        assert path.stat().st_size < 1.1 * size + 8000

    def test_two_rounds_of_pixels(self, images, masks, tmp_path, monkeypatch):
        """Two networks, of which the second sees what the first says."""
        rounds = "sklearn_zoomout.postprocessing._pixel_rounds"
        monkeypatch.setattr(f"{rounds}._LEAST_LABELED", 1)
        monkeypatch.setattr(f"{rounds}._LEAST_WEIGHT", 0)
        monkeypatch.setattr(f"{rounds}._STEPS", 4)
        classifier = PixelFusion(clone(NET), cv=2, **PIXELS)
        model = make_model(classifier=classifier).fit(images, masks)
        loaded = round_trip(model, tmp_path)
        assert len(loaded[-1].nets_) == len(model[-1].nets_)
        assert_same(loaded, model, images)

    def test_segmenter_alone(self, images, tmp_path):
        """Its learned ranges are kept."""
        segmenter = SuperpixelSegmenter(n_segments=40, value_range="learn").fit(images)
        loaded = round_trip(segmenter, tmp_path)
        assert np.array_equal(loaded.value_range_, segmenter.value_range_)
        pairs = zip(loaded.transform(images), segmenter.transform(images), strict=True)
        assert all(np.array_equal(a.segments, b.segments) for a, b in pairs)

    def test_every_estimator_is_saved_here(self):
        """No estimator of the library is missing above."""
        instances = [
            *LEVELS.values(), *CLASSIFIERS.values(), SuperpixelSegmenter(), NET
        ]  # fmt: skip
        saved = {type(estimator) for estimator in instances}
        public = {getattr(sklearn_zoomout, name) for name in sklearn_zoomout.__all__}
        estimators = {
            thing
            for thing in public
            if inspect.isclass(thing)
            and issubclass(thing, BaseEstimator)
            and not inspect.isabstract(thing)
        }
        assert estimators <= saved


class TestSearches:
    """The best model, and the table of results."""

    def test_grid(self, images, masks, tmp_path):
        """It predicts and scores, and has all results."""
        search = GridSearchCV(
            make_model(),
            {"c__dropout": [0.0, 0.5], "c": [clone(NET)]},
            scoring=mean_iou_scorer,
            cv=KFold(2),
        ).fit(images, masks)
        loaded = round_trip(search, tmp_path)
        assert_same(loaded, search, images)
        assert loaded.score(images, masks) == search.score(images, masks)
        assert loaded.best_params_["c__dropout"] == search.best_params_["c__dropout"]
        found, expected = loaded.cv_results_, search.cv_results_
        assert list(found) == list(expected)
        assert np.array_equal(found["mean_test_score"], expected["mean_test_score"])
        assert found["param_c__dropout"].tolist() == [0.0, 0.5]
        assert loaded.fit(images, masks).best_score_ == search.best_score_

    def test_randomized(self, images, masks, tmp_path):
        """A distribution of scipy is kept."""
        stats = pytest.importorskip("scipy.stats")
        search = RandomizedSearchCV(
            make_model(),
            {"c__learning_rate": stats.loguniform(1e-4, 1e-2)},
            n_iter=2,
            cv=GroupKFold(2),
            scoring={"a": mean_iou_scorer, "b": mean_iou_scorer},
            refit="a",
            random_state=np.random.RandomState(0),
        )
        search.fit(images, masks, groups=[0, 0, 1, 1])
        loaded = round_trip(search, tmp_path)
        assert_same(loaded, search, images)
        assert loaded.score(images, masks) == search.score(images, masks)
        for cv in (ShuffleSplit(2, random_state=0), LeaveOneOut()):
            search.set_params(cv=cv)
            assert repr(round_trip(search, tmp_path).cv) == repr(cv)


class TestUse:
    """What can be done with a loaded model."""

    def test_fit_again(self, model, images, masks, path):
        """A clone fits to the same, and so does the model itself."""
        loaded = load_model(path)
        again = clone(loaded).fit(images, masks)
        assert_same(again, model, images)
        assert_same(loaded.fit(images, masks), model, images)

    def test_changed_parameters(self, path, images, masks):
        """They are set as on any model."""
        loaded = load_model(path).set_params(c__hidden_units=(3,), c__max_epochs=1)
        assert loaded.fit(images, masks)[-1].hidden_units_ == (3,)

    def test_pickle(self, model, path, images):
        """A loaded model goes to other processes as before."""
        loaded = pickle.loads(pickle.dumps(load_model(path)))
        assert_same(loaded, model, images)

    def test_saved_again(self, path, content, images, tmp_path):
        """Equal models give equal files, whether they have predicted or not."""
        loaded = load_model(path)
        loaded.predict(images)
        save_model(loaded, tmp_path / "again")
        assert (tmp_path / "again").read_bytes() == content

    def test_warm_start(self, images, masks, tmp_path):
        """A fit continues from the loaded weights as from the saved ones."""
        classifier = clone(NET).set_params(warm_start=True)
        model = make_model(classifier=classifier).fit(images, masks)
        loaded = round_trip(model, tmp_path)
        loaded.fit(images, masks)
        assert_same(loaded, model.fit(images, masks), images)

    def test_attributes(self, model, path):
        """Types, order of memory and shared arrays are those of before."""
        loaded, saved = load_model(path)[-1], model[-1]
        for name, value in vars(saved).items():
            assert type(getattr(loaded, name)) is type(value), name
        assert loaded.history_ == saved.history_
        assert (
            loaded.net_.history[:, "train_loss"] == saved.net_.history[:, "train_loss"]
        )
        assert loaded.mean_.dtype == saved.mean_.dtype
        assert loaded.mean_.flags.writeable

    def test_cuda_elsewhere(self, images, masks, tmp_path):
        """A model of a GPU loads and predicts without one, with a warning."""
        torch = pytest.importorskip("torch")
        if torch.cuda.is_available():
            pytest.skip("there is a GPU")
        model = make_model(clone(MAPS)).fit(images, masks)
        expected = model.predict(images)
        model.set_params(
            level__backbone=Backbone("zoomnet", device="cuda"), c__device="cuda"
        )
        with pytest.warns(UserWarning, match="torch finds no device 'cuda'"):
            labels = round_trip(model, tmp_path).predict(images)
        assert all(np.array_equal(a, b) for a, b in zip(labels, expected, strict=True))

    def test_cache(self, images, masks, tmp_path):
        """Of a cache its path is kept."""
        memory = FeatureCache(tmp_path / "cache", max_bytes=10**8)
        level = LocalFeatures(("color",), memory=memory)
        loaded = round_trip(make_model(level).fit(images, masks), tmp_path)
        assert loaded.get_params()["level__memory"] == memory

    def test_folders(self, images, masks, tmp_path):
        """Of the weights of a network the name is kept, and not the folder."""
        model = make_model(clone(MAPS)).fit(images, masks)
        loaded = round_trip(model, tmp_path)
        assert loaded[1].weights_ == "zoomnet.safetensors"
        assert loaded[1].weights_sha256_ == model[1].weights_sha256_
        package = str(Path(sklearn_zoomout.__file__).parent)
        assert package.encode() not in (tmp_path / "model.zoomout").read_bytes()

    def test_other_weights(self, images, masks, tmp_path, monkeypatch):
        """A named network with other weights than those of fit is an error."""
        model = make_model(clone(MAPS)).fit(images, masks)
        loaded = round_trip(model, tmp_path)
        loaded[1].weights_sha256_ = "0" * 64
        with pytest.raises(ValueError, match="weights: expected those of fit"):
            loaded.predict(images)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn_zoomout.exceptions.FewIslandsWarning")
@pytest.mark.filterwarnings("ignore::sklearn_zoomout.exceptions.AbsentClassWarning")
def test_every_estimator_in_a_fresh_process(images, masks, tmp_path):
    """Another process predicts the same labels, with another number of threads."""
    models = {
        name: make_model(
            clone(level),
            segmenter=SuperpixelSegmenter(
                n_segments=40, channels="bands" if name == "bands" else "auto"
            ),
        )
        for name, level in LEVELS.items()
    }
    models |= {name: make_model(classifier=c) for name, c in CLASSIFIERS.items()}
    for name, model in models.items():
        save_model(model.fit(images, masks), tmp_path / f"{name}.zoomout")
    np.savez(tmp_path / "images.npz", *images)
    code = (
        "import sys, warnings, numpy as np, torch, sklearn_zoomout as s\n"
        "from pathlib import Path\n"
        "torch.set_num_threads(2)\n"
        "folder = Path(sys.argv[1])\n"
        "images = list(np.load(folder / 'images.npz').values())\n"
        "for path in folder.glob('*.zoomout'):\n"
        "    labels = s.load_model(path).predict(images)\n"
        "    np.savez(path.with_suffix('.npz'), *labels)\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=True, env=environment
    )
    for name, model in models.items():
        with np.load(tmp_path / f"{name}.npz") as labels:
            found = list(labels.values())
        for one, other in zip(found, model.predict(images), strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)


OLD_FILES = sorted((Path(__file__).parent / "old_files").glob("*.zoomout"))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
@pytest.mark.filterwarnings("ignore::sklearn_zoomout.exceptions.ModelVersionWarning")
@pytest.mark.parametrize("path", OLD_FILES, ids=lambda path: path.stem)
def test_files_of_every_format_stay_readable(path):
    """A file that an earlier version has saved still labels an image as it did."""
    with np.load(path.with_suffix(".npz")) as expected:
        image, labels = expected["image"], expected["labels"]
    model = load_model(path)
    assert np.mean(model.predict([image])[0] == labels) > 0.99
    assert model_info(path).n_images == 4


def test_there_is_a_file_of_the_present_format():
    """A new format comes with a file of its own."""
    assert {model_info(path).format for path in OLD_FILES} == set(range(1, FORMAT + 1))
