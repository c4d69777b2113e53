"""How arrays are read as images: their channels, range of values, and missing data."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ..exceptions import BlackImageWarning, ClippedImageWarning
from ..images import (
    as_three_channels,
    check_alpha,
    check_finite_values,
    check_sequence,
    check_values,
    to_image_array,
)
from ..masks import iter_training_masks
from ._value_range import check_value_range, learn_range, scale, share_outside

#: What the parameter ``channels`` can be.
CHANNELS = ("auto", "bands", "rgba")
# An image with no larger value cannot be seen. Masks have such labels.
_ALMOST_BLACK = 1 / 15
# A range that leaves out more of the values is not that of the images.
_MOST_CLIPPED = 0.5


class ReadImage(NamedTuple):
    """An image as the library sees it.

    Attributes
    ----------
    image : ndarray of shape (height, width, n_channels)
        uint8, or floating point in 0..1. A gray image has three equal channels. Pixels
        without data have the mean of the others.
    valid : ndarray of bool of shape (height, width) or None
        Where there are data; None if that is everywhere.
    bands : bool
        Whether the channels are bands, and not red, green and blue.
    clipped : float, default=0.0
        Share of the values with data that are outside of the declared range.
    """

    image: NDArray[Any]
    valid: NDArray[np.bool_] | None
    bands: bool
    clipped: float = 0.0

    @property
    def n_pixels(self) -> int:
        """Number of pixels, with or without data."""
        return self.image.shape[0] * self.image.shape[1]


class _Raw(NamedTuple):
    """Values as they came, without the alpha channel, and where there are data."""

    values: NDArray[Any]
    valid: NDArray[np.bool_] | None
    name: str


@dataclass(frozen=True)
class Reading:
    """How to read arrays as images.

    Parameters
    ----------
    channels : {"auto", "bands", "rgba"}, default="auto"
        What the channels are; see `SuperpixelSegmenter`.
    value_range : tuple of (low, high) pairs or None, default=None
        The range of every channel, or one for all. None is 0..255 of uint8 and 0..1 of
        floating point.
    nodata : float or None, default=None
        The value of pixels that have no data.
    n_channels : int or None, default=None
        The number of channels that images must have; gray counts as 3.
    """

    channels: str = "auto"
    value_range: tuple[tuple[float, float], ...] | None = None
    nodata: float | None = None
    n_channels: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the parameters as JSON can hold them."""
        nodata = None if self.nodata is None else str(float(self.nodata))
        return vars(self) | {"nodata": nodata}

    @classmethod
    def from_json(cls, parameters: dict[str, Any]) -> Self:
        """Make the reading that `to_json` has described."""
        value_range, nodata = parameters["value_range"], parameters["nodata"]
        return cls(
            parameters["channels"],
            None if value_range is None else check_value_range(value_range),
            None if nodata is None else float(nodata),
            parameters["n_channels"],
        )

    def read(self, images: Any, name: str = "images") -> list[ReadImage]:
        """Check a sequence of images and bring their values to 0..1.

        Parameters
        ----------
        images : sequence of array-like of shape (height, width[, n_channels])
            The images. They are copied only if their values change.
        name : str, default="images"
            The name of the images in errors.

        Returns
        -------
        list of ReadImage

        Raises
        ------
        TypeError
            If ``images`` is not a sequence of images.
        ValueError
            If an image cannot be read; see `SuperpixelSegmenter`.
        """
        check_sequence(images, name, "an image", single_ndim=3)
        read = [self.read_one(image, f"{name}[{i}]") for i, image in enumerate(images)]
        _warn_of_doubtful_values(read)
        return read

    def read_one(
        self, image: Any, name: str, valid: NDArray[np.bool_] | None = None
    ) -> ReadImage:
        """Check one image as `read` does, of which some pixels may have no data.

        Errors contain the name.
        """
        raw = self._open(image, name)
        if valid is not None and not valid.all():
            known = raw.valid
            raw = raw._replace(valid=valid if known is None else known & valid)
        return self._convert(raw)

    def learn(self, images: Any) -> tuple["Reading", list[ReadImage]]:
        """Read images, and learn how many channels they have.

        Parameters
        ----------
        images : sequence of array-like of shape (height, width[, n_channels])
            The images of fit.

        Returns
        -------
        reading : Reading
            For images of as many channels.
        images : list of ReadImage
        """
        check_sequence(images, "images", "an image", single_ndim=3)
        learned, read = self, []
        for i, image in enumerate(images):
            raw = learned._open(image, f"images[{i}]")
            if i == 0:
                learned = replace(self, n_channels=self._count(raw.values))
            read.append(learned._convert(raw))
        _warn_of_doubtful_values(read)
        return learned, read

    def learn_range(self, images: Any) -> tuple["Reading", list[ReadImage]]:
        """Do the same, and learn the range of each channel from all images together."""
        check_sequence(images, "images", "an image", single_ndim=3)
        learned, raws = self, []
        for i, image in enumerate(images):
            raws.append(learned._open(image, f"images[{i}]"))
            if i == 0:
                learned = replace(self, n_channels=self._count(raws[0].values))
        data = [(raw.values, raw.valid, raw.name) for raw in raws]
        value_range = learn_range(data, learned.n_channels)
        learned = replace(learned, value_range=value_range)
        return learned, [learned._convert(raw) for raw in raws]

    def _count(self, values: NDArray[Any]) -> int:
        """Return the number of channels; gray counts as red, green and blue."""
        n = int(values.shape[2])
        return 3 if n == 1 and self.channels != "bands" else n

    def _open(self, image: Any, name: str) -> _Raw:
        """Check the shape and the channels, and find the pixels that have data."""
        values = to_image_array(image, name)
        valid = None
        if self.channels == "auto":
            check_alpha(values, name)
        elif self.channels == "rgba":
            if values.shape[2] not in (1, 3, 4):
                raise ValueError(
                    f"{name}: expected RGBA of shape (height, width, 4), RGB or gray, "
                    f'got shape {values.shape}; pass channels="bands" if its channels '
                    "are bands."
                )
            if values.shape[2] == 4:
                valid, values = values[..., 3] != 0, values[..., :3]
        n = self._count(values)
        if self.n_channels not in (None, n):
            raise ValueError(
                f"{name}: expected {self.n_channels} channels, as the images of fit "
                f"have (gray counts as 3), got {n}, shape {values.shape}; pass images "
                "of the same channels, or fit again."
            )
        if self.nodata is not None:
            if np.isnan(self.nodata):
                missing = np.isnan(values).any(axis=2)
            else:
                missing = (values == self.nodata).all(axis=2)
            valid = ~missing if valid is None else valid & ~missing
        if valid is not None and valid.all():
            valid = None
        return _Raw(values, valid, name)

    def _convert(self, raw: _Raw) -> ReadImage:
        """Bring the values to 0..1, and fill pixels without data."""
        values, valid, name = raw
        clipped = 0.0
        ranges = self._ranges_of(values, name)
        if ranges is None:
            check_values(values, name, valid)
        else:
            check_finite_values(values, name, valid)
            if len(np.unique(ranges, axis=0)) > 1:
                values = as_three_channels(values)
            clipped = share_outside(values, ranges, valid)
            values = scale(values, ranges)
        if valid is not None:
            values = _fill(values, valid)
        bands = values.shape[2] not in (1, 3) or (
            values.shape[2] == 3 and self.channels == "bands"
        )
        return ReadImage(as_three_channels(values), valid, bands, clipped)

    def _ranges_of(self, values: NDArray[Any], name: str) -> NDArray[np.float64] | None:
        """Return the range of every channel, None if values are as they should be."""
        if self.value_range is None:
            return None
        n = self._count(values)
        if len(self.value_range) not in (1, n):
            raise ValueError(
                f"{name}: expected {len(self.value_range)} channels, since value_range "
                f"has a pair for each, got {n}, shape {values.shape}; pass a pair for "
                "every channel, or one for all."
            )
        ranges = np.array(self.value_range, dtype=np.float64)
        if values.dtype == np.uint8 and (ranges == (0, 255)).all():
            return None
        return np.broadcast_to(ranges, (n, 2))


