"""All levels of an image at once."""

import io
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from joblib import effective_n_jobs, parallel_config
from sklearn.base import clone
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import FunctionTransformer

from sklearn_zoomout import (
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    GlobalFeatures,
    LocalConvnetFeatures,
    LocalFeatures,
    ProximalFeatures,
    RegionFeatures,
    SegmentedImage,
    ZoomoutUnion,
)
from sklearn_zoomout.backbones import FrozenNetwork, load_network, loading
from sklearn_zoomout.features import _convnet, fine_tuning

SMALL = {"input_size": 96}


def make_levels():
    crafted = {"n_textons": 4, "n_words": 5, "random_state": 0}
    return [
        ("local", LocalFeatures(**crafted)),
        ("proximal", ProximalFeatures(**crafted)),
        ("distant", ConvnetRegionFeatures(**SMALL)),
        ("global", GlobalFeatures(**SMALL, batch_size=3)),
        ("maps", ConvnetSuperpixelFeatures(**SMALL)),
    ]


@pytest.fixture
def n_passes(monkeypatch):
    """Count the passes over whole images, as they are made."""
    counted = []
    maps = FrozenNetwork.maps

    def counting(self, batch, layers=None):
        counted.append(batch.shape)
        return maps(self, batch, layers)

    monkeypatch.setattr(FrozenNetwork, "maps", counting)
    return counted


def assert_same(table, other):
    assert table.columns == other.columns
    assert_close(table.to_numpy(), other.to_numpy())


def assert_close(rows, others):
    """Batches of another size may change last bits."""
    np.testing.assert_allclose(rows, others, rtol=1e-5, atol=1e-6)


def test_features_are_those_of_a_feature_union(superpixels):
    """All levels, on the training images and on others."""
    union, plain = ZoomoutUnion(make_levels()), FeatureUnion(make_levels())
    assert_same(union.fit_transform(superpixels), plain.fit_transform(superpixels))
    assert_same(union.transform(superpixels[:2]), plain.transform(superpixels[:2]))
    assert union.transform(superpixels[:0]).n_rows == 0


@pytest.mark.parametrize("flip", [False, True])
def test_levels_of_one_network_share_a_pass(superpixels, n_passes, flip):
    """One pass an image for distant and maps, and one for global."""
    levels = [(n, x) for n, x in make_levels() if n in ("distant", "global", "maps")]
    union = ZoomoutUnion(levels)
    for name, _ in levels:
        union.set_params(**{f"{name}__flip": flip})
    union.fit(superpixels)
    shared = union.transform(superpixels)
    assert len(n_passes) == 2 * len(superpixels)
    n_passes.clear()
    separate = FeatureUnion(union.transformer_list).transform(superpixels)
    assert len(n_passes) == 2 * len(superpixels) + 2  # global goes in two batches
    assert_same(shared, separate)


@pytest.mark.parametrize(
    "other",
    [
        *({"input_size": 128}, {"flip": True}, {"dtype": "bfloat16"}),
        *({"weights": None}, {"backbone": "cnn_s"}),
    ],
)
def test_levels_that_see_otherwise_do_not_share(superpixels, n_passes, other):
    """Another size, mirror images, or another network: each has its own maps."""
    if "backbone" in other:
        other = {**other, "weights": None, "layers": ["features.relu1"]}
    levels = [
        ("distant", ConvnetRegionFeatures(**SMALL)),
        ("maps", ConvnetSuperpixelFeatures(**{**SMALL, **other})),
    ]
    union = ZoomoutUnion(levels).fit(superpixels)
    table = union.transform(superpixels)
    assert len(n_passes) == 2 * len(superpixels)
    assert_same(table, FeatureUnion(levels).transform(superpixels))


