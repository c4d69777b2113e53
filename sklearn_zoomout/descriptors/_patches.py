"""Square patches of one size, resized from boxes of any size."""

import cv2
import numpy as np
from numpy.typing import NDArray

# Side of the patches of the local convnet (section 4.2.1), in pixels.
PATCH_SIZE = 25


def cut_patches(
    image: NDArray[np.float32], boxes: NDArray[np.int64], size: int = PATCH_SIZE
) -> NDArray[np.float32]:
    """Cut boxes out of an image and resize them to squares.

    Boxes that are larger than the square on both sides are averaged. All others are
    interpolated bilinearly. Pixels outside the box have no influence. The aspect ratio
    is not kept.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3), float32
        An image in any color space.
    boxes : ndarray of integers of shape (n_boxes, 4)
        Top, left, bottom and right in pixels, half-open. No box may be empty.
    size : int, default=25
        Side of the squares in pixels.

    Returns
    -------
    ndarray of float32 of shape (n_boxes, 3, size, size)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_zoomout.descriptors import cut_patches
    >>> image = np.float32([[[0, 5, 9], [4, 5, 9], [8, 5, 9]]])
    >>> cut_patches(image, np.array([[0, 0, 1, 2], [0, 2, 1, 3]]), size=2)[:, 0]
    array([[[0., 4.],
            [0., 4.]],
           [[8., 8.],
            [8., 8.]]], dtype=float32)
    """
    patches = np.empty((len(boxes), 3, size, size), dtype=np.float32)
    for patch, (top, left, bottom, right) in zip(patches, boxes.tolist(), strict=True):
        box = image[top:bottom, left:right]
        # OpenCV averages only if both sides shrink.
        shrinks = min(box.shape[:2]) > size
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        square = cv2.resize(box, (size, size), interpolation=method)
        patch[:] = np.moveaxis(square, 2, 0)
    return patches
