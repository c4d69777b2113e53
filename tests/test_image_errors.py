"""What the errors of the gate for images say, at the limits of each case."""

from pathlib import Path

import numpy as np
import pytest

from sklearn_zoomout.images import (
    as_float,
    as_three_channels,
    check_finite_values,
    check_sequence,
    check_values,
    refuse_path,
    to_image_array,
    value_limits,
)

NAN = float("nan")


def message_of(function, *args, error=ValueError):
    """Return the message of the error that a call raises."""
    with pytest.raises(error) as caught:
        function(*args)
    return str(caught.value)


def flat(value, dtype=None, shape=(4, 5, 3)):
    """An image of one value."""
    return np.full(shape, value, dtype=dtype)


@pytest.mark.parametrize("n_channels", [1, 2, 3, 5, 600])
@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray])
def test_any_number_of_channels_becomes_float32(n_channels, layout):
    """In C order, and the same of uint8 as of floating point."""
    image = np.random.default_rng(0).integers(0, 256, (4, 3, n_channels), np.uint8)
    for array in (image, image / 255):
        found = as_float(layout(array))
        assert found.dtype == np.float32
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, (image / 255).astype(np.float32))


def test_gray_becomes_three_channels_and_others_stay():
    """As a view."""
    gray = flat(3, np.uint8, (4, 5, 1))
    assert as_three_channels(gray).shape == (4, 5, 3)
    assert np.shares_memory(as_three_channels(gray), gray)
    for n in (2, 3, 4):
        image = flat(3, np.uint8, (4, 5, n))
        assert as_three_channels(image) is image


class NoSequence:
    """Has a length, and no items."""

    def __len__(self):
        return 3


@pytest.mark.parametrize("items", ["a.jpg", b"a", {0: 1}, NoSequence(), 3, None])
def test_what_is_no_sequence_is_refused(items):
    """The error names its type, and there is nothing to put into a list."""
    message = message_of(check_sequence, items, "x", "a mask", 2, error=TypeError)
    kind = type(items).__name__
    assert message == f"x: expected a list of arrays, got {kind}."


def test_single_arrays_are_told_from_stacks():
    """By their dimensions, but object arrays are lists whatever these are."""
    one = np.zeros((4, 5))
    message = message_of(check_sequence, one, "x", "a mask", 2, error=TypeError)
    assert "x: expected a list of arrays, got one array of shape (4, 5)" in message
    assert "put a mask into a list" in message
    message = message_of(
        check_sequence, np.zeros(()), "x", "a mask", 2, error=TypeError
    )
    assert "got one array of shape ()" in message
    check_sequence(one[None], "x", "a mask", 2)
    check_sequence(np.array([one, None], dtype=object), "x", "a mask", 2)
    for empty in ([], np.zeros((0, 4, 5))):
        message = message_of(check_sequence, empty, "x", "a mask", 2)
        assert message == "x: expected at least one item, got an empty list."


class Picture:
    """An image that only an interface says is one."""

    __array_interface__ = {"shape": (4, 5), "typestr": "|u1", "version": 3}


class Convertible:
    """An object that becomes an array."""

    def __array__(self, dtype=None, copy=None):
        return flat(3, np.uint8)


@pytest.mark.parametrize("item", [Picture(), Convertible()])
def test_what_becomes_an_array_belongs_into_a_list(item):
    """The error says so."""
    message = message_of(check_sequence, item, "x", "an image", 3, error=TypeError)
    assert message.endswith("; put an image into a list even if it is the only one.")


@pytest.mark.parametrize(
    "shape",
    [(4, 5), (1, 1), (5, 4, 3), (3, 3, 3), (3, 9, 4), (4, 4, 9), (17, 40, 17)]
    + [(2, 9, 16), (16, 40, 16), (17, 40, 18), (9, 5, 90), (1, 1, 60), (1, 9, 3)],
)
def test_shapes_that_can_be_images(shape):
    """Few rows of many pixels are no channels."""
    array = to_image_array(np.zeros(shape), "x")
    assert array.shape == (*shape, 1)[:3]


