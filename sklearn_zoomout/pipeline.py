"""The standard pipelines in one call."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from sklearn.pipeline import Pipeline

from ._utils.params import validate_params
from .cache import FeatureCache
from .classifier import ZoomoutClassifier
from .features.convnet import ConvnetRegionFeatures, GlobalFeatures
from .features.fine_tuning import FineTuning
from .features.local import LocalFeatures
from .features.local_convnet import LocalConvnetFeatures
from .features.maps import ConvnetSuperpixelFeatures
from .features.proximal import ProximalFeatures
from .features.union import ZoomoutUnion
from .superpixels import SuperpixelSegmenter

#: The levels that there are, in the order of their columns.
LEVELS = (
    "local",
    "local_convnet",
    "local_foreground",
    "proximal",
    "distant",
    "global",
    "maps",
)
_OF_CONVNET = {"distant", "global", "maps"}


class Preset(NamedTuple):
    """Settings of `zoomout_pipeline` that belong together."""

    levels: tuple[str, ...]
    backbone: str
    hidden_units: tuple[int, ...]


PRESETS = {
    # Best in accuracy per second on a laptop; its weights come with the library.
    "fast": Preset(("distant", "global", "maps"), "zoomnet", (512,)),
    # Section 4.2, with the best network of Table 2.
    "arxiv2014": Preset(
        ("local", "local_convnet", "proximal", "distant", "global"), "vgg16", (1024,)
    ),
    # Its later form: no hand-crafted features.
    "cvpr2015": Preset(("distant", "global", "maps"), "vgg16", (1024,)),
}


def zoomout_pipeline(
    preset: str = "fast",
    *,
    levels: Sequence[str] | None = None,
    backbone: Any = None,
    weights: Any = "default",
    input_size: int = 640,
    flip: bool = False,
    dtype: str = "float32",
    fine_tune: bool | FineTuning | None = False,
    background: int | None = None,
    n_segments: int = 500,
    compactness: float = 15.0,
    n_jobs: int | None = None,
    device: str = "cpu",
    memory: str | os.PathLike | FeatureCache | None = None,
    random_state: int | None = None,
    verbose: int = 0,
    **classifier: Any,
) -> Pipeline:
    """Make a zoom-out pipeline.

    Its steps are "superpixels" (`SuperpixelSegmenter`), "zoomout" (a
    `ZoomoutUnion` of the levels) and "classifier"
    (`ZoomoutClassifier`); every parameter can be changed later by ``set_params``
    or searched over, such as ``classifier__hidden_units``.

    Parameters
    ----------
    preset : {"fast", "arxiv2014", "cvpr2015"}, default="fast"
        - "fast": the distant, global and maps levels with ZoomNet, and 512 hidden
          units. Nothing is hand-crafted and nothing is downloaded.
        - "arxiv2014": the paper [1]_. Local (hand-crafted and learned), proximal,
          distant and global levels with VGG-16, and 1,024 hidden units: 11,836
          columns with 8 classes. The distant level averages one map over all boxes;
          ``set_params(zoomout__distant__pooling="crop")`` runs the network for every
          box, as the paper does, in about a hundred times the time.
        - "cvpr2015": its later form [2]_. All convolutions of VGG-16 averaged over
          each superpixel, distant and global level: 12,416 columns.
    levels : sequence of str, default=None
        The zoom-out levels, if not those of the preset, in any order, among "local"
        (`LocalFeatures`), "local_convnet" and "local_foreground"
        (`LocalConvnetFeatures`), "proximal" (`ProximalFeatures`), "distant"
        (`ConvnetRegionFeatures`), "global" (`GlobalFeatures`) and "maps"
        (`ConvnetSuperpixelFeatures`).
    backbone : str or callable, default=None
        The convnet of the distant, global and maps levels, if not the preset's; see
        `ConvnetRegionFeatures`.
    weights : str, path or None, default="default"
        Its weights; see `ConvnetRegionFeatures`.
    input_size : int, default=640
        Longer side in pixels at which the distant and maps levels see an image; larger
        for small things and small superpixels (such as 960 with 2,000 of them), where
        the image has that many pixels.
    flip : bool, default=False
        Whether its maps are averaged with those of the mirror image.
    dtype : {"float32", "bfloat16", "float16"}, default="float32"
        What it computes in. "bfloat16" is 1.4 to 2 times as fast on a processor that
        has instructions for it; see `ConvnetRegionFeatures`.
    fine_tune : bool, FineTuning or None, default=False
        Whether the convnet is first trained on the masks, for all its levels: True for
        the defaults of `FineTuning` with the ``void_label`` and ``random_state`` of the
        pipeline. `fit` takes a few times as long, `predict` as long as without.
    background : int, default=None
        The label of the background, if there is one, such as PASCAL VOC's 0; the
        level "local_foreground" needs it. With it "arxiv2014" has that level too, as
        the paper on VOC: 11,851 columns with 21 classes.
    n_segments, compactness : int, float
        See `SuperpixelSegmenter`.
    n_jobs : int or None, default=None
        How many images to work on at once in the steps that profit.
    device : str, default="cpu"
        Where the convnets and the classifier run.
    memory : str, path, FeatureCache or None, default=None
        A folder that keeps superpixels and features of every image, for the folds and
        candidates of a search and for later sessions; see `FeatureCache`, which also
        bounds its size. Delete the folder to clear it. It also keeps the weights of
        fine-tuned networks. What else is learned from the training images is not kept:
        dictionaries, local convnets (and their outputs) and the classifier. Without a
        ``random_state``, the dictionaries are others at every fit, and with them the
        rows of the hand-crafted levels.
    random_state : int or None, default=None
        Seed of the dictionaries, of the local convnets, of the classifier and, if
        ``weights`` is None or ``fine_tune`` is True, of the backbone.
    verbose : int, default=0
        Show progress bars if positive.
    **classifier
        Further parameters of `ZoomoutClassifier`, such as ``hidden_units``.
        ``classes`` and ``void_label`` reach the local convnets too.

    Returns
    -------
    sklearn.pipeline.Pipeline

    Raises
    ------
    ValueError
        If the preset or a level is unknown, no level is given, a parameter is out of
        its range, ``background`` and "local_foreground" do not come together, or
        ``fine_tune`` has no level to train a network for, or another ``void_label``.
    TypeError
        If a parameter is not one of `ZoomoutClassifier`, or ``fine_tune`` is no
        `FineTuning`.

    References
    ----------
    .. [1] Mostajabi, Yadollahpour, Shakhnarovich, "Feedforward semantic segmentation
       with zoom-out features", arXiv 1412.0774, 2014.
    .. [2] The same title and authors, CVPR 2015.

    Examples
    --------
    >>> from sklearn_zoomout import zoomout_pipeline
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=8, random_state=0)
    >>> model = zoomout_pipeline(n_segments=100, max_epochs=5, random_state=0)
    >>> model.fit(images[:6], masks[:6]).predict(images[6:])[0].shape == masks[6].shape
    True
    """
    if not isinstance(preset, str) or preset not in PRESETS:
        raise ValueError(
            f"preset: expected one of {list(PRESETS)}, got {preset!r}; pass levels as "
            "levels=[...]."
        )
    chosen = PRESETS[preset]
    if levels is None:
        levels = chosen.levels
        if background is not None and "local_convnet" in levels:
            levels = (*levels, "local_foreground")
    _check_levels(levels, background)
    labels = {k: v for k, v in classifier.items() if k == "classes"}
    seed = 0 if random_state is None else random_state
    tuning = _check_fine_tune(fine_tune, levels, seed)
    foreign = set(classifier) - set(ZoomoutClassifier().get_params())
    if foreign:
        raise TypeError(
            f"zoomout_pipeline: {sorted(foreign)} are no parameters of it or of "
            "ZoomoutClassifier; set those of a level on what it returns, such as "
            "set_params(zoomout__distant__layers=...)."
        )
    crafted: dict[str, Any] = {
        "n_jobs": n_jobs,
        "memory": memory,
        "random_state": random_state,
        "verbose": verbose,
    }
    # One seed for all levels, so that these see by the same network if it is random.
    convnet: dict[str, Any] = {
        "backbone": chosen.backbone if backbone is None else backbone,
        "weights": weights,
        "flip": flip,
        "dtype": dtype,
        "fine_tune": tuning,
        "device": device,
        "memory": memory,
        "random_state": seed,
        "verbose": verbose,
    }
    local_convnet: dict[str, Any] = {
        "device": device,
        "random_state": random_state,
        "verbose": verbose,
        **labels,
    }
    sized = {"input_size": input_size, **convnet}
    features = {
        "local": LocalFeatures(**crafted),
        "local_convnet": LocalConvnetFeatures(**local_convnet),
        "local_foreground": LocalConvnetFeatures(
            targets="foreground",
            background=0 if background is None else background,
            **local_convnet,
        ),
        "proximal": ProximalFeatures(**crafted),
        "distant": ConvnetRegionFeatures(**sized),
        "global": GlobalFeatures(**convnet),
        "maps": ConvnetSuperpixelFeatures(**sized),
    }
    union = ZoomoutUnion(
        [(n, features[n]) for n in LEVELS if n in levels],
        n_jobs=n_jobs,
        verbose=bool(verbose),
    )
    segmenter = SuperpixelSegmenter(
        n_segments, compactness, n_jobs=n_jobs, memory=memory, verbose=verbose
    )
    options = {"hidden_units": chosen.hidden_units, **classifier}
    model = ZoomoutClassifier(
        device=device, random_state=random_state, verbose=verbose, **options
    )
    for step in (segmenter, *features.values(), model):
        validate_params(step)  # now, and not after the features have been computed
    return Pipeline(
        [("superpixels", segmenter), ("zoomout", union), ("classifier", model)]
    )


def _check_levels(levels: Any, background: int | None) -> None:
    """Refuse levels that do not exist, and a background that nothing looks at."""
    is_list = isinstance(levels, (list, tuple, set))
    if not is_list or not levels or any(level not in LEVELS for level in levels):
        raise ValueError(
            f"levels: expected a list of names among {list(LEVELS)}, got {levels!r}."
        )
    if ("local_foreground" in levels) != (background is not None):
        raise ValueError(
            f"background: expected the label of the background together with the level "
            f"'local_foreground', and with no others, got {background!r} and levels "
            f"{list(levels)}."
        )


def _check_fine_tune(
    fine_tune: Any, levels: Sequence[str], random_state: int
) -> FineTuning | None:
    """Give the fine-tuning of the convnet's levels, and refuse what cannot be meant."""
    if fine_tune is False or fine_tune is None:
        return None
    if not set(levels) & _OF_CONVNET:
        raise ValueError(
            f"fine_tune: expected one of the levels {sorted(_OF_CONVNET)}, which look "
            f"through the network, got {list(levels)}."
        )
    if fine_tune is True:
        return FineTuning(random_state=random_state)
    if not isinstance(fine_tune, FineTuning):
        raise TypeError(
            "fine_tune: expected True, False or a FineTuning, got "
            f"{type(fine_tune).__name__}."
        )
    return fine_tune
