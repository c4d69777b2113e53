"""Devices of torch: an unknown one is never replaced in silence."""


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


def device_exists(device: str) -> bool:
    """Tell whether torch can compute on this device."""
    try:
        check_device(device)
    except ValueError:
        return False
    return True
