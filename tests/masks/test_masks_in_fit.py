"""Masks in files, through pipelines and cross-validation."""

import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline

from sklearn_zoomout import (
    LocalFeatures,
    SuperpixelSegmenter,
    ZoomoutClassifier,
    read_masks,
    write_labels,
)


@pytest.fixture
def model():
    """A pipeline of color alone."""
    classifier = ZoomoutClassifier(hidden_units=(), max_epochs=3, random_state=0)
    return Pipeline(
        [
            ("superpixels", SuperpixelSegmenter(30)),
            ("local", LocalFeatures(descriptors=("color",), random_state=0)),
            ("classifier", classifier),
        ]
    )


def test_masks_in_files_teach_what_arrays_teach(tmp_path, images, masks, model):
    """Fit and cross-validation index the sequence as a list."""
    for i, mask in enumerate(masks):
        write_labels(tmp_path / f"{i}.png", mask)
    files = read_masks(tmp_path, images)
    predicted = model.fit(images, files).predict(images)
    expected = model.fit(images, masks).predict(images)
    for labels, others in zip(predicted, expected, strict=True):
        np.testing.assert_array_equal(labels, others)
    scores = [cross_val_score(model, images, y, cv=2) for y in (files, masks)]
    np.testing.assert_array_equal(*scores)
