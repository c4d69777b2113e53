"""Sections 4.1 and 4.2 in plain code: one call or loop for each sentence.

This is a first version with scikit-image, scipy and OpenCV, to compare with the
library's hand-crafted features. It takes the same superpixels and dictionaries.
"""

import cv2
import numpy as np
from scipy import ndimage
from scipy.spatial.distance import cdist
from scipy.stats import entropy
from skimage.segmentation import slic

RANGES = ((0, 100), (-128, 128), (-128, 128))
PATCH_SIZES = (8, 18)


def superpixels(image, n_segments):
    return slic(image, n_segments=n_segments, compactness=15, start_label=0)


def filter_bank(lab):
    """Apply the 17 filters of TextonBoost one by one."""

    def blur(channel, sigma):
        return ndimage.gaussian_filter(lab[..., channel], sigma, mode="nearest")

    def difference(image, axis):
        return ndimage.correlate1d(image, [-1, 0, 1], axis, mode="nearest")

    responses = [blur(channel, s) for s in (1, 2, 4) for channel in range(3)]
    for sigma in (1, 2, 4, 8):
        responses.append(ndimage.laplace(blur(0, sigma), mode="nearest"))
    for sigma in (2, 4):
        responses += [difference(blur(0, sigma), axis) for axis in (1, 0)]
    return np.stack(responses, axis=-1)


def textons(responses, centers, mean, scale):
    standardized = ((responses - mean) / scale).reshape(-1, len(mean))
    return cdist(standardized, centers).argmin(axis=1).reshape(responses.shape[:2])


def grid_points(shape):
    rows, columns = (np.arange(4, size, 8) for size in shape)
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def dense_sift(lab, points, naive=False):
    """Describe the points in each channel, at both patch sizes, with OpenCV.

    A patch has 4 x 4 cells. OpenCV's are 1.5 times as wide as a keypoint, so that a
    patch is six times as wide. Octave 0 suits patches of 18 pixels. Octave -1, which
    OpenCV stores as 255, suits those of 8. ``naive`` makes the keypoint as wide as the
    patch, a common mistake: windows are then six times too wide.
    """
    sift = cv2.SIFT_create()
    scaled = (lab - [0, -128, -128]) * [2.55, 1, 1]
    channels = np.clip(scaled, 0, 255).astype(np.uint8)
    descriptors = []
    for channel in range(3):
        for size, octave in zip(PATCH_SIZES, (255, 0), strict=True):
            options = (size,) if naive else (size / 6, 0, 0, octave)
            keypoints = [
                cv2.KeyPoint(float(column), float(row), *options)
                for row, column in points
            ]
            _, found = sift.compute(channels[..., channel].copy(), keypoints)
            norm = np.linalg.norm(found, axis=1, keepdims=True)
            descriptors.append(found / np.maximum(norm, 1e-9))
    return np.stack(descriptors)


def words(descriptors, centers):
    return np.stack([cdist(found, centers).argmin(axis=1) for found in descriptors])


def regions(segments, radius):
    """Return, for each superpixel, those within a graph distance of it."""
    neighbors = [set() for _ in range(segments.max() + 1)]
    for one, other in (
        (segments[:, :-1], segments[:, 1:]),
        (segments[:-1], segments[1:]),
    ):
        border = one != other
        for i, j in zip(one[border], other[border], strict=True):
            neighbors[i].add(j)
            neighbors[j].add(i)
    reached = []
    for i in range(len(neighbors)):
        region = {i}
        for _ in range(radius):
            region = region.union(*(neighbors[j] for j in region))
        reached.append(sorted(region))
    return reached


def quantiles(lab):
    """Return the edges of 32 and of 8 bins at the image's quantiles, per channel."""
    return [
        [
            np.quantile(lab[..., channel], np.arange(1, n) / n, method="inverted_cdf")
            for n in (32, 8)
        ]
        for channel in range(3)
    ]


def describe(lab, edges, texton_map, n_textons, points, found_words, n_words, masks):
    """Return a row of color, texture, words and location for every mask."""
    rows = []
    for mask in masks:
        held = mask[points[:, 0], points[:, 1]]
        if not held.any():
            center = np.argwhere(mask).mean(axis=0)
            held = [((points - center) ** 2).sum(axis=1).argmin()]
        parts = [
            color(lab[mask], edges),
            texture(texton_map[mask], n_textons),
            sift_words(found_words[:, held], n_words),
            location(mask),
        ]
        rows.append(np.concatenate(parts))
    return np.array(rows)


def masks_of(segments, regions):
    """Yield the mask of each region."""
    for region in regions:
        yield segments == region[0] if len(region) == 1 else np.isin(segments, region)


def color(pixels, edges):
    """Return histograms over equal bins, their entropies, and those over quantiles."""
    equal, quantile = {32: [], 8: []}, {32: [], 8: []}
    for values, bounds, inner in zip(pixels.T, RANGES, edges, strict=True):
        for n_bins, cuts in zip((32, 8), inner, strict=True):
            counts, _ = np.histogram(values, bins=n_bins, range=bounds)
            equal[n_bins].append(counts / len(values))
            counts, _ = np.histogram(values, bins=[-np.inf, *cuts, np.inf])
            quantile[n_bins].append(counts / len(values))
    entropies = [entropy(histogram) for histogram in equal[32]]
    return np.concatenate(
        [*equal[32], *equal[8], entropies, *quantile[32], *quantile[8]]
    )


def texture(codes, n_textons):
    counts = np.bincount(codes, minlength=n_textons)
    return np.append(counts / len(codes), entropy(counts))


def sift_words(codes, n_words):
    """Return histograms averaged over both patch sizes, and six entropies."""
    histograms = [np.bincount(c, minlength=n_words) / len(c) for c in codes]
    averages = [
        (small + large) / 2
        for small, large in zip(histograms[::2], histograms[1::2], strict=True)
    ]
    return np.concatenate([*averages, [entropy(h) for h in histograms]])


def location(mask):
    size = np.array(mask.shape)
    offset = (np.argwhere(mask).mean(axis=0) - (size - 1) / 2) / size
    return np.concatenate([offset, abs(offset)])
