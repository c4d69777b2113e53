"""The standard pipelines in one call."""

import pickle
import warnings
from collections import Counter

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from sklearn_zoomout import (
    Backbone,
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    FineTuning,
    GlobalFeatures,
    LocalFeatures,
    Training,
    ZoomoutUnion,
    mark_unlabeled,
    zoomout_pipeline,
)
from sklearn_zoomout.datasets import FileSequence, make_scenes

TINY = FineTuning(max_steps=2, batch_size=2, input_size=96)


def small_pipeline(**options):
    """Make a pipeline for small images."""
    small = {"n_segments": 30, "input_size": 96, "max_epochs": 3, "random_state": 0}
    return zoomout_pipeline(**{**small, **options})


def levels_of(model):
    """Return the levels by the names of their steps."""
    return dict(model["zoomout"].transformer_list)


def test_the_documented_steps():
    """Searches refer to them by these names."""
    model = zoomout_pipeline(levels=["local", "global"], hidden_units=(16,))
    assert list(model.named_steps) == ["superpixels", "zoomout", "classifier"]
    assert list(levels_of(model)) == ["local", "global"]
    assert model.get_params()["classifier__hidden_units"] == (16,)


def test_the_default_needs_nothing_but_the_library(images, masks):
    """The preset "fast" has three levels of a network and nothing hand-crafted."""
    model = small_pipeline()
    assert list(levels_of(model)) == ["distant", "global", "maps"]
    predicted = model.fit(images, masks).predict(images[:1])
    assert predicted[0].shape == masks[0].shape
    assert model["classifier"].n_features_in_ == 352 + 352 + 256


@pytest.fixture(scope="module")
def n_columns():
    """A function that counts the columns of a preset with a random VGG-16."""
    count_of = {}  # VGG-16 is large: the same level is fitted once

    def count(preset, n_classes, **options):
        (image,), _ = make_scenes(n_images=1, size=(96, 96), random_state=0)
        model = zoomout_pipeline(preset, n_segments=100, **options)
        vgg16 = model["zoomout"].backbone.replace(weights=None)
        superpixels = model["superpixels"].fit_transform([image, image])
        labels = superpixels[0].segments % n_classes
        total = 0
        for name, level in levels_of(model).items():
            key = (name, n_classes if "local_" in name else None)
            if "local_" in name:
                level.set_params(training=Training(max_steps=1))
            elif name in ("distant", "global", "maps"):
                level.set_params(backbone=vgg16)
            if key not in count_of:
                level.fit(superpixels, [labels, labels])
                count_of[key] = level.n_features_out_
            total += count_of[key]
        return total

    return count


@pytest.mark.parametrize(
    ("preset", "n_classes", "options", "expected"),
    [
        ("arxiv2014", 8, {}, 11_836),
        ("arxiv2014", 21, {"background": 0}, 11_851),
        ("cvpr2015", 8, {}, 12_416),
    ],
)
def test_presets_have_the_columns_of_the_papers(
    n_columns, preset, n_classes, options, expected
):
    """Both forms of the method with VGG-16, on Stanford Background and on VOC."""
    assert n_columns(preset, n_classes, **options) == expected


def test_classes_and_background_reach_the_local_convnets():
    """They are the same for every step that learns."""
    model = zoomout_pipeline("arxiv2014", background=3, classes=[1, 3])
    for name in ("zoomout__local_convnet", "zoomout__local_foreground", "classifier"):
        assert model.get_params()[f"{name}__classes"] == [1, 3]
    assert model.get_params()["zoomout__local_foreground__background"] == 3
    assert model.get_params()["zoomout__local_convnet__background"] is None


def test_parameters_replace_those_of_the_preset():
    """Levels, backbone and hidden units can be replaced one by one."""
    model = zoomout_pipeline("cvpr2015", backbone="zoomnet", hidden_units=(7,))
    assert model["zoomout"].backbone == Backbone("zoomnet")
    assert model.get_params()["classifier__hidden_units"] == (7,)
    assert zoomout_pipeline("cvpr2015")["zoomout"].backbone == Backbone("vgg16")
    model.set_params(zoomout__maps="drop")
    assert levels_of(model)["maps"] == "drop"


def test_all_levels_use_one_backbone():
    """It is a parameter of the union; the levels have none of their own."""
    backbone = Backbone("zoomnet", None, flip=True, dtype="bfloat16", random_state=5)
    model = zoomout_pipeline(backbone=backbone, random_state=3, input_size=320)
    assert model["zoomout"].backbone == backbone
    for level in levels_of(model).values():
        assert level.backbone is None
    sizes = {n: getattr(x, "input_size", None) for n, x in levels_of(model).items()}
    assert sizes == {"distant": 320, "global": None, "maps": 320}


@pytest.mark.parametrize(
    ("options", "size"),
    [({}, 576), ({"backbone": "zoomnet"}, 640), ({"preset": "cvpr2015"}, 640)],
)
def test_the_input_size_is_that_of_the_network(options, size):
    """The default is 576 with the network of the default preset."""
    levels = levels_of(zoomout_pipeline(**options))
    assert levels["distant"].input_size == levels["maps"].input_size == size


