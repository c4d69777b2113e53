"""Properties of files: what is written is read, and nothing else is."""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from sklearn_zoomout import (
    FeatureCache,
    SuperpixelSegmenter,
    ZoomoutClassifier,
    load_model,
    read_mask,
    save_model,
    write_labels,
)
from sklearn_zoomout.cache import entry_key
from sklearn_zoomout.datasets import read_image, read_photograph
from sklearn_zoomout.exceptions import CacheWarning, MaskWarning
from sklearn_zoomout.images import to_image_array
from sklearn_zoomout.persistence._container import (
    read_array,
    read_header,
    write_container,
)

SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=9)
BYTES = arrays(np.uint8, SHAPES.map(lambda shape: (*shape, 3)))
NUMBERS = st.sampled_from(["u1", "u2", "i2", "i4", "f4", "f8", "<u2", ">i4"])


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@given(
    colors=BYTES, ending=st.sampled_from(["png", "bmp", "tif", "ppm", "webp", "tga"])
)
def test_pictures_are_read_as_they_were_written(folder, colors, ending):
    """By formats without a loss; one file of every size."""
    path = folder / f"a.{ending}"
    options = {"lossless": True} if ending == "webp" else {}
    Image.fromarray(colors).save(path, **options)
    np.testing.assert_array_equal(read_image(path), colors)
    if ending not in ("ppm", "tga"):
        np.testing.assert_array_equal(read_photograph(path), colors)


@given(values=arrays(np.uint16, array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_grays_of_16_bits_keep_all_bits(folder, values):
    """In PNG and in TIFF."""
    for ending in ("png", "tif"):
        Image.fromarray(values).save(folder / f"b.{ending}")
        np.testing.assert_array_equal(read_image(folder / f"b.{ending}"), values)


@given(
    colors=arrays(np.uint16, SHAPES.map(lambda shape: (*shape, 3))),
    ending=st.sampled_from(["png", "tif", "ppm"]),
)
def test_colors_of_16_bits_keep_all_bits(folder, colors, ending):
    """No low byte is lost."""
    import cv2

    path = folder / f"c.{ending}"
    assert cv2.imwrite(str(path), colors[..., ::-1])
    found = read_image(path)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, colors)


@given(
    values=NUMBERS.flatmap(
        lambda dtype: arrays(
            dtype, SHAPES, elements={"allow_nan": False} if "f" in dtype else None
        )
    ),
    compression=st.sampled_from([None, "zlib"]),
)
def test_numbers_of_any_type_are_read_from_tiff(folder, values, compression):
    """In the order of bytes of the machine."""
    tifffile = pytest.importorskip("tifffile")
    path = folder / "d.tif"
    tifffile.imwrite(path, values, compression=compression)
    found = read_image(path)
    assert found.dtype == values.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found, values)


@given(
    labels=arrays(np.int64, SHAPES, elements=st.integers(-1, 300)),
    ending=st.sampled_from(["png", "tif"]),
)
@example(labels=np.array([[255, 0], [-1, 254]]), ending="png")
@example(labels=np.array([[65_534, -1]]), ending="tif")
def test_label_maps_are_read_as_they_were_written(folder, labels, ending):
    """With palettes or with 16 bits, and with unlabeled pixels."""
    path = folder / f"e.{ending}"
    write_labels(path, labels)
    np.testing.assert_array_equal(read_mask(path), labels)


@given(
    mask=arrays(np.int32, SHAPES, elements=st.integers(0, 2**30)),
    ending=st.sampled_from(["npy", "tif"]),
)
def test_numbers_of_masks_are_their_labels(folder, mask, ending):
    """Those of .npy files, and of label images of 32 bits."""
    tifffile = pytest.importorskip("tifffile")
    path = folder / f"f.{ending}"
    np.save(path, mask) if ending == "npy" else tifffile.imwrite(path, mask)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MaskWarning)
        np.testing.assert_array_equal(read_mask(path), mask)


@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_by_name(folder, content):
    """Whatever they are, by every reader of files."""
    for name, read in (
        ("g.png", read_image),
        ("g.jpg", read_photograph),
        ("g.tif", read_image),
        ("g.json", read_mask),
        ("g.xml", read_mask),
        ("g.npy", read_mask),
        ("g.zoomout", load_model),
    ):
        path = folder / name
        path.write_bytes(content)
        try:
            read(path)
        except ValueError as error:
            assert name in str(error)  # noqa: PT017