def test_levels_of_another_preprocessing_do_not_share(superpixels, tmp_path):
    """The same weights in files whose names tell of TensorFlow's padding, or not."""
    torch, vision = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    content = io.BytesIO()
    torch.save(vision.models.mobilenet_v2().state_dict(), content)
    levels = []
    for name in ("mobilenet_v2", "mobilenet_v2_tf2"):
        path = tmp_path / f"{name}.pt"
        path.write_bytes(content.getvalue())
        options = {"weights": path, "layers": ("features.3",), **SMALL}
        level = ConvnetSuperpixelFeatures("mobilenet_v2", **options)
        levels.append((name, level.fit(superpixels)))
    digests = {level.weights_sha256_ for _, level in levels}
    assert len(digests) == 1
    union = ZoomoutUnion(levels).fit(superpixels)
    separate = [level.transform(superpixels).to_numpy() for _, level in levels]
    assert np.abs(separate[0] - separate[1]).max() > 1e-3
    rows = union.transform(superpixels).to_numpy()
    assert_close(rows, np.concatenate(separate, axis=1))


def test_crops_are_no_passes_over_the_image(superpixels):
    """Where regions are seen one by one, there is nothing to share."""
    levels = [
        ("distant", ConvnetRegionFeatures(pooling="crop", crop_size=32)),
        ("maps", ConvnetSuperpixelFeatures(**SMALL)),
    ]
    union = ZoomoutUnion(levels).fit(superpixels[:1])
    table = union.transform(superpixels[:1])
    assert_same(table, FeatureUnion(levels).transform(superpixels[:1]))


class Fails(RegionFeatures):
    """Fails when it is told to."""

    block_name = "fails"
    told = False

    def describe(self, segmented):
        if self.told:
            raise OSError("gone")
        return np.zeros((segmented.n_segments, 1))

    def column_names(self):
        return ["zero"]


def test_maps_do_not_outlive_their_image(superpixels):
    """They would fill the memory; neither do they after an error."""
    fails = Fails()
    levels = [("maps", ConvnetSuperpixelFeatures(**SMALL)), ("fails", fails)]
    union = ZoomoutUnion(levels).fit(superpixels)
    union.transform(superpixels)
    assert _convnet._SHARED.passes is None
    fails.told = True
    with pytest.raises(OSError, match="gone"):
        union.transform(superpixels)
    assert _convnet._SHARED.passes is None


class Mirrored(RegionFeatures):
    """Describes the mirror image by a level of its own, fitted beforehand."""

    block_name = "mirrored"

    def __init__(self, level=None):
        self.level = level

    def describe(self, segmented):
        mirror = np.flip(segmented.image, 1), np.flip(segmented.segments, 1)
        return self.level.describe(SegmentedImage(*mirror))

    def column_names(self):
        return self.level.column_names()


class Inner(Mirrored):
    """Describes the image by a level that the union does not know of."""

    block_name = "inner"

    def describe(self, segmented):
        return self.level.describe(segmented)


@pytest.mark.parametrize("kind", [Mirrored, Inner])
@pytest.mark.parametrize(
    "options",
    [{}, {"input_size": 128}, {"layers": ("blocks.0",)}, {"layers": ("blocks.15",)}],
    ids=str,
)
def test_maps_are_those_of_the_image_and_layers_asked_for(superpixels, kind, options):
    """A level may look at another image meanwhile, or at what nobody else needs."""
    inner = ConvnetSuperpixelFeatures(**{**SMALL, **options}).fit(superpixels)
    own = kind(inner).fit(superpixels)
    levels = [("distant", ConvnetRegionFeatures(**SMALL)), ("own", own)]
    table = ZoomoutUnion(levels).fit(superpixels).transform(superpixels)
    assert_same(table, FeatureUnion(levels).transform(superpixels))


class CountsWorkers(RegionFeatures):
    """Tells how many tasks of its own a level may start at once."""

    block_name = "workers"

    def describe(self, segmented):
        return np.full((segmented.n_segments, 1), effective_n_jobs(4))

    def column_names(self):
        return ["n"]


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_an_image_is_one_task(superpixels, n_jobs):
    """Tasks of a task would run elsewhere, and could not share its passes."""
    union = ZoomoutUnion([("workers", CountsWorkers())], n_jobs=n_jobs)
    assert (union.fit_transform(superpixels).to_numpy() == 1).all()


def test_sharing_ends_at_the_thread(superpixels):
    """What another thread does meanwhile is of other images, and other data."""
    shared = [lambda: _convnet._SHARED.passes, lambda: fine_tuning._SHARED.weights]
    with (
        _convnet.share_passes([], superpixels[0]),
        fine_tuning.share_fine_tuning(),
        ThreadPoolExecutor() as pool,
    ):
        assert [look() is None for look in shared] == [False, False]
        assert [pool.submit(look).result() for look in shared] == [None, None]


