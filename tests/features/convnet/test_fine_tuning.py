"""How a backbone is trained on masks."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

torch = pytest.importorskip("torch")

from sklearn_zoomout import (  # noqa: E402
    Backbone,
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    FineTuning,
    SegmentedImage,
    Superpixels,
    mark_unlabeled,
)
from sklearn_zoomout.backbones import load_network  # noqa: E402
from sklearn_zoomout.exceptions import EmptyMaskWarning  # noqa: E402
from sklearn_zoomout.features.convnet import _fine_tuning  # noqa: E402
from sklearn_zoomout.features.convnet._linear_head import RegionScores  # noqa: E402

TINY = FineTuning(max_steps=2, batch_size=2, input_size=96)


def maps_level(backbone=Backbone(fine_tune=TINY), **options):  # noqa: B008
    """Make a level whose backbone is trained for two steps."""
    return ConvnetSuperpixelFeatures(backbone, input_size=96, **options)


def tuned(**changes):
    """Make such a level with other settings of the training."""
    return maps_level(Backbone(fine_tune=TINY.replace(**changes)))


def digest_of(level, superpixels, masks):
    """Return the digest of the weights after fit."""
    return clone(level).fit(superpixels, masks).weights_sha256_


def separation(level, superpixels, masks):
    """Return the share of the variance of features that is between classes."""
    values = level.fit_transform(superpixels, masks).to_numpy()
    centers = [tuple(segmented.centroids.astype(int).T) for segmented in superpixels]
    pairs = zip(masks, centers, strict=True)
    labels = np.concatenate([mask[center] for mask, center in pairs])
    values = (values - values.mean(0)) / (values.std(0) + 1e-6)
    within = np.mean([values[labels == c].var(0).mean() for c in range(3)])
    return 1 - within


def test_training_tells_classes_apart(superpixels, masks):
    """The features of classes become more different."""
    fine_tune = FineTuning(max_steps=30, input_size=96, learning_rate=1e-3)
    frozen = maps_level(None, layers=("blocks.12",))
    trained = clone(frozen).set_params(backbone__fine_tune=fine_tune)
    before = separation(frozen, superpixels, masks)
    assert separation(trained, superpixels, masks) > before + 0.1


def test_same_data_and_settings_make_the_same_weights(superpixels, masks):
    """torch's own generator is neither read nor changed."""
    state = torch.get_rng_state()
    copies = Superpixels(superpixels), Superpixels(superpixels)  # share no training
    one, other = (digest_of(tuned(), copy, masks) for copy in copies)
    assert one == other
    assert torch.equal(torch.get_rng_state(), state)


def test_other_data_and_settings_make_other_weights(superpixels, masks):
    """Images, labels, seed and every setting count."""
    seeded = maps_level(Backbone(fine_tune=TINY, random_state=1))
    digests = [
        digest_of(tuned(), superpixels, masks),
        digest_of(tuned(), superpixels[:3], masks[:3]),
        digest_of(tuned(), superpixels, [2 - mask for mask in masks]),
        digest_of(seeded, superpixels, masks),
        digest_of(tuned(max_steps=3), superpixels, masks),
        digest_of(tuned(batch_size=1), superpixels, masks),
        digest_of(tuned(learning_rate=2e-4), superpixels, masks),
        digest_of(tuned(weight_decay=0.5), superpixels, masks),
        digest_of(tuned(class_weight="balanced"), superpixels, masks),
        digest_of(tuned(input_size=100), superpixels, masks),
        digest_of(maps_level(None), superpixels, masks),
    ]
    assert len(set(digests)) == len(digests)


def test_untrained_levels_keep_their_network(superpixels, masks):
    """A copy is trained, not the network that other levels share."""
    plain = maps_level(None).fit(superpixels)
    before = plain.transform(superpixels).to_numpy()
    trained = maps_level().fit_transform(superpixels, masks).to_numpy()
    assert np.abs(trained - before).max() > 1e-3
    assert np.array_equal(plain.transform(superpixels).to_numpy(), before)
    again = maps_level(None).fit_transform(superpixels).to_numpy()
    assert np.array_equal(again, before)


def test_batch_normalization_keeps_its_moments(superpixels, masks, trainings):
    """It stays in evaluation mode, and the network is frozen afterwards."""
    backbone = Backbone("resnet18", None, fine_tune=TINY)
    maps_level(backbone).fit(superpixels, masks)
    (network,) = trainings
    assert not any(module.training for module in network.module.modules())
    state = network.module.state_dict()
    assert (state["layer1.0.bn1.running_mean"] == 0).all()
    assert (state["layer1.0.bn1.running_var"] == 1).all()
    assert (state["layer1.0.bn1.weight"] != 1).any()
    assert not any(p.requires_grad for p in network.module.parameters())
    with torch.enable_grad():
        (last_map,) = network.maps(torch.zeros(1, 3, 96, 96), ["layer4"])
    assert not last_map.requires_grad


