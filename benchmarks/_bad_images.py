"""Trials of images that are wrong or unusual."""

import numpy as np
from _trials import Workbench, color_pipeline, trial

from sklearn_zoomout import (
    ConvnetSuperpixelFeatures,
    LocalFeatures,
    ProximalFeatures,
    SuperpixelSegmenter,
    ZoomoutUnion,
)
from sklearn_zoomout.exceptions import ScaleWarning, SuperpixelWarning
from sklearn_zoomout.superpixels import slic


def all_features(images, n_segments):
    """Describe images by hand-crafted features and by the maps of a network."""
    superpixels = SuperpixelSegmenter(n_segments).fit_transform(images)
    union = ZoomoutUnion(
        [
            ("local", LocalFeatures(n_textons=8, n_words=20, random_state=0)),
            ("proximal", ProximalFeatures(n_textons=8, n_words=20, random_state=0)),
            ("maps", ConvnetSuperpixelFeatures(input_size=64)),
        ]
    )
    return union.fit_transform(superpixels)


def with_value(image, value):
    """Return the image as floats with another value at row 3, column 5."""
    image = image / 255
    image[3, 5, 1] = value
    return image


@trial(1, "Gray image (height, width)", "Works, as RGB of three equal channels")
def gray(bench: Workbench) -> None:
    grays = [image[..., 0] for image in bench.images]
    rgb = [np.dstack([image] * 3) for image in grays]
    labels = [color_pipeline().fit(x, bench.masks).predict(x) for x in (grays, rgb)]
    bench.same(*labels, "labels are those of RGB")


@trial(2, "Gray image (height, width, 1)", "Works, as (height, width)")
def gray_with_axis(bench: Workbench) -> None:
    grays = [image[..., :1] for image in bench.images]
    labels = bench.fitted.predict(grays)
    flat = bench.fitted.predict([image[..., 0] for image in grays])
    bench.same(labels, flat, "labels are those of (height, width)")


@trial(3, "Four channels", "Error: says to drop alpha, or to pass `channels=`")
def alpha(bench: Workbench) -> None:
    image = bench.images[2]
    bench.refuses_image(np.dstack([image, image[..., 0]]), "RGBA", "channels=")


@trial(4, "Channels first", "Error: gives the shape and `np.moveaxis`")
def channels_first(bench: Workbench) -> None:
    bench.refuses_image(np.moveaxis(bench.images[2], 2, 0), "(3, ", "moveaxis")


@trial(5, "NaN or infinity", "Error: gives the first position, and `nodata=`")
def not_finite(bench: Workbench) -> None:
    place = ("finite", "row 3, column 5")
    bench.refuses_image(with_value(bench.images[2], np.inf), *place)
    bench.refuses_image(with_value(bench.images[2], np.nan), *place, "nodata")


@trial(6, "Floats outside 0..1", 'Error: "looks like 0..255"')
def floats_to_255(bench: Workbench) -> None:
    bench.refuses_image(with_value(bench.images[2], -0.5), "0..1", "-0.5")
    bench.refuses_image(bench.images[2].astype(float), "looks like 0..255")


