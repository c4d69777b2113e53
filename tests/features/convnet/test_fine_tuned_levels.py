"""Levels whose backbone is fine-tuned: who shares a training, and what is kept."""

import pickle

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import FeatureUnion

torch = pytest.importorskip("torch")

from sklearn_zoomout import (  # noqa: E402
    Backbone,
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    FineTuning,
    GlobalFeatures,
    RegionFeatures,
    SegmentedImage,
    Superpixels,
    ZoomoutUnion,
)
from sklearn_zoomout.backbones import load_network  # noqa: E402
from sklearn_zoomout.exceptions import CacheWarning  # noqa: E402
from sklearn_zoomout.features.convnet import _level  # noqa: E402

TINY = FineTuning(max_steps=2, batch_size=2, input_size=96)
TUNED = Backbone(fine_tune=TINY)


def make_levels(backbone=TUNED):
    """Make a level of every kind."""
    return [
        ("distant", ConvnetRegionFeatures(backbone, input_size=96)),
        ("global", GlobalFeatures(backbone, crop_size=96)),
        ("maps", ConvnetSuperpixelFeatures(backbone, input_size=96)),
    ]


def maps_level(backbone=TUNED, **options):
    """Make one level."""
    return ConvnetSuperpixelFeatures(backbone, input_size=96, **options)


def digests_of(union):
    """Return the different networks of the levels of a union."""
    return {level.weights_sha256_ for _, level in union.transformer_list}


class TestSharing:
    """One training serves all levels that are fitted on the same superpixels."""

    @pytest.mark.parametrize("kind", [FeatureUnion, ZoomoutUnion])
    def test_a_union_trains_once(self, superpixels, masks, trainings, kind):
        """scikit-learn's own union as well as ours."""
        union = kind(make_levels()).fit(superpixels, masks)
        assert len(trainings) == 1
        assert len(digests_of(union)) == 1

    @pytest.mark.parametrize("kind", [FeatureUnion, ZoomoutUnion])
    def test_threads_train_once(self, superpixels, masks, trainings, kind):
        """A thread waits for the training of another."""
        union = kind(make_levels(), n_jobs=2)
        with parallel_config("threading"):
            union.fit_transform(superpixels, masks)
        assert len(trainings) == 1

    def test_features_are_those_of_levels_that_train_alone(self, superpixels, masks):
        """Sharing changes nothing."""
        table = ZoomoutUnion(make_levels()).fit_transform(superpixels, masks)
        alone = [
            level.fit_transform(Superpixels(superpixels), masks).to_numpy()
            for _, level in make_levels()
        ]
        np.testing.assert_allclose(
            table.to_numpy(), np.hstack(alone), rtol=1e-5, atol=1e-6
        )

    def test_a_second_fit(self, superpixels, masks, trainings):
        """Other masks of the same images train again, equal masks do not."""
        union = ZoomoutUnion(make_levels()).fit(superpixels, masks)
        first = digests_of(union)
        clone(union).fit(superpixels, [mask.copy() for mask in masks])
        assert len(trainings) == 1
        union.fit(superpixels, [2 - mask for mask in masks])
        assert len(trainings) == 2
        assert digests_of(union) != first

    def test_a_list_of_segmented_images(self, superpixels, masks, trainings):
        """A ZoomoutUnion makes one Superpixels of it."""
        ZoomoutUnion(make_levels()).fit_transform(list(superpixels), masks)
        assert len(trainings) == 1

    def test_levels_without_a_backbone_share_that_of_the_union(
        self, superpixels, masks, trainings
    ):
        """One parameter changes all of them."""
        union = ZoomoutUnion(make_levels(None), backbone=TUNED)
        union.fit(superpixels, masks)
        assert len(trainings) == 1
        expected = ZoomoutUnion(make_levels()).fit(superpixels, masks)
        assert digests_of(union) == digests_of(expected)

    @pytest.mark.parametrize("change", [{"flip": True}, {"dtype": "bfloat16"}])
    def test_options_that_training_ignores(self, superpixels, masks, trainings, change):
        """Training is in float32 and does not average mirror images."""
        level = maps_level().fit(superpixels, masks)
        plain = level.transform(superpixels).to_numpy()
        other = maps_level(TUNED.replace(**change)).fit(superpixels, masks)
        assert len(trainings) == 1
        assert other.weights_sha256_ == level.weights_sha256_
        expected = other.transform(superpixels).to_numpy()
        assert not np.array_equal(expected, plain)
        # The same holds if the parameter is changed after fit.
        level.set_params(**{f"backbone__{name}": change[name] for name in change})
        assert np.array_equal(level.transform(superpixels).to_numpy(), expected)

    def test_other_backbones_do_not_share(self, superpixels, masks, trainings):
        """Each of them trains a network of its own."""
        backbones = [
            TUNED,
            Backbone(),
            TUNED.replace(fine_tune__max_steps=1),
            TUNED.replace(random_state=1),
            TUNED.replace(weights=None),
        ]
        levels = [(f"maps{i}", maps_level(b)) for i, b in enumerate(backbones)]
        union = ZoomoutUnion(levels).fit(superpixels, masks)
        assert len(trainings) == 4
        assert len(digests_of(union)) == 5

    def test_levels_of_other_images_do_not_share(self, superpixels, masks, trainings):
        """A level of a union may train on some of the images."""
        halves = HalfByHalf()
        union = ZoomoutUnion([("maps", maps_level()), ("halves", halves)])
        union.fit(superpixels, masks)
        assert len(trainings) == 3
        expected = HalfByHalf().fit(superpixels, masks).levels_
        digests = [level.weights_sha256_ for level in halves.levels_]
        assert digests == [level.weights_sha256_ for level in expected]

    def test_levels_of_the_trained_network_share_a_pass(
        self, superpixels, masks, passes
    ):
        """The distant and the maps level; the global level sees a square."""
        union = ZoomoutUnion(make_levels()).fit(superpixels, masks)
        passes.clear()
        union.transform(superpixels)
        assert len(passes) == 2 * len(superpixels)

    @pytest.mark.parametrize(
        "backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)]
    )
    def test_workers_use_the_trained_network(self, superpixels, masks, backend):
        """It reaches threads and processes."""
        union = ZoomoutUnion(make_levels()).fit(superpixels, masks)
        expected = union.transform(superpixels).to_numpy()
        with parallel_config(backend, n_jobs=2):
            table = union.transform(superpixels)
        np.testing.assert_allclose(table.to_numpy(), expected, rtol=1e-4, atol=1e-5)


