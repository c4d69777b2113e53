"""Networks that are trained on the masks before they describe images."""

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.pipeline import FeatureUnion
from sklearn.utils._param_validation import InvalidParameterError

torch = pytest.importorskip("torch")

from sklearn_zoomout import (  # noqa: E402
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    FineTuning,
    GlobalFeatures,
    SegmentedImage,
    Superpixels,
    ZoomoutUnion,
    store_features,
    zoomout_pipeline,
)
from sklearn_zoomout.backbones import load_network  # noqa: E402
from sklearn_zoomout.exceptions import CacheWarning, EmptyMaskWarning  # noqa: E402
from sklearn_zoomout.features import _region_training  # noqa: E402
from sklearn_zoomout.features._region_training import (  # noqa: E402
    NO_LABEL,
    Augmentation,
    RegionScores,
    region_loss,
)

TINY = FineTuning(max_steps=2, batch_size=2, input_size=96)
SIZE = {"input_size": 96}


def make_levels(**options):
    return [
        ("distant", ConvnetRegionFeatures(**SIZE, **options)),
        ("global", GlobalFeatures(**SIZE, batch_size=1, **options)),
        ("maps", ConvnetSuperpixelFeatures(**SIZE, **options)),
    ]


def maps_level(fine_tune=TINY, **options):
    return ConvnetSuperpixelFeatures(**{**SIZE, **options}, fine_tune=fine_tune)


@pytest.fixture
def n_trainings(monkeypatch):
    """Count trainings, as they are made."""
    counted = []
    train = _region_training.train_on_regions

    def counting(network, *args, **options):
        counted.append(network.spec.name)
        train(network, *args, **options)

    monkeypatch.setattr(_region_training, "train_on_regions", counting)
    return counted


def test_scores_are_those_of_averages_over_superpixels():
    """What is trained is a linear classifier of the features of the maps level."""
    generator = torch.Generator().manual_seed(0)
    segmented = SegmentedImage(
        np.zeros((32, 48, 3)), np.random.default_rng(0).integers(0, 9, (32, 48))
    )
    one_map = torch.randn(1, 5, 8, 12, generator=generator)
    scores = RegionScores([2.0], [5], n_classes=3)
    weight, bias = torch.randn(3, 5, generator=generator), torch.randn(3)
    scores.load_state_dict(
        {"layers.0.weight": weight[:, :, None, None], "layers.0.bias": bias}
    )
    segments = torch.from_numpy(segmented.segments).long()[None]
    found, areas = scores([one_map], segments, 10)
    pixels = torch.nn.functional.interpolate(one_map, (32, 48), mode="bilinear")[0]
    averages = torch.stack([pixels[:, segments[0] == i].mean(1) for i in range(9)])
    expected = averages / 2 @ weight.T + bias
    np.testing.assert_allclose(found[:9].detach(), expected, rtol=1e-4, atol=1e-5)
    assert areas.tolist() == [*segmented.areas, 0]
    assert found[9].tolist() == [0, 0, 0]


