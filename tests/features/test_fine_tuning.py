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
    RegionFeatures,
    SegmentedImage,
    Superpixels,
    ZoomoutUnion,
    store_features,
    zoomout_pipeline,
)
from sklearn_zoomout.backbones import FineTunedWeights, load_network  # noqa: E402
from sklearn_zoomout.exceptions import CacheWarning, EmptyMaskWarning  # noqa: E402
from sklearn_zoomout.features import _convnet, _region_training  # noqa: E402
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
    """Collect the networks that are trained, as they are."""
    counted = []
    train = _region_training.train_on_regions

    def counting(network, *args, **options):
        counted.append(network)
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


@pytest.mark.parametrize("stride", [1, 2, 8])
def test_maps_of_any_stride_are_averaged(stride):
    """Nearly so, even for noise; and every cell learns."""
    generator = torch.Generator().manual_seed(0)
    shape = (64, 96)
    small = [side // stride for side in shape]
    one_map = torch.randn(1, 4, *small, generator=generator, requires_grad=True)
    blocks = np.arange(6).reshape(2, 3)
    segments = torch.from_numpy(np.kron(blocks, np.ones((32, 32), int)))[None]
    scores = RegionScores([1.0], [4], n_classes=4)
    eye = torch.eye(4)[:, :, None, None]
    scores.load_state_dict({"layers.0.weight": eye, "layers.0.bias": torch.zeros(4)})
    found, _ = scores([one_map], segments, 6)
    pixels = torch.nn.functional.interpolate(one_map, shape, mode="bilinear")[0]
    expected = torch.stack([pixels[:, segments[0] == i].mean(1) for i in range(6)])
    error = (found - expected).abs().mean() / expected.abs().mean()
    assert error < 0.2
    (found**2).sum().backward()
    assert (one_map.grad != 0).all()


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


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
@pytest.mark.parametrize("side", [20, 300])  # of a superpixel; large ones are shrunk
def test_pixels_and_superpixels_stay_together(side, dtype):
    """However an image is scaled, moved and mirrored, each pixel keeps its label."""
    network = load_network("zoomnet")
    segments = np.kron(np.arange(12).reshape(3, 4), np.ones((side, side), int))
    segments[0, 0] = -1  # the first, of a single pixel, which need not be seen
    colors = np.random.default_rng(0).integers(0, 256, (13, 3)).astype(np.uint8)
    image = colors[segments + 1] if dtype == "uint8" else colors[segments + 1] / 255
    colors = colors.astype(np.float32) / 255
    wide = SegmentedImage(image, segments)
    tall = SegmentedImage(image.transpose(1, 0, 2), segments.T)
    codes = [np.arange(13), np.arange(13) + 20]
    seen_sizes, mirrored = set(), set()
    augmentation = Augmentation(
        network, [wide, tall], codes, 128, np.random.default_rng(0)
    )
    for _ in range(6):
        pixels, labels, targets = augmentation.draw(np.array([0, 1]))
        assert pixels.shape == (2, 3, 128, 128)
        assert labels.shape == (2, 128, 128)
        assert targets.tolist() == [*codes[0], NO_LABEL, *codes[1], NO_LABEL]
        for i, outside in enumerate((13, 27)):
            shown = labels[i] != outside
            row = labels[i][64][shown[64]]  # numbers grow from left to right
            mirrored.add(bool(row[0] > row[-1]))
            seen_sizes.add(int(shown.sum()))
            expected = network.prepare(colors[None])[:, 0, labels[i][shown] - 14 * i]
            # Only where colors meet are they mixed.
            distance = (pixels[i][:, shown] - expected).abs().amax(0)
            assert (distance < 1e-3).float().mean() > 0.8
            assert (pixels[i][:, ~shown] == 0).all()
    assert len(seen_sizes) > 6
    assert mirrored == {True, False}
    assert len(augmentation._shrunk) == (2 if side == 300 else 0)


@pytest.fixture
def large():
    """A photograph of noise, and superpixels of other sizes than its shrunk pixels."""
    rng = np.random.default_rng(0)
    segments = np.kron(np.arange(60).reshape(6, 10), np.ones((101, 67), int))
    return SegmentedImage(
        rng.integers(0, 256, (*segments.shape, 3), np.uint8), segments
    )


def test_large_photographs_are_averaged_once(large):
    """Pixels are means of areas, and labels those at their centers."""
    augmentation = Augmentation(None, [large], [None], 48, None)
    photograph = augmentation._read(0)
    assert augmentation._read(0) is photograph
    assert photograph.shape == large.shape
    height, width = photograph.image.shape[:2]
    assert max(height, width) == 96  # 3 / 2 times the largest of 4 / 3 times 48
    # The mean of n pixels of noise has a deviation smaller by the root of n.
    deviation = large.image.std() / np.sqrt(large.segments.size / (height * width))
    assert photograph.image.std() == pytest.approx(deviation, rel=0.1)
    rows = ((np.arange(height) + 0.5) * large.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * large.shape[1] / width).astype(int)
    np.testing.assert_array_equal(
        photograph.segments, large.segments[np.ix_(rows, columns)]
    )


def test_few_of_many_large_photographs_are_kept(large, monkeypatch):
    """Memory is bounded; the others are shrunk whenever they are seen."""
    monkeypatch.setattr(_region_training, "_KEPT", 1)
    augmentation = Augmentation(None, [large] * 3, [None] * 3, 48, None)
    first, second = augmentation._read(0), augmentation._read(1)
    assert augmentation._read(0) is first
    assert augmentation._read(1) is not second
    np.testing.assert_array_equal(second.image, first.image)


def test_large_photographs_in_float_are_those_in_uint8(large):
    """Training depends on what is seen, not on how it is stored."""
    levels = []
    for image in (large.image, large.image / 255):
        superpixels = Superpixels([SegmentedImage(image, large.segments)] * 2)
        levels.append(maps_level().fit(superpixels, [large.segments % 3] * 2))
    assert levels[0].weights_sha256_ == levels[1].weights_sha256_


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


class HalfByHalf(RegionFeatures):
    """Describe by a network of the first images, or of the others."""

    block_name = "halves"

    def learn(self, superpixels, masks=None):
        halves = (slice(0, 2), slice(2, 4))
        self.levels_ = [maps_level().fit(superpixels[h], masks[h]) for h in halves]

    def describe(self, segmented):
        return self.levels_[0].describe(segmented)

    def column_names(self):
        return self.levels_[0].column_names()


def test_only_levels_of_the_same_images_share(superpixels, masks, n_trainings):
    """A level within a union may train on some of its images."""
    alone = HalfByHalf().fit(superpixels, masks)
    expected = [level.weights_sha256_ for level in alone.levels_]
    n_trainings.clear()
    halves = HalfByHalf()
    union = ZoomoutUnion([("maps", maps_level()), ("halves", halves)])
    union.fit(superpixels, masks)
    assert len(n_trainings) == 3
    assert [level.weights_sha256_ for level in halves.levels_] == expected


def test_only_levels_of_the_same_network_share(superpixels, masks, n_trainings):
    """Seeds matter for random weights alone."""
    levels = [
        ("maps", maps_level(random_state=None)),
        ("same", maps_level(random_state=None, radius=1)),
        ("random", maps_level(weights=None)),
        ("other", maps_level(weights=None, random_state=1, radius=1)),
    ]
    ZoomoutUnion(levels).fit(superpixels, masks)
    assert len(n_trainings) == 3


def test_lists_of_superpixels_share_too(superpixels, masks, n_trainings):
    ZoomoutUnion(make_levels(fine_tune=TINY)).fit_transform(list(superpixels), masks)
    assert len(n_trainings) == 1


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


def test_memory_tells_trainings_apart(superpixels, masks, n_trainings, tmp_path):
    """By every setting, by the pixels, and by the network."""

    from safetensors.torch import save_file

    def train(X=superpixels, fine_tune=TINY, **options):
        level = maps_level(fine_tune, memory=tmp_path, **options).fit(X, masks)
        return level.weights_sha256_

    digests = {train()}
    assert {train(flip=True, dtype="bfloat16", radius=1)} == digests
    assert len(n_trainings) == 1
    for change in (
        {"max_steps": 1},
        {"batch_size": 1},
        {"learning_rate": 2e-4},
        {"class_weight": 0.5},
        {"input_size": 100},
        {"random_state": 1},
    ):
        digests.add(train(fine_tune=replace(TINY, **change)))
    item = superpixels[0]
    darker = SegmentedImage(item.image // 2, item.segments)
    digests.add(train(Superpixels([darker, *superpixels[1:]])))
    # Of one file, but with other preprocessing and padding.
    state = load_network("mobilenet_v2", None).module.state_dict()
    path = tmp_path / "mine.safetensors"
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    for backbone in ("mobilenet_v2", "mobilenet_v2_tf2"):
        digests.add(train(backbone=backbone, weights=path))
    assert len(digests) == len(n_trainings) == 10


def test_a_class_that_won_no_superpixel_changes_nothing(superpixels, masks):
    """Not the weights, with memory or without; and nothing is warned of."""
    spotted = [masks[0].copy(), *masks[1:]]
    spotted[0][0, 0] = 9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        level = maps_level().fit(superpixels, spotted)
    assert level.weights_sha256_ == maps_level().fit(superpixels, masks).weights_sha256_


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
        with pytest.warns(CacheWarning, match="callable") as warned:
            level.fit(superpixels, masks)
        assert len(warned) == 1
    assert len(n_trainings) == 2
    assert level._fine_tuned.values.keys() == {"0.weight", "0.bias"}
    assert not any(tmp_path.iterdir())


def test_batch_normalization_keeps_its_moments(superpixels, masks, n_trainings):
    """As a network in evaluation mode does, and it is frozen afterwards."""
    maps_level(backbone="resnet18", weights=None).fit(superpixels, masks)
    (network,) = n_trainings
    assert not any(module.training for module in network.module.modules())
    state = network.module.state_dict()
    assert (state["layer1.0.bn1.running_mean"] == 0).all()
    assert (state["layer1.0.bn1.running_var"] == 1).all()
    assert (state["layer1.0.bn1.weight"] != 1).any()
    assert not any(p.requires_grad for p in network.module.parameters())
    with torch.enable_grad():
        assert not network.maps(torch.zeros(1, 3, 96, 96))[0].requires_grad


def test_step_sizes_fall_and_differ(superpixels, masks, monkeypatch):
    """Those of the new scores are ten times those of the network."""
    rates = []
    step = torch.optim.AdamW.step

    def remember(optimizer, *args):
        rates.append([group["lr"] for group in optimizer.param_groups])
        return step(optimizer, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", remember)
    maps_level(replace(TINY, max_steps=4)).fit(superpixels, masks)
    of_network, of_scores = np.transpose(rates)
    np.testing.assert_allclose(of_network, 1e-4 * (1 - np.arange(4) / 4) ** 0.9)
    np.testing.assert_allclose(of_scores, 10 * of_network)


def test_maps_count_alike(superpixels, masks, monkeypatch):
    """Each is divided by its deviation, so that its scores learn at the same pace."""
    given = []
    build = RegionScores.__init__

    def remember(self, deviations, *args):
        given.extend(deviations)
        build(self, deviations, *args)

    monkeypatch.setattr(RegionScores, "__init__", remember)
    level = maps_level().fit(superpixels, masks)
    network = level.get_network()
    maps = network.maps(network.prepare(superpixels[0].rgb)[None])
    assert len(given) == len(maps)
    np.testing.assert_allclose(given, [m.std().item() for m in maps], rtol=0.5)


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
    with pytest.raises(ValueError, match=r"became nan in step 2 .* learning_rate"):
        level.fit(superpixels, masks)
    assert not hasattr(level, "weights_")


def small_convnet(scale=1.0):
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(3, 4, 3, stride=2)
    layer.weight.data *= scale
    return torch.nn.Sequential(layer, torch.nn.ReLU())


def test_a_network_that_cannot_be_trained(superpixels, masks):
    """No gradients, or no numbers: the error says so, and does not blame the rate."""

    class Detached(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = small_convnet()

        @torch.no_grad()
        def forward(self, x):
            return self.inner(x)

    with pytest.raises(ValueError, match=r"'Detached' gets a gradient.*no_grad"):
        maps_level(backbone=Detached).fit(superpixels, masks)

    def broken():
        return small_convnet(np.nan)

    with pytest.raises(ValueError, match=r"step 1 .* its maps are not finite"):
        maps_level(backbone=broken).fit(superpixels, masks)


def test_a_callable_that_returns_other_weights(superpixels, masks):
    draw = np.random.default_rng(0)

    def restless():
        return small_convnet(draw.uniform(0.5, 2))

    with pytest.raises(ValueError, match="let the callable return the same weights"):
        maps_level(backbone=restless).fit(superpixels, masks)


def test_what_cannot_be_loaded_is_seen_before_training(superpixels, masks, n_trainings):
    with pytest.raises(ValueError, match="no module 'nope'"):
        maps_level(layers=("nope",)).fit(superpixels, masks)
    assert not n_trainings


def test_a_network_that_cannot_be_loaded_after_training(
    superpixels, masks, monkeypatch
):
    """The former fit is whole."""
    level = maps_level().fit(superpixels, masks)
    expected = level.transform(superpixels).to_numpy()
    load = _convnet.load_shared_network

    def fail(*arguments, **options):
        if arguments[-1] is not None:
            raise MemoryError
        return load(*arguments, **options)

    level.set_params(fine_tune=replace(TINY, max_steps=1))
    with monkeypatch.context() as patch:
        patch.setattr(_convnet, "load_shared_network", fail)
        with pytest.raises(MemoryError):
            level.fit(superpixels, masks)
    assert np.array_equal(level.transform(superpixels).to_numpy(), expected)


def test_networks_whose_modules_have_versions(superpixels, masks, tmp_path):
    """MNASNet asks for its version when weights are put into it."""
    from safetensors.torch import save_file

    state = load_network("mnasnet0_5", None).module.state_dict()
    path = tmp_path / "mnasnet0_5.safetensors"
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    level = maps_level(backbone="mnasnet0_5", weights=path).fit(superpixels, masks)
    assert np.isfinite(level.transform(superpixels).to_numpy()).all()


def test_numbers_of_numpy_are_those_of_python():
    """Equal settings have equal texts, by which stored features know them."""
    fine_tune = FineTuning(np.int64(3), learning_rate=np.float64(0.5))
    assert fine_tune == FineTuning(3, learning_rate=0.5)
    assert repr(fine_tune) == repr(FineTuning(3, learning_rate=0.5))


def test_the_digest_is_of_all_weights():
    """Changes are of the file that training began with."""
    values = {"a": np.ones(3, np.float32)}
    digests = {
        FineTunedWeights(origin, {name: array}).sha256
        for origin in ("x", "y")
        for name in ("a", "b")
        for array in (values["a"], 2 * values["a"], values["a"][None])
    }
    assert len(digests) == 12


def test_weights_that_explode_in_the_last_step(superpixels, masks, monkeypatch):
    """Where no further loss would show it."""

    def infinitely_steep(scores, *_):
        return (0 * scores.sum()).sqrt()

    monkeypatch.setattr(_region_training, "region_loss", infinitely_steep)
    level = maps_level(replace(TINY, max_steps=1))
    with pytest.raises(ValueError, match=r"fine_tune: the weights .* became NaN"):
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
