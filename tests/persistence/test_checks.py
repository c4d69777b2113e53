"""What a file says is checked before anything is made of it."""

import json
from functools import partial

import numpy as np
import pytest
from scipy import stats
from sklearn.tree import DecisionTreeClassifier

from sklearn_zoomout.metrics import mean_iou, mean_iou_scorer, segmentation_scorer
from sklearn_zoomout.persistence._checks import (
    FormatError,
    check_keys,
    load_json,
    parse_dtype,
)
from sklearn_zoomout.persistence._networks import (
    build_local_net,
    build_row_net,
    pack_row_net,
)
from sklearn_zoomout.persistence._trees import build_tree, check_features, pack_tree
from sklearn_zoomout.persistence._values import (
    build_distribution,
    build_random,
    build_scorer,
    build_sparse,
    pack_value,
)


def test_names_are_neither_more_nor_less():
    """The error lists both."""
    check_keys({"a": 1, "b": 2}, {"b", "a"}, "x")
    for wrong in ({"a": 1}, {"a": 1, "b": 2, "c": 3}, {}):
        with pytest.raises(FormatError) as caught:
            check_keys(wrong, {"b", "a"}, "x")
        assert str(caught.value) == f"expected x with ['a', 'b'], got {sorted(wrong)}"
    with pytest.raises(FormatError, match="got list$"):
        check_keys(["a", "b"], {"b", "a"}, "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', r"every name once, got \['c', 'c'\]"),
        (b'{"a": Infinity}', "finite numbers, got Infinity"),
        (b'{"a": 1', "expected JSON in x, got "),
        (b'{"a": "\xff"}', "expected JSON in x, got "),
        (b"[" * 10**5, "expected JSON in x, got "),
        (b"[1]", "expected x to be a JSON object"),
    ],
)
def test_json_is_strict(text, message):
    """The error names what it is of."""
    with pytest.raises(FormatError, match=message):
        load_json(text, "x")
    assert load_json(b'{"a": [1]}', "x") == {"a": [1]}


@pytest.mark.parametrize(
    "dtype",
    ["<f4", "|b1", ">i2", "<U7", "|S3", "<c16", "<M8[ms]", "|V4"]
    + [[("a", "<i4"), ("b", "<f8", (2, 3)), ("c", [("d", "|u1")])]],
)
def test_dtypes_of_plain_values_are_parsed(dtype):
    """Also those of records, with lists for tuples, as JSON has them."""
    expected = np.dtype(dtype)
    text = json.dumps(np.lib.format.dtype_to_descr(expected))
    assert parse_dtype(json.loads(text)) == expected


@pytest.mark.parametrize(
    "descr",
    ["|O", "float32", "<f4 ", "", "<U0", "<f3", 4, None, {}, [], [[]], ["<f4"]]
    + [[["a", "|O"]], [["a"]], [[1, "<f4"]], [["a", "<f4", [1], 2]], [("a", "<f4")]]
    + [[["a", "<f4", ["x"]]], [["a", "<f4"], ["a", "<f4"]]],
)
def test_other_dtypes_are_refused(descr):
    """Objects, names, sizes of nothing, and what is no description."""
    with pytest.raises(FormatError, match="expected a dtype of numbers or text, got "):
        parse_dtype(descr)


@pytest.fixture
def tree():
    """What a tree of 3 features and 2 classes is packed into, and its class."""
    x = np.random.default_rng(0).normal(size=(50, 3))
    fitted = DecisionTreeClassifier(random_state=0).fit(x, x[:, 0] * x[:, 1] > 0).tree_
    return type(fitted), pack_tree(fitted)


