"""Files of pretrained weights: where they are, and whether they can be trusted.

Nothing in a file is run: safetensors hold only numbers, and state dicts are read by
``torch.load(weights_only=True)``.
"""

import hashlib
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._names import EMBEDDED, find_backbone, known_backbones
from ._spec import BackboneSpec
from ._timm import list_timm

if TYPE_CHECKING:
    import torch

ENVIRONMENT_VARIABLE = "SKLEARN_ZOOMOUT_WEIGHTS"
#: Where the weights are that come with the library, each in NAME.safetensors.
EMBEDDED_FOLDER = Path(__file__).parent / "zoomnet"
EMBEDDED_SHA256 = {
    "zoomnet": "71f020dbb0dbb9061c0896d8e98d1c1f595b0bea1f9d0e96465ed0ae87a2f76a",
    "zoomnet_large": "65b5afb49343a61080e3122d92184910200d5bbffbf9267065c404a8a984a0af",
}
_REINSTALL = "it comes with sklearn-zoomout: install that again"
_STATED = 64  # digits of a digest, of which file names have fewer
_CAFFE = ".caffemodel"
_SUFFIXES = (".safetensors", ".pth", ".pt")
_CONVERTER = "tools/convert_caffemodel.py"


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights that was found for a backbone.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    spec : BackboneSpec
        The backbone whose preprocessing and padding go with these weights.
    sha256 : str
        What the hexadecimal digest must begin with, "" when not known.
    """

    path: Path
    spec: BackboneSpec
    sha256: str = ""


def find_weights(spec: BackboneSpec, weights: str | os.PathLike) -> WeightsFile | None:
    """Find the file of weights for a backbone.

    Parameters
    ----------
    spec : BackboneSpec
        The backbone.
    weights : str or path
        A file (.safetensors, .pth, .pt), or "default": for "zoomnet" and
        "zoomnet_large" the file that comes with the library. For others a file in the
        folder that the environment variable SKLEARN_ZOOMOUT_WEIGHTS names, whose own
        name begins with the backbone's (the ":" of "timm:NAME" is a "_" there).
        Without one, torchvision's ImageNet weights, downloaded with a progress bar if
        they are not in torch's folder for them.

    Returns
    -------
    found : WeightsFile or None
        The file, or None for timm's own weights of its models, which only timm can
        load. A file that is named after a variant of the backbone (as
        ``mobilenet_v2_tf2`` is of ``mobilenet_v2``) has the preprocessing of the
        variant.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If several files of the folder fit equally well, or the file is a .caffemodel.
    OSError
        If a download fails.
    """
    if not (isinstance(weights, str) and weights == "default"):
        path = Path(weights).expanduser()
        if not path.is_file():
            raise FileNotFoundError(
                f"weights: there is no file {str(path)!r}; pass the path of a "
                f"{', '.join(_SUFFIXES)} file, 'default' or None (random)."
            )
        if path.suffix == _CAFFE:
            raise ValueError(
                f"weights: {str(path)!r} is a file of Caffe; expected one of "
                f"{', '.join(_SUFFIXES)}. Convert it with {_CONVERTER} of the source "
                "distribution."
            )
        owner = _owner(path, spec) or spec
        return WeightsFile(path, owner, _published_digest(path, owner))
    if spec.name in EMBEDDED:
        path = EMBEDDED_FOLDER / f"{spec.name}.safetensors"
        if not path.is_file():
            raise FileNotFoundError(f"weights: {path} is missing; {_REINSTALL}.")
        return WeightsFile(path, spec, EMBEDDED_SHA256[spec.name])
    in_folder = _find_in_folder(spec)
    if in_folder is not None or spec.of_timm:
        return in_folder
    return _find_torchvision(spec)


def read_weights(found: WeightsFile) -> tuple[dict[str, "torch.Tensor"], str]:
    """Read a file of weights without running anything in it.

    Parameters
    ----------
    found : WeightsFile
        The file.

    Returns
    -------
    state : dict of str to tensor
        The tensors on the CPU; floating point values as float32.
    sha256 : str
        Hexadecimal digest of the file.

    Raises
    ------
    ValueError
        If the file is damaged, holds more than tensors, or has another digest than
        expected.
    """
    path = found.path
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if not sha256.startswith(found.sha256):
        remedy = "download it again, or rename it if it is another file"
        if len(found.sha256) == _STATED:
            remedy = "bring the original file, or state its digest as weights_sha256"
        if path.parent == EMBEDDED_FOLDER:
            remedy = _REINSTALL
        raise ValueError(
            f"weights: {str(path)!r} is damaged or not the original: expected a sha256 "
            f"that begins with {found.sha256}, found {sha256}; {remedy}."
        )
    try:
        state = _read_file(found)
    except MemoryError as error:
        raise ValueError(
            f"weights: {str(path)!r} declares more numbers than the memory holds; the "
            f"file is damaged if it should not need it (sha256 {sha256})."
        ) from error
    except Exception as error:  # parsers of damaged files raise whatever they like
        if _was_interrupted(found, error):
            raise KeyboardInterrupt from error
        raise ValueError(
            f"weights: {str(path)!r} (sha256 {sha256}) is not a file of weights: "
            f"expected safetensors, or a state dict saved by torch.save "
            f"that holds tensors only (nothing else is run). {type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else ''}"
        ) from error
    return state, sha256


def load_state(
    module: "torch.nn.Module", state: Mapping[str, "torch.Tensor"], found: WeightsFile
) -> None:
    """Put weights into a network after checking that they fit and are finite.

    Parameters
    ----------
    module : torch.nn.Module
        The network; it may have been built on the device "meta".
    state : mapping of str to tensor
        The result of `read_weights`.
    found : WeightsFile
        Where they came from, for messages.

    Raises
    ------
    ValueError
        If keys are missing or unexpected, shapes differ, or values are not finite.
    """
    import torch

    spec, name = found.spec, f"weights: {str(found.path)!r}"
    state = {_modern_key(key, spec.architecture): t for key, t in state.items()}
    expected = module.state_dict()
    for key in expected:
        if key.endswith("num_batches_tracked"):  # not in older files, and not used
            state.setdefault(key, torch.tensor(0))
    problems = [
        _listing("missing", [k for k in expected if k not in state]),
        _listing("unexpected", [k for k in state if k not in expected]),
        _listing(
            "of another shape or type",
            [
                f"{key}: expected {_describe(expected[key])}, found {_describe(tensor)}"
                for key, tensor in state.items()
                if key in expected and _describe(tensor) != _describe(expected[key])
            ],
        ),
    ]
    if any(problems):
        raise ValueError(
            f"{name} does not fit backbone {spec.name!r}: "
            + "; ".join(filter(None, problems))
            + "."
        )
    _check_finite(state, spec, name)
    expected.update(state)  # a plain dict lacks the versions that some modules ask for
    module.load_state_dict(expected, strict=True, assign=True)


def digest_tensors(state: Mapping[str, "torch.Tensor"]) -> str:
    """Compute the sha256 of tensors: their names, types, shapes and bytes."""
    import torch

    digest = hashlib.sha256()
    for key, tensor in state.items():
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().flatten()
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _find_in_folder(spec: BackboneSpec) -> WeightsFile | None:
    folder_name = os.environ.get(ENVIRONMENT_VARIABLE)
    if not folder_name:
        return None
    folder = Path(folder_name).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{ENVIRONMENT_VARIABLE} names {folder_name!r}, which is not a folder; "
            "correct it or unset it."
        )
    ranked: dict[int, list[WeightsFile]] = {}
    for path in sorted(folder.iterdir()):
        owner = _owner(path, spec)
        if owner is not None and path.is_file():
            # An exact name wins, then a file of this backbone, then of a variant.
            rank = 0 if path.stem == spec.file_stem else 1 + (owner.name != spec.name)
            digest = _published_digest(path, owner)
            ranked.setdefault(rank, []).append(WeightsFile(path, owner, digest))
    if not ranked:
        return None
    best = ranked[min(ranked)]
    if len(best) > 1:
        raise ValueError(
            f"weights: {[f.path.name for f in best]} in {str(folder)!r} all fit "
            f"backbone {spec.name!r}; pass the path of one of them as weights."
        )
    return best[0]


def _owner(path: Path, spec: BackboneSpec) -> BackboneSpec | None:
    """Find the backbone that a file is named after, if this one can use the file."""
    if path.suffix not in _SUFFIXES or spec.name in EMBEDDED or not spec.architecture:
        return None  # it takes no other files, or has no name
    known = list_timm() if spec.of_timm else known_backbones()
    names = [name for name in known if path.stem.startswith(name.replace(":", "_"))]
    if not names:
        return None
    owner = find_backbone(max(names, key=len))
    if owner.architecture != spec.architecture:
        return None
    return owner if owner.name.startswith(spec.name) else None


def _digest_in_name(name: str) -> str:
    match = re.search(r"-([0-9a-f]{8,})\.", name)
    return match.group(1) if match else ""


def _published_digest(path: Path, spec: BackboneSpec) -> str:
    """Return the beginning of the digest of a file, if it has torchvision's name."""
    digest = _digest_in_name(path.name)
    if not digest or spec.of_timm:
        return ""
    from torchvision.models import get_model_weights

    try:
        choices = get_model_weights(spec.architecture)
    except ValueError:  # a network that torchvision does not have
        return ""
    names = [choice.url.rsplit("/", 1)[-1] for choice in choices]
    return digest if path.name in names else ""


