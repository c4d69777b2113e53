"""The number of threads for small work."""

import pytest
import torch

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
