"""A fitted transformer and its table, for the tests of tables in files."""

import pytest
from stored_levels import make_features


@pytest.fixture(scope="module")
def features(images):
    return make_features().fit(images)


@pytest.fixture(scope="module")
def in_memory(features, images):
    return features.transform(images)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "features"