def _find_torchvision(spec: BackboneSpec) -> WeightsFile:
    import torch

    if spec.name != spec.architecture:
        convert = f" {_CONVERTER} makes it of the published file." if spec.bgr else ""
        raise FileNotFoundError(
            f"weights: none for backbone {spec.name!r}, and they cannot be downloaded. "
            f"Pass the path of a file, or put a file {spec.name}.safetensors into the "
            f"folder that {ENVIRONMENT_VARIABLE} names.{convert}"
        )
    from torchvision.models import get_model_weights

    choices = get_model_weights(spec.architecture)
    if not len(choices):
        raise FileNotFoundError(
            f"weights: torchvision has none for backbone {spec.name!r}; pass the path "
            "of a file, or None for random weights."
        )
    choice = getattr(choices, "IMAGENET1K_V1", None) or choices.DEFAULT
    name = choice.url.rsplit("/", 1)[-1]
    prefix = _digest_in_name(name)
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not path.is_file():
        _download(choice.url, path, prefix)
    return WeightsFile(path, spec, prefix)


def _download(url: str, path: Path, prefix: str) -> None:
    """Download to a temporary file, compare its digest, move it to `path`."""
    import torch

    sys.stderr.write(f"Downloading {url} to {path}\n")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), prefix or None, progress=True)
    except (OSError, RuntimeError) as error:
        raise OSError(
            f"weights: could not download {url} ({error}). Download it elsewhere "
            f"(its sha256 begins with {prefix}) and put it at {str(path)!r}, or into "
            f"the folder that {ENVIRONMENT_VARIABLE} names; or pass weights=None for a "
            "random network."
        ) from error