@pytest.mark.parametrize("backbone", [None, "resnet18"])
def test_the_seed_is_that_of_a_backbone_by_name(backbone):
    """It determines random weights and fine-tuning."""
    model = zoomout_pipeline(backbone=backbone, random_state=3)
    name = backbone or "zoomnet_large"
    assert model["zoomout"].backbone == Backbone(name, random_state=3)
    assert zoomout_pipeline()["zoomout"].backbone.random_state == 0


def test_one_device_for_all_steps():
    """It is that of the backbone, unless it is given."""
    options = {"levels": ["local_convnet", "maps"]}
    for model in (
        zoomout_pipeline(device="cuda", backbone="zoomnet", **options),
        zoomout_pipeline(backbone=Backbone(device="cuda"), **options),
        zoomout_pipeline(backbone=Backbone(device="mps"), device="cuda", **options),
    ):
        params = model.get_params()
        assert params["zoomout__backbone__device"] == "cuda"
        assert params["zoomout__local_convnet__device"] == "cuda"
        assert params["classifier__device"] == "cuda"


class TestErrors:
    """Wrong arguments are refused at once, not after hours of features."""

    @pytest.mark.parametrize("preset", ["quick", ["distant", "global"], None])
    def test_unknown_presets(self, preset):
        """The error lists the presets, and says where levels belong."""
        with pytest.raises(ValueError, match="preset.*fast.*arxiv2014.*levels="):
            zoomout_pipeline(preset)

    @pytest.mark.parametrize(
        ("levels", "hint"),
        [
            ([], ""),
            (4, ""),
            ("local", " Pass a list"),
            ("arxiv2014", " Pass it as preset"),
            (["locale"], " Did you mean 'local'"),
            ([["distant"]], ""),
            (["maps", "maps"], "different names"),
        ],
    )
    def test_unknown_levels(self, levels, hint):
        """The error lists the levels, and says what was meant."""
        with pytest.raises(ValueError, match="levels.*proximal") as error:
            zoomout_pipeline(levels=levels)
        assert hint in str(error.value)

    @pytest.mark.parametrize(
        "options",
        [
            {"background": 0},
            {"preset": "cvpr2015", "background": 0},
            {"levels": ["local_foreground"]},
        ],
    )
    def test_background_and_foreground_come_together(self, options):
        """A label of the background that no level uses is a mistake."""
        with pytest.raises(ValueError, match=r"background: .*'local_foreground'"):
            zoomout_pipeline(**options)

    def test_a_backbone_that_no_level_uses(self):
        """The error names the levels that would."""
        with pytest.raises(ValueError, match=r"backbone: expected a level .*'maps'"):
            zoomout_pipeline(levels=["local", "proximal"], backbone="zoomnet")

    @pytest.mark.parametrize(
        ("options", "name"),
        [
            ({"hidden_units": 128}, "hidden_units"),
            ({"class_weight": 2}, "class_weight"),
            ({"preset": "arxiv2014", "background": "sky"}, "background"),
            ({"n_segments": 0}, "n_segments"),
            ({"input_size": 0}, "input_size"),
            ({"backbone": 3}, "name"),
            ({"random_state": True}, "random_state"),
        ],
    )
    def test_values_out_of_range(self, options, name):
        """The error names the parameter."""
        with pytest.raises(ValueError, match=f"'{name}' parameter"):
            zoomout_pipeline(**options)

    def test_a_number_as_hidden_units(self):
        """The error says how to write one layer."""
        with pytest.raises(ValueError, match=r"'auto'.* For one layer write \(128,\)"):
            zoomout_pipeline(hidden_units=128)

    @pytest.mark.parametrize("random_state", [-1, np.random.RandomState(0)])
    def test_what_is_no_seed(self, random_state):
        """Several steps need it, so that it must be an integer."""
        with pytest.raises(ValueError, match="random_state: expected an integer seed"):
            zoomout_pipeline(random_state=random_state)

    @pytest.mark.parametrize(
        ("name", "meant"), [("n_segment", "n_segments"), ("lr", "learning_rate")]
    )
    def test_misspelled_parameters(self, name, meant):
        """The error says what was meant."""
        with pytest.raises(TypeError, match=f"Did you mean '{meant}'"):
            zoomout_pipeline(**{name: 1})

    @pytest.mark.parametrize("name", ["layers", "flip", "weights", "fine_tune"])
    def test_parameters_of_a_level_or_backbone(self, name):
        """The error says where they belong."""
        with pytest.raises(TypeError, match=rf"\['{name}'\] .*Backbone.*__distant__"):
            zoomout_pipeline(**{name: None})


