"""What the tests of the convnet levels share."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")


@pytest.fixture(scope="session")
def normalized():
    """A function that standardizes an image as torchvision does, (3, H, W)."""
    standardize = torchvision.transforms.Normalize(
        [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    )

    def normalized(image):
        pixels = torch.from_numpy(image.astype(np.float32) / 255)
        return standardize(pixels.permute(2, 0, 1))

    return normalized
