"""The photographs that ZoomNet is trained on."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch

HELD_OUT = 25  # every 25th photograph is not trained on


class Crops:
    """Batches of random crops of photographs.

    A batch is the same whenever the seed, its number and the photographs are.

    Parameters
    ----------
    photos : list of ndarray
        JPEG files.
    size : int
        Side of the crops in pixels.
    seed : int
        Seed of the order and of the crops.
    """

    def __init__(self, photos: list[np.ndarray], size: int, seed: int) -> None:
        self.photos, self.size, self.seed = photos, size, seed
        self.pool = ThreadPoolExecutor(2)

    def batch(self, number: int, batch_size: int) -> torch.Tensor:
        """Return batch ``number``, (batch_size, 3, size, size), float32 in 0..1."""
        first = number * batch_size
        crops = self.pool.map(self._crop, range(first, first + batch_size))
        images = torch.from_numpy(np.stack(list(crops))).permute(0, 3, 1, 2)
        return images.contiguous(memory_format=torch.channels_last).float() / 255

    def _crop(self, number: int) -> np.ndarray:
        epoch, place = divmod(number, len(self.photos))
        order = np.random.default_rng([self.seed, 0, epoch])
        photo = self.photos[order.permutation(len(self.photos))[place]]
        return random_crop(photo, self.size, np.random.default_rng([self.seed, number]))


def read_photos(folder: Path) -> list[np.ndarray]:
    """Read all JPEG files of a folder without decoding them."""
    paths = sorted(folder.glob("*.jpg"))
    if len(paths) < 2 * HELD_OUT:
        raise FileNotFoundError(
            f"--photos: expected at least {2 * HELD_OUT} *.jpg in {str(folder)!r}, "
            f"found {len(paths)}."
        )
    return [np.fromfile(path, np.uint8) for path in paths]


def random_crop(jpeg: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return a random rectangle, resized to (size, size, 3) uint8, mirrored or not.

    It is shrunk up to 1.7 times or magnified up to 3 times, since the library magnifies
    small images.
    """
    photo = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[..., ::-1]
    side = size / np.exp(rng.uniform(np.log(0.6), np.log(3.0)))
    aspect = np.exp(rng.uniform(-0.2, 0.2))
    height = int(min(side * aspect, photo.shape[0]))
    width = int(min(side / aspect, photo.shape[1]))
    top = rng.integers(photo.shape[0] - height + 1)
    left = rng.integers(photo.shape[1] - width + 1)
    crop = photo[top : top + height, left : left + width]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    method = cv2.INTER_AREA if max(height, width) > size else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(crop), (size, size), interpolation=method)


def change_colors(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Change saturation, contrast, white balance and brightness of each image."""
    shape = (len(images), 1, 1)

    def draw(low: float, high: float, channels: int = 1) -> torch.Tensor:
        uniform = torch.rand(shape[0], channels, 1, generator=generator)
        return low + (high - low) * uniform

    saturation = draw(0.5, 1.5)
    gain = draw(0.7, 1.4) * draw(0.92, 1.08, channels=3)
    offset = draw(-0.12, 0.12) + 0.45 * (1 - gain)
    gray = torch.tensor([0.299, 0.587, 0.114]).expand(3, 3)
    matrix = gain * (saturation * torch.eye(3) + (1 - saturation) * gray)
    pixels = images.flatten(2)
    changed = torch.baddbmm(offset.expand(-1, 3, 1), matrix, pixels)
    changed = changed.view(images.shape).clamp_(0, 1)
    return changed.contiguous(memory_format=torch.channels_last)