def _read_file(found: WeightsFile) -> dict[str, "torch.Tensor"]:
    import torch

    path = found.path
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        state: Any = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, Mapping) or not state:
        raise TypeError(f"it holds a {type(state).__name__}, not a dict of tensors")
    for key, tensor in state.items():
        if not isinstance(key, str) or not isinstance(tensor, torch.Tensor):
            raise TypeError(f"entry {key!r} is a {type(tensor).__name__}, not a tensor")
    return {k: t.float() if t.is_floating_point() else t for k, t in state.items()}


def _was_interrupted(found: WeightsFile, error: Exception) -> bool:
    """Tell whether an error is what torch has made of Ctrl-C: the file is sound."""
    if isinstance(error, OSError):
        return False
    try:
        _read_file(found)
    except Exception:
        return False
    return True


def _modern_key(key: str, architecture: str) -> str:
    """Rename keys of torchvision's DenseNet files, which are older than its code."""
    if not architecture.startswith("densenet"):
        return key
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)", r"\1\2", key)


def _describe(tensor: "torch.Tensor") -> str:
    kind = "" if tensor.is_floating_point() else f" of {tensor.dtype}"
    return f"{tuple(tensor.shape)}{kind}"


def _listing(what: str, entries: Iterable[str]) -> str:
    entries = list(entries)
    shown = ", ".join(entries[:5]) + (", ..." if len(entries) > 5 else "")
    return f"{len(entries)} {what} ({shown})" if entries else ""


def _check_finite(
    state: Mapping[str, "torch.Tensor"], spec: BackboneSpec, name: str
) -> None:
    bad = [key for key, tensor in state.items() if not bool(tensor.isfinite().all())]
    if spec.has_fc7:
        # A file without a usable classifier will do where only maps are read.
        bad = [key for key in bad if not key.startswith("classifier.")]
    if bad:
        raise ValueError(
            f"{name} is not usable: NaN or inf in {_listing('tensors', bad)}."
        )
