"""The accuracy of the default pipeline on real photographs, where they are present."""

import os

import numpy as np
import pytest

from sklearn_zoomout import zoomout_pipeline
from sklearn_zoomout.datasets import fetch_stanford_background
from sklearn_zoomout.metrics import class_accuracy, pixel_accuracy

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn_zoomout.exceptions.SuperpixelWarning"),
    pytest.mark.skipif(
        not {"SKLEARN_ZOOMOUT_DATA", "SKLEARN_ZOOMOUT_WEIGHTS"} <= set(os.environ),
        reason="needs SKLEARN_ZOOMOUT_DATA and SKLEARN_ZOOMOUT_WEIGHTS",
    ),
]


def test_a_pipeline_trained_on_forty_photographs_labels_others():
    """The accuracy is far above the share of the most frequent class, about 25 %."""
    data = fetch_stanford_background()
    order = np.random.default_rng(0).permutation(len(data.images))
    train, test = order[:40], order[40:60]
    model = zoomout_pipeline(n_segments=200, n_jobs=2, random_state=0, max_epochs=20)
    model.set_params(zoomout__distant__input_size=320)
    model.fit([data.images[i] for i in train], [data.masks[i] for i in train])
    truth = [data.masks[i] for i in test]
    predictions = model.predict([data.images[i] for i in test])
    assert pixel_accuracy(truth, predictions) > 0.7
    assert class_accuracy(truth, predictions) > 0.55
