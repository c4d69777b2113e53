"""Trials of masks and parameters that are wrong or unusual."""

import cv2
import numpy as np
from _trials import Broken, Workbench, color_pipeline, trial
from sklearn.exceptions import NotFittedError

from sklearn_zoomout import (
    Backbone,
    GlobalFeatures,
    SegmentedImage,
    SuperpixelSegmenter,
    ZoomoutClassifier,
)
from sklearn_zoomout.exceptions import (
    AbsentClassWarning,
    EmptyMaskWarning,
    LostClassWarning,
    SoftEdgeWarning,
    UnlabeledWarning,
)
from sklearn_zoomout.labels import superpixel_labels
from sklearn_zoomout.masks import read_masks


def relabeled(labels, to):
    """Return masks whose label 2 has become another."""
    return [np.where(mask == 2, to, mask) for mask in labels]


def strokes(bench, unlabeled):
    """Return masks of thin strokes; all other pixels have one label."""
    masks = []
    for mask in bench.masks:
        drawn = np.full(mask.shape, unlabeled, np.int16)
        for label, row in enumerate((8, 25, 40), start=1):
            cv2.line(drawn, (10, row), (28, row + 4), label, 2)
        masks.append(drawn)
    return masks


@trial(18, "A mask of another shape, or masks of another number", "Error: gives both")
def shapes(bench: Workbench) -> None:
    bench.refuses_mask(bench.masks[2][:-1], "(50, 70)", "(49, 70)")
    bench.refuses(bench.images, bench.masks[:3], "3 masks for 4 images")


@trial(19, "RGB mask", "Error: says how to read palettes and colors")
def colors(bench: Workbench) -> None:
    bench.refuses_mask(np.dstack([bench.masks[2]] * 3), "palette PNG", "(50, 70, 3)")


@trial(20, "Mask of fractions", "Error: gives the first value and its place")
def fractions(bench: Workbench) -> None:
    bench.refuses_mask(bench.masks[2] + 0.5, "integer", "0.5", "row 0, column 0")


@trial(21, "Negative label that is not -1", "Error: gives the label")
def negative(bench: Workbench) -> None:
    mask = np.where(bench.masks[2] == bench.masks[2][0, 0], -2, bench.masks[2])
    bench.refuses_mask(mask, "-2", "-1")


@trial(22, "Label in `score` that fit has not seen", "Error: gives the label")
def unseen(bench: Workbench) -> None:
    masks = relabeled(bench.masks, to=7)
    bench.fails(lambda: bench.fitted.score(bench.images, masks), "[7]", "fit")


@trial(23, "Declared class without a pixel", "Warning; its weight is 0")
def absent(bench: Workbench) -> None:
    model = color_pipeline(classifier__classes=[0, 1, 2, 7])
    bench.warns(lambda: model.fit(bench.images, bench.masks), AbsentClassWarning, "7")
    bench.holds(model[-1].class_frequency_[3] == 0, "its frequency is 0")
    probabilities = model.predict_proba(bench.images)
    bench.holds(all(np.isfinite(p).all() for p in probabilities), "all is finite")


@trial(24, "One class only", "Error, before any superpixel")
def one_class(bench: Workbench) -> None:
    masks = [np.zeros_like(mask) for mask in bench.masks]
    bench.refuses(bench.images, masks, "class")


@trial(25, "One mask without a label", "Warning; the image is not learned from")
def empty_mask(bench: Workbench) -> None:
    masks = bench.masks_with(np.full_like(bench.masks[2], -1))
    bench.warns(
        lambda: color_pipeline().fit(bench.images, masks), EmptyMaskWarning, "masks[2]"
    )


@trial(26, "No mask has a label", "Error, before any superpixel")
def no_labels(bench: Workbench) -> None:
    masks = [np.full_like(mask, -1) for mask in bench.masks]
    bench.refuses(bench.images, masks, "label")


@trial(27, "Tie of two classes in a superpixel", "The smaller label wins")
def tie(bench: Workbench) -> None:
    segments = np.repeat([[0, 0, 1, 1]], 2, axis=0)
    segmented = SegmentedImage(np.zeros((2, 4, 3)), segments)
    labels = superpixel_labels(segmented, [[5, 3, 9, 8], [3, 5, 9, -1]])
    bench.holds(labels.tolist() == [3, 9], "3 of two 3 and two 5")


@trial(28, '`n_segments` of 0, -5, 2.5, "500", True', "Error: gives the value")
def n_segments(bench: Workbench) -> None:
    for value in (0, -5, 2.5, "500", True):
        model = color_pipeline(superpixels__n_segments=value)
        bench.fails(
            lambda model=model: model.fit(bench.images, bench.masks),
            *("n_segments", str(value)),
        )


@trial(29, "`compactness` of 0 or less", "Error: gives the value")
def compactness(bench: Workbench) -> None:
    for value in (0, -1.0):
        model = color_pipeline(superpixels__compactness=value)
        bench.fails(
            lambda model=model: model.fit(bench.images, bench.masks),
            *("compactness", str(value)),
        )


@trial(30, "Unknown backbone", "Error: lists similar names")
def backbone(bench: Workbench) -> None:
    level = GlobalFeatures("squeezenet9")
    bench.refuses(bench.images, bench.masks, "squeezenet1_0", local=level)