def reading_of(transformer: Any) -> Reading:
    """Return how a transformer reads images.

    Parameters
    ----------
    transformer : estimator
        A `SuperpixelSegmenter`, a pipeline that begins with one, or anything else.

    Returns
    -------
    Reading
        That of the segmenter. By default, images are RGB or gray.
    """
    while hasattr(transformer, "steps"):
        transformer = transformer.steps[0][1]
    return transformer.reading() if hasattr(transformer, "reading") else Reading()


def check_masks_of(read: Sequence[ReadImage], masks: Any) -> list[NDArray[Any]]:
    """Check the masks of images, and whether both were swapped.

    Parameters
    ----------
    read : sequence of ReadImage
        The images.
    masks : sequence of array-like of shape (height, width)
        Their masks.

    Returns
    -------
    list of ndarray

    Raises
    ------
    TypeError, ValueError
        If the masks do not fit the images; see `iter_training_masks`.
    """
    images = [image.image for image in read]
    try:
        return list(iter_training_masks(masks, images))
    except ValueError as error:
        # A broadcast axis of stride 0 is that of a gray image, which a mask looks like.
        if images[0].strides[2] == 0 and getattr(masks[0], "ndim", 0) == 3:
            raise ValueError(
                "images[0]: expected an image, got an array of one channel, and as "
                f"masks[0] one of shape {tuple(masks[0].shape)}; they look swapped, "
                "call fit(images, masks)."
            ) from error
        raise


def _fill(values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[Any]:
    """Give pixels without data the mean of the others, or 0 if there are no others."""
    filled = values.copy()
    mean = values[valid].mean(axis=0, dtype=np.float64) if valid.any() else 0
    filled[~valid] = np.rint(mean) if values.dtype == np.uint8 else mean
    return filled


def _warn_of_doubtful_values(read: Sequence[ReadImage]) -> None:
    """Warn of images that are almost black, or mostly outside of the declared range."""
    largest = [image.image.max(initial=0) for image in read]
    scaled = [x / 255 if isinstance(x, np.uint8) else float(x) for x in largest]
    black = [i for i, x in enumerate(scaled) if 0 < x <= _ALMOST_BLACK]
    if black:
        warnings.warn(
            f"images{black}: almost black, the largest value is {scaled[black[0]]:.4f} "
            "of 1. Is it a mask, has it been divided by 255 twice, or is the "
            "value_range too wide? Pass images as they are: uint8, or floating point "
            "in 0..1.",
            BlackImageWarning,
            stacklevel=5,
        )
    clipped = [i for i, image in enumerate(read) if image.clipped > _MOST_CLIPPED]
    if clipped:
        warnings.warn(
            f"images{clipped}: {read[clipped[0]].clipped:.0%} of the values are "
            "outside of value_range, and become its lowest or highest value. Declare "
            "the range of the sensor.",
            ClippedImageWarning,
            stacklevel=5,
        )
