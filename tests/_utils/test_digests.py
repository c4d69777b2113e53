"""Digests of transformers: equal for equal results, in every process."""

import pickle
import subprocess
import sys
import threading
from functools import partial

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_zoomout import (
    LocalConvnetFeatures,
    LocalFeatures,
    SuperpixelSegmenter,
    Training,
)
from sklearn_zoomout._utils import digests
from sklearn_zoomout._utils.digests import digest_transformer


class Learned(TransformerMixin, BaseEstimator):
    """An estimator with a parameter and a fitted attribute."""

    def __init__(self, value=None, n_jobs=None, memory=None, device="cpu"):
        self.value = value
        self.n_jobs = n_jobs
        self.memory = memory
        self.device = device

    def fit(self, X, y=None):
        self.mean_ = np.mean(X, axis=0)
        self.log = object()  # is not counted
        return self


class Plain:
    """A transformer without `get_params`."""

    def __init__(self, gain):
        self.gain = gain


def make_pipeline(n_segments=30, name="local", **parameters):
    local = LocalFeatures(("texture",), n_textons=4, random_state=0)
    union = FeatureUnion([(name, local.set_params(**parameters))])
    return Pipeline([("superpixels", SuperpixelSegmenter(n_segments)), ("all", union)])


@pytest.fixture(scope="module")
def fitted(images):
    return make_pipeline().fit(images[:2])


def test_a_pipeline_and_its_copies_have_one_digest(fitted, images):
    """Fitted again, or pickled, it computes the same."""
    expected = digest_transformer(fitted)
    assert digest_transformer(clone(fitted).fit(images[:2])) == expected
    assert digest_transformer(pickle.loads(pickle.dumps(fitted))) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"superpixels__n_jobs": 2},
        {"superpixels__memory": "folder", "all__local__memory": "folder"},
        {"all__n_jobs": 2, "verbose": True, "all__local__verbose": 1},
    ],
)
def test_settings_of_the_computation_do_not_count(fitted, images, changes):
    """Jobs, progress bars and caches change no result."""
    other = pickle.loads(pickle.dumps(fitted)).set_params(**changes)
    assert digest_transformer(other) == digest_transformer(fitted)


@pytest.mark.parametrize(
    ("parameters", "train"),
    [
        ({"n_segments": 31}, slice(2)),
        ({"name": "texture"}, slice(2)),
        ({"n_textons": 5}, slice(2)),
        ({}, slice(2, 4)),
    ],
)
def test_other_steps_give_another_digest(fitted, images, parameters, train):
    """A parameter, the name of a level and the training images count."""
    other = make_pipeline(**parameters).fit(images[train])
    assert digest_transformer(other) != digest_transformer(fitted)


def test_fitted_attributes_of_any_estimator_count():
    """Estimators inside of it are digested as it is itself."""
    X = np.arange(6.0).reshape(3, 2)
    first, again = (StandardScaler().fit(X) for _ in range(2))
    other = StandardScaler().fit(2 * X)
    assert digest_transformer(first) == digest_transformer(again)
    assert digest_transformer(first) != digest_transformer(other)
    nested = [Learned([("a", {"b": part})]).fit(X) for part in (first, again, other)]
    assert digest_transformer(nested[0]) == digest_transformer(nested[1])
    assert digest_transformer(nested[0]) != digest_transformer(nested[2])
    assert digest_transformer(Learned(n_jobs=2, device="cuda")) == digest_transformer(
        Learned(memory="folder")
    )


def test_all_attributes_of_other_objects_count():
    """An object without `get_params` has no other description."""
    assert digest_transformer(Plain(1)) == digest_transformer(Plain(1))
    assert digest_transformer(Plain(1)) != digest_transformer(Plain(2))


def test_functions_count_by_their_names():
    """Also those that cannot be pickled, and the arguments of a `partial`."""

    def cut(rgb, side):
        return rgb

    def other(rgb, side):
        return rgb

    functions = [cut, other, partial(cut, side=1), partial(cut, side=2), int, np.sum]
    different = {
        digest_transformer(SuperpixelSegmenter(method=function))
        for function in functions
    }
    assert len(different) == len(functions)
    assert digest_transformer(Learned(partial(cut, 1))) == digest_transformer(
        Learned(partial(cut, 1))
    )


def test_values_count_and_not_where_they_are(tmp_path):
    """One object or two equal ones, an array in memory or in a file: all are equal."""
    values = np.arange(6.0).reshape(2, 3)
    np.save(tmp_path / "values.npy", values)
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    digests_of_arrays = {
        digest_transformer(Learned(array)) for array in (values, mapped, values.copy())
    }
    assert len(digests_of_arrays) == 1
    one, equal = ("blocks.9",), tuple(["blocks.9"])
    assert one is not equal
    assert len({digest_transformer(Learned([one, x])) for x in (one, equal)}) == 1


def test_a_trained_network_counts_by_its_weights(superpixels, masks):
    """The same weights give the same digest, also on a GPU."""
    features = LocalConvnetFeatures(
        training=Training(max_steps=1, batch_size=4), cv=None, random_state=0
    ).fit(superpixels, masks)
    expected = digest_transformer(features)
    features.device = "cuda"
    assert digest_transformer(pickle.loads(pickle.dumps(features))) == expected
    bias = features.net_.dense[-1].bias.data
    bias += 1e-6
    assert digest_transformer(features) != expected


def test_low_precision_weights_can_be_digested():
    """NumPy has no bfloat16."""
    torch = pytest.importorskip("torch")
    modules = [torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)]
    modules[1].load_state_dict(modules[0].state_dict())
    same = {digest_transformer(Learned(module)) for module in modules}
    assert len(same) == 1
    assert digest_transformer(Learned(modules[0].bfloat16())) not in same


SCRIPT = """
import pickle, sys
from sklearn_zoomout._utils.digests import digest_transformer
with open(sys.argv[1], "rb") as file:
    print(digest_transformer(pickle.load(file)))
"""


def digest_in_another_process(transformer, folder):
    path = folder / "transformer.pickle"
    path.write_bytes(pickle.dumps(transformer))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, path], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_digests_are_equal_in_another_process(fitted, tmp_path):
    """The random seed of Python's hashes does not count."""
    assert digest_in_another_process(fitted, tmp_path) == digest_transformer(fitted)


@pytest.mark.slow
def test_digests_of_networks_are_equal_in_another_process(superpixels, masks, tmp_path):
    """The addresses of tensors do not count."""
    features = LocalConvnetFeatures(
        training=Training(max_steps=1, batch_size=4), cv=None, random_state=0
    )
    features.fit(superpixels, masks)
    assert digest_in_another_process(features, tmp_path) == digest_transformer(features)


def test_versions_count(monkeypatch):
    """Of this package, of those that it computes with, and of a class."""
    segmenter = SuperpixelSegmenter()
    found = {digest_transformer(segmenter)}
    for owner, name, value in (
        (digests, "__version__", "9.9"),
        (digests, "_VERSIONS", ("numpy 9.9",)),
        (SuperpixelSegmenter, "cache_version", 99),
    ):
        monkeypatch.setattr(owner, name, value)
        found.add(digest_transformer(segmenter))
    assert len(found) == 4


def test_a_value_that_cannot_be_hashed_is_named():
    """The error says which value, and what to do."""
    with pytest.raises(TypeError, match=r"Learned\.value: expected .* got lock.*leave"):
        digest_transformer(Learned(threading.Lock()))