@pytest.mark.parametrize(
    ("shape", "cure"),
    [
        ((3, 9, 5), "numpy.moveaxis(image, 0, -1)"),
        ((4, 5, 5), "numpy.moveaxis(image, 0, -1)"),
        ((1, 9, 17), "image[0]"),
        ((2, 9, 17), "numpy.moveaxis(image, 0, -1)"),
        ((16, 17, 17), "numpy.moveaxis(image, 0, -1)"),
    ],
)
def test_shapes_that_look_like_channels_first(shape, cure):
    """A short axis comes before two long ones."""
    message = message_of(to_image_array, np.zeros(shape), "x")
    assert f"got shape {shape}, which looks like channels first; use {cure}" in message


@pytest.mark.parametrize(
    ("image", "got"),
    [
        (np.zeros((0, 5)), "shape (0, 5), which has no pixels"),
        (np.zeros((4, 0, 3)), "shape (4, 0, 3), which has no pixels"),
        (np.zeros((1, 4, 5, 3)), "if its first axis counts images"),
        (np.zeros((1, 1, 4, 5, 3)), "an array of shape (1, 1, 4, 5, 3)."),
        (np.zeros(7), "an array of shape (7,)."),
        (7, "got 7."),
        (np.float64(0.5), "got 0.5."),
    ],
)
def test_shapes_that_cannot_be_images(image, got):
    """The error shows what came."""
    message = message_of(to_image_array, image, "x")
    assert message.startswith("x: expected an image of shape (height, width)")
    assert got in message


@pytest.mark.parametrize(
    ("dtype", "cure"),
    [
        (complex, "complex128; take its magnitude, numpy.abs(image)."),
        (object, "object; convert it, image.astype(float)."),
        (bool, "bool; call fit(images, masks), images first, if it is a mask,"),
        ("U3", "<U3; convert it to numbers."),
        ("M8[s]", "datetime64[s]; convert it to numbers."),
    ],
)
def test_values_that_are_no_numbers(dtype, cure):
    """The error says what makes them numbers."""
    message = message_of(to_image_array, np.zeros((4, 5, 3), dtype), "x")
    assert (
        f"x: expected integers or floating point, such as uint8, got dtype {cure}"
        in (message)
    )


def test_lists_of_rows_are_images_and_ragged_ones_are_not():
    """A pair of arrays is an image and its mask; a pair of rows is an image."""
    assert to_image_array([[1, 2], [3, 4]], "x").shape == (2, 2, 1)
    message = message_of(to_image_array, [[1, 2], [3]], "x")
    assert message.startswith("x: expected an image that numpy can read, got list (")
    pair = (flat(3), flat(3, shape=(4, 5)))
    for several in (pair, list(pair)):
        assert "got a pair of arrays" in message_of(to_image_array, several, "x")
    assert to_image_array([flat(0)[0], flat(1)[0], flat(2)[0]], "x").shape == (3, 5, 3)


@pytest.mark.parametrize("path", ["a.jpg", Path("a.jpg")])
def test_paths_are_refused_with_what_reads_them(path):
    """Both kinds."""
    message = message_of(refuse_path, path, "x", "read_it", error=TypeError)
    assert message.startswith("x: expected an array, got the path 'a.jpg'; pass ")
    assert "FileSequence(read_it, paths)" in message


class Tensor:
    """What torch has, as far as errors look at it."""

    def __init__(self, kind="cpu", dtype="float32"):
        self.device = type("Device", (), {"type": kind})()
        self.dtype = dtype

    def __array__(self, dtype=None, copy=None):
        raise TypeError("no")


@pytest.mark.parametrize(
    ("tensor", "cure"),
    [
        (Tensor("cuda"), "bring it to the CPU, image.cpu()."),
        (Tensor(dtype="torch.bfloat16"), "convert it, image.float()."),
        (Tensor(), "make it an array of shape (height, width, 3)."),
    ],
)
def test_tensors_that_numpy_cannot_read(tensor, cure):
    """The error says where they are, or what they hold."""
    message = message_of(to_image_array, tensor, "x")
    assert message == (
        f"x: expected an image that numpy can read, got Tensor (no); {cure}"
    )


