"""The trees of scikit-learn, as the arrays of their nodes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._checks import FormatError, check_keys

_ARGUMENTS = ("n_features", "n_classes", "n_outputs")
_STATE = ("max_depth", "node_count", "nodes", "values")


def pack_tree(tree: Any) -> dict[str, Any]:
    """Return the arguments and the arrays of a ``sklearn.tree._tree.Tree``."""
    state = tree.__getstate__()
    arguments = dict(zip(_ARGUMENTS, tree.__reduce__()[1], strict=True))
    return arguments | {name: state[name] for name in _STATE}


def build_tree(cls: Any, state: dict[str, Any]) -> Any:
    """Build a tree, after its nodes have been found to be a tree.

    The compiled code of scikit-learn follows the numbers of children and of features
    without a check, so that wrong ones would read memory of something else.

    Parameters
    ----------
    cls : type
        ``sklearn.tree._tree.Tree``.
    state : dict
        What `pack_tree` has returned.

    Returns
    -------
    Tree

    Raises
    ------
    FormatError
        If the arrays are no tree.
    """
    check_keys(state, {*_ARGUMENTS, *_STATE}, "a tree")
    n_features, n_classes, n_outputs = (state[name] for name in _ARGUMENTS)
    nodes, values = state["nodes"], state["values"]
    is_right = (
        all(type(state[k]) is int for k in ("n_features", "n_outputs", *_STATE[:2]))
        and all(isinstance(a, np.ndarray) for a in (n_classes, nodes, values))
        and n_classes.shape == (n_outputs,)
        and n_classes.dtype == np.intp
        and nodes.shape == (state["node_count"],)
        and len(nodes) > 0
        and values.shape == (len(nodes), n_outputs, n_classes.max(initial=0))
        and {"left_child", "right_child", "feature"} <= set(nodes.dtype.names or ())
    )
    if not is_right or _depth(nodes, n_features) != state["max_depth"]:
        raise FormatError("expected the nodes of a tree, got other numbers")
    tree = cls(n_features, n_classes, n_outputs)
    tree.__setstate__({name: state[name] for name in _STATE})
    return tree


def check_features(classifier: Any) -> Any:
    """Return a tree classifier if its tree has as many features as it says.

    Parameters
    ----------
    classifier : DecisionTreeClassifier or ExtraTreeClassifier
        Compares images with its own number of features only.

    Returns
    -------
    classifier

    Raises
    ------
    FormatError
        If the numbers differ.
    """
    tree = getattr(classifier, "tree_", None)
    if tree is not None:
        of_classifier = getattr(classifier, "n_features_in_", None)
        if of_classifier != getattr(tree, "n_features", None):
            raise FormatError(
                f"expected a tree of {of_classifier} features, got another one"
            )
    return classifier


def _depth(nodes: NDArray[Any], n_features: int) -> int | None:
    """Return the depth of a tree; None if the nodes are not one."""
    left, right, feature = (
        nodes[name] for name in ("left_child", "right_child", "feature")
    )
    inner = left != -1
    wrong = inner & ((feature < 0) | (feature >= n_features))
    if wrong.any() or ((right == -1) == inner).any():
        return None
    seen = np.zeros(len(nodes), dtype=np.int64)
    level = np.zeros(1, dtype=np.int64)
    depth = -1
    while len(level):
        depth += 1
        np.add.at(seen, level, 1)
        parents = level[inner[level]]
        level = np.concatenate([left[parents], right[parents]])
        if ((level < 1) | (level >= len(nodes))).any() or depth > len(nodes):
            return None
        if seen[level].any():
            return None
    return depth if (seen == 1).all() else None
