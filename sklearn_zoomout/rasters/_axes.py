"""Which axis of an array the channels are on."""


def channels_are_first(
    shape: tuple[int, ...], name: str, channel_axis: int | None
) -> bool:
    """Return whether the channels are on the first axis, or raise if that is unknown.

    Parameters
    ----------
    shape : tuple of int
        The shape of an image.
    name : str
        The name of the image in errors.
    channel_axis : {0, 2, -1} or None
        The axis, if it was given.

    Returns
    -------
    bool
        False for an image of two dimensions.

    Raises
    ------
    ValueError
        If the image has not two or three dimensions, or no pixels; or if the axis is
        not given and the last axis is not the shortest.
    """
    if channel_axis not in (None, 0, 2, -1):
        raise ValueError(
            "channel_axis: expected 0 for channels first, or -1 for channels last, "
            f"got {channel_axis!r}."
        )
    if len(shape) not in (2, 3):
        raise ValueError(
            f"{name}: expected the shape (height, width) or (height, width, "
            f"n_channels), got {shape}; pass one image of it, such as array[0]."
        )
    if 0 in shape:
        raise ValueError(f"{name}: expected pixels, got shape {shape}.")
    if len(shape) == 2:
        if channel_axis is not None:
            raise ValueError(
                f"channel_axis: expected None for {name} of shape {shape}, got "
                f"{channel_axis}."
            )
        return False
    if channel_axis is None and shape[2] > min(shape):
        raise ValueError(
            f"{name}: expected the shortest axis last, got shape {shape}; pass "
            "channel_axis=0 if the first axis is that of the channels, or "
            "channel_axis=-1 if it is the last."
        )
    return channel_axis == 0
