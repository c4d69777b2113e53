"""The description of a network: a value that scikit-learn can take apart."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_zoomout import (
    Backbone,
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    FineTuning,
    GlobalFeatures,
    LocalFeatures,
    ZoomoutUnion,
    zoomout_pipeline,
)

OPTIONS = {
    "name": "resnet18",
    "weights": None,
    "weights_sha256": "0" * 64,
    "dtype": "bfloat16",
    "flip": True,
    "device": "cuda",
    "fine_tune": FineTuning(max_steps=3),
    "random_state": 7,
}


def build():
    """Stand in for a function that returns a network."""
    raise AssertionError("the network is not needed here")


@pytest.mark.parametrize("name", OPTIONS)
def test_equal_parameters_make_equal_backbones(name):
    """Backbones are equal, and have equal hashes, if all parameters are equal."""
    plain = Backbone()
    changed, again = (Backbone(**{name: OPTIONS[name]}) for _ in range(2))
    assert changed == again
    assert hash(changed) == hash(again)
    assert changed != plain
    assert {plain, changed, again} == {plain, changed}


def test_fine_tune_true_is_the_default_fine_tuning():
    """True and False are short for FineTuning() and None."""
    assert Backbone(fine_tune=True) == Backbone(fine_tune=FineTuning())
    assert Backbone(fine_tune=False) == Backbone(fine_tune=None)
    assert Backbone(fine_tune=True).fine_tune == FineTuning()


def test_numbers_of_numpy_are_those_of_python():
    """Equal settings look alike, whichever library made the number."""
    backbone = Backbone(random_state=np.int64(3), flip=np.bool_(True))
    assert backbone == Backbone(random_state=3, flip=True)
    assert repr(backbone) == repr(Backbone(random_state=3, flip=True))
    fine_tune = FineTuning(np.int64(3), learning_rate=np.float64(0.5))
    assert fine_tune == FineTuning(3, learning_rate=0.5)
    assert repr(fine_tune) == repr(FineTuning(3, learning_rate=0.5))


@pytest.mark.parametrize(
    ("backbone", "text"),
    [
        (Backbone(), "Backbone()"),
        (Backbone("resnet18", None), "Backbone(name='resnet18', weights=None)"),
        (
            Backbone(fine_tune=FineTuning(max_steps=2), random_state=1),
            "Backbone(fine_tune=FineTuning(max_steps=2), random_state=1)",
        ),
    ],
)
def test_repr_shows_what_differs_from_the_default(backbone, text):
    """The text can be evaluated, and stands in the repr of a level."""
    assert repr(backbone) == text
    assert eval(text) == backbone
    level = ConvnetRegionFeatures(backbone)
    assert repr(level) == f"ConvnetRegionFeatures(backbone={text})"


def test_a_backbone_does_not_change():
    """Attributes cannot be set; replace returns another backbone."""
    backbone = Backbone()
    with pytest.raises(AttributeError):
        backbone.flip = True
    assert backbone.replace(flip=True) == Backbone(flip=True)
    assert backbone == Backbone()


@pytest.mark.parametrize("backbone", [Backbone(**OPTIONS), Backbone(build)])
def test_clone_returns_the_object_itself(backbone):
    """It never changes, so that clones of an estimator can share it."""
    assert clone(backbone) is backbone
    level = ConvnetRegionFeatures(backbone)
    assert clone(level).backbone is backbone


@pytest.mark.parametrize(
    "backbone",
    [Backbone(**OPTIONS), Backbone(build), Backbone(weights=Path("w.safetensors"))],
)
def test_pickled_backbones_are_equal(backbone):
    """Other processes load the same network."""
    restored = pickle.loads(pickle.dumps(backbone))
    assert restored == backbone
    assert hash(restored) == hash(backbone)


def test_get_params_lists_all_parameters():
    """Those of fine-tuning are included if they are asked for."""
    backbone = Backbone(**OPTIONS)
    assert backbone.get_params(deep=False) == OPTIONS
    params = backbone.get_params()
    assert params["fine_tune__max_steps"] == 3
    assert params["fine_tune__input_size"] == 320
    assert Backbone(**backbone.get_params(deep=False)) == backbone
    level = ConvnetRegionFeatures(backbone)
    assert level.get_params()["backbone__dtype"] == "bfloat16"
    assert level.get_params()["backbone__fine_tune__max_steps"] == 3


@pytest.mark.parametrize(
    ("backbone", "base"),
    [
        (None, Backbone()),
        ("resnet18", Backbone("resnet18")),
        (build, Backbone(build)),
        (Backbone(flip=True), Backbone(flip=True)),
    ],
)
@pytest.mark.parametrize(
    "level", [ConvnetRegionFeatures, GlobalFeatures, ConvnetSuperpixelFeatures]
)
def test_nested_parameters_of_a_level(level, backbone, base):
    """They replace the backbone, whether it was given as an object, a name or None."""
    level = level(backbone).set_params(
        backbone__dtype="bfloat16", backbone__fine_tune=True
    )
    assert level.backbone == base.replace(dtype="bfloat16", fine_tune=True)
    level.set_params(backbone__fine_tune__max_steps=2)
    assert level.backbone.fine_tune == FineTuning(max_steps=2)


def test_a_parameter_and_its_own_parameters_are_set_together():
    """The parameter comes first, whatever the order."""
    level = ConvnetRegionFeatures().set_params(
        backbone__fine_tune__max_steps=2, backbone__fine_tune=True, backbone="resnet18"
    )
    assert level.backbone == Backbone("resnet18", fine_tune=FineTuning(max_steps=2))


def test_nested_parameters_of_a_union():
    """One name changes the network of all levels that have none of their own."""
    union = ZoomoutUnion([("distant", ConvnetRegionFeatures())])
    union.set_params(backbone__flip=True)
    assert union.backbone == Backbone(flip=True)
    union.set_params(backbone="resnet18", backbone__dtype="bfloat16")
    assert union.backbone == Backbone("resnet18", dtype="bfloat16")


def test_nested_parameters_through_a_pipeline():
    """The names that a grid search uses."""
    levels = ["local", "distant", "global"]
    model = zoomout_pipeline(levels=levels, backbone="zoomnet")
    model.set_params(zoomout__backbone__fine_tune=True)
    assert model.get_params()["zoomout__backbone"] == Backbone(fine_tune=True)
    model.set_params(
        zoomout__backbone__fine_tune__max_steps=4,
        zoomout__distant__backbone__dtype="bfloat16",
        zoomout__global__backbone="resnet18",
    )
    params = model.get_params()
    tuned = Backbone(fine_tune=FineTuning(max_steps=4))
    assert params["zoomout__backbone"] == tuned
    assert params["zoomout__distant__backbone"] == tuned.replace(dtype="bfloat16")
    assert params["zoomout__global__backbone"] == "resnet18"
    model.set_params(zoomout__global__backbone__flip=True)
    expected = Backbone("resnet18", flip=True)
    assert model.get_params()["zoomout__global__backbone"] == expected


def test_a_level_without_a_backbone_takes_that_of_the_union_as_a_base():
    """Its nested parameters change the union's network, also in a clone."""
    model = clone(zoomout_pipeline(backbone=Backbone("resnet18", flip=True)))
    model.set_params(zoomout__distant__backbone__dtype="bfloat16")
    expected = Backbone("resnet18", flip=True, dtype="bfloat16")
    assert model.get_params()["zoomout__distant__backbone"] == expected
    assert model.get_params()["zoomout__maps__backbone"] is None
    # The union's own backbone, if it is set in the same call, comes first.
    model = zoomout_pipeline().set_params(
        zoomout__maps__backbone__flip=True, zoomout__backbone="resnet18"
    )
    assert model.get_params()["zoomout__maps__backbone"] == Backbone(
        "resnet18", flip=True
    )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"backbone__nope": 1},
            r"Backbone has no parameters \['nope'\]; it has",
        ),
        ({"backbone__fine_tune__max_steps": 1}, "set fine_tune first"),
        ({"backbone__dtype__size": 1}, "dtype of Backbone is 'float32', which has no"),
        ({"backbones__dtype": 1}, "Invalid parameter 'backbones'"),
        ({"memory__limit": 1}, "'memory'|has no"),
    ],
)
def test_unknown_nested_parameters(params, message):
    """The error names what does not exist."""
    level = ConvnetRegionFeatures("zoomnet")
    with pytest.raises((ValueError, AttributeError), match=message):
        level.set_params(**params)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("name", (3, None, b"zoomnet")),
        ("weights", (0, True)),
        ("dtype", ("float64", np.float32, None)),
        ("flip", ("yes", 1.5, None)),
        ("device", (0, None)),
        ("fine_tune", (400, "maps", 1.0)),
        ("random_state", (-1, None, "a", 2.5, True, np.random.RandomState(0))),
    ],
)
def test_wrong_values(name, values):
    """Each is refused at once, by its name, also as a nested parameter."""
    for value in values:
        with pytest.raises(InvalidParameterError, match=f"'{name}' .* of Backbone"):
            Backbone(**{name: value})
        with pytest.raises(InvalidParameterError, match=f"'{name}' .* of Backbone"):
            ConvnetRegionFeatures().set_params(**{f"backbone__{name}": value})


def test_other_transformers_have_no_backbone():
    """A nested name of theirs is scikit-learn's error."""
    with pytest.raises(ValueError, match="Invalid parameter 'backbone'"):
        LocalFeatures().set_params(backbone__flip=True)
