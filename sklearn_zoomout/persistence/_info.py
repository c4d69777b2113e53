"""The card of a model: what `model_info` tells without loading it."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

from ._checks import FormatError, check_keys
from ._container import FORMAT, Header

_LONGEST_REPR = 10_000
_LONGEST_PARAMETER = 500
# The types of what a card says.
_NONE = type(None)
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("class_name", "model", "notes"), (str,)),
    **dict.fromkeys(("networks", "parameters", "scores"), (dict,)),
    **dict.fromkeys(("n_columns", "n_images", "largest_image"), (int, _NONE)),
    "n_channels": (int, _NONE),
    "classes": (list, _NONE),
    "date": (str, _NONE),
}


@dataclass(frozen=True)
class ModelInfo:
    """What a model file contains; `print` shows a short card.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    size : int
        Its size in bytes.
    n_bytes : int
        Bytes of its arrays.
    sha256 : str
        Its digest, as the program ``sha256sum`` computes it.
    format : int
        The version of the format.
    date : str
        The date that was passed to `save_model`, or else the time of the file.
    class_name : str
        The class of the model, such as "ZoomoutPipeline".
    model : str
        The model as it prints.
    classes : list of int, or None
        The labels that it predicts.
    n_columns : int or None
        Number of features of a superpixel.
    n_images : int or None
        Number of images of fit.
    largest_image : int or None
        Number of pixels of the largest image of fit.
    n_channels : int or None
        Number of channels of the images of fit, 3 for gray ones.
    networks : dict of str to str
        The SHA-256 of the weights of every network, by the name of its level.
    parameters : dict of str to str
        All parameters as they print, by the names that ``set_params`` takes.
    versions : dict of str to str
        The versions of the packages that the model was saved with.
    scores : dict of str to float
        What was passed to `save_model`.
    notes : str
        What was passed to `save_model`.
    """

    path: Path
    size: int
    n_bytes: int
    sha256: str
    format: int
    date: str
    class_name: str
    model: str
    classes: list[Any] | None
    n_columns: int | None
    n_images: int | None
    largest_image: int | None
    n_channels: int | None
    networks: dict[str, str]
    parameters: dict[str, str]
    versions: dict[str, str]
    scores: dict[str, float]
    notes: str

    def __str__(self) -> str:
        lines = {
            "model": f"{self.class_name}, {self.date}",
            "file": f"{self.path.name}, {_in_units(self.size)}",
            "sha256": self.sha256,
            "classes": ", ".join(map(str, self.classes or ())),
            "trained on": self._images(),
            "columns": "" if self.n_columns is None else f"{self.n_columns:,}",
            "scores": ", ".join(f"{k} {v:.4g}" for k, v in self.scores.items()),
            "notes": self.notes,
            "networks": ", ".join(
                f"{name} {digest[:12]}" for name, digest in self.networks.items()
            ),
            "versions": ", ".join(f"{k} {v}" for k, v in self.versions.items()),
        }
        card = "\n".join(f"{name:<11}{text}" for name, text in lines.items() if text)
        return f"{card}\n\n{self.model}"

    def _images(self) -> str:
        if self.n_images is None or self.largest_image is None:
            return ""
        images = "1 image" if self.n_images == 1 else f"{self.n_images:,} images"
        channels = f" of {self.n_channels} channels" if self.n_channels else ""
        return f"{images}{channels}, the largest of {self.largest_image:,} pixels"


def describe_model(
    model: Any,
    scores: Mapping[str, float] | None,
    notes: str,
    date: "str | datetime.date | None",
) -> dict[str, Any]:
    """Return the card of a model as JSON can hold it.

    Parameters
    ----------
    model : fitted estimator
        The model.
    scores : mapping of str to float or None
        What was measured.
    notes : str
        What else to remember.
    date : str, datetime.date or None
        The date to show.

    Returns
    -------
    dict

    Raises
    ------
    TypeError, ValueError
        If the scores are not finite numbers by name, or notes or date are no text.
    """
    if not isinstance(notes, str):
        raise TypeError(f"notes: expected text, got {type(notes).__name__}.")
    if isinstance(date, datetime.date):
        date = date.isoformat()
    if date is not None and not isinstance(date, str):
        raise TypeError(f"date: expected a date, text or None, got {date!r}.")
    fitted = getattr(model, "best_estimator_", model)
    parts = _parts_of(fitted)
    classes = getattr(fitted, "classes_", None)
    return {
        "class_name": type(model).__name__,
        "model": _print(model),
        "classes": None if classes is None else np.asarray(classes).tolist(),
        "n_columns": _first(parts, "n_features_in_"),
        "n_images": _first(parts, "n_images_"),
        "largest_image": _first(parts, "largest_image_"),
        "n_channels": _first(parts, "n_channels_"),
        "networks": {
            name: part.weights_sha256_
            for name, part in parts.items()
            if hasattr(part, "weights_sha256_")
        },
        "parameters": _parameters_of(model),
        "scores": _check_scores(scores),
        "notes": notes,
        "date": date,
    }


def read_card(path: Path, header: Header, modified: float) -> ModelInfo:
    """Return the card of a file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    header : Header
        Its header.
    modified : float
        The time of the file.

    Returns
    -------
    ModelInfo
    """
    card = header.manifest["card"]
    check_keys(card, set(_KINDS), "a card")
    for name, kinds in _KINDS.items():
        if type(card[name]) not in kinds:
            expected = " or ".join(kind.__name__ for kind in kinds)
            got = type(card[name]).__name__
            raise FormatError(
                f"expected {name} in the card of type {expected}, got {got}"
            )
    texts = [*card["networks"].values(), *card["parameters"].values()]
    scores = card["scores"].values()
    if not {*map(type, texts)} <= {str} or not {*map(type, scores)} <= {int, float}:
        raise FormatError("expected a card of text, and of scores that are numbers")
    time = datetime.datetime.fromtimestamp(modified).isoformat(" ", "seconds")
    return ModelInfo(
        path=path,
        size=header.size,
        n_bytes=header.n_bytes,
        sha256=header.sha256,
        format=FORMAT,
        versions=header.manifest["versions"],
        **card | {"date": card["date"] or time},
    )


def _parts_of(model: Any) -> dict[str, Any]:
    """Return the model and all estimators among its parameters, by their names."""
    params = model.get_params()
    found = {name: value for name, value in params.items() if _is_estimator(value)}
    return {type(model).__name__: model, **found}


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "get_params") and not isinstance(value, type)


def _first(parts: Mapping[str, Any], name: str) -> int | None:
    """Return an attribute of the first part that has it."""
    # A pipeline looks for the attribute in its first step, which may have none.
    found = (getattr(part, name, None) for part in reversed(list(parts.values())))
    return next((int(value) for value in found if value is not None), None)


def _parameters_of(model: Any) -> dict[str, str]:
    """Return all parameters as they print, but those that consist of others."""
    return {
        name: shorten(repr(value), _LONGEST_PARAMETER, placeholder=" ...")
        for name, value in model.get_params().items()
        if not _is_estimator(value) and not _has_estimators(value)
    }


def _has_estimators(value: Any) -> bool:
    return isinstance(value, list) and any(
        isinstance(item, tuple) and any(map(_is_estimator, item)) for item in value
    )


def _print(model: Any) -> str:
    try:
        return model.__repr__(N_CHAR_MAX=_LONGEST_REPR)
    except TypeError:  # an estimator that prints in its own way
        return repr(model)[:_LONGEST_REPR]


def _check_scores(scores: Mapping[str, float] | None) -> dict[str, float]:
    if scores is None:
        return {}
    if not isinstance(scores, Mapping):
        raise TypeError(
            f"scores: expected names and numbers, got {scores!r}; pass "
            "{'mean IoU': 0.72}."
        )
    for name, score in scores.items():
        if not isinstance(score, Real) or not np.isfinite(float(score)):
            raise ValueError(
                f"scores: expected finite numbers, got {score!r} of {name!r}; leave "
                "out what was not measured."
            )
    return {str(name): float(score) for name, score in scores.items()}


def _in_units(n_bytes: int) -> str:
    if n_bytes < 10**6:
        return f"{n_bytes / 1e3:.1f} kB"
    return f"{n_bytes / 1e6:.1f} MB"