def test_a_tree_is_built_of_its_nodes(tree):
    """And predicts as before; that of one node is a tree."""
    cls, state = tree
    x = np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32)
    built = build_tree(cls, state)
    again = build_tree(cls, pack_tree(built))
    np.testing.assert_array_equal(built.predict(x), again.predict(x))
    leaf = DecisionTreeClassifier().fit(x, np.zeros(20)).tree_
    assert build_tree(cls, pack_tree(leaf)).node_count == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda s: {"n_features": 3.0},
        lambda s: {"n_outputs": True},
        lambda s: {"n_outputs": 2},
        lambda s: {"max_depth": float(s["max_depth"])},
        lambda s: {"max_depth": s["max_depth"] + 1},
        lambda s: {"node_count": s["node_count"] - 1},
        lambda s: {"node_count": float(s["node_count"])},
        lambda s: {"n_classes": [2]},
        lambda s: {"n_classes": s["n_classes"].astype(np.int32)},
        lambda s: {"n_classes": s["n_classes"][None]},
        lambda s: {"n_classes": s["n_classes"] + 1},
        lambda s: {"nodes": s["nodes"].tolist()},
        lambda s: {"nodes": s["nodes"][["left_child", "feature"]]},
        lambda s: {"nodes": np.zeros(s["node_count"])},
        lambda s: {"nodes": s["nodes"][:0], "values": s["values"][:0], "node_count": 0},
        lambda s: {"values": s["values"].tolist()},
        lambda s: {"values": s["values"][:, :, :1]},
        lambda s: {"n_features": 1},
    ],
)
def test_what_is_no_tree_is_refused(tree, change):
    """Before the compiled code sees it."""
    cls, state = tree
    with pytest.raises(FormatError, match="expected the nodes of a tree"):
        build_tree(cls, state | change(state))


def small_tree(tree, left, right, feature):
    """The state of a tree of nodes with these children and features."""
    cls, state = tree
    n = len(left)
    nodes = np.zeros(n, dtype=state["nodes"].dtype)
    nodes["left_child"], nodes["right_child"] = left, right
    nodes["feature"] = feature
    values = np.zeros((n, 1, 2))
    return cls, state | {"nodes": nodes, "values": values, "node_count": n}


@pytest.mark.parametrize(
    ("left", "right", "feature", "depth"),
    [
        ([-1], [-1], [-2], 0),
        ([1, -1, -1], [2, -1, -1], [0, -2, -2], 1),
        ([2, -1, -1], [1, -1, -1], [2, -2, -2], 1),
        ([1, 3, -1, -1, -1], [2, 4, -1, -1, -1], [0, 2, -2, -2, -2], 2),
    ],
)
def test_the_depth_of_a_tree_is_that_of_its_nodes(tree, left, right, feature, depth):
    """In any order of the children."""
    cls, state = small_tree(tree, left, right, feature)
    assert build_tree(cls, state | {"max_depth": depth}).max_depth == depth
    for wrong in (depth - 1, depth + 1):
        with pytest.raises(FormatError):
            build_tree(cls, state | {"max_depth": wrong})


@pytest.mark.parametrize(
    ("left", "right", "feature"),
    [
        ([1, -1, -1], [2, -1, -1], [3, -2, -2]),
        ([1, -1, -1], [2, -1, -1], [-1, -2, -2]),
        ([1, -1, -1], [-1, -1, -1], [0, -2, -2]),
        ([-1, -1, -1], [2, -1, -1], [0, -2, -2]),
        ([1, -1, -1], [1, -1, -1], [0, -2, -2]),
        ([0, -1, -1], [2, -1, -1], [0, -2, -2]),
        ([1, -1, -1], [3, -1, -1], [0, -2, -2]),
        ([-2, -1, -1], [2, -1, -1], [0, -2, -2]),
        ([1, -1, -1, -1], [2, -1, -1, -1], [0, -2, -2, -2]),
        ([1, 0, -1], [2, 2, -1], [0, 0, -2]),
        ([1, 2, 1], [2, 1, 2], [0, 0, 0]),
        ([-1, 2, 1], [-1, 1, 2], [-2, 0, 0]),
    ],
)
def test_children_that_make_no_tree_are_refused(tree, left, right, feature):
    """Circles, nodes of two parents or of none, one child, and foreign features."""
    cls, state = small_tree(tree, left, right, feature)
    for depth in range(-1, 4):
        with pytest.raises(FormatError, match="expected the nodes of a tree"):
            build_tree(cls, state | {"max_depth": depth})


def test_a_classifier_without_a_tree_has_no_features_to_compare():
    """It is one that is not fitted."""
    classifier = DecisionTreeClassifier()
    assert check_features(classifier) is classifier
    classifier.tree_ = "no tree"
    classifier.n_features_in_ = 3
    with pytest.raises(FormatError, match="expected a tree of 3 features"):
        check_features(classifier)


