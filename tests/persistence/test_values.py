"""What the parameters and attributes of an estimator may be."""

import functools
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from saved_models import assert_same, make_model, round_trip
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, LeaveOneOut, RepeatedKFold, ShuffleSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import (
    LabelBinarizer,
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
)
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from sklearn_zoomout import (
    ConvnetSuperpixelFeatures,
    LocalFeatures,
    PixelFusion,
    SuperpixelSegmenter,
    ZoomoutClassifier,
    load_model,
    save_model,
    zoomout_pipeline,
)
from sklearn_zoomout.exceptions import ModelVersionWarning
from sklearn_zoomout.features import RegionFeatures
from sklearn_zoomout.persistence import _classes
from sklearn_zoomout.persistence._checks import FormatError
from sklearn_zoomout.persistence._codecs import find_codec
from sklearn_zoomout.persistence._networks import build_zoomout_net, pack_zoomout_net
from sklearn_zoomout.persistence._trees import build_tree, pack_tree
from sklearn_zoomout.persistence._values import build_random


class Holder(BaseEstimator):
    """An estimator of any value."""

    def __init__(self, value=None):
        self.value = value

    def fit(self, X=None, y=None):
        """Keep another reference to the value."""
        self.value_ = self.value
        return self


class Areas(RegionFeatures):
    """A level of one's own."""

    block_name = "areas"

    def describe(self, segmented):
        """Describe superpixels by their area."""
        return np.stack([segmented.areas] * 3, axis=1) / 1e3

    def column_names(self):
        """Name the columns."""
        return ["a", "b", "c"]


def hold(value, folder):
    """Save and load a value."""
    return round_trip(Holder(value).fit(), folder, [Holder]).value


SHIFTED = np.arange(12.0)[::2]
VALUES = [
    None,
    True,
    -(2**80),
    0.1,
    float("inf"),
    -0.0,
    "text with \ud800, \0 and ü",
    [1, [2, (3, "a"), {"b": None, 4: [5.0], (1, 2): True}]],
    (),
    ("name", 1),
    {1, 2},
    frozenset({"a"}),
    slice(1, None, 2),
    range(3, 9, 2),
    Path("a") / "b",
    np.float32(0.1),
    np.int8(-3),
    np.bool_(True),
    np.str_("ab"),
    np.dtype("<f4"),
    np.dtype([("a", "<i4"), ("b", "<f8", (2,))]),
]
ARRAYS = [
    np.arange(6, dtype=">i2").reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype=np.float16).reshape(2, 3)),
    np.zeros((0, 3), np.uint8),
    np.array(5.0),
    np.array([True, False]),
    np.array(["a", "bcd"]),
    np.array([b"a", b"bcd"]),
    np.array(["2020-01-01"], "M8[D]"),
    np.array([1 + 2j]),
    np.array([(1, 2.0)], dtype=np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    np.array([[None, "a"], [1, (2,)]], dtype=object),
    SHIFTED,
    SHIFTED.reshape(2, 3).T,
]


