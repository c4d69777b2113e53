"""The labels of all masks of a fit, which are known before any superpixel is."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from ._labels import distinct_labels


class PresentLabels(NamedTuple):
    """The labels that occur in each mask.

    Attributes
    ----------
    of_masks : list of ndarray of int64 of shape (n_labels,)
        The sorted labels of every mask, without that of unlabeled pixels.
    """

    of_masks: list[NDArray[np.int64]]

    @classmethod
    def find(
        cls,
        masks: Iterable[NDArray[Any]],
        valid: Iterable[NDArray[np.bool_] | None],
    ) -> Self:
        """Find the labels of masks.

        Parameters
        ----------
        masks : iterable of ndarray of integers of shape (height, width)
            The masks.
        valid : iterable of ndarray of bool of shape (height, width), or of None
            Where the images have data. Labels elsewhere do not count.

        Returns
        -------
        PresentLabels
        """
        pairs = zip(masks, valid, strict=True)
        return cls([distinct_labels(m if v is None else m[v]) for m, v in pairs])

    @property
    def labeled(self) -> NDArray[np.bool_]:
        """Whether each mask has a label, of shape (n_masks,)."""
        return np.array([len(found) > 0 for found in self.of_masks], dtype=bool)

    @property
    def distinct(self) -> NDArray[np.int64]:
        """The sorted labels of all masks together."""
        return np.unique(np.concatenate(self.of_masks))


def refuse_missing(name: str = "masks") -> NoReturn:
    """Raise the error that there are no masks."""
    raise TypeError(
        f"{name}: expected a label map for every image, got none; call "
        "fit(images, masks)."
    )


def refuse_unlabeled(of_masks: Sequence[NDArray[np.int64]]) -> None:
    """Refuse masks that have no label at all.

    Parameters
    ----------
    of_masks : sequence of ndarray of int64 of shape (n_labels,)
        The labels of every mask.

    Raises
    ------
    ValueError
        If there is none.
    """
    if not any(len(found) for found in of_masks):
        raise ValueError(
            f"masks: expected labels of 0 or more, got none in {len(of_masks)} masks; "
            "all their pixels are -1, unlabeled."
        )