@pytest.mark.parametrize(
    "change",
    [
        {"key": np.zeros(623, np.uint32)},
        {"key": np.zeros(624, np.int32)},
        {"key": [0] * 624},
        {"pos": 625},
        {"pos": -1},
        {"pos": True},
        {"pos": 3.0},
    ],
)
@pytest.mark.parametrize("kind", ["RandomState", "Generator"])
def test_the_state_of_a_generator_is_checked(kind, change):
    """Its position may be at either end."""
    state = {"key": np.zeros(624, np.uint32), "pos": 624}
    rest = {"has_gauss": 0, "gauss": 0.0} if kind == "RandomState" else {}
    for position in (0, 624):
        built = build_random(kind, "MT19937", state | {"pos": position}, rest)
        assert type(built).__name__ == kind
    with pytest.raises(FormatError, match="the state of a random generator"):
        build_random(kind, "MT19937", state | change, rest)


def test_generators_of_both_kinds_go_on():
    """With either bit generator."""
    old = np.random.Generator(np.random.MT19937(3))
    for random in (np.random.default_rng(3), old, np.random.RandomState(3)):
        random.normal(size=5)
        tag, parts = pack_value(random, "x")
        assert (tag, parts[0]) == ("random", type(random).__name__)
        built = build_random(*parts)
        np.testing.assert_array_equal(built.normal(size=9), random.normal(size=9))


def test_distributions_and_scorers_have_tags():
    """A scorer of one's own has none, nor has one with arguments."""
    assert pack_value(stats.randint(2, 7), "x") == (
        "distribution",
        ["randint", [2, 7], {}],
    )
    assert pack_value(mean_iou_scorer, "x") == ("scorer", ["mean_iou_scorer"])
    own = segmentation_scorer(lambda y_true, y_pred: 0.5)
    others = (own, segmentation_scorer(partial(mean_iou)), stats.norm, 3)
    for value in others:
        assert pack_value(value, "x") is None


def test_matrices_are_of_arrays():
    """And of a class that is known."""
    matrix = build_sparse(
        "csr_array", np.ones(1), np.zeros(1, int), np.array([0, 1]), [1, 4]
    )
    assert matrix.shape == (1, 4)
    for i in range(3):
        parts = [np.ones(1), np.zeros(1, int), np.array([0, 1])]
        parts[i] = parts[i].tolist()
        with pytest.raises(FormatError, match="the arrays of a sparse matrix"):
            build_sparse("csr_array", *parts, [1, 4])
    with pytest.raises(
        FormatError, match="expected one of .*csc_array.*, got 'coo_array'"
    ):
        build_sparse("coo_array", *parts, [1, 4])


def test_distributions_and_scorers_are_those_of_lists():
    """Nothing else of their modules can be named."""
    assert build_distribution("uniform", [1], {"scale": 2}).mean() == 2
    assert build_distribution("randint", [0, 3], {}).mean() == 1
    for name in (
        "fit",
        "norm.pdf",
        "rv_continuous",
        "gaussian_kde",
        3,
        None,
        "nowhere",
    ):
        with pytest.raises(FormatError, match="expected a distribution of scipy.stats"):
            build_distribution(name, [], {})
    assert build_scorer("mean_iou_scorer").__class__.__name__ == "_SegmentationScorer"
    for name in ("mean_iou", "segmentation_scorer", "_scorer", "x_scorer", 3, None):
        with pytest.raises(FormatError, match="expected a scorer of metrics"):
            build_scorer(name)


def test_parts_of_a_trained_net_fit_together(model):
    """Its weights of classes, and its means, are as many as it says."""
    net = model[-1].net_
    state = pack_row_net(net)
    mean, scale = state["moments"]
    assert build_row_net(type(net), state).module_.n_classes == 3
    for change, match in [
        ({"class_weight": state["class_weight"][:2]}, "a weight for each"),
        ({"module": model}, "expected a network"),
        ({"moments": [mean, scale[:-1]]}, "the mean and the deviation"),
        ({"moments": [None, None]}, "the mean and the deviation"),
        ({"moments": [mean]}, "the mean and the deviation"),
    ]:
        with pytest.raises(FormatError, match=match):
            build_row_net(type(net), state | change)
    for weights in ({}, {"dense.0.bias": np.zeros(3)}):
        with pytest.raises(FormatError, match="the weights of a local convnet"):
            build_local_net(None, {"requires_grad": True, "weights": weights})
