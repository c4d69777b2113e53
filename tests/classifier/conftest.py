"""Tables with masks, and a classifier that was trained on one."""

import pytest
from labeled_tables import make_classifier, make_data, make_table, map_table


@pytest.fixture(scope="session")
def data():
    return make_data()


@pytest.fixture(scope="session")
def fitted(data):
    return make_classifier().fit(*data)


@pytest.fixture
def in_memory():
    return make_table()


@pytest.fixture
def in_files(in_memory, tmp_path):
    return map_table(in_memory, tmp_path)
