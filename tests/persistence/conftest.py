"""A fitted model and its file, which many tests of files read."""

import pytest
from saved_models import make_model

from sklearn_zoomout import save_model


@pytest.fixture(scope="session")
def model(images, masks):
    """A small fitted pipeline."""
    return make_model().fit(images, masks)


@pytest.fixture(scope="session")
def content(model, tmp_path_factory):
    """The bytes of its file."""
    path = tmp_path_factory.mktemp("model") / "model.zoomout"
    save_model(model, path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path, content):
    """A copy of the file, which a test may change."""
    path = tmp_path / "model.zoomout"
    path.write_bytes(content)
    return path
