"""The pipeline on several processes, by joblib's backend for dask."""

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_zoomout import zoomout_pipeline
from sklearn_zoomout.metrics import mean_iou_scorer

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes of one thread each."""
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster) as client:
        yield client


@pytest.fixture
def model():
    """A pipeline with levels of every kind."""
    model = zoomout_pipeline(
        levels=["local", "distant", "global", "maps"],
        hidden_units=(8,),
        max_epochs=2,
        n_segments=40,
        input_size=96,
        random_state=0,
    )
    return model.set_params(zoomout__local__n_textons=4, zoomout__local__n_words=5)


def assert_same(predictions, expected):
    for labels, others in zip(predictions, expected, strict=True):
        np.testing.assert_array_equal(labels, others)


@pytest.mark.filterwarnings("ignore")  # of dask's own code
def test_a_cluster_extracts_the_same_features(client, model, images, masks):
    """Both workers take part, and the model is the same."""
    alone = clone(model).fit(images, masks)
    with parallel_config("dask"):
        spread = clone(model).fit(images, masks)
        table = spread[:-1].transform(images)
        predicted = spread.predict(images)
    assert_same(predicted, alone.predict(images))
    rows, expected = table.to_numpy(), alone[:-1].transform(images).to_numpy()
    # Processes may round differently.
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-4)
    tasks = client.run(lambda dask_worker: dask_worker.state.executed_count)
    assert len(tasks) == 2 and min(tasks.values()) > 0


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_searches_for_parameters(client, model, images, masks, tmp_path):
    """Candidates share a cache; the scores are those of one process."""
    model.set_params(superpixels__memory=tmp_path)
    grid = {"classifier__hidden_units": [(4,), (8,)]}
    options = {"scoring": mean_iou_scorer, "cv": 2}
    alone = GridSearchCV(clone(model), grid, **options).fit(images, masks)
    with parallel_config("dask"):
        spread = GridSearchCV(clone(model), grid, **options).fit(images, masks)
    scores = [search.cv_results_["mean_test_score"] for search in (spread, alone)]
    np.testing.assert_allclose(*scores, atol=1e-9)
