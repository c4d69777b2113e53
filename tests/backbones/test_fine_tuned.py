"""Weights that fine-tuning has changed."""

import numpy as np

from sklearn_zoomout.backbones._fine_tuned import FineTunedWeights


def test_the_digest_is_of_all_weights():
    """It depends on the weights before training, and on names, shapes and values."""
    values = np.ones(3, np.float32)
    digests = {
        FineTunedWeights(origin, {name: array}).sha256
        for origin in ("x", "y")
        for name in ("a", "b")
        for array in (values, 2 * values, values[None])
    }
    assert len(digests) == 12


def test_equal_values_make_equal_weights():
    """They are the key of loaded networks."""
    one, again = (FineTunedWeights("x", {"a": np.ones(3, np.float32)}) for _ in "xy")
    assert one == again and hash(one) == hash(again)
    assert one != FineTunedWeights("x", {"a": np.zeros(3, np.float32)})
