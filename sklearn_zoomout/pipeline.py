"""The standard pipelines in one call."""

import difflib
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple

from ._utils.params import validate_params
from .backbones import Backbone, Training
from .backbones._backbone import BackboneLike
from .cache import FeatureCache
from .classifier import ZoomoutClassifier
from .features import (
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    GlobalFeatures,
    LocalConvnetFeatures,
    LocalFeatures,
    ProximalFeatures,
    ZoomoutUnion,
)
from .postprocessing import PixelFusion
from .superpixels import SuperpixelSegmenter
from .tiles import ZoomoutPipeline

#: All levels, in the order of their columns.
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
    input_size: int
    classifier: Mapping[str, Any]
    pixels: bool


# Side of one of 500 superpixels of a photograph of 3 : 4, seen at 576 pixels.
_SEEN_SIDE = 22
# With a network that is not the preset's own.
_INPUT_SIZE = 640
# What the papers say, and, where they do not, what was enough for it.
_PAPER = {
    "hidden_units": (1024,),
    "schedule": "constant",
    "learning_rate": 1e-4,
    "batch_size": 512,
}
PRESETS = {
    # Best in accuracy per second on a laptop; its weights come with the library.
    "fast": Preset(("distant", "global", "maps"), "zoomnet_large", 576, {}, True),
    # Section 4.2, with the best network of Table 2.
    "arxiv2014": Preset(
        ("local", "local_convnet", "proximal", "distant", "global"),
        *("vgg16", _INPUT_SIZE, _PAPER, False),
    ),
    # Its later form: no hand-crafted features.
    "cvpr2015": Preset(
        ("distant", "global", "maps"), "vgg16", _INPUT_SIZE, _PAPER, False
    ),
}