@pytest.mark.parametrize(
    "image", [flat(0.0), flat(1.0), flat(0.5, np.float16), flat(255, np.uint8)]
)
def test_images_in_their_usual_range_pass(image):
    """Both ends belong to it."""
    check_values(image, "x")


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (flat(1.001), "floating-point values in 0..1, got 1.001..1.001; clip"),
        (flat(-0.001), "got -0.001..-0.001; clip"),
        (
            flat(2.0),
            "clip or rescale it, or declare in fit the range of the sensor, such as",
        ),
        (flat(2.5), "looks like 0..255: divide by 255, or declare in fit the range"),
        (flat(255.0), "looks like 0..255: divide"),
        (flat(255.5), "clip or rescale it"),
        (np.dstack([flat(-0.5), flat(200.0)]), "got -0.5..200.0; clip"),
        (flat(7, np.int32), "or floating point in 0..1, got dtype int32 with values"),
        (
            flat(7, np.int32),
            "7..7, whose range is ambiguous; declare in fit the range",
        ),
        (flat(2, np.uint16), "such as value_range=(2, 2), or"),
        (flat(3, np.uint16), "value_range=(0, 255) if it has 8 bits, or"),
        (flat(255, np.uint16), "value_range=(0, 255) if it has 8 bits, or"),
        (flat(256, np.uint16), "value_range=(0, 1023) if it has 10 bits, or"),
        (flat(1024, np.uint16), "value_range=(0, 4095) if it has 12 bits, or"),
        (flat(4096, np.uint16), "value_range=(0, 16383) if it has 14 bits, or"),
        (flat(65535, np.uint16), "value_range=(0, 65535) if it has 16 bits, or"),
        (flat(65536, np.int32), "such as value_range=(65536, 65536), or"),
        (flat(-1, np.int16), "such as value_range=(-1, -1), or"),
        (flat(-999, np.int16), "ambiguous; pass nodata=-999 if it marks"),
        (flat(-32768, np.int16), "pass nodata=-32768 if it marks"),
        (flat(-3.4028e38), "pass nodata=-3.4028e+38 if it marks"),
    ],
)
def test_other_values_are_refused_with_a_range_to_declare(image, says):
    """The guess has the fewest bits that hold the largest value."""
    message = message_of(check_values, image, "x")
    assert message.startswith("x: expected ")
    assert says in message


def test_integers_of_one_channel_may_be_a_mask():
    """Three channels are none, and floating point is none."""
    of_mask = "; if it is a mask, call fit(images, masks), images first."
    for image, expected in [
        (flat(7, int, (4, 5, 1)), True),
        (flat(7, int), False),
        (flat(7.0, float, (4, 5, 1)), False),
    ]:
        end = of_mask if expected else 'or value_range="learn".'
        assert message_of(check_values, image, "x").endswith(end)
    assert "nodata" not in message_of(check_values, flat(-500, int), "x")


def test_values_without_data_do_not_count():
    """Neither in the range nor among what must be finite."""
    image = flat(0.5)
    image[1, 2] = NAN, 7, -9
    valid = np.ones((4, 5), dtype=bool)
    valid[1, 2] = False
    check_values(image, "x", valid)
    check_finite_values(image, "x", valid)
    assert value_limits(image, valid) == (0.5, 0.5)
    assert value_limits(image[..., 2]) == (-9, 0.5)
    assert value_limits(image, np.zeros((4, 5), dtype=bool)) == (0, 0)
    image[3, 4, 0] = np.inf
    message = message_of(check_finite_values, image, "x", valid)
    assert "got [inf, 0.5, 0.5] at row 3, column 4; replace infinity first." in message
    message = message_of(check_values, image, "x", None)
    assert "at row 1, column 2; pass nodata=float(" in message
