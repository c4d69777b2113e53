"""Semantic segmentation with zoom-out features, as scikit-learn estimators."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

# Public names and where they live; imported on first use, so that the package
# itself loads at once and without torch.
_MODULES = {
    "SuperpixelSegmenter": "superpixels",
    "Superpixels": "superpixels",
    "SegmentedImage": "regions",
    "FeatureTable": "table",
    "FeatureCache": "cache",
    "RegionFeatures": "features",
    "LocalFeatures": "features",
    "LocalConvnetFeatures": "features",
    "ProximalFeatures": "features",
    "ConvnetRegionFeatures": "features",
    "GlobalFeatures": "features",
    "ConvnetSuperpixelFeatures": "features",
    "Backbone": "backbones",
    "FineTuning": "backbones",
    "Training": "backbones",
    "ZoomoutUnion": "features",
    "ZoomoutClassifier": "classifier",
    "GraphSmoothing": "postprocessing.smoothing",
    "IslandRemoval": "postprocessing.islands",
    "zoomout_pipeline": "pipeline",
    "mark_unlabeled": "masks",
    "store_features": "table",
    "open_features": "table",
}
_SUBMODULES = [
    "backbones",
    "datasets",
    "exceptions",
    "inspection",
    "masks",
    "metrics",
    "plotting",
    "table",
]

__all__ = ["__version__", *_MODULES, *_SUBMODULES]  # noqa: PLE0604

if TYPE_CHECKING:
    from .backbones import Backbone as Backbone
    from .backbones import FineTuning as FineTuning
    from .backbones import Training as Training
    from .cache import FeatureCache as FeatureCache
    from .classifier import ZoomoutClassifier as ZoomoutClassifier
    from .features import ConvnetRegionFeatures as ConvnetRegionFeatures
    from .features import ConvnetSuperpixelFeatures as ConvnetSuperpixelFeatures
    from .features import GlobalFeatures as GlobalFeatures
    from .features import LocalConvnetFeatures as LocalConvnetFeatures
    from .features import LocalFeatures as LocalFeatures
    from .features import ProximalFeatures as ProximalFeatures
    from .features import RegionFeatures as RegionFeatures
    from .features import ZoomoutUnion as ZoomoutUnion
    from .masks import mark_unlabeled as mark_unlabeled
    from .pipeline import zoomout_pipeline as zoomout_pipeline
    from .postprocessing.islands import IslandRemoval as IslandRemoval
    from .postprocessing.smoothing import GraphSmoothing as GraphSmoothing
    from .regions import SegmentedImage as SegmentedImage
    from .superpixels import Superpixels as Superpixels
    from .superpixels import SuperpixelSegmenter as SuperpixelSegmenter
    from .table import FeatureTable as FeatureTable
    from .table import open_features as open_features
    from .table import store_features as store_features


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        module = import_module(f"{__name__}.{_MODULES[name]}")
        return getattr(module, name)
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
