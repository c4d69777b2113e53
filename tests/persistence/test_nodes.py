"""Values become nodes, and nodes values; errors say where."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from sklearn_zoomout.persistence._checks import FormatError
from sklearn_zoomout.persistence._decode import Decoder
from sklearn_zoomout.persistence._encode import Encoder


class Plain:
    """An estimator that has nothing but what it needs."""

    def __init__(self, value=None):
        self.value = value

    def get_params(self, deep=True):
        """Return the value."""
        return {"value": self.value}

    def set_params(self, value):
        """Set the value."""
        self.value = value
        return self

    def fit(self, X=None, y=None):
        """Learn another value."""
        self.value_ = self.value + 1
        return self


BAD = {"unknown": 1}
NOTHING = {"float": "nan"}


def decode(node, n_arrays=1, trusted=None):
    """Return the value of a node that lies at "v"."""
    decoder = Decoder(lambda i: np.arange(3) + i, n_arrays, trusted or {}, "0.1")
    return decoder.decode(node, "v")


def test_ranges_may_be_long_and_not_endless():
    """To the same length on either side."""
    longest, longer = range(2**20), range(2**20 + 1)
    assert decode(Encoder().encode(longest, "v")) == longest
    with pytest.raises(ValueError, match="^v: expected a range of up to 1048576"):
        Encoder().encode(longer, "v")
    with pytest.raises(FormatError, match="^v: expected a shorter range"):
        decode({"range": [0, 2**20 + 1, 1]})
    assert decode(Encoder().encode(slice(None, 10**9), "v")) == slice(None, 10**9)


@pytest.mark.parametrize(
    ("node", "place"),
    [
        (BAD, "v"),
        ([1, BAD], r"v\[1\]"),
        ({"tuple": [1, 2, BAD]}, r"v\[2\]"),
        ({"tuple": ["a", BAD]}, "v"),
        ([1, {"tuple": ["step", {"object": ["x", {}, None]}]}], "expected classes"),
        ({"set": [1, BAD]}, r"v\[1\]"),
        ({"frozenset": [BAD]}, r"v\[0\]"),
        ({"dict": [["key", BAD]]}, r"v\.key"),
        ({"dict": [[BAD, 1]]}, "v"),
        ({"slice": [1, BAD, 1]}, r"v\[1\]"),
        ({"range": [BAD, 1, 1]}, r"v\[0\]"),
        ({"number": ["<f4", BAD]}, "v"),
        ({"number": ["|V4", 1]}, "v"),
        ({"number": ["<f4", None]}, "v"),
        ({"float": "1"}, "v"),
        ({"array": 1}, "v"),
        ({"array": -1}, "v"),
        ({"array": True}, "v"),
        ({"ref": 0}, "v"),
        ({"ref": -1}, "v"),
        ({"ref": True}, "v"),
        ({"objects": [[2], [1, BAD]]}, "v"),
        ({"masked": [[1], {"array": 0}, 0]}, "v"),
        ({"masked": [{"array": 0}, BAD, 0]}, r"v\[1\]"),
        ({"dtype": [BAD]}, "v"),
        ({"object": ["sklearn.decomposition.PCA", {"params": BAD}, None]}, "v"),
        ({"object": ["sklearn.decomposition.PCA", [], None]}, "v"),
        ({"a": 1, "b": 2}, "v"),
        ({}, "v"),
    ],
)
def test_wrong_nodes_are_located(node, place):
    """By the names and positions that lead there."""
    with pytest.raises(FormatError, match=rf"^{place}(: expected| cannot|: sklearn)?"):
        decode(node)


def test_the_model_itself_has_a_name():
    """In errors, where there is no path."""
    for node in (BAD, {}, {"object": ["sklearn.decomposition.PCA", 3, None]}):
        with pytest.raises(FormatError, match="^model: "):
            Decoder(None, 0, {}, "0.1").decode(node)


def test_arrays_and_objects_are_shared():
    """A node that refers to an earlier one is the same value."""
    first, second = decode([{"array": 0}, {"array": 0}])
    assert first is second
    pca = PCA(2)
    node = Encoder().encode([pca, pca, np.random.default_rng(0)], "v")
    one, other, _ = decode(node)
    assert one is other
    assert one.n_components == 2


def test_every_array_must_be_used():
    """The error tells which is not."""
    decoder = Decoder(lambda i: np.arange(3), 3, {}, "0.1")
    decoder.decode([{"array": 0}, {"array": 2}])
    with pytest.raises(FormatError, match=r"got none of \{1\}"):
        decoder.check_all_read()
    decoder.decode({"array": 1})
    decoder.check_all_read()


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_numbers_that_json_lacks_are_named(value):
    """As Python prints them."""
    assert Encoder().encode(float(value), "v") == {"float": value}
    assert repr(decode({"float": value})) == value


def test_a_class_needs_no_base_class():
    """Only parameters, and attributes beside them."""
    node = Encoder().encode(Plain(3).fit(), "v")
    built = decode(node, trusted={f"{__name__}.Plain": Plain})
    assert (built.value, built.value_) == (3, 4)