class HalfByHalf(RegionFeatures):
    """Train a level on the first images, and another on the others."""

    block_name = "halves"

    def learn(self, superpixels, masks=None):
        halves = (slice(0, 2), slice(2, 4))
        self.levels_ = [maps_level().fit(superpixels[h], masks[h]) for h in halves]

    def describe(self, segmented):
        return self.levels_[0].describe(segmented)

    def column_names(self):
        return self.levels_[0].column_names()


class TestPickles:
    """A pickle holds the weights that training has changed."""

    @pytest.mark.parametrize("name", ["distant", "global", "maps"])
    def test_a_restored_level_describes_alike(self, superpixels, masks, name):
        """It needs the file of weights that training began with."""
        level = dict(make_levels())[name].fit(superpixels, masks)
        expected = level.transform(superpixels).to_numpy()
        dumped = pickle.dumps(level)
        weights = load_network(Backbone()).weights()
        n_bytes = sum(values.nbytes for values in weights.values())
        assert n_bytes < len(dumped) < 1.1 * n_bytes + 20_000
        loaded = pickle.loads(dumped)
        assert loaded.weights_sha256_ == level.weights_sha256_
        assert np.array_equal(loaded.transform(superpixels).to_numpy(), expected)

    def test_another_file_than_in_fit_is_refused(self, superpixels, masks, tmp_path):
        """What was trained belongs to the weights before training."""
        from safetensors.torch import save_file

        state = load_network(Backbone()).module.state_dict()
        state = {name: value.contiguous() for name, value in state.items()}
        path = tmp_path / "mine.safetensors"
        save_file(state, path)
        level = maps_level(TUNED.replace(weights=path)).fit(superpixels, masks)
        dumped = pickle.dumps(level)
        save_file({n: (value + 1).contiguous() for n, value in state.items()}, path)
        with pytest.raises(ValueError, match="those that were fine-tuned .*fit again"):
            pickle.loads(dumped).transform(superpixels)

    def test_a_callable_that_returns_other_weights(self, superpixels, masks):
        """Training cannot be repeated on them."""
        draw = np.random.default_rng(0)

        def restless():
            return small_convnet(draw.uniform(0.5, 2))

        level = maps_level(TUNED.replace(name=restless))
        with pytest.raises(
            ValueError, match="let the callable return the same weights"
        ):
            level.fit(superpixels, masks)


