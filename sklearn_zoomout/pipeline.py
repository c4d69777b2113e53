"""The standard pipeline in one call."""

from collections.abc import Sequence
from typing import Any

from sklearn.pipeline import FeatureUnion, Pipeline

from .classifier import ZoomoutClassifier
from .features.convnet import ConvnetRegionFeatures, GlobalFeatures
from .features.local import LocalFeatures
from .features.maps import ConvnetSuperpixelFeatures
from .features.proximal import ProximalFeatures
from .superpixels import SuperpixelSegmenter

#: The levels of the paper, and one of its later form.
LEVELS = ("local", "proximal", "distant", "global")
ALL_LEVELS = (*LEVELS, "maps")


def zoomout_pipeline(
    *,
    levels: Sequence[str] = LEVELS,
    n_segments: int = 500,
    compactness: float = 15.0,
    backbone: Any = "zoomnet",
    weights: Any = "default",
    n_jobs: int | None = None,
    device: str = "cpu",
    random_state: int | None = None,
    verbose: int = 0,
    **classifier: Any,
) -> Pipeline:
    """Make the standard zoom-out pipeline.

    Its steps are "superpixels" (`SuperpixelSegmenter`), "zoomout" (a
    `sklearn.pipeline.FeatureUnion` of the levels) and "classifier"
    (`ZoomoutClassifier`); every parameter can be changed later by ``set_params``
    or searched over, such as ``classifier__hidden_units``.

    Parameters
    ----------
    levels : sequence of str, default=("local", "proximal", "distant", "global")
        The zoom-out levels to use; "maps" is `ConvnetSuperpixelFeatures`.
    n_segments, compactness : int, float
        See `SuperpixelSegmenter`.
    backbone : str or callable, default="zoomnet"
        The convnet of the distant, global and maps levels; see `ConvnetRegionFeatures`.
    weights : str, path or None, default="default"
        Its weights; see `ConvnetRegionFeatures`.
    n_jobs : int or None, default=None
        How many images to work on at once in the steps that profit.
    device : str, default="cpu"
        Where the convnets and the classifier run.
    random_state : int or None, default=None
        Seed of the dictionaries and of the classifier.
    verbose : int, default=0
        Show progress bars if positive.
    **classifier
        Further parameters of `ZoomoutClassifier`, such as ``hidden_units``.

    Returns
    -------
    sklearn.pipeline.Pipeline

    Raises
    ------
    ValueError
        If a level is unknown, or none is given.
    TypeError
        If a parameter is not one of `ZoomoutClassifier`.

    Examples
    --------
    >>> from sklearn_zoomout import zoomout_pipeline
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=8, random_state=0)
    >>> model = zoomout_pipeline(
    ...     levels=["local", "proximal"], n_segments=100, random_state=0
    ... )
    >>> model.fit(images[:6], masks[:6]).predict(images[6:])[0].shape == masks[6].shape
    True
    """
    unknown = set(levels) - set(ALL_LEVELS)
    if isinstance(levels, str) or unknown or not levels:
        raise ValueError(
            f"levels: expected a list of names among {list(ALL_LEVELS)}, got "
            f"{levels!r}."
        )
    foreign = set(classifier) - set(ZoomoutClassifier().get_params())
    if foreign:
        raise TypeError(
            f"zoomout_pipeline: {sorted(foreign)} are no parameters of it or of "
            "ZoomoutClassifier; set those of a level on what it returns, such as "
            "set_params(zoomout__distant__layers=...)."
        )
    crafted: dict[str, Any] = {
        "n_jobs": n_jobs,
        "random_state": random_state,
        "verbose": verbose,
    }
    # The convnets are not trained: their seed matters for weights=None alone.
    convnet: dict[str, Any] = {
        "backbone": backbone,
        "weights": weights,
        "device": device,
        "verbose": verbose,
    }
    features = {
        "local": LocalFeatures(**crafted),
        "proximal": ProximalFeatures(**crafted),
        "distant": ConvnetRegionFeatures(**convnet),
        "global": GlobalFeatures(**convnet),
        "maps": ConvnetSuperpixelFeatures(**convnet),
    }
    segmenter = SuperpixelSegmenter(
        n_segments, compactness, n_jobs=n_jobs, verbose=verbose
    )
    model = ZoomoutClassifier(
        device=device, random_state=random_state, verbose=verbose, **classifier
    )
    return Pipeline(
        [
            ("superpixels", segmenter),
            (
                "zoomout",
                FeatureUnion([(n, features[n]) for n in ALL_LEVELS if n in levels]),
            ),
            ("classifier", model),
        ]
    )