def test_loss_counts_pixels_with_a_label():
    """A plain reading: every pixel has the loss of its superpixel."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(6, 3))
    areas = np.array([4, 0, 3, 9, 1, 5])
    targets = np.array([0, 1, NO_LABEL, 2, 2, 0])
    weight = np.array([1.0, 3.0, 0.5])
    total = count = 0.0
    for row, area, target in zip(scores, areas, targets, strict=True):
        for _ in range(area if target != NO_LABEL else 0):
            proba = np.exp(row) / np.exp(row).sum()
            total -= weight[target] * np.log(proba[target])
            count += weight[target]
    found = region_loss(
        torch.tensor(scores, dtype=torch.float32),
        torch.tensor(areas),
        torch.tensor(targets),
        torch.tensor(weight, dtype=torch.float32),
    )
    assert found.item() == pytest.approx(total / count, rel=1e-5)
    nothing = torch.full((6,), NO_LABEL)
    args = torch.zeros(6, 3), torch.tensor(areas), nothing, torch.ones(3)
    assert region_loss(*args).item() == 0


def test_pixels_and_superpixels_stay_together():
    """However an image is scaled, moved and mirrored, each pixel keeps its label."""
    network = load_network("zoomnet")
    segments = np.kron(np.arange(12).reshape(3, 4), np.ones((20, 20), int))
    colors = np.random.default_rng(0).random((12, 3)).astype(np.float32)
    wide = SegmentedImage(colors[segments], segments)
    tall = SegmentedImage(colors[segments.T], segments.T)
    codes = [np.arange(12), np.arange(12) + 20]
    seen_sizes = set()
    augmentation = Augmentation(
        network, [wide, tall], codes, 128, np.random.default_rng(0)
    )
    for _ in range(6):
        pixels, labels, targets = augmentation.draw(np.array([0, 1]))
        assert pixels.shape == (2, 3, 128, 128)
        assert labels.shape == (2, 128, 128)
        assert targets.tolist() == [*codes[0], NO_LABEL, *codes[1], NO_LABEL]
        for i, outside in enumerate((12, 25)):
            shown = labels[i] != outside
            seen_sizes.add(int(shown.sum()))
            expected = network.prepare(colors[None])[:, 0, labels[i][shown] - 13 * i]
            # Only where colors meet are they mixed.
            distance = (pixels[i][:, shown] - expected).abs().amax(0)
            assert (distance < 1e-3).float().mean() > 0.8
            assert (pixels[i][:, ~shown] == 0).all()
    assert len(seen_sizes) > 6


def test_training_tells_classes_apart(superpixels, masks):
    """Even a random network comes to describe classes by other values."""

    def separation(level):
        table = level.fit_transform(superpixels, masks)
        labels = np.concatenate(
            [
                mask[tuple(s.centroids.astype(int).T)]
                for s, mask in zip(superpixels, masks, strict=True)
            ]
        )
        values = table.to_numpy()
        values = (values - values.mean(0)) / (values.std(0) + 1e-6)
        within = np.mean([values[labels == c].var(0).mean() for c in range(3)])
        return 1 - within

    fine_tune = FineTuning(max_steps=30, input_size=96, learning_rate=1e-3)
    frozen = maps_level(None, layers=("blocks.12",))
    trained = clone(frozen).set_params(fine_tune=fine_tune)
    assert separation(trained) > separation(frozen) + 0.1


def test_same_data_give_same_weights(superpixels, masks):
    """And other data, seeds or settings others; torch's own generator is left alone."""
    state = torch.get_rng_state()
    first = maps_level().fit(superpixels, masks)
    again = maps_level().fit(superpixels, masks)
    assert torch.equal(torch.get_rng_state(), state)
    assert first.weights_sha256_ == again.weights_sha256_
    assert first.weights_ == maps_level(None).fit(superpixels).weights_
    others = [
        maps_level().fit(superpixels[:3], masks[:3]),
        maps_level().fit(superpixels, [2 - mask for mask in masks]),
        maps_level(replace(TINY, random_state=1)).fit(superpixels, masks),
        maps_level(replace(TINY, max_steps=3)).fit(superpixels, masks),
        maps_level(replace(TINY, class_weight="balanced")).fit(superpixels, masks),
        maps_level(None).fit(superpixels),
    ]
    digests = {level.weights_sha256_ for level in (first, *others)}
    assert len(digests) == 1 + len(others)


def test_frozen_levels_keep_their_network(superpixels, masks):
    """Training changes a copy, not the network that others look through."""
    frozen = maps_level(None).fit(superpixels)
    before = frozen.transform(superpixels).to_numpy()
    trained = maps_level().fit_transform(superpixels, masks).to_numpy()
    assert np.abs(trained - before).max() > 1e-3
    assert np.array_equal(frozen.transform(superpixels).to_numpy(), before)
    again = maps_level(None).fit_transform(superpixels).to_numpy()
    assert np.array_equal(again, before)
    assert not any(p.requires_grad for p in load_network("zoomnet").module.parameters())


