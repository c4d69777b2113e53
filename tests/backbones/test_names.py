"""The names of networks."""

import sys

import pytest

pytest.importorskip("torchvision")

from sklearn_zoomout import (  # noqa: E402
    Backbone,
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    GlobalFeatures,
    zoomout_pipeline,
)
from sklearn_zoomout.backbones import known_backbones, load_network  # noqa: E402
from sklearn_zoomout.backbones._names import find_backbone  # noqa: E402


def test_known_backbones_are_convolutional():
    """The list has torchvision's families and our variants, and no transformer."""
    known = known_backbones()
    assert {"vgg16", "resnet50", "convnext_tiny", "mobilenet_v2_tf2"} <= set(known)
    assert {"zoomnet", "zoomnet_large"} <= set(known)
    assert not any(name.startswith("vit") for name in known)


def test_unknown_name_lists_what_is_known():
    """A misspelt name gets close matches and the whole list."""
    with pytest.raises(
        ValueError, match=r"'resnet5O'.*Did you mean.*'resnet50'.*vgg16"
    ):
        find_backbone("resnet5O")


def test_timm_is_needed_for_its_names_only(monkeypatch):
    """Without timm its names say what to install, and others work."""
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match="need timm: pip install timm"):
        load_network(Backbone("timm:resnet18", None))
    assert load_network(Backbone()).source.endswith("zoomnet.safetensors")


@pytest.mark.parametrize(
    "level", [ConvnetRegionFeatures, GlobalFeatures, ConvnetSuperpixelFeatures]
)
def test_zoomnet_is_the_default(superpixels, level):
    """A level without a backbone uses the network that comes with the library."""
    fitted = level().fit(superpixels)
    assert fitted.weights_.endswith("zoomnet.safetensors")
    assert zoomout_pipeline()["zoomout"].backbone == Backbone("zoomnet_large")