@trial(7, "Signed or long integers", "Error: says to pass `value_range=`")
def integers(bench: Workbench) -> None:
    for dtype in (np.int8, np.int16, np.int32, np.int64, np.uint32, np.uint64):
        image = (bench.images[2] // 2).astype(dtype)
        bench.refuses_image(image, np.dtype(dtype).name, "value_range=(0, ")


@trial(8, "uint16, bool, object, complex", "Error: says what to convert; no guess")
def other_types(bench: Workbench) -> None:
    image = bench.images[2]
    bench.refuses_image(image.astype(np.uint16), "uint16", "value_range=(0, ")
    bench.refuses_image(image > 100, "bool", "mask")
    bench.refuses_image(image.astype(object), "object", "astype")
    bench.refuses_image(image / 255 + 0j, "complex128", "abs")


@trial(9, "No rows or no columns", "Error: gives the shape")
def no_pixels(bench: Workbench) -> None:
    bench.refuses_image(bench.images[2][:0], "(0, 70, 3)", "no pixels")
    bench.refuses_image(bench.images[2][:, :0], "(50, 0, 3)", "no pixels")


@trial(10, "One pixel, one row, one column", "Works; every feature is finite")
def tiny(bench: Workbench) -> None:
    for shape in ((1, 1), (1, 40), (40, 1), (2, 2)):
        image = np.linspace(0, 1, 3 * shape[0] * shape[1]).reshape(*shape, 3)
        table = all_features([image, bench.images[0]], n_segments=1)
        bench.holds(np.isfinite(table.to_numpy()).all(), f"finite, shape {shape}")


@trial(11, "Fewer pixels than `n_segments`", "Warning: `SuperpixelWarning`, the count")
def few_pixels(bench: Workbench) -> None:
    small = bench.images[0][:4, :5]
    transform = SuperpixelSegmenter(30).transform
    bench.warns(
        lambda: transform([bench.images[0], small]),
        SuperpixelWarning,
        *("images[1]", "20 pixels"),
    )


@trial(12, "Image of one color", "Works; its entropies are 0")
def constant(bench: Workbench) -> None:
    images = [np.full((40, 50, 3), gray, np.uint8) for gray in (0, 77, 255)]
    table = all_features([*images, bench.images[0]], n_segments=30)
    columns = ["entropy" in column for column in table.columns]
    values = table[:3].to_numpy()
    bench.holds(np.isfinite(values).all() and any(columns), "features are finite")
    bench.holds((values[:, columns] == 0).all(), "entropies are 0")


@trial(13, "Strong noise", "Works; superpixels do not collapse")
def noise(bench: Workbench) -> None:
    rng = np.random.default_rng(0)
    image = np.clip(rng.normal(0.5, 0.4, (120, 160, 3)), 0, 1)
    n = SuperpixelSegmenter(100).transform([image])[0].n_segments
    bench.holds(70 < n < 130, f"{n} superpixels of 100")


@trial(14, "Read-only, Fortran, big-endian, strided", "Works; the input is unchanged")
def layouts(bench: Workbench) -> None:
    image = bench.images[0] / 256
    expected = bench.fitted.predict([image])
    for layout in (
        lambda x: np.frombuffer(x.tobytes()).reshape(x.shape),
        np.asfortranarray,
        lambda x: x.astype(">f8"),
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x[::-1].copy()[::-1],
    ):
        same = layout(image)
        before = same.copy()
        bench.same(bench.fitted.predict([same]), expected, "labels are the same")
        bench.same(same, before, "the input is unchanged")


@trial(15, "One array, no list, an empty list", "Error: says that a list is expected")
def no_list(bench: Workbench) -> None:
    predict = bench.fitted.predict
    for wrong in ([], "photo.jpg", iter(bench.images), None):
        bench.fails(lambda wrong=wrong: predict(wrong), "images: expected")
    bench.fails(lambda: predict(bench.images[0]), "images: expected", "list")


@trial(16, "Images of different sizes", "Works")
def sizes(bench: Workbench) -> None:
    images = [image[i:, 2 * i :] for i, image in enumerate(bench.images)]
    labels = bench.fitted.predict(images)
    shapes = [image.shape[:2] for image in images]
    bench.holds([x.shape for x in labels] == shapes, "each map has its image's shape")


@trial(17, "uint8, and the same values / 255", "Works; features are equal bit for bit")
def same_values(bench: Workbench) -> None:
    for dtype in (np.float32, np.float64):
        floats = [(image / 255).astype(dtype) for image in bench.images]
        one, other = (all_features(x, 30).to_numpy() for x in (bench.images, floats))
        bench.same(one, other, f"features of {np.dtype(dtype).name} are equal")


@trial(69, "12 bits in uint16", "Works by a declared `value_range`; else an error")
def twelve_bits(bench: Workbench) -> None:
    deep = [image.astype(np.uint16) * 16 for image in bench.images]
    bench.refuses(deep, bench.masks, "images[0]", "value_range=(0, ")
    model = color_pipeline(superpixels__value_range=(0, 255 * 16))
    labels = model.fit(deep, bench.masks).predict(deep)
    bench.same(labels, bench.fitted.predict(bench.images), "labels are those of 8 bits")


@trial(70, "Four bands that are no RGBA", 'Works by `channels="bands"`; else an error')
def four_bands(bench: Workbench) -> None:
    bands = [np.dstack([image, 255 - image[..., 1]]) for image in bench.images]
    bench.refuses(bands, bench.masks, 'channels="bands"', 'channels="rgba"')
    model = color_pipeline(superpixels__channels="bands")
    labels = model.fit(bands, bench.masks).predict(bands)
    bench.holds(len(labels) == 4, 'channels="bands" learns')


@trial(71, "Arrays of other libraries", "Works if numpy reads it; else an error")
def other_libraries(bench: Workbench) -> None:
    import torch

    image = bench.images[2]
    tensor = torch.from_numpy(image / 255)
    labels = bench.fitted.predict([tensor])
    bench.same(labels, bench.fitted.predict([image / 255]), "a tensor is an array")
    bench.fails(lambda: bench.fitted.predict(tensor), "images: expected", "list")
    bench.refuses_image(tensor.requires_grad_())
    bench.refuses_image(tensor.detach().to(torch.bfloat16))


@trial(73, "`slic` of NaN or a list of images", "Error; gray and bands work")
def slic_input(bench: Workbench) -> None:
    lab = np.random.default_rng(0).random((20, 30, 6))
    for good in (lab, lab[..., :1]):
        bench.holds(slic(good, 12, 10).shape == (20, 30), "gray and bands work")
    bench.fails(lambda: slic(np.where(lab > 0.99, np.nan, lab), 12, 10), "finite")
    bench.fails(lambda: slic([lab, lab], 12, 10), "expected")


@trial(74, "Superpixels of another scale than in fit", "Warning: says what to set")
def another_scale(bench: Workbench) -> None:
    large = np.kron(bench.images[0], np.ones((4, 4, 1), np.uint8))
    bench.warns(
        lambda: bench.fitted.predict([large]), ScaleWarning, "images[0]", "segment_area"
    )