@given(
    n_segments=st.integers(2, 10**6),
    compactness=st.floats(1e-3, 1e3),
    hidden=st.lists(st.integers(1, 10**4), max_size=3),
    rate=st.floats(1e-6, 1),
    state=st.one_of(st.none(), st.integers(0, 2**32 - 1)),
)
def test_parameters_are_loaded_as_they_were_saved(
    folder, n_segments, compactness, hidden, rate, state
):
    """Values and types."""
    path = folder / "h.zoomout"
    image = np.zeros((4, 4, 3), np.uint8)
    image[2:] = 200
    segmenter = SuperpixelSegmenter(n_segments=2).fit([image])
    segmenter.set_params(n_segments=n_segments, compactness=compactness)
    save_model(segmenter, path)
    assert load_model(path).get_params() == segmenter.get_params()
    classifier = ZoomoutClassifier(
        tuple(hidden), learning_rate=rate, random_state=state
    )
    classifier.classes_ = np.arange(3)
    save_model(classifier, path)
    assert load_model(path).get_params() == classifier.get_params()


@given(
    stored=st.lists(
        st.sampled_from(["u1", "i2", "f4", "f8", "?", "U3", "c8"]).flatmap(
            lambda dtype: arrays(
                dtype, array_shapes(min_dims=0, min_side=0, max_side=4)
            )
        ),
        max_size=4,
    ),
    transposed=st.booleans(),
)
def test_arrays_of_models_are_read_bit_for_bit(folder, stored, transposed):
    """Of every type, shape and order, NaN included."""
    path = folder / "i.zoomout"
    stored = [array.T if transposed else array for array in stored]
    with path.open("wb") as file:
        write_container(file, {}, stored)
    with path.open("rb") as file:
        header = read_header(file)
        found = [read_array(file, header, i) for i in range(len(stored))]
    for one, other in zip(found, stored, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.tobytes() == other.tobytes()


@given(
    values=st.sampled_from(["f2", "f4", "i8"]).flatmap(
        lambda dtype: arrays(dtype, array_shapes(max_dims=3, max_side=5))
    ),
    flip=st.integers(0, 10**6),
    bit=st.integers(0, 7),
)
def test_entries_of_caches_are_right_or_missing(folder, values, flip, bit):
    """A changed bit gives a warning, never other values."""
    cache = FeatureCache(folder / "cache")
    key = entry_key("t", str(values.shape))
    cache.put(key, values)
    found = cache.get(key)
    assert found is not None and found.dtype == values.dtype
    assert found.tobytes() == values.tobytes()
    path = cache._path(key)
    content = bytearray(path.read_bytes())
    content[flip % len(content)] ^= 1 << bit
    path.write_bytes(content)
    with pytest.warns(CacheWarning, match="damaged"):
        assert cache.get(key) is None


@given(
    image=st.sampled_from(
        ["?", "u1", "i2", "u4", "f2", "f4", "c8", "U2", "M8[s]"]
    ).flatmap(
        lambda dtype: arrays(dtype, array_shapes(min_dims=1, max_dims=4, min_side=0))
    )
)
def test_the_gate_of_images_takes_them_or_says_why(image):
    """Of any type and shape: an array of three axes, or an error that names it."""
    try:
        found = to_image_array(image, "images[3]")
    except (ValueError, TypeError) as error:
        assert str(error).startswith("images[3]: expected")  # noqa: PT017
    else:
        assert found.ndim == 3 and found.size
        assert found.dtype.kind in "uif"
        np.testing.assert_array_equal(found.ravel(), image.ravel())


@given(value=st.floats(allow_nan=True, allow_infinity=True), place=st.integers(0, 47))
def test_values_that_are_no_colors_are_refused(value, place):
    """Only finite values in 0..1 are colors of floating point."""
    assume(not 0 <= value <= 1)
    image = np.full((4, 4, 3), 0.5)
    image.flat[place] = value
    with pytest.raises(ValueError, match=r"images\[0\]: expected"):
        SuperpixelSegmenter(n_segments=2).transform([image])