def test_an_image_that_comes_twice_is_described_twice(superpixels):
    """Two threads may have it at the same moment."""
    levels = [
        ("distant", ConvnetRegionFeatures(**SMALL)),
        ("maps", ConvnetSuperpixelFeatures(**SMALL)),
    ]
    union = ZoomoutUnion(levels, n_jobs=4).fit(superpixels)
    table = union.transform(superpixels[[0] * 12])
    one = union.transform(superpixels[:1]).to_numpy()
    np.testing.assert_array_equal(table.to_numpy(), np.tile(one, (12, 1)))


def test_names_and_weights_are_checked(superpixels):
    """As by a FeatureUnion; weights are refused with a word on why."""
    level = LocalFeatures(("location",))
    with pytest.raises(ValueError, match="not unique"):
        ZoomoutUnion([("a", level), ("a", level)]).fit(superpixels)
    with pytest.raises(ValueError, match="transformer_weights: expected None"):
        ZoomoutUnion([("a", level)], transformer_weights={"a": 2}).fit(superpixels)


def test_a_level_that_treats_training_images_otherwise_still_does(superpixels, masks):
    """The local convnet's outputs on training images are out of fold."""

    def levels():
        local = LocalConvnetFeatures(max_steps=2, cv=2, random_state=0)
        return [("local", local), ("maps", ConvnetSuperpixelFeatures(**SMALL))]

    union, plain = ZoomoutUnion(levels()), FeatureUnion(levels())
    seen = union.fit_transform(superpixels, masks)
    assert_same(seen, plain.fit_transform(superpixels, masks))
    assert_same(union.transform(superpixels), plain.transform(superpixels))
    assert (seen.to_numpy() != union.transform(superpixels).to_numpy()).any()


def test_levels_can_be_dropped_and_the_union_cloned(superpixels):
    """It is the FeatureUnion that grid searches know."""
    union = clone(ZoomoutUnion(make_levels())).set_params(local="drop", proximal="drop")
    table = union.fit_transform(superpixels)
    assert table.block_names == ["distant", "global", "maps"]
    assert isinstance(union, FeatureUnion)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_images_are_spread_over_threads_and_processes(superpixels, backend):
    """The features are those of one after the other, bit for bit."""
    union = ZoomoutUnion(make_levels()).fit(superpixels)
    alone = union.transform(superpixels).to_numpy()
    with parallel_config(backend, n_jobs=2):
        spread = union.transform(superpixels).to_numpy()
    np.testing.assert_array_equal(spread, alone)


def test_a_worker_loads_a_network_once(superpixels, monkeypatch):
    """Tasks are sent without the network, of which all of a process share one."""
    loaded = []
    monkeypatch.setattr(
        loading, "load_network", lambda *x: loaded.append(x) or load_network(*x)
    )
    loading._load_once.cache_clear()
    level = ConvnetSuperpixelFeatures(weights=None, random_state=3, **SMALL)
    sent = pickle.dumps(level.fit(superpixels))
    assert len(sent) < 20_000
    rows = [pickle.loads(sent).describe(superpixels[0]) for _ in range(3)]
    assert len(loaded) == 1
    np.testing.assert_array_equal(rows[2], level.describe(superpixels[0]))
    loading._load_once.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda s: pickle.loads(sent).describe(s), superpixels))
    assert len(loaded) == 2


def test_a_level_that_is_something_else_makes_it_a_feature_union(superpixels):
    """Its output is stacked as scikit-learn does."""
    passed = FunctionTransformer(
        lambda x: LocalFeatures(("location",)).fit_transform(x)
    )
    levels = [("other", passed), ("maps", ConvnetSuperpixelFeatures(**SMALL))]
    table = ZoomoutUnion(levels).fit_transform(superpixels)
    assert table.block_names == ["local", "maps"]


def test_images_instead_of_superpixels_are_refused(superpixels, images):
    """With a word on the step that is missing."""
    union = ZoomoutUnion(make_levels()[2:]).fit(superpixels)
    with pytest.raises(TypeError, match="put a SuperpixelSegmenter before"):
        union.transform(images)