@pytest.mark.parametrize("name", ["distant", "global", "maps"])
def test_pickles_hold_what_was_trained(superpixels, masks, name):
    """They need the file that training began with, and nothing else."""
    level = dict(make_levels(fine_tune=TINY))[name].fit(superpixels, masks)
    expected = level.transform(superpixels).to_numpy()
    dumped = pickle.dumps(level)
    weights = load_network("zoomnet", layers="all").weights()
    n_bytes = sum(values.nbytes for values in weights.values())
    assert n_bytes < len(dumped) < 1.1 * n_bytes + 20_000
    loaded = pickle.loads(dumped)
    assert loaded.weights_sha256_ == level.weights_sha256_
    assert np.array_equal(loaded.transform(superpixels).to_numpy(), expected)


def test_weights_behind_the_last_map_are_not_kept(superpixels, masks):
    """The scores of ImageNet's classes get no gradient, and take no room."""
    level = maps_level(backbone="squeezenet1_0", weights=None)
    level.fit(superpixels, masks)
    values = level._fine_tuned.values
    assert values.keys() < load_network("squeezenet1_0", None).weights().keys()
    assert all(name.startswith("features.") for name in values)


def test_another_file_than_in_fit_is_refused(superpixels, masks, tmp_path):
    """Trained weights are changes of those of a file, which must be the same."""
    from safetensors.torch import save_file

    state = load_network("zoomnet").module.state_dict()
    state = {name: value.contiguous() for name, value in state.items()}
    path = tmp_path / "mine.safetensors"
    save_file(state, path)
    level = maps_level(weights=path).fit(superpixels, masks)
    dumped = pickle.dumps(level)
    save_file({name: (value + 1).contiguous() for name, value in state.items()}, path)
    with pytest.raises(ValueError, match=r"those that were fine-tuned .*fit again"):
        pickle.loads(dumped).transform(superpixels)


def test_clones_are_not_fitted(superpixels, masks):
    """A clone has the parameter, and trains anew."""
    level = maps_level().fit(superpixels, masks)
    copy = clone(level)
    assert copy.fine_tune == TINY
    assert not hasattr(copy, "weights_")
    assert not hasattr(copy, "_fine_tuned")


def test_a_refit_without_fine_tuning_forgets_it(superpixels, masks):
    level = maps_level().fit(superpixels, masks).set_params(fine_tune=None)
    frozen = maps_level(None).fit(superpixels)
    assert level.fit(superpixels).weights_sha256_ == frozen.weights_sha256_


def test_a_fit_that_fails_leaves_the_former(superpixels, masks):
    level = maps_level(random_state=None).fit(superpixels, masks)
    expected = level.transform(superpixels).to_numpy()
    with pytest.raises(ValueError, match=r"masks\[1\]"):
        level.fit(superpixels[:2], masks[:1] + masks[2:3])
    assert np.array_equal(level.transform(superpixels).to_numpy(), expected)


def test_a_union_trains_once_for_all_levels(superpixels, masks, n_trainings):
    """Their features are those of levels that train each for itself."""
    union = ZoomoutUnion(make_levels(fine_tune=TINY))
    table = union.fit_transform(superpixels, masks)
    assert len(n_trainings) == 1
    assert len({level.weights_sha256_ for _, level in union.transformer_list}) == 1
    plain = FeatureUnion(make_levels(fine_tune=TINY))
    expected = plain.fit_transform(superpixels, masks)
    assert len(n_trainings) == 4
    np.testing.assert_allclose(
        table.to_numpy(), expected.to_numpy(), rtol=1e-5, atol=1e-6
    )
    union.fit(superpixels, masks)  # nothing is left of the fit before
    assert len(n_trainings) == 5


def test_levels_with_other_fine_tuning_do_not_share(superpixels, masks, n_trainings):
    levels = make_levels(fine_tune=TINY)
    levels[0][1].set_params(fine_tune=None)
    levels[1][1].set_params(fine_tune=replace(TINY, max_steps=1))
    union = ZoomoutUnion(levels).fit(superpixels, masks)
    assert len(n_trainings) == 2
    assert len({level.weights_sha256_ for _, level in union.transformer_list}) == 3


