"""All levels of an image together."""

import io
import weakref

import numpy as np
import pytest
from joblib import effective_n_jobs, parallel_config
from sklearn.base import clone
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import FunctionTransformer

pytest.importorskip("torch")

from sklearn_zoomout import (  # noqa: E402
    Backbone,
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    GlobalFeatures,
    LocalConvnetFeatures,
    LocalFeatures,
    ProximalFeatures,
    RegionFeatures,
    SegmentedImage,
    Training,
    ZoomoutUnion,
)

SMALL = {"input_size": 96}


def make_levels():
    """Make a level of every kind that learns no labels."""
    crafted = {"n_textons": 4, "n_words": 5, "random_state": 0}
    return [
        ("local", LocalFeatures(**crafted)),
        ("proximal", ProximalFeatures(**crafted)),
        *convnet_levels(),
    ]


def convnet_levels(backbone=None):
    """Make the levels of a convnet."""
    return [
        ("distant", ConvnetRegionFeatures(backbone, **SMALL)),
        ("global", GlobalFeatures(backbone, crop_size=96)),
        ("maps", ConvnetSuperpixelFeatures(backbone, **SMALL)),
    ]


def assert_close(rows, others):
    """Forward passes for other layers may change the last bits."""
    np.testing.assert_allclose(rows, others, rtol=1e-5, atol=1e-6)


def assert_same(table, other):
    """Tables must have equal columns and values."""
    assert table.columns == other.columns
    assert_close(table.to_numpy(), other.to_numpy())


def test_features_are_those_of_a_feature_union(superpixels):
    """All levels, on the training images and on others."""
    union, plain = ZoomoutUnion(make_levels()), FeatureUnion(make_levels())
    assert_same(union.fit_transform(superpixels), plain.fit_transform(superpixels))
    assert_same(union.transform(superpixels[:2]), plain.transform(superpixels[:2]))
    assert union.transform(superpixels[:0]).n_rows == 0


class TestNames:
    """The blocks of the table have the names of the steps."""

    @pytest.fixture
    def union(self):
        """A union whose steps have other names than their levels."""
        location = LocalFeatures(("location",))
        inner = ZoomoutUnion([("here", location), ("near", ProximalFeatures())])
        inner.set_params(near__descriptors=("location",))
        return ZoomoutUnion(
            [
                ("maps", ConvnetSuperpixelFeatures(**SMALL)),
                ("maps_fine", ConvnetSuperpixelFeatures(layers=["stem"], **SMALL)),
                ("boxes", ConvnetRegionFeatures(**SMALL)),
                ("where", inner),
                ("honest", LocalConvnetFeatures(training=Training(1), cv=2)),
            ]
        )

    def test_blocks_are_named_after_steps(self, union, superpixels, masks):
        """In fit_transform and in transform; inner names follow the outer."""
        expected = ["maps", "maps_fine", "boxes", "where__here", "where__near"]
        expected.append("honest")
        assert union.fit_transform(superpixels, masks).block_names == expected
        assert union.transform(superpixels).block_names == expected

    def test_names_are_those_that_scikit_learn_makes(self, union, superpixels, masks):
        """So that columns have one name everywhere."""
        table = union.fit_transform(superpixels, masks)
        assert list(union.get_feature_names_out()) == table.columns


