"""Convolutional models of timm (PyTorch Image Models), by the name "timm:NAME"."""

import difflib
import sys
from typing import TYPE_CHECKING, Any

from ._spec import TIMM, BackboneSpec

if TYPE_CHECKING:
    import torch

# A size that is no multiple of anything: images come in all of them.
_ODD_SIZE = (96, 107)


def find_timm(backbone: str) -> BackboneSpec:
    """Find the description of a model of timm.

    Parameters
    ----------
    backbone : str
        "timm:" and a name of ``timm.list_models()``, which takes its default weights,
        or of ``timm.list_pretrained()``, as in "timm:resnet18.a1_in1k".

    Returns
    -------
    spec : BackboneSpec
        Its description, with the preprocessing of its weights.

    Raises
    ------
    ImportError
        If timm is not installed.
    ValueError
        If the name is unknown.
    """
    timm = _import_timm()
    name = backbone.removeprefix(TIMM)
    known = list_timm()
    if backbone not in known:
        close = difflib.get_close_matches(name, [n.removeprefix(TIMM) for n in known])
        hint = " or ".join(repr(TIMM + match) for match in close)
        raise ValueError(
            f"backbone: timm {timm.__version__} has no model {name!r}."
            + (f" Did you mean {hint}?" if close else "")
            + " All names: timm.list_models() and, with the name of the weights after "
            "a dot, timm.list_pretrained()."
        )
    config = _config(timm, name)
    return BackboneSpec(
        name=backbone,
        architecture=backbone.split(".")[0],
        maps=("",),
        mean=config.mean,
        std=config.std,
    )


def list_timm() -> set[str]:
    """List the names of timm's models, with and without the name of the weights."""
    timm = _import_timm()
    names = [*timm.list_models(), *timm.list_pretrained()]
    return {TIMM + name for name in names}


def build_timm(spec: BackboneSpec, pretrained: bool = False) -> "torch.nn.Module":
    """Build a model of timm that computes its last map and no class scores.

    Parameters
    ----------
    spec : BackboneSpec
        Its description.
    pretrained : bool, default=False
        Whether to load timm's weights, which timm downloads if it has not yet, or to
        draw random ones.

    Returns
    -------
    module : torch.nn.Module
        From standardized images (N, 3, H, W) to maps (N, C, h, w).

    Raises
    ------
    FileNotFoundError
        If timm has no weights for the model.
    OSError
        If the download fails.
    ValueError
        If the output of the model is no map, or it takes images of one size only.
    """
    timm = _import_timm()
    name = spec.name.removeprefix(TIMM)
    if _config(timm, name).fixed_input_size:
        raise ValueError(
            f"backbone: {spec.name!r} takes images of one size only, but images and "
            "regions come in many; use a convolutional model."
        )
    module: Any = (
        _load_pretrained(timm, spec) if pretrained else timm.create_model(name)
    )
    module.forward = module.forward_features
    _check_maps(module.eval(), spec)
    return module


def _load_pretrained(timm: Any, spec: BackboneSpec) -> "torch.nn.Module":
    name = spec.name.removeprefix(TIMM)
    config = _config(timm, name)
    file = f"{spec.file_stem}.safetensors"
    if not config.has_weights:
        raise FileNotFoundError(
            f"weights: timm {timm.__version__} has none for backbone {spec.name!r}; "
            "pass the path of a file, or None for random weights."
        )
    origin = config.url
    if config.hf_hub_id:
        origin = f"https://huggingface.co/{config.hf_hub_id}"
    if not _is_cached(config):
        terms = f" (license: {config.license})" if config.license else ""
        sys.stderr.write(f"Downloading weights of {spec.name} from {origin}{terms}\n")
    try:
        return timm.create_model(name, pretrained=True)
    except OSError as error:
        raise OSError(
            f"weights: timm could not download those of backbone {spec.name!r} from "
            f"{origin} ({error}). Where there is a network, save them by "
            f"safetensors.torch.save_file(timm.create_model({name!r}, pretrained=True)"
            f".state_dict(), {file!r}), and put the file into the folder that the "
            "environment variable SKLEARN_ZOOMOUT_WEIGHTS names, or pass its path; or "
            "pass weights=None for a random network."
        ) from error


def _is_cached(config: Any) -> bool:
    """Return whether the weights are in the folder of huggingface_hub already."""
    if not config.hf_hub_id:
        return False
    from huggingface_hub import try_to_load_from_cache

    file = config.hf_hub_filename or "model.safetensors"
    return isinstance(try_to_load_from_cache(config.hf_hub_id, file), str)


def _check_maps(module: Any, spec: BackboneSpec) -> None:
    """Refuse transformers, and networks that need a multiple of some size."""
    import torch

    try:
        with torch.inference_mode():
            output = module(torch.zeros(1, 3, *_ODD_SIZE))
    except (RuntimeError, AssertionError, ValueError) as error:
        size = "x".join(map(str, _ODD_SIZE))
        raise ValueError(
            f"backbone: {spec.name!r} does not take images of any size: it failed on "
            f"{size} pixels ({type(error).__name__}: {error})."
        ) from error
    shape = tuple(getattr(output, "shape", ()))
    if len(shape) != 4 or shape[1] != module.num_features:
        got = shape or f"a {type(output).__name__}"
        raise ValueError(
            f"backbone: {spec.name!r} is not convolutional: expected maps of shape "
            f"(1, {module.num_features}, h, w), got {got}."
        )


def _config(timm: Any, name: str) -> Any:
    return timm.models.get_pretrained_cfg(name) or timm.models.PretrainedCfg()


def _import_timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise ImportError(
            f"Backbones by the name '{TIMM}NAME' need timm: pip install timm. "
            f"(Importing it failed with: {error})"
        ) from error
    return timm
