"""A fully convolutional network, fine-tuned end to end, for few_images.py.

FCN-8s (Long, Shelhamer, Darrell, CVPR 2015) on one of the library's backbones. It
computes scores of every class, linear in the feature maps, at strides 8, 16 and 32.
The scores of each stride are brought to the resolution of the next finer ones, added to
them, and at last brought to the pixels, all by bilinear interpolation.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from sklearn_zoomout.backbones import Backbone, load_network
from sklearn_zoomout.images import as_float
from sklearn_zoomout.masks import UNLABELED

STRIDES = (8, 16, 32)
BATCH_SIZE = 4
SCALES = (0.75, 1.5)
# The batch normalization of the backbones is folded into convolutions, which needs
# small steps. The scores are new and are trained with larger ones.
BACKBONE_RATE, SCORE_RATE = 1e-4, 1e-3
WEIGHT_DECAY = 1e-2
DECAY_POWER = 0.9
EPOCHS = 8  # if these are more steps than the least number


class FCN8s(nn.Module):
    """A backbone with scores at three strides.

    Parameters
    ----------
    backbone : str
        Its name; ImageNet weights are found as the library does.
    n_classes : int
        Number of classes.
    """

    def __init__(self, backbone, n_classes):
        super().__init__()
        self.network = load_network(Backbone(backbone))
        layers = self.network.taps("all").layers
        side = 3 * max(STRIDES)
        probe = self.network.maps(torch.zeros(1, 3, side, side), layers)
        # The last map of every stride.
        last = {
            side // feature_map.shape[2]: (name, feature_map.shape[1])
            for name, feature_map in zip(layers, probe, strict=True)
        }
        self.layers = [last[stride][0] for stride in STRIDES]
        self.scores = nn.ModuleList(
            nn.Conv2d(last[stride][1], n_classes, 1) for stride in STRIDES
        )

    def forward(self, images):
        """Score the classes of every pixel, (N, 3, H, W) -> (N, n_classes, H, W)."""
        maps = self.network.maps(images, self.layers)
        finer = [score(m) for score, m in zip(self.scores, maps, strict=True)]
        fused = finer.pop()
        while finer:
            score = finer.pop()
            fused = score + _upsample(fused, score.shape[2:])
        return _upsample(fused, images.shape[2:])


def _upsample(maps, size):
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)


def train_fcn(backbone, images, masks, n_classes, least_steps, seed):
    """Fine-tune a network for `EPOCHS` passes, but at least ``least_steps`` steps.

    Parameters
    ----------
    backbone : str
        Name of the backbone.
    images, masks : sequences of ndarray
        The training images and their label maps, -1 where there is none.
    n_classes : int
        Number of classes.
    least_steps : int
        Least number of steps, of `BATCH_SIZE` images each.
    seed : int
        Seed of the first weights of the scores and of the augmentation.

    Returns
    -------
    FCN8s
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = FCN8s(backbone, n_classes)
    examples = [
        (
            net.network.prepare(as_float(image)),
            torch.from_numpy(np.asarray(mask, np.int64)),
        )
        for image, mask in zip(images, masks, strict=True)
    ]
    crop = np.median([mask.shape for mask in masks], axis=0).astype(int).tolist()
    n_steps = max(least_steps, EPOCHS * len(images) // BATCH_SIZE)
    optimizer = torch.optim.AdamW(
        [
            {"params": net.network.unfreeze(), "lr": BACKBONE_RATE},
            {"params": net.scores.parameters(), "lr": SCORE_RATE},
        ],
        weight_decay=WEIGHT_DECAY,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (1 - step / n_steps) ** DECAY_POWER
    )
    order = _endless_order(len(examples), rng)
    for _ in range(n_steps):
        batch = [augment(*examples[next(order)], crop, rng) for _ in range(BATCH_SIZE)]
        pixels, labels = (torch.stack(part) for part in zip(*batch, strict=True))
        loss = F.cross_entropy(net(pixels), labels, ignore_index=UNLABELED)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    net.network.freeze()
    return net


def _endless_order(n_items, rng):
    while True:
        yield from rng.permutation(n_items)


def augment(pixels, labels, crop, rng):
    """Scale an example, cut or pad it to a size, and mirror it, all at random.

    Parameters
    ----------
    pixels : tensor of shape (3, height, width)
        The image.
    labels : tensor of int64 of shape (height, width)
        Its labels.
    crop : sequence of 2 int
        Height and width of the result.
    rng : numpy.random.Generator
        The source of random numbers.

    Returns
    -------
    pixels, labels : tensors of shape (3, *crop) and crop
        Labels are -1 where there is no image.
    """
    scale = np.exp(rng.uniform(*np.log(SCALES)))
    size = [round(side * scale) for side in labels.shape]
    pixels = F.interpolate(pixels[None], size, mode="bilinear", antialias=True)[0]
    labels = F.interpolate(labels[None, None].float(), size, mode="nearest-exact")
    labels = labels[0, 0].long()
    # The corner of the crop in the image. It is negative where the image is smaller.
    top, left = (
        int(rng.integers(min(0, side - cut), max(0, side - cut) + 1))
        for side, cut in zip(size, crop, strict=True)
    )
    bottom, right = top + crop[0], left + crop[1]
    window = (
        -left,
        right - size[1],
        -top,
        bottom - size[0],
    )  # negative padding cuts off
    pixels = F.pad(pixels, window)
    labels = F.pad(labels, window, value=UNLABELED)
    if rng.random() < 0.5:
        return pixels.flip(2), labels.flip(1)
    return pixels, labels


def predict_fcn(net, images):
    """Label every pixel of images of any size.

    Parameters
    ----------
    net : FCN8s
        A trained network.
    images : sequence of ndarray
        The images.

    Returns
    -------
    list of ndarray of int64 of shape (height, width)
    """
    with torch.inference_mode():
        return [
            net(net.network.prepare(as_float(image))[None])[0].argmax(dim=0).numpy()
            for image in images
        ]