def zoomout_pipeline(
    preset: str = "fast",
    *,
    levels: Sequence[str] | None = None,
    backbone: BackboneLike = None,
    input_size: int | None = None,
    segment_area: float | None = None,
    input_scale: float | None = None,
    background: int | None = None,
    n_segments: int = 500,
    compactness: float = 15.0,
    pixels: bool | None = None,
    channels: str = "auto",
    value_range: Any = None,
    nodata: float | None = None,
    bands: Sequence[Sequence[int]] | None = None,
    n_jobs: int | None = None,
    device: str | None = None,
    memory: str | os.PathLike | FeatureCache | None = None,
    random_state: int | None = None,
    verbose: int = 0,
    **classifier: Any,
) -> ZoomoutPipeline:
    """Make a zoom-out pipeline.

    Its steps are "superpixels" (`SuperpixelSegmenter`), "zoomout" (a `ZoomoutUnion` of
    the levels) and "classifier" (`PixelFusion` around a `ZoomoutClassifier`, or without
    pixels a `ZoomoutClassifier`). Every parameter can be changed later by
    ``set_params`` or searched over, such as ``zoomout__backbone`` and
    ``classifier__estimator__hidden_units``, or without pixels
    ``classifier__hidden_units``.

    Parameters
    ----------
    preset : {"fast", "arxiv2014", "cvpr2015"}, default="fast"
        - "fast": the distant, global and maps levels with "zoomnet_large", and 512
          hidden units, or none for a few scribbles. Nothing is hand-crafted and nothing
          is downloaded.
        - "arxiv2014": the paper [1]_. Local (hand-crafted and learned), proximal,
          distant and global levels with VGG-16: 11,836 columns with 8 classes. 1,024
          hidden units, trained at a constant rate of 1e-4. The distant level averages
          one feature map over all boxes.
          ``set_params(zoomout__distant__pooling="crop")`` runs the network for every
          box, as the paper does, which takes about a hundred times as long.
        - "cvpr2015": its later form [2]_. All convolutions of VGG-16 averaged over
          each superpixel, distant and global level: 12,416 columns.
    levels : sequence of str, default=None
        The levels of superpixels, if not those of the preset and its pixels, in any
        order, among "local"
        (`LocalFeatures`), "local_convnet" and "local_foreground"
        (`LocalConvnetFeatures`), "proximal" (`ProximalFeatures`), "distant"
        (`ConvnetRegionFeatures`), "global" (`GlobalFeatures`) and "maps"
        (`ConvnetSuperpixelFeatures`).
    backbone : Backbone, str or callable, default=None
        The network of the distant, global and maps levels, if not the preset's. A
        `Backbone` also chooses weights, precision, mirror images and fine-tuning, such
        as ``Backbone("zoomnet", fine_tune=True)``.
    input_size : int or None, default=None
        Longer side in pixels to which the distant and maps levels resize an image. None
        is 576 for "zoomnet_large" in the preset "fast", and 640 otherwise. More and
        smaller superpixels need a larger one, such as 960 with 2,000 superpixels.
    segment_area, input_scale : float or None, default=None
        Pixels per superpixel, and pixels of the network per pixel of the image, in
        place of ``n_segments`` and ``input_size``, for images whose pixels have a size:
        of microscopes, scanners and aerial cameras. One of them alone sets the other
        such that a superpixel is 22 pixels of the network wide, as on photographs.
    background : int, default=None
        The label of the background, if there is one, such as PASCAL VOC's 0. The level
        "local_foreground" needs it. With it "arxiv2014" has that level too, as in the
        paper on VOC: 11,851 columns with 21 classes.
    n_segments, compactness : int, float
        See `SuperpixelSegmenter`.
    pixels : bool or None, default=None
        Whether the pixel is the closest zoom level: the last step is then a
        `PixelFusion` around the classifier, whose parameters are
        ``classifier__estimator__...``. False labels whole superpixels, as the paper
        does, and learns several times as fast. None is True for "fast" with its own
        levels, and False otherwise.
    channels, value_range, nodata : str, array-like, float
        What the channels and the values of images are; see `SuperpixelSegmenter`.
    bands : sequence of triples of int, or None, default=None
        The bands that the distant, global and maps levels show to their network; see
        `ConvnetRegionFeatures`.
    n_jobs : int or None, default=None
        How many images to work on at once in the steps that profit.
    device : str, default=None
        Where the networks and the classifier run. None is the device of the backbone.
    memory : str, path, FeatureCache or None, default=None
        A folder that keeps superpixels and features of every image, for the folds and
        candidates of a search and for later sessions; see `FeatureCache`, which also
        bounds its size. Delete the folder to clear it. It also keeps the weights of
        fine-tuned networks. It keeps nothing else that is learned from the training
        images: dictionaries, local convnets (and their outputs) and the classifier.
        Without a ``random_state``, the dictionaries differ in every fit, and with them
        the rows of the hand-crafted levels.
    random_state : int or None, default=None
        Seed of the dictionaries, of the local convnets, of the classifier and, unless
        ``backbone`` is a `Backbone`, of the backbone.
    verbose : int, default=0
        Show progress bars if positive.
    **classifier
        Further parameters of `ZoomoutClassifier`, such as ``hidden_units``.
        ``classes`` and ``checkpoint`` reach the local convnets too.

    Returns
    -------
    ZoomoutPipeline
        A `sklearn.pipeline.Pipeline` that predicts large images in tiles.

    Raises
    ------
    ValueError
        If the preset or a level is unknown, no level is given, a parameter is out of
        its range, ``background`` and "local_foreground" do not come together, or a
        backbone is given and no level uses it.
    TypeError
        If a parameter is not one of `ZoomoutClassifier`.

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
    is_seed = isinstance(random_state, Integral) and 0 <= random_state < 2**32
    if random_state is not None and not is_seed:
        raise ValueError(
            "random_state: expected an integer seed from 0 to 2**32 - 1, or None, got "
            f"{random_state!r}."
        )
    if not isinstance(preset, str) or preset not in PRESETS:
        raise ValueError(
            f"preset: expected one of {list(PRESETS)}, got {preset!r}; pass levels as "
            "levels=[...]."
        )
    chosen = PRESETS[preset]
    if pixels not in (None, True, False):
        raise ValueError(f"pixels: expected True, False or None, got {pixels!r}.")
    if pixels is None:
        pixels = chosen.pixels and levels is None
    if levels is None:
        levels = chosen.levels
        if background is not None and "local_convnet" in levels:
            levels = (*levels, "local_foreground")
    _check_levels(levels, background)
    _check_classifier_params(classifier)
    network = _make_backbone(backbone, levels, chosen, device, random_state)
    common: dict[str, Any] = {"memory": memory, "verbose": verbose}
    crafted: dict[str, Any] = {**common, "n_jobs": n_jobs, "random_state": random_state}
    if input_size is None:
        input_size = chosen.input_size if backbone is None else _INPUT_SIZE
    if segment_area is None and input_scale is not None:
        segment_area = (_SEEN_SIDE / input_scale) ** 2
    elif segment_area is not None and input_scale is None:
        input_scale = _SEEN_SIDE / segment_area**0.5
    seen: dict[str, Any] = {**common, "bands": bands}
    sized: dict[str, Any] = {
        **seen,
        "input_size": input_size,
        "input_scale": input_scale,
    }
    checkpoint = classifier.get("checkpoint")
    trained: dict[str, Any] = {
        "classes": classifier.get("classes"),
        "training": checkpoint and Training(checkpoint=checkpoint),
        "device": network.device,
        "random_state": random_state,
        "verbose": verbose,
    }
    makers: dict[str, Callable[[], Any]] = {
        "local": lambda: LocalFeatures(**crafted),
        "local_convnet": lambda: LocalConvnetFeatures(**trained),
        "local_foreground": lambda: LocalConvnetFeatures(background, **trained),
        "proximal": lambda: ProximalFeatures(**crafted),
        "distant": lambda: ConvnetRegionFeatures(**sized),
        "global": lambda: GlobalFeatures(**seen),
        "maps": lambda: ConvnetSuperpixelFeatures(**sized),
    }
    union = ZoomoutUnion(
        [(name, makers[name]()) for name in LEVELS if name in levels],
        backbone=network if set(levels) & _OF_CONVNET else None,
        n_jobs=n_jobs,
        verbose=bool(verbose),
    )
    segmenter = SuperpixelSegmenter(
        n_segments,
        compactness,
        segment_area=segment_area,
        channels=channels,
        value_range=value_range,
        nodata=nodata,
        n_jobs=n_jobs,
        memory=memory,
        verbose=verbose,
    )
    options = {**chosen.classifier, **classifier}
    model: Any = ZoomoutClassifier(
        device=network.device, random_state=random_state, verbose=verbose, **options
    )
    if pixels:
        validate_params(model)
        model = PixelFusion(model, n_jobs=n_jobs, random_state=random_state)
    for step in (segmenter, *(level for _, level in union.transformer_list), model):
        validate_params(step)  # now, and not after the features have been computed
    return ZoomoutPipeline(
        [("superpixels", segmenter), ("zoomout", union), ("classifier", model)]
    )


def _make_backbone(
    backbone: BackboneLike,
    levels: Sequence[str],
    preset: Preset,
    device: str | None,
    random_state: int | None,
) -> Backbone:
    if isinstance(backbone, Backbone):
        network = backbone
    else:
        name = preset.backbone if backbone is None else backbone
        network = Backbone(name, random_state=random_state or 0)
    if backbone is not None and not set(levels) & _OF_CONVNET:
        raise ValueError(
            f"backbone: expected a level that uses it, one of {sorted(_OF_CONVNET)}, "
            f"got levels {list(levels)}."
        )
    return network if device is None else network.replace(device=device)


def _check_levels(levels: Any, background: int | None) -> None:
    """Refuse levels that do not exist, and a background that no level uses."""
    is_list = isinstance(levels, (list, tuple, set))
    unknown = [level for level in levels if level not in LEVELS] if is_list else []
    if not is_list or not levels or unknown or len(set(levels)) < len(levels):
        hint = _did_you_mean(unknown, LEVELS)
        if isinstance(levels, str):
            is_preset = levels in PRESETS
            hint = f" Pass {'it as preset' if is_preset else 'a list of one name'}."
        raise ValueError(
            f"levels: expected a list of different names among {list(LEVELS)}, got "
            f"{levels!r}.{hint}"
        )
    if ("local_foreground" in levels) != (background is not None):
        raise ValueError(
            "background: expected the label of the background together with the level "
            f"'local_foreground', and not without it, got {background!r} and levels "
            f"{list(levels)}."
        )


def _check_classifier_params(params: dict[str, Any]) -> None:
    known = list(ZoomoutClassifier().get_params())
    unknown = sorted(set(params).difference(known))
    if unknown:
        known += list(inspect.signature(zoomout_pipeline).parameters)[:-1]
        raise TypeError(
            f"zoomout_pipeline: {unknown} are parameters neither of this function nor "
            f"of ZoomoutClassifier.{_did_you_mean(unknown, known)} Set those of the "
            "backbone with backbone=Backbone(...), and those of a level or of the "
            "pixels with set_params(zoomout__distant__layers=...) or "
            "set_params(classifier__weight=...)."
        )


def _did_you_mean(unknown: Iterable[Any], known: Iterable[str]) -> str:
    """Return the end of an error, which names what is spelled like the unknown."""
    close = {"lr": ["learning_rate"]}  # its name in skorch
    for name in map(str, unknown):
        found = close.get(name) or difflib.get_close_matches(name, known, 1, 0.7)
        if found:
            return f" Did you mean {found[0]!r}?"
    return ""
