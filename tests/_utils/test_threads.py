"""The number of threads for small work."""

import numpy as np
import pytest
import torch

from sklearn_zoomout import Backbone, GlobalFeatures, SuperpixelSegmenter
from sklearn_zoomout._utils.threads import one_thread


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_one_thread_until_the_end(two_threads):
    """The setting of the user comes back."""
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_one_thread_until_an_error(two_threads):
    """Also after an interrupt."""
    with pytest.raises(KeyboardInterrupt), one_thread():
        raise KeyboardInterrupt
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("small", "expected"), [(True, 1), (False, 2)])
def test_small_networks_take_one_thread(two_threads, monkeypatch, small, expected):
    """The threads of a forward pass; ZoomNet is small."""
    images = np.zeros((1, 40, 60, 3), np.uint8)
    superpixels = SuperpixelSegmenter(n_segments=4).fit_transform(images)
    level = GlobalFeatures(Backbone("zoomnet")).fit(superpixels)
    network, seen = level.get_network(), []
    assert network.is_small
    monkeypatch.setattr(network, "is_small", small)
    hook = network.module.register_forward_pre_hook(
        lambda *_: seen.append(torch.get_num_threads())
    )
    level.transform(superpixels)
    hook.remove()
    assert seen == [expected]
    assert torch.get_num_threads() == 2