class TestValues:
    """They come back as they were."""

    @pytest.mark.parametrize("value", VALUES, ids=lambda v: f"{type(v).__name__}")
    def test_value(self, value, tmp_path):
        """Of the same type."""
        found = hold(value, tmp_path)
        assert type(found) is type(value)
        assert repr(found) == repr(value)

    def test_nan(self, tmp_path):
        """Also as a number of numpy."""
        assert np.isnan(hold(float("nan"), tmp_path))
        assert np.isnan(hold(np.float32("nan"), tmp_path))

    @pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
    def test_array(self, array, tmp_path):
        """Of the same dtype, shape and order."""
        found = hold(array, tmp_path)
        assert found.dtype == array.dtype
        assert found.shape == array.shape
        assert np.array_equal(found, array)
        if array is not SHIFTED:
            assert found.flags.c_contiguous == array.flags.c_contiguous or (
                not array.flags.f_contiguous
            )

    def test_mapped_array(self, tmp_path):
        """An array in a file becomes one in memory."""
        mapped = np.memmap(tmp_path / "a", np.float32, "w+", shape=3)
        assert type(hold(mapped, tmp_path)) is np.ndarray

    def test_masked_array(self, tmp_path):
        """The tables of a search have them."""
        array = np.ma.MaskedArray([1, "a"], [True, False], dtype=object)
        found = hold(array, tmp_path)
        assert found.tolist() == array.tolist()
        assert found.fill_value == array.fill_value

    @pytest.mark.parametrize("kind", ["csr_array", "csc_array", "csr_matrix"])
    def test_sparse(self, kind, tmp_path):
        """Sparse matrices keep their class."""
        matrix = getattr(sparse, kind)(np.eye(3))
        found = hold(matrix, tmp_path)
        assert type(found) is type(matrix)
        assert np.array_equal(found.toarray(), matrix.toarray())

    @pytest.mark.parametrize("make", [np.random.RandomState, np.random.default_rng])
    def test_generator(self, make, tmp_path):
        """It goes on where it was."""
        random = make(0)
        random.normal(size=3)
        found = hold(random, tmp_path)
        assert np.array_equal(found.normal(size=700), random.normal(size=700))

    def test_shared_objects(self, tmp_path):
        """What two attributes share is stored once, and shared again."""
        model = Holder([np.arange(9.0), Holder(), np.random.RandomState(0)]).fit()
        loaded = round_trip(model, tmp_path, [Holder])
        pairs = zip(loaded.value, loaded.value_, strict=True)
        assert all(a is b for a, b in pairs)


def own_function():
    """Return nothing."""


class TestClasses:
    """The list of classes that a file may name."""

    @pytest.mark.parametrize("name", list(_classes._MODULES))
    def test_name(self, name):
        """Each name has a class, and each class its name, and a way to be stored."""
        cls = _classes.find_class(name, {})
        assert _classes.name_of(cls) == name
        assert find_codec(name, cls) is not None

    @pytest.mark.parametrize(
        "estimator",
        [
            PCA(2),
            LabelBinarizer(),
            MaxAbsScaler(),
            MinMaxScaler(),
            RobustScaler(),
            ExtraTreeClassifier(random_state=0),
            DecisionTreeClassifier(class_weight="balanced"),
        ],
        ids=lambda estimator: type(estimator).__name__,
    )
    def test_estimator_of_sklearn(self, estimator, tmp_path):
        """Those that no pipeline of the other tests has."""
        x = np.random.default_rng(0).normal(size=(20, 3))
        if isinstance(estimator, LabelBinarizer):
            x = np.arange(5)
        estimator.fit(x, np.arange(len(x)) % 2) if x.ndim == 2 else estimator.fit(x)
        loaded = round_trip(estimator, tmp_path)
        use = "predict" if hasattr(estimator, "predict") else "transform"
        assert np.array_equal(getattr(loaded, use)(x), getattr(estimator, use)(x))

    @pytest.mark.parametrize(
        "splitter",
        [
            KFold(3, shuffle=True, random_state=1),
            RepeatedKFold(n_splits=2, n_repeats=3, random_state=0),
            ShuffleSplit(2, test_size=0.5, random_state=0),
            LeaveOneOut(),
        ],
        ids=lambda splitter: type(splitter).__name__,
    )
    def test_splitter(self, splitter, tmp_path):
        """It splits as before."""
        found = [s[1].tolist() for s in hold(splitter, tmp_path).split(range(6))]
        assert found == [s[1].tolist() for s in splitter.split(range(6))]