def test_levels_of_the_trained_network_share_a_pass(superpixels, masks, monkeypatch):
    union = ZoomoutUnion(make_levels(fine_tune=TINY)).fit(superpixels, masks)
    network = union.transformer_list[0][1].get_network()
    passes = []
    maps = type(network).maps

    def counting(self, batch, layers=None):
        passes.append(batch.shape)
        return maps(self, batch, layers)

    monkeypatch.setattr(type(network), "maps", counting)
    union.transform(superpixels)
    assert len(passes) == 2 * len(superpixels)  # global sees a square


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_workers_see_through_the_trained_network(superpixels, masks, backend):
    union = ZoomoutUnion(make_levels(fine_tune=TINY)).fit(superpixels, masks)
    expected = union.transform(superpixels).to_numpy()
    with parallel_config(backend, n_jobs=2):
        table = union.set_params(n_jobs=2).transform(superpixels)
    np.testing.assert_allclose(table.to_numpy(), expected, rtol=1e-4, atol=1e-5)


def test_memory_keeps_the_weights(superpixels, masks, n_trainings, tmp_path):
    """The same images and labels are trained on once; others, or in part, anew."""
    first = maps_level(memory=tmp_path).fit(superpixels, masks)
    second = maps_level(memory=tmp_path).fit(superpixels, masks)
    assert len(n_trainings) == 1
    assert second.weights_sha256_ == first.weights_sha256_
    assert second._fine_tuned.values.keys() == first._fine_tuned.values.keys()
    other_masks = [np.where(mask == 2, 1, mask) for mask in masks]
    for X, y in ((superpixels[:3], masks[:3]), (superpixels, other_masks)):
        maps_level(memory=tmp_path).fit(X, y)
    assert len(n_trainings) == 3
    # Labels that no training sees, of pixels in the minority, do not count.
    spotted = [mask.copy() for mask in masks]
    spotted[0][0, 0] = 2
    maps_level(memory=tmp_path).fit(superpixels, spotted)
    assert len(n_trainings) == 3


def test_memory_recalls_features_of_the_trained_network(
    superpixels, masks, tmp_path, monkeypatch
):
    level = maps_level(memory=tmp_path).fit(superpixels, masks)
    expected = level.transform(superpixels).to_numpy()
    frozen = maps_level(None, memory=tmp_path).fit_transform(superpixels).to_numpy()
    assert not np.array_equal(frozen, expected)
    again = maps_level(memory=tmp_path).fit(superpixels, masks)
    monkeypatch.setattr(type(level), "describe", None)
    assert np.array_equal(again.transform(superpixels).to_numpy(), expected)


def test_a_callable_is_trained_and_not_kept(superpixels, masks, n_trainings, tmp_path):
    """Its code may change, so that every fit trains."""

    def backbone():
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, stride=2), torch.nn.ReLU())

    for _ in range(2):
        level = maps_level(backbone=backbone, memory=tmp_path)
        with pytest.warns(CacheWarning, match="callable"):
            level.fit(superpixels, masks)
    assert len(n_trainings) == 2
    assert level._fine_tuned.values.keys() == {"0.weight", "0.bias"}
    assert not any(tmp_path.iterdir())


def test_batch_normalization_keeps_its_moments(superpixels, masks):
    level = maps_level(backbone="resnet18", weights=None).fit(superpixels, masks)
    state = level.get_network().module.state_dict()
    assert (state["layer1.0.bn1.running_mean"] == 0).all()
    assert (state["layer1.0.bn1.running_var"] == 1).all()
    assert (state["layer1.0.bn1.weight"] != 1).any()


def test_fully_connected_layers_are_kept(superpixels, masks, narrow_fc7):
    """Of VGG the convolutions are trained; fc7 is what it was, after them."""
    frozen = ConvnetRegionFeatures("vgg16", None, **SIZE).fit(superpixels)
    level = clone(frozen).set_params(fine_tune=TINY).fit(superpixels, masks)
    assert all(name.startswith("features.") for name in level._fine_tuned.values)
    before, after = (x.get_network().head.state_dict() for x in (frozen, level))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (
        np.abs(
            level.transform(superpixels).to_numpy()
            - frozen.transform(superpixels).to_numpy()
        ).max()
        > 1e-6
    )