class TestFineTuning:
    """A pipeline whose backbone is trained first."""

    def test_fit_and_predict(self, images, masks, trainings):
        """One training serves all levels; a pickle predicts the same."""
        model = small_pipeline(backbone=Backbone(fine_tune=TINY))
        predicted = model.fit(images, masks).predict(images)
        assert len(trainings) == 1
        assert [p.shape for p in predicted] == [m.shape for m in masks]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            loaded = pickle.loads(pickle.dumps(model))
        for p, q in zip(loaded.predict(images), predicted, strict=True):
            assert np.array_equal(p, q)

    def test_grid_search(self, images, masks, trainings):
        """One parameter compares a backbone with and without fine-tuning."""
        fine_tune = FineTuning(max_steps=2, input_size=96)
        grid = {"zoomout__backbone__fine_tune": [None, fine_tune]}
        search = GridSearchCV(small_pipeline(), grid, cv=2, error_score="raise")
        search.fit(images, masks)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        refits = search.best_params_["zoomout__backbone__fine_tune"] is not None
        assert len(trainings) == 2 + refits
        candidates = search.cv_results_["param_zoomout__backbone__fine_tune"]
        assert list(candidates) == [None, fine_tune]

    def test_grid_search_over_nested_settings(self, images, masks, trainings):
        """The steps of a training are a parameter like others."""
        model = small_pipeline(levels=["maps"], backbone=Backbone(fine_tune=TINY))
        grid = {"zoomout__backbone__fine_tune__max_steps": [1, 2]}
        search = GridSearchCV(model, grid, cv=2, refit=False, error_score="raise")
        search.fit(images, masks)
        assert len(trainings) == 4


def test_grid_search_over_a_level(images, masks):
    """A level is dropped, or replaced by another."""
    levels = ["drop", ConvnetRegionFeatures(input_size=96)]
    search = GridSearchCV(
        small_pipeline(),
        {"zoomout__distant": levels, "zoomout__backbone__flip": [False, True]},
        cv=KFold(2),
        error_score="raise",
    ).fit(images, masks)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.cv_results_["mean_test_score"].shape == (4,)


@pytest.fixture(scope="module")
def renamed(images, masks):
    """A fitted pipeline whose steps have other names than their levels."""
    levels = [
        ("maps", ConvnetSuperpixelFeatures(input_size=96)),
        (
            "maps_tuned",
            ConvnetSuperpixelFeatures(Backbone(fine_tune=TINY), input_size=96),
        ),
        ("boxes", ConvnetRegionFeatures(input_size=96)),
        ("scene", GlobalFeatures(crop_size=96)),
        ("crafted", LocalFeatures(("color",))),
    ]
    model = small_pipeline().set_params(zoomout=ZoomoutUnion(levels))
    return model.fit(images, masks)


def test_columns_have_the_names_of_their_steps(renamed, images):
    """The table, scikit-learn and the classifier agree."""
    table = renamed[:-1].transform(images)
    expected = ["maps", "maps_tuned", "boxes", "scene", "crafted"]
    assert table.block_names == expected
    assert list(renamed[:-1].get_feature_names_out()) == table.columns
    assert list(renamed["classifier"].feature_names_in_) == table.columns
    steps = [name.partition("__")[0] for name in table.columns]
    assert list(dict.fromkeys(steps)) == expected


def test_importance_has_the_names_of_the_steps(renamed, images):
    """A level is what the user called it."""
    from sklearn_zoomout.inspection import zoom_importance

    importance = zoom_importance(renamed, images[0])
    assert importance.levels == ["maps", "maps_tuned", "boxes", "scene", "crafted"]


class TestReading:
    """Images and masks may be files, which are read when they are needed."""

    @pytest.fixture
    def read(self):
        """How often each file was read."""
        return Counter()

    @pytest.fixture
    def files(self, images, masks, read):
        """Sequences of images and masks that count how often they are read."""
        arrays = {"image": images, "mask": masks}

        def count(file):
            read[file] += 1
            kind, i = file
            return arrays[kind][i]

        return [
            FileSequence(count, [(kind, i) for i in range(len(images))])
            for kind in arrays
        ]

    @pytest.fixture
    def once(self, images):
        """Counts of one reading of every image and every mask."""
        return Counter((kind, i) for kind in ("image", "mask") for i in range(4))

    @pytest.fixture
    def model(self):
        """Every step that learns from masks: local convnets, a backbone, a net."""
        model = small_pipeline(
            levels=["local_convnet", "distant", "maps"],
            backbone=Backbone(fine_tune=TINY),
        )
        return model.set_params(zoomout__local_convnet__training=Training(max_steps=2))

    def test_fit_reads_every_file_once(self, model, files, read, once):
        """Three trainings see the masks, each of them once."""
        model.fit(*files)
        assert read == once

    def test_fit_reads_masks_of_another_convention_once(self, model, files, read, once):
        """They are converted while they are read."""
        images, masks = files
        model.fit(images, mark_unlabeled(masks, 2))
        assert read == once

    def test_predict_reads_images_once(self, model, files, images, masks, read):
        """And no masks."""
        model.fit(images, masks).predict(files[0])
        assert read == Counter(("image", i) for i in range(4))

    def test_results_are_those_of_arrays(self, model, files, images, masks):
        """Where the data are does not matter."""
        predicted = clone(model).fit(*files).predict(files[0])
        expected = clone(model).fit(images, masks).predict(images)
        for labels, others in zip(predicted, expected, strict=True):
            np.testing.assert_array_equal(labels, others)