class TestRefusedAtSave:
    """Code and unknown things are refused by their name, with a cure."""

    @pytest.mark.parametrize(
        ("value", "match"),
        [
            (own_function, "value: expected a value, got the .* 'own_function'"),
            (lambda: 0, "got the function or class '.*<lambda>'; a model file"),
            (np.float32, "class 'float32'"),
            (len, "'len'"),
            (np.sqrt, "value: expected"),
            (functools.partial(int), "value: expected a value"),
            (object(), "value: expected numbers, text, .* got builtins.object"),
            (OrderedDict(), "got collections.OrderedDict"),
            (1j, "got builtins.complex"),
            (b"bytes", "got builtins.bytes"),
            (np.longdouble(1), "numbers of up to 64 bits"),
            (np.rec.array([(1,)]), "expected a plain array, got recarray"),
            (np.empty(1, [("a", object)]), "an array of numbers or text"),
            (np.random.Generator(np.random.SFC64(0)), "got one of SFC64"),
            ([{"a": [own_function]}], r"value\[0\].a\[0\]: expected a value"),
        ],
    )  # fmt: skip
    def test_value(self, value, match, tmp_path):
        """The path of the value is named, and no file is left."""
        with pytest.raises(TypeError, match=match):
            save_model(Holder(value).fit(), tmp_path / "model")
        assert list(tmp_path.iterdir()) == []

    def test_circle(self, tmp_path):
        """A value that contains itself."""
        value = [1]
        value.append(value)
        with pytest.raises(ValueError, match=r"value\[1\]: .* contain themselves"):
            save_model(Holder(value).fit(), tmp_path / "model")

    def test_callable_step(self, model, tmp_path):
        """The name is one that set_params takes, with dots."""
        changed = make_model(segmenter=SuperpixelSegmenter(method=own_function))
        changed.steps[1:] = model.steps[1:]
        with pytest.raises(TypeError, match="superpixels.method: .*'own_function'"):
            save_model(changed, tmp_path / "model")

    def test_callable_backbone(self, images, masks, tmp_path):
        """The cure is a name with a file of weights."""
        level = ConvnetSuperpixelFeatures("zoomnet", input_size=64)
        model = make_model(level).fit(images, masks)
        model.set_params(level__backbone=own_function)
        with pytest.raises(TypeError, match=r"level.backbone: .*Backbone\(name, wei"):
            save_model(model, tmp_path / "model")

    def test_slots(self, tmp_path):
        """Attributes are named."""

        class Slotted(Holder):
            def __getstate__(self):
                return None, {"value": 1}

        with pytest.raises(ValueError, match=r"value.__getstate__: .* got tuple; use"):
            save_model(Holder(Slotted()).fit(), tmp_path / "model")

    def test_memory_of_a_pipeline(self, model, tmp_path):
        """It is a folder of pickles."""
        changed = make_model().set_params(memory=str(tmp_path))
        changed.steps = model.steps
        with pytest.raises(ValueError, match=r"set_params\(memory=None\)"):
            save_model(changed, tmp_path / "model")

    @pytest.mark.parametrize(
        "make",
        [
            zoomout_pipeline,
            lambda: LocalFeatures(("color",)),
            lambda: PixelFusion(ZoomoutClassifier()),
        ],
    )
    def test_not_fitted(self, make, tmp_path):
        """There is nothing to save."""
        with pytest.raises(NotFittedError, match="call fit first"):
            save_model(make(), tmp_path / "model")

    @pytest.mark.parametrize("model", [1, "model", LocalFeatures, [LocalFeatures()]])
    def test_no_estimator(self, model, tmp_path):
        """Not a class or a list."""
        with pytest.raises(TypeError, match="model: expected a fitted estimator"):
            save_model(model, tmp_path / "model")


class TestTrusted:
    """Classes of one's own."""

    def test_level(self, images, masks, tmp_path):
        """It loads if it is passed, and not by its name alone."""
        model = make_model(Areas()).fit(images, masks)
        loaded = round_trip(model, tmp_path, [Areas])
        assert_same(loaded, model, images)
        name = f"{Areas.__module__}.Areas"
        with pytest.raises(ValueError, match=rf"{name}'.*trusted=\[Areas\]"):
            load_model(tmp_path / "model.zoomout")
        with pytest.raises(ValueError, match="if you trust it"):
            load_model(tmp_path / "model.zoomout", trusted=[Holder])

    @pytest.mark.parametrize("trusted", ["Areas", [1], ["Holder"], [Holder()]])
    def test_no_class(self, trusted, tmp_path):
        """A name is not enough."""
        with pytest.raises(TypeError, match="trusted: expected a list of classes"):
            load_model(tmp_path / "none", trusted=trusted)

    def test_classifier_of_sklearn(self, images, masks, tmp_path):
        """One whose compiled code trusts its arrays is loaded if it is passed."""
        classifier = ZoomoutClassifier(estimator=SVC())
        model = make_model(classifier=classifier).fit(images, masks)
        with pytest.raises(ValueError, match=r"trusted=\[SVC\]"):
            round_trip(model, tmp_path)
        assert_same(round_trip(model, tmp_path, [SVC]), model, images)

    def test_classifier_with_a_compiled_tree(self, images, masks, tmp_path):
        """What has no plain values cannot be saved."""
        inner = KNeighborsClassifier(algorithm="kd_tree")
        classifier = ZoomoutClassifier(estimator=inner, class_weight=None)
        model = make_model(classifier=classifier).fit(images, masks)
        with pytest.raises(TypeError, match=r"c.estimator_._tree: expected numbers"):
            save_model(model, tmp_path / "model")