@pytest.mark.parametrize("change", [{"flip": True}, {"dtype": "bfloat16"}])
def test_options_change_what_is_seen_not_what_is_learned(superpixels, masks, change):
    """Training is in float32 and without mirror images' averages."""
    level = maps_level().fit(superpixels, masks)
    plain = level.transform(superpixels).to_numpy()
    other = maps_level(**change).fit(superpixels, masks)
    assert other.weights_sha256_ == level.weights_sha256_
    assert not np.array_equal(other.transform(superpixels).to_numpy(), plain)
    # Also when changed after fit.
    level.set_params(**change)
    assert np.array_equal(
        level.transform(superpixels).to_numpy(),
        other.transform(superpixels).to_numpy(),
    )


def test_pixels_without_a_label_teach_nothing(superpixels, masks):
    """Whatever number marks them; and images without any label are not seen."""
    scribbles = [np.where(np.arange(m.shape[1]) % 8 < 4, m, -1) for m in masks]
    scribbles[3][:] = -1
    with pytest.warns(EmptyMaskWarning):
        level = maps_level().fit(superpixels, scribbles)
    as_255 = [np.where(mask == -1, 255, mask) for mask in scribbles]
    with pytest.warns(EmptyMaskWarning):
        other = maps_level(replace(TINY, void_label=255)).fit(superpixels, as_255)
    assert other.weights_sha256_ == level.weights_sha256_
    dark = SegmentedImage(superpixels[3].image // 2, superpixels[3].segments)
    with pytest.warns(EmptyMaskWarning):
        unseen = maps_level().fit(Superpixels([*superpixels[:3], dark]), scribbles)
    assert unseen.weights_sha256_ == level.weights_sha256_


def test_stored_features_of_another_training_are_refused(superpixels, masks, tmp_path):
    """The error names the settings."""

    def store(fine_tune):
        level = maps_level(fine_tune).fit(superpixels, masks)
        return store_features(level, superpixels, tmp_path)

    stored = store(TINY)
    assert np.array_equal(store(TINY).to_numpy(), stored.to_numpy())
    with pytest.raises(ValueError, match=r"fine_tune FineTuning\(max_steps=2.*now"):
        store(replace(TINY, max_steps=3))


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 200)])
@pytest.mark.filterwarnings("ignore::sklearn_zoomout.exceptions.SuperpixelWarning")
def test_tiny_and_narrow_images(shape):
    """They are shown on a canvas that is large enough for a network."""
    segments = np.arange(shape[0] * shape[1]).reshape(shape) % 4
    image = np.random.default_rng(0).random((*shape, 3))
    items = [SegmentedImage(image, segments), SegmentedImage(1 - image, segments)]
    masks = [np.zeros(shape, int), np.ones(shape, int)]
    table = maps_level().fit_transform(Superpixels(items), masks)
    assert np.isfinite(table.to_numpy()).all()


def test_without_masks(superpixels):
    """The masks are needed, and scikit-learn can know."""
    assert maps_level().__sklearn_tags__().target_tags.required
    assert not maps_level(None).__sklearn_tags__().target_tags.required
    with pytest.raises(ValueError, match=r"fine_tune learns from label maps, got none"):
        maps_level().fit(superpixels)


def test_masks_that_cannot_be_learned_from(superpixels, masks):
    level = maps_level()
    with pytest.raises(ValueError, match="masks"):
        level.fit(superpixels, masks[:3])
    with pytest.raises(ValueError, match=r"at least two classes .* only class 1"):
        level.fit(superpixels, [np.ones_like(mask) for mask in masks])
    with pytest.raises(ValueError, match="none of the 4 masks has a pixel"):
        level.fit(superpixels, [np.full_like(mask, -1) for mask in masks])
    with pytest.raises(ValueError, match=r"masks\[2\].*-2"):
        level.fit(superpixels, [*masks[:2], masks[2] - 2, masks[3]])
    assert not hasattr(level, "weights_")


def test_a_loss_that_explodes(superpixels, masks):
    level = maps_level(replace(TINY, learning_rate=1e30))
    with pytest.raises(ValueError, match=r"fine_tune: the training loss became nan"):
        level.fit(superpixels, masks)
    assert not hasattr(level, "weights_")