class TestSharing:
    """Levels share a forward pass if they compute the same feature maps."""

    @pytest.mark.parametrize("flip", [False, True])
    def test_levels_of_one_network(self, superpixels, passes, flip):
        """One pass for the distant and the maps level, and one for the global level."""
        union = ZoomoutUnion(convnet_levels(), backbone=Backbone(flip=flip))
        union.fit(superpixels)
        shared = union.transform(superpixels)
        assert len(passes) == 2 * len(superpixels)
        passes.clear()
        separate = FeatureUnion(union.transformer_list).transform(superpixels)
        assert len(passes) == 3 * len(superpixels)
        assert_same(shared, separate)

    def test_other_layers(self, superpixels, passes):
        """One pass computes the layers of all levels."""
        levels = [
            (str(i), ConvnetSuperpixelFeatures(layers=layers, **SMALL))
            for i, layers in enumerate(
                (["blocks.0"], ["blocks.15", "stem"], ["stem"], "all")
            )
        ]
        union = ZoomoutUnion(levels).fit(superpixels)
        rows = union.transform(superpixels).to_numpy()
        assert len(passes) == len(superpixels)
        separate = [level.transform(superpixels).to_numpy() for _, level in levels]
        assert_close(rows, np.hstack(separate))

    @pytest.mark.parametrize(
        "level",
        [
            ConvnetSuperpixelFeatures(input_size=128),
            ConvnetSuperpixelFeatures(Backbone(flip=True), **SMALL),
            ConvnetSuperpixelFeatures(Backbone(dtype="bfloat16"), **SMALL),
            ConvnetSuperpixelFeatures(Backbone(weights=None), **SMALL),
            ConvnetSuperpixelFeatures(Backbone("squeezenet1_1", None), **SMALL),
        ],
        ids=lambda level: f"{level.backbone}, {level.input_size}",
    )
    def test_other_sizes_and_networks(self, superpixels, passes, level):
        """Each level has maps of its own."""
        levels = [("distant", ConvnetRegionFeatures(**SMALL)), ("maps", clone(level))]
        union = ZoomoutUnion(levels).fit(superpixels)
        table = union.transform(superpixels)
        assert len(passes) == 2 * len(superpixels)
        assert_same(table, FeatureUnion(levels).transform(superpixels))

    def test_other_preprocessing(self, superpixels, passes, tmp_path):
        """Two files of equal weights, one of which needs TensorFlow's padding."""
        torch = pytest.importorskip("torch")
        vision = pytest.importorskip("torchvision")
        content = io.BytesIO()
        torch.save(vision.models.mobilenet_v2().state_dict(), content)
        levels = []
        for name in ("mobilenet_v2", "mobilenet_v2_tf2"):
            path = tmp_path / f"{name}.pt"
            path.write_bytes(content.getvalue())
            backbone = Backbone("mobilenet_v2", path)
            options = {"layers": ("features.3",), **SMALL}
            level = ConvnetSuperpixelFeatures(backbone, **options)
            levels.append((name, level.fit(superpixels)))
        assert len({level.weights_sha256_ for _, level in levels}) == 1
        union = ZoomoutUnion(levels).fit(superpixels)
        rows = union.transform(superpixels).to_numpy()
        assert len(passes) == 2 * len(superpixels)
        separate = [level.transform(superpixels).to_numpy() for _, level in levels]
        assert np.abs(separate[0] - separate[1]).max() > 1e-3
        assert_close(rows, np.concatenate(separate, axis=1))

    def test_crops(self, superpixels, passes):
        """Regions that are cropped need passes of their own."""
        levels = [
            ("distant", ConvnetRegionFeatures(pooling="crop", crop_size=32)),
            ("maps", ConvnetSuperpixelFeatures(**SMALL)),
        ]
        union = ZoomoutUnion(levels).fit(superpixels[:1])
        table = union.transform(superpixels[:1])
        assert {shape[2:] for shape in passes} == {(32, 32), (96, 96)}
        assert_same(table, FeatureUnion(levels).transform(superpixels[:1]))

    @pytest.mark.parametrize("n_jobs", [None, 2])
    def test_an_image_that_comes_twice(self, superpixels, n_jobs):
        """Two threads may describe it at the same moment."""
        union = ZoomoutUnion(convnet_levels(), n_jobs=n_jobs).fit(superpixels)
        table = union.transform(superpixels[[0] * 12])
        one = union.transform(superpixels[:1]).to_numpy()
        np.testing.assert_array_equal(table.to_numpy(), np.tile(one, (12, 1)))


class Mirrored(RegionFeatures):
    """Describe the mirror image by a level that was fitted before."""

    block_name = "mirrored"

    def __init__(self, level=None):
        self.level = level

    def describe(self, segmented):
        mirror = np.flip(segmented.image, 1), np.flip(segmented.segments, 1)
        return self.level.describe(SegmentedImage(*mirror))

    def column_names(self):
        return self.level.column_names()


class Inner(Mirrored):
    """Describe the image by a level that the union does not know."""

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
    """A level of a level may describe another image, or read other layers."""
    inner = ConvnetSuperpixelFeatures(**{**SMALL, **options}).fit(superpixels)
    own = kind(inner).fit(superpixels)
    levels = [("distant", ConvnetRegionFeatures(**SMALL)), (own.block_name, own)]
    table = ZoomoutUnion(levels).fit(superpixels).transform(superpixels)
    assert_same(table, FeatureUnion(levels).transform(superpixels))


class Observer(RegionFeatures):
    """Keep weak references to the forward passes of images, and fail if told to."""

    block_name = "observer"
    told_to_fail = False

    def __init__(self, references=None):
        self.references = references

    def describe(self, segmented):
        if segmented.passes is not None:
            self.references.append(weakref.ref(segmented.passes))
        if self.told_to_fail:
            raise OSError("gone")
        return np.zeros((segmented.n_segments, 1))

    def column_names(self):
        return ["zero"]


def test_maps_do_not_outlive_their_image(superpixels):
    """They would fill the memory, also after an error."""
    observer = Observer(references=[])
    levels = [("maps", ConvnetSuperpixelFeatures(**SMALL)), ("observer", observer)]
    union = ZoomoutUnion(levels).fit(superpixels)
    union.transform(superpixels)
    observer.told_to_fail = True
    with pytest.raises(OSError, match="gone"):
        union.transform(superpixels)
    assert len(observer.references) == 5
    assert not any(reference() for reference in observer.references)
    assert all(segmented.passes is None for segmented in superpixels)


class CountsWorkers(RegionFeatures):
    """Count the tasks that a level may start at once."""

    block_name = "workers"

    def describe(self, segmented):
        return np.full((segmented.n_segments, 1), effective_n_jobs(4))

    def column_names(self):
        return ["n"]


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_an_image_is_one_task(superpixels, n_jobs):
    """Levels start no tasks, which could not share the passes of the image."""
    union = ZoomoutUnion([("workers", CountsWorkers())], n_jobs=n_jobs)
    assert (union.fit_transform(superpixels).to_numpy() == 1).all()