def test_step_sizes_fall_and_differ(superpixels, masks, monkeypatch):
    """Those of the classifier are ten times those of the network."""
    rates = []
    step = torch.optim.AdamW.step

    def record(optimizer, *args):
        rates.append([group["lr"] for group in optimizer.param_groups])
        return step(optimizer, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", record)
    tuned(max_steps=4).fit(superpixels, masks)
    of_network, of_scores = np.transpose(rates)
    np.testing.assert_allclose(of_network, 1e-4 * (1 - np.arange(4) / 4) ** 0.9)
    np.testing.assert_allclose(of_scores, 10 * of_network)


def test_maps_are_divided_by_their_deviations(superpixels, masks, monkeypatch):
    """The scores of all maps then learn at the same pace."""
    given = []
    build = RegionScores.__init__

    def record(self, deviations, *args):
        given.extend(deviations)
        build(self, deviations, *args)

    monkeypatch.setattr(RegionScores, "__init__", record)
    level = maps_level().fit(superpixels, masks)
    network = level.get_network()
    maps = network.maps(network.prepare(superpixels[0].rgb)[None], level.layers_)
    assert len(given) == len(maps)
    np.testing.assert_allclose(given, [m.std().item() for m in maps], rtol=0.5)


def test_fully_connected_layers_are_kept(superpixels, masks, narrow_fc7):
    """The convolutions of VGG are trained; fc7 keeps its weights."""
    level = ConvnetRegionFeatures(Backbone("vgg16", None), input_size=96)
    frozen, trained = clone(level), clone(level).set_params(backbone__fine_tune=TINY)
    rows = frozen.fit_transform(superpixels).to_numpy()
    difference = trained.fit_transform(superpixels, masks).to_numpy() - rows
    assert np.abs(difference).max() > 1e-6
    cells = torch.rand(2, 512, 7, 7, generator=torch.Generator().manual_seed(0))
    before, after = (x.get_network().fc7(cells) for x in (frozen, trained))
    assert torch.equal(before, after)


def test_weights_behind_the_last_map_are_not_kept(superpixels, masks):
    """The scores of ImageNet's classes get no gradient, and take no memory."""
    backbone = Backbone("squeezenet1_0", None, fine_tune=TINY)
    level = maps_level(backbone).fit(superpixels, masks)
    values = level._fine_tuned.values
    assert values.keys() < load_network(backbone).weights().keys()
    assert all(name.startswith("features.") for name in values)


def test_networks_whose_modules_have_versions(superpixels, masks, tmp_path):
    """MNASNet asks for its version when weights are loaded."""
    from safetensors.torch import save_file

    state = load_network(Backbone("mnasnet0_5", None)).module.state_dict()
    path = tmp_path / "mnasnet0_5.safetensors"
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    level = maps_level(Backbone("mnasnet0_5", path, fine_tune=TINY))
    table = level.fit(superpixels, masks).transform(superpixels)
    assert np.isfinite(table.to_numpy()).all()


def test_unlabeled_pixels_teach_nothing(superpixels, masks):
    """Images without any label are not shown."""
    scribbles = [np.where(np.arange(m.shape[1]) % 8 < 4, m, -1) for m in masks]
    scribbles[3][:] = -1
    as_255 = [np.where(mask == -1, 255, mask) for mask in scribbles]
    dark = SegmentedImage(superpixels[3].image // 2, superpixels[3].segments)
    digests = set()
    for X, y in (
        (superpixels, scribbles),
        (superpixels, mark_unlabeled(as_255, 255)),
        (Superpixels([*superpixels[:3], dark]), scribbles),
    ):
        with pytest.warns(EmptyMaskWarning):
            digests.add(digest_of(maps_level(), X, y))
    assert len(digests) == 1


def test_a_class_that_is_the_majority_of_no_superpixel_changes_nothing(
    superpixels, masks
):
    """The weights are the same, and there is no warning."""
    spotted = [masks[0].copy(), *masks[1:]]
    spotted[0][0, 0] = 9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        digest = digest_of(maps_level(), superpixels[:], spotted)
    assert digest == digest_of(maps_level(), superpixels[:], masks)


def test_missing_masks_are_refused(superpixels):
    """The masks are needed, and scikit-learn's tags say so."""
    assert maps_level().__sklearn_tags__().target_tags.required
    assert not maps_level(None).__sklearn_tags__().target_tags.required
    with pytest.raises(ValueError, match=r"fine_tune learns from label maps, got none"):
        maps_level().fit(superpixels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda masks: masks[:3], "3 masks for 4 images"),
        (lambda masks: [0 * m + 1 for m in masks], r"at least two classes .*1"),
        (lambda masks: [0 * m - 1 for m in masks], "got none in 4 masks"),
        (lambda masks: [*masks[:2], masks[2] - 2, masks[3]], r"masks\[2\].*-2"),
    ],
)
def test_masks_that_cannot_be_learned_from(superpixels, masks, change, message):
    """They are refused, and the level is not fitted."""
    level = maps_level()
    with pytest.raises(ValueError, match=message):
        level.fit(superpixels, change(masks))
    with pytest.raises(NotFittedError):
        level.transform(superpixels)


def test_wrong_layers_are_refused_before_training(superpixels, masks, trainings):
    """Training takes long."""
    with pytest.raises(ValueError, match="no module 'nope'"):
        maps_level(layers=("nope",)).fit(superpixels, masks)
    assert not trainings


def test_default_steps(superpixels, masks, monkeypatch):
    """100 times the square root of the number of images are shown, all as often."""
    seen = []
    monkeypatch.setattr(
        _fine_tuning, "train", lambda optimizer, batches, *_, **__: seen.append(batches)
    )
    maps_level(Backbone(fine_tune=True)).fit(superpixels, masks)
    assert seen[0].shape == (50, 4)
    assert (np.bincount(seen[0].ravel()) == 50).all()
    many = Superpixels([superpixels[i % 4] for i in range(100)])
    maps_level(Backbone(fine_tune=True)).fit(many, [masks[i % 4] for i in range(100)])
    assert seen[1].shape == (250, 4)
    level = maps_level(Backbone(fine_tune=FineTuning(batch_size=100)))
    level.fit(superpixels[:3], masks[:3])
    assert seen[2].shape == (58, 3)