def test_weights_that_explode_in_the_last_step(superpixels, masks, monkeypatch):
    """Where no further loss would show it."""

    def infinitely_steep(scores, *_):
        return (0 * scores.sum()).sqrt()

    monkeypatch.setattr(_region_training, "region_loss", infinitely_steep)
    level = maps_level(replace(TINY, max_steps=1))
    with pytest.raises(ValueError, match=r"fine_tune: the weights became NaN"):
        level.fit(superpixels, masks)
    assert not hasattr(level, "weights_")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("max_steps", value) for value in (0, 2.5, True, "10")),
        *(("batch_size", value) for value in (0, None)),
        *(("learning_rate", value) for value in (0, -1e-4, "fast")),
        *(("class_weight", value) for value in ("equal", 2.0, {0: 1.0})),
        *(("input_size", value) for value in (0, 96.5)),
        *(("void_label", value) for value in (-2, "void")),
        *(("random_state", value) for value in (-1, None)),
    ],
)
def test_wrong_settings(name, value):
    """They are refused at once, by their names."""
    with pytest.raises(InvalidParameterError, match=f"'{name}' .* FineTuning must"):
        FineTuning(**{name: value})


@pytest.mark.parametrize("value", [True, 400, "maps"])
def test_wrong_fine_tune(superpixels, masks, value):
    with pytest.raises(InvalidParameterError, match="'fine_tune' parameter"):
        maps_level(value).fit(superpixels, masks)


def test_default_steps(superpixels, masks, monkeypatch):
    """As many images as 100 times the square root of their number, all as often."""
    seen = []

    def remember(network, superpixels, codes, batches, **options):
        seen.append(batches)

    monkeypatch.setattr(_region_training, "train_on_regions", remember)
    maps_level(FineTuning()).fit(superpixels, masks)
    assert seen[0].shape == (50, 4)
    assert (np.bincount(seen[0].ravel()) == 50).all()
    many = Superpixels([superpixels[i % 4] for i in range(100)])
    maps_level(FineTuning()).fit(many, [masks[i % 4] for i in range(100)])
    assert seen[1].shape == (250, 4)
    maps_level(FineTuning(batch_size=100)).fit(superpixels[:3], masks[:3])
    assert seen[2].shape == (58, 3)


def test_progress_is_shown(superpixels, masks, capsys):
    maps_level(verbose=1).fit(superpixels, masks)
    assert "fine-tuning" in capsys.readouterr().err


class TestPipeline:
    """The parameter of `zoomout_pipeline`."""

    def test_all_convnet_levels_take_it(self):
        model = zoomout_pipeline(
            levels=["local", "distant", "global", "maps"],
            fine_tune=True,
            void_label=255,
            random_state=7,
        )
        expected = FineTuning(void_label=255, random_state=7)
        for name in ("distant", "global", "maps"):
            assert model.get_params()[f"zoomout__{name}__fine_tune"] == expected
        plain = zoomout_pipeline()
        assert plain.get_params()["zoomout__maps__fine_tune"] is None
        given = zoomout_pipeline(fine_tune=TINY)
        assert given.get_params()["zoomout__global__fine_tune"] == TINY

    def test_fit_and_predict(self, images, masks, n_trainings):
        model = zoomout_pipeline(
            n_segments=40, fine_tune=TINY, input_size=96, max_epochs=3, random_state=0
        )
        predicted = model.fit(images, masks).predict(images)
        assert len(n_trainings) == 1
        assert [p.shape for p in predicted] == [m.shape for m in masks]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            loaded = pickle.loads(pickle.dumps(model))
        for p, q in zip(loaded.predict(images), predicted, strict=True):
            assert np.array_equal(p, q)

    def test_what_cannot_be_meant(self):
        with pytest.raises(ValueError, match="fine_tune: expected one of the levels"):
            zoomout_pipeline(levels=["local", "proximal"], fine_tune=True)
        with pytest.raises(ValueError, match=r"FineTuning\(void_label=255\)"):
            zoomout_pipeline(fine_tune=TINY, void_label=255)
        with pytest.raises(TypeError, match="expected True, False or a FineTuning"):
            zoomout_pipeline(fine_tune="yes")
