"""Values that are neither plain nor estimators: generators, matrices, scorers."""

from typing import Any

import numpy as np

from ._checks import FormatError, parse_dtype

_SPARSE = (
    "csr_array",
    "csc_array",
    "csr_matrix",
    "csc_matrix",
)
_MT19937_LENGTH = 624


def pack_value(value: Any, path: str) -> tuple[str, list[Any]] | None:
    """Return the tag of a value and its parts.

    Parameters
    ----------
    value : object
        Any value.
    path : str
        Where it is, for errors.

    Returns
    -------
    tuple of (str, list) or None
        None if it is none of these.

    Raises
    ------
    TypeError
        If the bit generator is not one of the two of ``numpy.random``.
    """
    if isinstance(value, np.dtype):
        return "dtype", [_as_lists(np.lib.format.dtype_to_descr(value))]
    if type(value) in (np.random.RandomState, np.random.Generator):
        return _pack_random(value, path)
    kind = type(value)
    if kind.__module__.startswith("scipy."):
        if kind.__name__ in _SPARSE:
            parts = [value.data, value.indices, value.indptr, list(value.shape)]
            return "sparse", [kind.__name__, *parts]
        if hasattr(value, "dist") and hasattr(value, "kwds"):
            return "distribution", [value.dist.name, list(value.args), value.kwds]
    if kind.__module__ == "sklearn_zoomout.metrics":
        name = f"{value._score_func.__name__}_scorer"
        if _score_func(name) is value._score_func and not value._kwargs:
            return "scorer", [name]
    return None


def build_dtype(descr: Any) -> Any:
    """Build a dtype."""
    return parse_dtype(descr)


def build_random(kind: Any, bit_generator: Any, state: Any, rest: Any) -> Any:
    """Build a RandomState or a Generator, as far drawn as it was."""
    if bit_generator == "MT19937":
        key, position = state["key"], state["pos"]
        # The compiled code reads at this position.
        if (
            getattr(key, "shape", None) != (_MT19937_LENGTH,)
            or key.dtype != np.uint32
            or type(position) is not int
            or not 0 <= position <= _MT19937_LENGTH
        ):
            raise FormatError("expected the state of a random generator")
        bits: Any = np.random.MT19937()
    elif bit_generator == "PCG64":
        bits = np.random.PCG64()
    else:
        raise FormatError(f"expected MT19937 or PCG64, got {bit_generator!r}")
    whole = {"bit_generator": bit_generator, "state": state, **rest}
    if kind == "Generator":
        bits.state = whole
        return np.random.Generator(bits)
    random = np.random.RandomState(bits)
    random.set_state(whole)
    return random


def build_sparse(kind: Any, data: Any, indices: Any, indptr: Any, shape: Any) -> Any:
    """Build a sparse matrix, and check its indices."""
    from scipy import sparse

    if kind not in _SPARSE:
        raise FormatError(f"expected one of {list(_SPARSE)}, got {kind!r}")
    if not all(isinstance(part, np.ndarray) for part in (data, indices, indptr)):
        raise FormatError("expected the arrays of a sparse matrix")
    matrix = getattr(sparse, kind)((data, indices, indptr), shape=tuple(shape))
    matrix.check_format(full_check=True)
    return matrix


def build_distribution(name: Any, args: Any, kwds: Any) -> Any:
    """Build a frozen distribution of ``scipy.stats``."""
    from scipy import stats

    found = getattr(stats, name, None) if type(name) is str else None
    if not isinstance(found, (stats.rv_continuous, stats.rv_discrete)):
        raise FormatError(f"expected a distribution of scipy.stats, got {name!r}")
    return found(*args, **kwds)


def build_scorer(name: Any) -> Any:
    """Return a scorer of `sklearn_zoomout.metrics`."""
    from .. import metrics

    if _score_func(name) is None:
        raise FormatError(f"expected a scorer of metrics, got {name!r}")
    return getattr(metrics, name)


def _as_lists(descr: Any) -> Any:
    is_sequence = isinstance(descr, (list, tuple))
    return [_as_lists(part) for part in descr] if is_sequence else descr


def _pack_random(value: Any, path: str) -> tuple[str, list[Any]]:
    if isinstance(value, np.random.RandomState):
        whole = value.get_state(legacy=False)
    else:
        whole = value.bit_generator.state
    name = whole["bit_generator"]
    if name not in ("MT19937", "PCG64"):
        raise TypeError(
            f"{path}: expected a generator of numpy.random.RandomState or default_rng, "
            f"got one of {name}; use one of them."
        )
    others = {k: v for k, v in whole.items() if k not in ("bit_generator", "state")}
    return "random", [type(value).__name__, name, whole["state"], others]


def _score_func(name: Any) -> Any:
    from .. import metrics

    known = (
        isinstance(name, str) and name.endswith("_scorer") and name in metrics.__all__
    )
    scorer = getattr(metrics, name) if known else None
    return getattr(scorer, "_score_func", None)