class TestCompiledCode:
    """Numbers that compiled code follows without a check are checked."""

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("left_child", 10**6),
            ("left_child", 0),
            ("left_child", -1),
            ("right_child", -5),
            ("right_child", 1),
            ("feature", 99),
            ("feature", -7),
        ],
    )
    def test_nodes(self, field, value):
        """The nodes are those of a tree."""
        x = np.random.default_rng(0).normal(size=(50, 3))
        tree = (
            DecisionTreeClassifier(random_state=0).fit(x, x[:, 0] * x[:, 1] > 0).tree_
        )
        state = pack_tree(tree)
        build_tree(type(tree), state)
        nodes = state["nodes"].copy()
        nodes[field][0] = value
        with pytest.raises(FormatError, match="the nodes of a tree"):
            build_tree(type(tree), state | {"nodes": nodes})
        with pytest.raises(FormatError, match="the nodes of a tree"):
            build_tree(type(tree), state | {"max_depth": state["max_depth"] - 1})
        with pytest.raises(FormatError, match="the nodes of a tree"):
            build_tree(type(tree), state | {"values": state["values"][:-1]})

    def test_number_of_features(self, tmp_path):
        """A tree reads no features that its images do not have."""
        x = np.random.default_rng(0).normal(size=(50, 3))
        tree = DecisionTreeClassifier().fit(x, x[:, 0] > 0)
        tree.n_features_in_ = 2
        with pytest.raises(ValueError, match="expected a tree of 2 features"):
            round_trip(tree, tmp_path)

    @pytest.mark.parametrize("position", [-1, 625, 1.5])
    def test_position_of_a_generator(self, position):
        """It is inside of the numbers that are drawn already."""
        state = {"key": np.zeros(624, np.uint32), "pos": position}
        rest = {"has_gauss": 0, "gauss": 0.0}
        with pytest.raises(FormatError, match="the state of a random generator"):
            build_random("RandomState", "MT19937", state, rest)

    def test_indices_of_a_matrix(self, tmp_path):
        """They are inside of the matrix."""
        matrix = sparse.csr_array(np.eye(3))
        matrix.indices[0] = 99
        with pytest.raises(ValueError, match="indices"):
            hold(matrix, tmp_path)

    def test_weights_of_a_network(self, model):
        """Memory is taken for the weights that are in the file, and no others."""
        net = model[-1].net_.module_
        state = pack_zoomout_net(net)
        for change in ({"n_features": 10**12}, {"hidden_units": (10**9,)}):
            with pytest.raises(FormatError, match="expected float32 of shape"):
                build_zoomout_net(type(net), state | change)


OLD_LEVEL = r"^level: this LocalFeatures .* of its results is \d+; here it is 99,"


class TestVersions:
    """Files of other versions."""

    def test_cache_version(self, path, images, monkeypatch):
        """A step that computes something else now is named."""
        with monkeypatch.context() as patch:
            patch.setattr(LocalFeatures, "cache_version", 99)
            with pytest.warns(ModelVersionWarning, match=OLD_LEVEL):
                load_model(path)
        monkeypatch.setattr(ZoomoutClassifier, "cache_version", 0)
        with pytest.warns(ModelVersionWarning, match="^c: this ZoomoutClassifier"):
            load_model(path)

    def test_version_of_sklearn(self, tmp_path):
        """scikit-learn's own warning."""
        model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        save_model(model, tmp_path / "model")
        other = tmp_path / "other"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sklearn.base.__version__", "0.1")
            save_model(model, other)
        load_model(tmp_path / "model")
        with pytest.warns(InconsistentVersionWarning, match="LogisticRegression"):
            load_model(other)
