"""The network of the learned local level."""

import pytest

torch = pytest.importorskip("torch")

from sklearn_zoomout.features._local_net import LocalNet  # noqa: E402


def test_network_has_the_shape_of_the_paper():
    """576 values enter layers of 1,152, as section 4.2.1 implies."""
    net = LocalNet(21, mean=[50, 0, 0], scale=[20, 10, 10], random_state=0)
    shapes = []
    for layer in (*net.convolutions, *net.dense):
        layer.register_forward_hook(
            lambda _, inputs, output: shapes.append((inputs[0].shape, output.shape))
        )
    net(torch.zeros(2, 3, 25, 25))
    assert shapes == [
        ((2, 3, 35, 35), (2, 32, 35, 35)),
        ((2, 32, 17, 17), (2, 32, 17, 17)),
        ((2, 32, 8, 8), (2, 64, 8, 8)),
        ((2, 576), (2, 1152)),
        ((2, 1152), (2, 1152)),
        ((2, 1152), (2, 21)),
    ]
    assert {layer.kernel_size for layer in net.convolutions} == {(5, 5)}


def test_network_pads_standardized_patches_with_zeros():
    """The border of a patch has the value of the mean color."""
    net = LocalNet(2, mean=[50, 3, -4], scale=[20, 10, 5], random_state=0)
    seen = []
    net.convolutions[0].register_forward_hook(lambda _, x, __: seen.append(x[0]))
    patch = torch.tensor([70.0, 3.0, -4.0])[:, None, None].expand(3, 25, 25)
    net(patch[None])
    expected = torch.zeros(1, 3, 35, 35)
    expected[:, 0, 5:30, 5:30] = 1
    torch.testing.assert_close(seen[0], expected)
