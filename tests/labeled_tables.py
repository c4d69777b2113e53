"""Small tables for the classifier: columns that tell the classes apart, or noise."""

import numpy as np

from sklearn_zoomout import FeatureTable, SegmentedImage, Superpixels, ZoomoutClassifier
from sklearn_zoomout.table import Block

LABELS = np.array([10, 20, 255])


def make_data(labels=LABELS, n_images=6, noise=0.3, dtype=np.float32, seed=0):
    """Images of 24 square superpixels, whose features are their class plus noise."""
    rng = np.random.default_rng(seed)
    items, masks, codes = [], [], []
    for i in range(n_images):
        height, width = 4, 6 + i % 2
        segments = np.arange(height * width).reshape(height, width)
        segments = segments.repeat(3, axis=0).repeat(3, axis=1)
        items.append(SegmentedImage(np.zeros((*segments.shape, 3)), segments))
        code = rng.choice(len(labels), height * width, p=[0.6, 0.3, 0.1])
        code[:3] = [0, 1, 2]
        codes.append(code)
        masks.append(labels[code][segments])
    code = np.concatenate(codes)
    values = np.eye(3)[code] * 5 + rng.normal(0, noise, (len(code), 3))
    per_image = rng.normal(0, 1, (n_images, 2))
    blocks = [
        Block("a", ("x", "y", "z"), values.astype(dtype)),
        Block("b", ("u", "v"), per_image.astype(dtype), per_image=True),
    ]
    return FeatureTable(Superpixels(items), blocks), masks


def make_classifier(**params):
    defaults = {
        "hidden_units": (8,),
        "learning_rate": 0.02,
        "batch_size": 32,
        "max_epochs": 15,
        "random_state": 0,
    }
    return ZoomoutClassifier(**defaults | params)


def with_values(table, function):
    """The same table with changed values of its first block."""
    first, *others = table.blocks
    values = function(first.values.copy())
    block = Block(first.name, first.columns, values, first.per_image)
    return FeatureTable(table.superpixels, [block, *others])


def make_table(n_images=20, n_segments=30, seed=0):
    """Three blocks of noise: of superpixels, of images, and of superpixels again."""
    rng = np.random.default_rng(seed)
    segments = np.arange(n_segments).reshape(5, -1)
    image = np.zeros((*segments.shape, 3), np.uint8)
    items = [SegmentedImage(image, segments) for _ in range(n_images)]
    n_rows = n_images * n_segments
    blocks = [
        Block("a", ("x", "y", "z"), rng.normal(3, 2, (n_rows, 3)).astype("f4")),
        Block("b", ("u", "v"), rng.normal(0, 1, (n_images, 2)).astype("f4"), True),
        Block("c", ("r", "s"), rng.normal(0, 9, (n_rows, 2)).astype("f4")),
    ]
    return FeatureTable(Superpixels(items), blocks)


def map_table(table, folder):
    """The same table, its blocks mapped from files of a folder."""
    blocks = []
    for block in table.blocks:
        path = folder / f"{block.name}.bin"
        block.values.tofile(path)
        values = np.memmap(path, np.float32, mode="r", shape=block.values.shape)
        blocks.append(Block(block.name, block.columns, values, block.per_image))
    mapped = FeatureTable(table.superpixels, blocks)
    assert mapped.in_files and not table.in_files
    return mapped
