"""A linear classifier of feature maps averaged over superpixels; needs torch."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from ...masks import UNLABELED

# Scores are added up at a quarter of the resolution, since the finest maps are large.
_COARSE = 4


class RegionScores(nn.Module):
    """A linear score of every class, from maps averaged over superpixels.

    These averages are, up to interpolation, the features of
    `ConvnetSuperpixelFeatures`. The score of an average is the average of scores, so
    that here a value per class is brought from the maps to the superpixels, and not
    one per channel.

    Parameters
    ----------
    deviations : sequence of float
        What each map is divided by.
    widths : sequence of int
        Channels of each map.
    n_classes : int
        Number of classes.
    """

    def __init__(
        self, deviations: Sequence[float], widths: Sequence[int], n_classes: int
    ) -> None:
        super().__init__()
        self.deviations = deviations
        self.layers = nn.ModuleList(
            nn.utils.skip_init(nn.Conv2d, width, n_classes, 1) for width in widths
        )
        # All classes alike: the first gradients are those of the scores alone.
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, maps: Sequence[Tensor], segments: Tensor, n_segments: int
    ) -> tuple[Tensor, Tensor]:
        """Score superpixels.

        Parameters
        ----------
        maps : sequence of tensors of float32 of shape (N, C, h, w)
            The maps of N images.
        segments : tensor of int64 of shape (N, height, width)
            The superpixels of their pixels.
        n_segments : int
            How many there are, seen or not.

        Returns
        -------
        scores : tensor of float32 of shape (n_segments, n_classes)
            0 for superpixels of which nothing is seen.
        areas : tensor of int64 of shape (n_segments,)
            Their pixels that are seen.
        """
        height, width = segments.shape[1:]
        coarse = (height // _COARSE, width // _COARSE)
        parts = [
            _resize(score(one_map / deviation), coarse)
            for score, one_map, deviation in zip(
                self.layers, maps, self.deviations, strict=True
            )
        ]
        total = _resize(torch.stack(parts).sum(dim=0), (height, width))
        pixels = total.permute(0, 2, 3, 1).flatten(0, 2)
        flat = segments.flatten()
        areas = torch.bincount(flat, minlength=n_segments)
        sums = pixels.new_zeros(len(areas), pixels.shape[1]).index_add(0, flat, pixels)
        return sums / areas.clamp(min=1)[:, None], areas


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    if maps.shape[2] > size[0]:  # all cells count
        return interpolate(maps, size, mode="area")
    return interpolate(maps, size, mode="bilinear", align_corners=False)


def region_loss(
    scores: Tensor, areas: Tensor, targets: Tensor, weight: Tensor
) -> Tensor:
    """Compute the weighted log-loss of superpixels.

    Parameters
    ----------
    scores : tensor of float32 of shape (n_segments, n_classes)
        What the softmax is taken of.
    areas : tensor of int64 of shape (n_segments,)
        A superpixel counts as much as is seen of it.
    targets : tensor of int64 of shape (n_segments,)
        Classes; `UNLABELED` counts nothing.
    weight : tensor of float32 of shape (n_classes,)
        Weights of the classes.

    Returns
    -------
    tensor of float32 of shape ()
        0 if nothing with a label is seen.
    """
    labeled = targets != UNLABELED
    share = areas[labeled] * weight[targets[labeled]]
    losses = cross_entropy(scores[labeled], targets[labeled], reduction="none")
    return (losses * share).sum() / share.sum().clamp(min=1e-12)