@pytest.mark.parametrize(
    "backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)]
)
def test_images_are_spread_over_threads_and_processes(superpixels, backend):
    """The features are bit for bit those of one image after the other."""
    union = ZoomoutUnion(make_levels()).fit(superpixels)
    alone = union.transform(superpixels).to_numpy()
    with parallel_config(backend, n_jobs=2):
        spread = union.transform(superpixels).to_numpy()
    np.testing.assert_array_equal(spread, alone)


class TestBackbone:
    """The network of the union is that of all levels that have none of their own."""

    def test_levels_without_a_backbone_take_it(self, superpixels):
        """None is ZoomNet; a name is short for a Backbone."""
        for given, expected in (
            ("squeezenet1_1", "squeezenet1_1"),
            (Backbone("squeezenet1_1"), "squeezenet1_1"),
            (None, "zoomnet"),
        ):
            union = ZoomoutUnion(convnet_levels(), backbone=given)
            union.set_params(backbone__weights=None)
            union.fit(superpixels)
            for _, level in union.transformer_list:
                assert level.get_network().spec.name == expected
                assert level.backbone is None

    def test_levels_keep_a_backbone_of_their_own(self, superpixels):
        """It need not be that of the others."""
        union = ZoomoutUnion(convnet_levels(), backbone=Backbone(weights=None))
        union.set_params(distant__backbone="zoomnet").fit(superpixels)
        sources = [level.weights_ for _, level in union.transformer_list]
        assert sources[0].endswith("zoomnet.safetensors")
        assert sources[1:] == ["random", "random"]

    def test_it_can_be_changed_and_fitted_again(self, superpixels):
        """As a grid search does with clones."""
        union = ZoomoutUnion(convnet_levels()).fit(superpixels)
        first = union.transform(superpixels).to_numpy()
        again = clone(union).set_params(backbone__weights=None).fit(superpixels)
        assert not np.allclose(again.transform(superpixels).to_numpy(), first)
        union.set_params(backbone=Backbone(weights=None)).fit(superpixels)
        assert_same(union.transform(superpixels), again.transform(superpixels))

    def test_a_wrong_one_is_refused(self, superpixels):
        """The error names it."""
        union = ZoomoutUnion(convnet_levels(), backbone="zoomnets")
        with pytest.raises(ValueError, match="Did you mean 'zoomnet'"):
            union.fit(superpixels)
        with pytest.raises(ValueError, match="backbone.*3|'name' parameter"):
            union.set_params(backbone=3).fit(superpixels)


def test_names_are_checked(superpixels):
    """They must be unique, as in a FeatureUnion; one level must remain."""
    level = LocalFeatures(("location",))
    with pytest.raises(ValueError, match="not unique"):
        ZoomoutUnion([("a", level), ("a", level)]).fit(superpixels)
    with pytest.raises(ValueError, match="expected at least one level"):
        ZoomoutUnion([("a", "drop")]).fit(superpixels)


def test_a_level_that_treats_training_images_otherwise_still_does(superpixels, masks):
    """The local convnet's outputs on training images are out of fold."""

    def levels():
        local = LocalConvnetFeatures(training=Training(2), cv=2, random_state=0)
        maps = ConvnetSuperpixelFeatures(**SMALL)
        return [("local_convnet", local), ("maps", maps)]

    union, plain = ZoomoutUnion(levels()), FeatureUnion(levels())
    seen = union.fit_transform(superpixels, masks)
    assert_same(seen, plain.fit_transform(superpixels, masks))
    assert_same(union.transform(superpixels), plain.transform(superpixels))
    assert (seen.to_numpy() != union.transform(superpixels).to_numpy()).any()


def test_levels_can_be_dropped_and_the_union_cloned(superpixels):
    """It is a FeatureUnion, as grid searches know it."""
    union = clone(ZoomoutUnion(make_levels())).set_params(local="drop", proximal="drop")
    table = union.fit_transform(superpixels)
    assert table.block_names == ["distant", "global", "maps"]
    assert isinstance(union, FeatureUnion)


def test_a_transformer_of_another_kind(superpixels):
    """Its table is put beside those of the levels."""
    passed = FunctionTransformer(LocalFeatures(("location",)).fit_transform)
    levels = [("other", passed), ("maps", ConvnetSuperpixelFeatures(**SMALL))]
    union = ZoomoutUnion(levels)
    assert union.fit_transform(superpixels).block_names == ["other", "maps"]
    assert union.transform(superpixels).n_columns == 4 + 328


def test_images_instead_of_superpixels_are_refused(superpixels, images):
    """The error names the step that is missing."""
    union = ZoomoutUnion(convnet_levels()).fit(superpixels)
    with pytest.raises(TypeError, match="put a SuperpixelSegmenter before"):
        union.transform(images)
