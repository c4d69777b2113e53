"""`save_model`: a fitted estimator becomes a file."""

import datetime
import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from .._utils.writing import write_whole
from .._version import __version__
from ._container import write_container
from ._encode import Encoder
from ._info import describe_model

# What a model computes with.
_PACKAGES = ("scikit-learn", "numpy", "scipy", "torch", "skorch")


def save_model(
    model: Any,
    path: str | os.PathLike[str],
    *,
    scores: Mapping[str, float] | None = None,
    notes: str = "",
    date: "str | datetime.date | None" = None,
) -> None:
    """Save a fitted estimator to a file that holds arrays and JSON, and no code.

    The file replaces an older one of the same name when it is complete. If the call is
    interrupted, even by a loss of power, the older one stays. Equal models give equal
    files.

    Parameters
    ----------
    model : fitted estimator
        A pipeline of `zoomout_pipeline`, or any estimator of the library; also a search
        around one, and the estimators of scikit-learn that the notes list.
    path : str or path
        The file to write, such as "model.zoomout". Its folder is created if it is
        missing.
    scores : mapping of str to float, default=None
        What you have measured, such as ``{"mean IoU": 0.72}``; see `model_info`.
    notes : str, default=""
        What else to remember.
    date : str, datetime.date or None, default=None
        The date that `model_info` shows. None shows the time of the file.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    TypeError
        If the model is no estimator, or one of its values is code, such as a callable
        backbone or a lambda, or is of a class that has no ``get_params``.
    ValueError
        If a value contains itself, a pipeline has a ``memory``, or a score is no
        number.
    IsADirectoryError
        If the path is a folder.
    OSError
        If the file cannot be written.

    See Also
    --------
    load_model : Load the model again.
    model_info : What a file contains, without loading it.

    Notes
    -----
    An estimator is stored as its class, its parameters and its other attributes. These
    are numbers, text, arrays, containers of them, and estimators. Networks that a fit
    has trained are stored as arrays. A named network is stored as its name and the
    digest of its weights, which are compared when it is used, and with the weights that
    fine-tuning has changed. Of a `FeatureCache` the path is stored.

    Estimators of your own are stored in the same way, if they have ``get_params``.
    `load_model` takes their classes as ``trusted``. Of scikit-learn, it loads linear
    models, Gaussian naive Bayes, trees and forests, scalers, PCA, `DummyClassifier`,
    `FrozenEstimator`, pipelines, unions, splitters and searches.

    The file is one of safetensors, with the JSON in its metadata. Its last array is the
    SHA-256 of all bytes before.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_zoomout import load_model, save_model, zoomout_pipeline
    >>> from sklearn_zoomout.datasets import make_scenes
    >>> images, masks = make_scenes(n_images=4, random_state=0)
    >>> model = zoomout_pipeline(
    ...     levels=["maps"], n_segments=50, max_epochs=5, random_state=0
    ... ).fit(images, masks)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(model, f"{folder}/model.zoomout")
    ...     loaded = load_model(f"{folder}/model.zoomout")
    >>> bool((loaded.predict(images)[0] == model.predict(images)[0]).all())
    True
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise IsADirectoryError(
            f"{path}: expected the name of a file, got a folder; add a name, such as "
            f"{path / 'model.zoomout'}."
        )
    _check_fitted(model)
    card = describe_model(model, scores, notes, date)
    encoder = Encoder()
    manifest = {
        "versions": {"sklearn_zoomout": __version__, **_installed_versions()},
        "card": card,
        "model": encoder.encode(model, ""),
    }
    with write_whole(path) as file:
        write_container(file, manifest, encoder.arrays)


def _check_fitted(model: Any) -> None:
    if isinstance(model, type) or not hasattr(model, "get_params"):
        raise TypeError(
            f"model: expected a fitted estimator, got {model!r:.80}; pass the pipeline."
        )
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise NotFittedError(
            f"model: expected a fitted {type(model).__name__}, got one that is not "
            "fitted; call fit first."
        ) from error


def _installed_versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