def small_convnet(scale=1.0):
    """Make a convolution, whose weights are multiplied by a number."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = torch.nn.Conv2d(3, 4, 3, stride=2)
    layer.weight.data *= scale
    return torch.nn.Sequential(layer, torch.nn.ReLU())


class TestRefits:
    """What a second fit leaves of the first."""

    def test_clones_are_not_fitted(self, superpixels, masks):
        """A clone has the parameter and nothing that was trained."""
        copy = clone(maps_level().fit(superpixels, masks))
        assert copy.backbone is TUNED
        assert not hasattr(copy, "weights_")
        assert not hasattr(copy, "_fine_tuned")

    def test_a_fit_without_fine_tuning_forgets_it(self, superpixels, masks):
        """The weights are those of the file again."""
        level = maps_level().fit(superpixels, masks)
        level.set_params(backbone__fine_tune=None).fit(superpixels)
        plain = maps_level(Backbone()).fit(superpixels)
        assert level.weights_sha256_ == plain.weights_sha256_

    def test_a_fit_that_fails_leaves_none(self, superpixels, masks):
        """The classifier behind the level would not know which fit it sees."""
        level = maps_level().fit(superpixels, masks)
        with pytest.raises(ValueError, match=r"masks\[1\]"):
            level.fit(superpixels[:2], masks[:1] + masks[2:3])
        with pytest.raises(NotFittedError):
            level.transform(superpixels)

    def test_a_network_that_cannot_be_loaded_after_training(
        self, superpixels, masks, monkeypatch
    ):
        """No fit is left, neither the former nor a part of the new one."""
        level = maps_level().fit(superpixels, masks)
        load = _level.load_shared_network

        def fail(backbone, fine_tuned=None, **options):
            if fine_tuned is not None:
                raise MemoryError
            return load(backbone, fine_tuned, **options)

        with monkeypatch.context() as patch:
            patch.setattr(_level, "load_shared_network", fail)
            with pytest.raises(MemoryError):
                level.fit(superpixels, [2 - mask for mask in masks])
        with pytest.raises(NotFittedError):
            level.transform(superpixels)

    def test_stored_features_of_another_training_are_refused(
        self, superpixels, masks, tmp_path
    ):
        """A folder keeps the features of one network."""
        from sklearn_zoomout import store_features

        def store(fine_tune):
            level = maps_level(Backbone(fine_tune=fine_tune)).fit(superpixels, masks)
            return store_features(level, superpixels, tmp_path)

        stored = store(TINY)
        assert np.array_equal(store(TINY).to_numpy(), stored.to_numpy())
        with pytest.raises(ValueError, match="FineTuning"):
            store(TINY.replace(max_steps=3))


class TestMemory:
    """A cache keeps trained weights, for other superpixels of the same images."""

    @pytest.fixture
    def fit(self, superpixels, masks, tmp_path):
        """A function that fits a level with a cache on new superpixels."""

        def fit(X=superpixels, y=masks, backbone=TUNED, **options):
            level = maps_level(backbone, memory=tmp_path, **options)
            return level.fit(Superpixels(X), y)

        return fit

    def test_equal_data_are_trained_on_once(self, superpixels, masks, trainings, fit):
        """Other images and labels are trained on again."""
        first, second = fit(), fit()
        assert len(trainings) == 1
        assert second.weights_sha256_ == first.weights_sha256_
        assert second._fine_tuned.values.keys() == first._fine_tuned.values.keys()
        fit(superpixels[:3], masks[:3])
        fit(y=[np.where(mask == 2, 1, mask) for mask in masks])
        assert len(trainings) == 3
        # A pixel in the minority of its superpixel does not count.
        spotted = [mask.copy() for mask in masks]
        spotted[0][0, 0] = 2
        fit(y=spotted)
        assert len(trainings) == 3

    def test_trainings_are_told_apart(self, superpixels, trainings, fit):
        """Every setting, the pixels and the seed count."""
        digests = {fit().weights_sha256_}
        others = TUNED.replace(flip=True, dtype="bfloat16")
        assert fit(backbone=others, radius=1).weights_sha256_ in digests
        assert len(trainings) == 1
        for change in (
            {"fine_tune__max_steps": 1},
            {"fine_tune__batch_size": 1},
            {"fine_tune__learning_rate": 2e-4},
            {"fine_tune__weight_decay": 0.5},
            {"fine_tune__class_weight": 0.5},
            {"fine_tune__input_size": 100},
            {"random_state": 1},
        ):
            digests.add(fit(backbone=TUNED.replace(**change)).weights_sha256_)
        item = superpixels[0]
        darker = SegmentedImage(item.image // 2, item.segments)
        digests.add(fit([darker, *superpixels[1:]]).weights_sha256_)
        assert len(digests) == len(trainings) == 9

    def test_preprocessing_counts(self, trainings, fit, tmp_path):
        """One file of weights can be used with two kinds of padding."""
        from safetensors.torch import save_file

        state = load_network(Backbone("mobilenet_v2", None)).module.state_dict()
        path = tmp_path / "mine.safetensors"
        save_file({name: value.contiguous() for name, value in state.items()}, path)
        names = ("mobilenet_v2", "mobilenet_v2_tf2")
        digests = {
            fit(backbone=Backbone(name, path, fine_tune=TINY)).weights_sha256_
            for name in names
        }
        assert len(digests) == len(trainings) == 2

    def test_features_are_recalled(self, superpixels, fit, monkeypatch):
        """Those of the trained network are not those of the network before."""
        expected = fit().transform(superpixels).to_numpy()
        plain = fit(backbone=Backbone()).transform(superpixels).to_numpy()
        assert not np.array_equal(plain, expected)
        again = fit()
        monkeypatch.setattr(type(again), "describe", None)
        assert np.array_equal(again.transform(superpixels).to_numpy(), expected)

    def test_a_callable_is_trained_and_not_kept(self, trainings, fit, tmp_path):
        """Its code may change, so that every fit trains."""
        for _ in range(2):
            with pytest.warns(CacheWarning, match="callable") as warned:
                level = fit(backbone=TUNED.replace(name=small_convnet))
            assert len(warned) == 1
        assert len(trainings) == 2
        assert level._fine_tuned.values.keys() == {"0.weight", "0.bias"}
        assert not any(tmp_path.iterdir())
