"""How an object becomes named values, and how it is built from them again."""

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import PurePath
from typing import Any, NamedTuple

from ._checks import FormatError, check_keys
from ._networks import (
    build_local_net,
    build_row_net,
    build_zoomout_net,
    pack_local_net,
    pack_row_net,
    pack_zoomout_net,
)
from ._trees import build_tree, check_features, pack_tree

State = dict[str, Any]


class Codec(NamedTuple):
    """How objects of a class are taken apart and built.

    Attributes
    ----------
    pack : callable
        Returns the values of an object by name: numbers, text, arrays, containers, and
        objects that have a codec.
    build : callable
        Returns an object from its class and the values.
    """

    pack: Callable[[Any], State]
    build: Callable[[Any, State], Any]


def find_codec(name: str, cls: type) -> Codec | None:
    """Return the codec of a class.

    Parameters
    ----------
    name : str
        Its name in files.
    cls : type
        The class.

    Returns
    -------
    Codec or None
        That of the class, if it has its own. Else dataclasses and named tuples have
        their fields, and estimators their parameters and other attributes. None for
        other classes.
    """
    if name in _OWN:
        return _OWN[name]
    if is_dataclass(cls):
        return Codec(_pack_fields, _build_fields)
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return Codec(lambda value: value._asdict(), _build_fields)
    if hasattr(cls, "get_params") and hasattr(cls, "set_params"):
        return Codec(pack_estimator, build_estimator)
    return None


def pack_estimator(estimator: Any) -> State:
    """Return the parameters of an estimator, and its other attributes.

    Parameters
    ----------
    estimator : estimator
        Has ``get_params``, and may have a ``__getstate__``.

    Returns
    -------
    dict
        "params" are given to the constructor, "fitted" is set afterwards.
    """
    params = estimator.get_params(deep=False)
    state: Any = estimator.__getstate__() or {}
    if type(state) is not dict:
        raise ValueError(
            "__getstate__: expected a dict of attributes, got "
            f"{type(state).__name__}; use no __slots__."
        )
    fitted = {name: state[name] for name in state if name not in params}
    return {"params": params, "fitted": fitted}


def build_estimator(cls: Any, state: State) -> Any:
    """Build what `pack_estimator` has taken apart.

    Parameters
    ----------
    cls : type
        The class.
    state : dict
        Its "params" and "fitted".

    Returns
    -------
    estimator
    """
    check_keys(state, {"params", "fitted"}, "an estimator")
    params, fitted = state["params"], state["fitted"]
    if not all(type(part) is dict for part in (params, fitted)):
        raise FormatError("expected parameters and attributes by name")
    estimator = cls(**params)
    if hasattr(estimator, "__setstate__"):
        # That of scikit-learn warns of another version, and needs the parameters too.
        estimator.__setstate__({**vars(estimator), **fitted})
    else:
        vars(estimator).update(fitted)
    return estimator


def _pack_fields(value: Any) -> State:
    return {f.name: getattr(value, f.name) for f in fields(value) if f.init}


def _build_fields(cls: Any, state: State) -> Any:
    return cls(**state)


def _pack_attributes(value: Any) -> State:
    return dict(vars(value))


def _pack_repeated(splitter: Any) -> State:
    arguments = {
        name: getattr(splitter, name) for name in ("n_repeats", "random_state")
    }
    return arguments | splitter.cvargs


def _build_attributes(cls: Any, state: State) -> Any:
    value = cls.__new__(cls)
    vars(value).update(state)
    return value


def _pack_callback(callback: Any) -> State:
    """Return the parameters that are not the defaults; `print` is one of these.

    What a callback has seen in one fit is forgotten in the next.
    """
    defaults = inspect.signature(type(callback)).parameters
    return {
        name: value
        for name, value in callback.get_params(deep=False).items()
        if value is not defaults[name].default
    }


def _without(*names: str) -> Callable[[Any], State]:
    """Return a packer of estimators that leaves out what is made again."""

    def pack(estimator: Any) -> State:
        state = pack_estimator(estimator)
        fitted = {k: v for k, v in state["fitted"].items() if k not in names}
        return state | {"fitted": fitted}

    return pack


def _build_search(cls: Any, state: State) -> Any:
    search = build_estimator(cls, state)
    if hasattr(search, "best_index_"):
        scorer = search._get_scorers()[0]
        search.scorer_ = getattr(scorer, "_scorers", scorer)  # a dict of several
    return search


def _pack_level(level: Any) -> State:
    """Leave out the folder of the weights, which is nobody else's concern."""
    state = pack_estimator(level)
    fitted = state["fitted"]
    if "weights_" in fitted:
        fitted = fitted | {"weights_": PurePath(fitted["weights_"]).name}
    return state | {"fitted": fitted}


def _pack_pipeline(pipeline: Any) -> State:
    state = pack_estimator(pipeline)
    _refuse_memory(state)
    return state


def _build_pipeline(cls: Any, state: State) -> Any:
    pipeline = build_estimator(cls, state)
    _refuse_memory(state)
    return pipeline


def _refuse_memory(state: State) -> None:
    if state["params"].get("memory") is not None:
        raise FormatError(
            "memory: expected None, since a pipeline's memory is a folder of pickles; "
            "call set_params(memory=None), and give the steps a memory of their own"
        )


def _build_tree_classifier(cls: Any, state: State) -> Any:
    return check_features(build_estimator(cls, state))


_PIPELINE = Codec(_pack_pipeline, _build_pipeline)
_SEARCH = Codec(_without("scorer_"), _build_search)
_TREE = Codec(pack_estimator, _build_tree_classifier)
_LEVEL = Codec(_pack_level, build_estimator)
_ATTRIBUTES = Codec(_pack_attributes, _build_attributes)
_OWN = {
    "sklearn_zoomout.tiles.ZoomoutPipeline": _PIPELINE,
    "sklearn.pipeline.Pipeline": _PIPELINE,
    "sklearn_zoomout.features.ConvnetRegionFeatures": _LEVEL,
    "sklearn_zoomout.features.ConvnetSuperpixelFeatures": _LEVEL,
    "sklearn_zoomout.features.GlobalFeatures": _LEVEL,
    "sklearn_zoomout.classifier.RowNet": Codec(pack_row_net, build_row_net),
    "sklearn_zoomout.classifier.ZoomoutNet": Codec(pack_zoomout_net, build_zoomout_net),
    "sklearn_zoomout.features.LocalNet": Codec(pack_local_net, build_local_net),
    "sklearn.tree.Tree": Codec(pack_tree, build_tree),
    "sklearn.tree.DecisionTreeClassifier": _TREE,
    "sklearn.tree.ExtraTreeClassifier": _TREE,
    "sklearn.model_selection.GridSearchCV": _SEARCH,
    "sklearn.model_selection.RandomizedSearchCV": _SEARCH,
    "skorch.callbacks.EarlyStopping": Codec(_pack_callback, _build_fields),
    # Compiled code, which a later fit makes again.
    "sklearn.linear_model.SGDClassifier": Codec(
        _without("_loss_function_", "loss_function_"), build_estimator
    ),
    **{
        f"sklearn.model_selection.{name}": _ATTRIBUTES
        for name in ("GroupKFold", "KFold", "LeaveOneOut", "ShuffleSplit")
    },
    "sklearn.model_selection.RepeatedKFold": Codec(_pack_repeated, _build_fields),
}
