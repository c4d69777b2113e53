"""The classes that a model file may name, and those that a caller allows."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from ._checks import FormatError

# The module in which a file says that a class is, and from which it is imported.
_PUBLIC = {
    "sklearn_zoomout.backbones": ("Backbone", "FineTuning", "Training"),
    "sklearn_zoomout.cache": ("FeatureCache",),
    "sklearn_zoomout.classifier": ("ZoomoutClassifier",),
    "sklearn_zoomout.features": (
        "ConvnetRegionFeatures",
        "ConvnetSuperpixelFeatures",
        "GlobalFeatures",
        "LocalConvnetFeatures",
        "LocalFeatures",
        "ProximalFeatures",
        "ZoomoutUnion",
    ),
    "sklearn_zoomout.postprocessing": (
        "GraphSmoothing",
        "IslandRemoval",
        "PixelFusion",
    ),
    "sklearn_zoomout.superpixels": ("SuperpixelSegmenter",),
    "sklearn_zoomout.tiles": ("ZoomoutPipeline",),
    "sklearn.decomposition": ("PCA",),
    "sklearn.dummy": ("DummyClassifier",),
    "sklearn.ensemble": ("ExtraTreesClassifier", "RandomForestClassifier"),
    "sklearn.frozen": ("FrozenEstimator",),
    "sklearn.linear_model": ("LogisticRegression", "RidgeClassifier", "SGDClassifier"),
    "sklearn.model_selection": (
        "GridSearchCV",
        "GroupKFold",
        "KFold",
        "LeaveOneOut",
        "RandomizedSearchCV",
        "RepeatedKFold",
        "ShuffleSplit",
    ),
    "sklearn.naive_bayes": ("GaussianNB",),
    "sklearn.pipeline": ("FeatureUnion", "Pipeline"),
    "sklearn.preprocessing": (
        "LabelBinarizer",
        "MaxAbsScaler",
        "MinMaxScaler",
        "RobustScaler",
        "StandardScaler",
    ),
    "sklearn.svm": ("LinearSVC",),
    "sklearn.tree": ("DecisionTreeClassifier", "ExtraTreeClassifier"),
    "skorch.callbacks": ("EarlyStopping",),
}
# Parts of the estimators above. Their files may be renamed, but not their names here.
_PARTS = {
    "sklearn_zoomout.backbones.FineTunedWeights": (
        "sklearn_zoomout.backbones._fine_tuned"
    ),
    "sklearn_zoomout.backbones.Taps": "sklearn_zoomout.backbones._network",
    "sklearn_zoomout.classifier.RowNet": "sklearn_zoomout.classifier._training",
    "sklearn_zoomout.classifier.ZoomoutNet": "sklearn_zoomout.classifier._net",
    "sklearn_zoomout.features.LocalNet": "sklearn_zoomout.features._local_net",
    "sklearn_zoomout.postprocessing.PixelFilters": (
        "sklearn_zoomout.postprocessing._pixels"
    ),
    "sklearn.tree.Tree": "sklearn.tree._tree",
}
_MODULES = {
    **{
        f"{module}.{name}": module
        for module, names in _PUBLIC.items()
        for name in names
    },
    **_PARTS,
}


def name_of(cls: type) -> str:
    """Return the name of a class in files.

    Parameters
    ----------
    cls : type
        A class.

    Returns
    -------
    str
        Of a class of the list its public name, such as
        "sklearn_zoomout.features.LocalFeatures"; else module and qualified name.
    """
    for name in _MODULES:
        if name.endswith(f".{cls.__name__}") and _import(name) is cls:
            return name
    return f"{cls.__module__}.{cls.__qualname__}"


def find_class(name: Any, trusted: Mapping[str, type]) -> type:
    """Return the class of a name that a file has.

    Parameters
    ----------
    name : object
        The name in the file. Nothing is imported by it unless the list has it.
    trusted : mapping of str to type
        The classes that the caller allows, by their names.

    Returns
    -------
    type

    Raises
    ------
    FormatError
        If the class is neither in the list nor trusted.
    """
    if isinstance(name, str) and name in _MODULES:
        return _import(name)
    if isinstance(name, str) and name in trusted:
        return trusted[name]
    short = str(name).rpartition(".")[2]
    raise FormatError(
        f"expected classes of sklearn-zoomout and some of scikit-learn, got {name!r}; "
        f"if you trust it, import it and call load_model(path, trusted=[{short}]), or "
        "install the version of sklearn-zoomout that has it"
    )


def check_trusted(trusted: Iterable[type]) -> dict[str, type]:
    """Return the classes that a caller allows, by their names in files.

    Parameters
    ----------
    trusted : iterable of type
        The classes.

    Returns
    -------
    dict of str to type

    Raises
    ------
    TypeError
        If one of them is not a class.
    """
    classes = [trusted] if isinstance(trusted, (type, str)) else list(trusted)
    for cls in classes:
        if not isinstance(cls, type):
            raise TypeError(
                f"trusted: expected a list of classes, got {cls!r}; import the class, "
                "and pass it, not its name."
            )
    return {name_of(cls): cls for cls in classes}


def is_known(name: str) -> bool:
    """Return whether a class is in the list, so that files may name it."""
    return name in _MODULES


def _import(name: str) -> Any:
    # Only names of the list above come here.
    return getattr(import_module(_MODULES[name]), name.rpartition(".")[2])
