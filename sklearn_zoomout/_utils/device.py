"""Devices of torch: there is no silent replacement of an unknown one."""

import warnings


def check_device(device: str) -> None:
    """Raise ValueError if torch cannot compute on this device; never fall back."""
    import torch

    try:
        if torch.device(device).type == "meta":
            raise RuntimeError("it holds no numbers")
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device={device!r} cannot be used here: {str(error).splitlines()[0]} "
            "Use device='cpu', or a torch and a driver that support it."
        ) from error


def device_to_predict_on(device: str) -> str:
    """Return the device, or the CPU with a warning if torch has no such device."""
    try:
        check_device(device)
    except ValueError:
        warnings.warn(
            f"torch finds no device {device!r} here; predicting on the CPU.",
            UserWarning,
            stacklevel=3,
        )
        return "cpu"
    return device