@trial(31, 'device="cuda" without a GPU', "Error; the CPU does not take its place")
def cuda(bench: Workbench) -> None:
    import torch

    level = GlobalFeatures(Backbone(device="cuda"))
    if torch.cuda.is_available():
        raise Broken("this machine has a GPU, so nothing was tried")
    bench.refuses(bench.images, bench.masks, "cuda", "cpu", local=level)


@trial(32, "`transform` or `predict` before `fit`", "`NotFittedError`")
def not_fitted(bench: Workbench) -> None:
    model = color_pipeline()
    superpixels = SuperpixelSegmenter(30).transform(bench.images)
    bench.fails(lambda: model.predict(bench.images), kind=NotFittedError)
    bench.fails(lambda: model[1].transform(superpixels), kind=NotFittedError)


@trial(33, "Columns that are not those of fit", "Error: names the columns")
def columns(bench: Workbench) -> None:
    superpixels = SuperpixelSegmenter(30).transform(bench.images)
    one = color_pipeline()[1].fit_transform(superpixels)
    other = color_pipeline(local__descriptors=("location",))[1]
    classifier = ZoomoutClassifier((4,), max_epochs=1).fit(one, bench.masks)
    table = other.fit_transform(superpixels)
    bench.fails(lambda: classifier.predict(table), "local__row_from_center")


@trial(59, "Thin strokes, the rest painted 0", "Warning: `mark_unlabeled(masks, 0)`")
def painted_zero(bench: Workbench) -> None:
    small = color_pipeline(superpixels__n_segments=300)
    bench.warns(
        lambda: small.fit(bench.images, strokes(bench, 0)),
        UnlabeledWarning,
        *("label 0", "mark_unlabeled(masks, 0)"),
    )


@trial(60, "255 far from the other labels", "Warning: `mark_unlabeled(masks, 255)`")
def largest(bench: Workbench) -> None:
    masks = [mask.astype(np.uint8) for mask in relabeled(bench.masks, to=255)]
    bench.warns(
        lambda: color_pipeline().fit(bench.images, masks),
        UnlabeledWarning,
        *("label 255", "mark_unlabeled"),
    )


@trial(61, "Labels of 2**63 and more, -1 in an unsigned type", "Error: gives the label")
def huge(bench: Workbench) -> None:
    for value in (2**63, 2**64 - 1):
        mask = bench.masks[2].astype(np.uint64)
        mask[0, 0] = value
        bench.refuses_mask(mask, str(value))


@trial(62, "A class that wins no superpixel", "Warning; error if one class is left")
def no_superpixel(bench: Workbench) -> None:
    masks = [mask.copy() for mask in bench.masks]
    for mask in masks:
        mask[12::25, 5:-5] = 3
    bench.warns(
        lambda: color_pipeline().fit(bench.images, masks), AbsentClassWarning, "[3]"
    )
    for mask in masks:
        mask[mask != 3] = 0
    bench.fails(lambda: color_pipeline().fit(bench.images, masks), "[3]", "n_segments")


@trial(63, "A class that loses most of its pixels", "Warning: gives the share left")
def lost(bench: Workbench) -> None:
    masks = [mask.copy() for mask in bench.masks]
    for mask in masks:
        mask[:16, :14] = 3
        mask[::6, 5:-5] = 3
    bench.warns(
        lambda: color_pipeline().fit(bench.images, masks),
        LostClassWarning,
        *("class 3 keeps", "n_segments"),
    )


@trial(64, "Masks resized with interpolation", "Warning: says to use NEAREST")
def resized(bench: Workbench) -> None:
    blocks = np.kron([[0, 40], [120, 200]], np.ones((20, 28))).astype(np.uint8)
    mask = cv2.resize(blocks, (70, 50), interpolation=cv2.INTER_CUBIC)
    bench.warns(
        lambda: color_pipeline().fit(bench.images, [mask] * 4),
        SoftEdgeWarning,
        "NEAREST",
    )


@trial(65, "None, path, pair, one-hot, extra axis, NaN, -9999", "Error with the cure")
def no_mask(bench: Workbench) -> None:
    mask = bench.masks[2]
    for wrong, word in (
        (None, "None"),
        ("mask.png", "read_masks"),
        ((mask, mask), "pair"),
        (mask[None], "[0]"),
        (mask[..., None], "[..., 0]"),
        (np.eye(4, dtype=np.uint8)[mask], "argmax"),
        (np.where(mask == 1, np.nan, mask), "nan"),
        (np.where(mask == 1, -9999, mask), "-9999"),
    ):
        bench.refuses_mask(wrong, word)


@trial(66, "Indexed PNGs with different palettes", "Works: matched by color")
def palettes(bench: Workbench) -> None:
    from PIL import Image

    paths, table = [], np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)
    for i, order in enumerate(([0, 1, 2], [2, 0, 1])):
        picture = Image.fromarray(np.argsort(order).astype(np.uint8)[[[0, 1, 2]]], "P")
        picture.putpalette(table[order].ravel().tobytes())
        paths.append(bench.folder / f"{i}.png")
        picture.save(paths[-1])
    masks = read_masks(paths)
    bench.same(masks[0], masks[1], "equal colors have equal labels")


@trial(67, "A mask that is its image's transpose", "Error: names EXIF's orientation")
def transposed(bench: Workbench) -> None:
    bench.refuses_mask(bench.masks[2].T, "(50, 70)", "(70, 50)", "EXIF")
