"""Membranes of a fly's nerve cord in an electron microscope (ISBI 2012)."""

import os
from pathlib import Path

import cv2
import numpy as np


def read_membranes() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Read the slices under ``$SKLEARN_ZOOMOUT_DATA/em_membranes``, in their order.

    Returns
    -------
    images : list of ndarray of uint8 of shape (512, 512)
    masks : list of ndarray of int64 of shape (512, 512)
        0 is membrane, 1 is cell.

    Raises
    ------
    FileNotFoundError
        If the folder is not there.

    References
    ----------
    Cardona et al., "An integrated micro- and macroarchitectural analysis of the
    Drosophila brain by computer-assisted serial section electron microscopy",
    PLoS Biology 8 (10), 2010.
    """
    home = os.environ.get("SKLEARN_ZOOMOUT_DATA", ".")
    folder = Path(home) / "em_membranes"
    paths = sorted((folder / "images").glob("*.png"), key=lambda path: int(path.stem))
    if not paths:
        raise FileNotFoundError(
            f"no slices in {folder / 'images'}; set SKLEARN_ZOOMOUT_DATA to the folder "
            "that has em_membranes."
        )
    images = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths]
    labels = [
        cv2.imread(str(folder / "labels" / path.name), cv2.IMREAD_GRAYSCALE)
        for path in paths
    ]
    return images, [(label > 127).astype(np.int64) for label in labels]
