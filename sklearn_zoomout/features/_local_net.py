"""The network of `LocalConvnetFeatures` (section 4.2.1), trained; needs torch."""

import copy
import math
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from .._utils.digests import digest_array
from .._utils.threads import limit_after_fork
from ..backbones import Training
from ..backbones._training import train
from ..loss import weighted_log_loss

_PADDING = 5  # on each side, from 25 x 25 to 35 x 35
_N_MAPS = (3, 32, 32, 64)
_N_UNITS = (64 * 3 * 3, 1152, 1152)
# 128 patches take 20 MB after the first convolution.
_PREDICTED_AT_ONCE = 128
# Patches from which mean and standard deviation are taken; 60 MB in float64.
_MEASURED = 4096


class LocalNet(nn.Module):
    """Three blocks of convolution, maximum and ReLU, then three dense layers.

    Parameters
    ----------
    n_outputs : int
        Number of classes.
    mean, scale : array-like of shape (3,)
        What standardizes the channels of the patches.
    random_state : int
        Seed of the first weights. torch's own global generator is neither read nor
        moved.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, n_outputs: int, mean: ArrayLike, scale: ArrayLike, random_state: int
    ) -> None:
        super().__init__()
        for name, moment in (("mean", mean), ("scale", scale)):
            values = torch.tensor(np.asarray(moment), dtype=torch.float32)
            self.register_buffer(name, values[:, None, None])
        self.convolutions = nn.ModuleList(
            nn.utils.skip_init(nn.Conv2d, n_in, n_out, kernel_size=5, padding=2)
            for n_in, n_out in pairwise(_N_MAPS)
        )
        self.dense = nn.ModuleList(
            nn.utils.skip_init(nn.Linear, n_in, n_out)
            for n_in, n_out in pairwise((*_N_UNITS, n_outputs))
        )
        generator = torch.Generator().manual_seed(random_state)
        for layer in (*self.convolutions, *self.dense):
            nn.init.kaiming_uniform_(
                layer.weight, nonlinearity="relu", generator=generator
            )
            nn.init.zeros_(layer.bias)
        # On the CPU, a third less time than with channels first.
        self.to(memory_format=torch.channels_last)

    def forward(self, patches: Tensor) -> Tensor:
        """Compute the logits (N, n_outputs) of patches (N, 3, 25, 25) in L*a*b*."""
        x = (patches - self.mean) / self.scale
        x = nn.functional.pad(x, (_PADDING,) * 4)
        for convolution in self.convolutions:
            x = torch.relu(nn.functional.max_pool2d(convolution(x), 3, stride=2))
        x = x.flatten(1)
        for layer in self.dense[:-1]:
            x = torch.relu(layer(x))
        return self.dense[-1](x)


def train_local_net(
    patches: NDArray[np.float16],
    targets: NDArray[np.int64],
    batches: NDArray[np.int64],
    *,
    class_weight: ArrayLike,
    training: Training,
    device: str,
    seed: int,
    verbose: int = 0,
) -> LocalNet:
    """Train a network by log-loss.

    Parameters
    ----------
    patches : ndarray of float16 of shape (n_patches, 3, 25, 25)
        L*a*b*.
    targets : ndarray of int64 of shape (n_patches,)
        Their classes, 0 to n_classes - 1.
    batches : ndarray of int64 of shape (n_steps, batch_size)
        The patches of each step.
    class_weight : array-like of float of shape (n_classes,)
        The weight of every class in the loss.
    training : Training
        The step size and the weight decay. The step size falls to 0 along a cosine.
    device : str
        Where to train.
    seed : int
        Seed of the first weights.
    verbose : int, default=0
        Show a progress bar if positive.

    Returns
    -------
    LocalNet
        On the CPU.

    Raises
    ------
    ValueError
        If the loss or the weights become NaN or infinite.
    """
    limit_after_fork()
    weight = torch.tensor(np.asarray(class_weight, dtype=np.float32), device=device)
    net = LocalNet(len(weight), *_moments(patches), seed).to(device)

    def loss_of(batch: NDArray[np.int64]) -> Tensor:
        logits = net(_to_tensor(patches[batch], device))
        return weighted_log_loss(
            logits, torch.from_numpy(targets[batch]).to(device), weight
        )

    optimizer = torch.optim.AdamW(
        net.parameters(),
        lr=training.learning_rate,
        weight_decay=training.weight_decay,
        fused=torch.device(device).type in ("cpu", "cuda"),
    )
    train(
        optimizer,
        batches,
        loss_of,
        decay=lambda share: (1 + math.cos(math.pi * share)) / 2,
        name="training of the local convnet",
        verbose=verbose,
        checkpoint=training.open_checkpoint(
            "local convnet",
            {
                "data": [digest_array(a) for a in (patches, targets, batches)],
                "class_weight": np.asarray(class_weight, dtype=np.float64),
                "seed": seed,
            },
            n_steps=len(batches),
            device=device,
            verbose=verbose,
        ),
    )
    return net.to("cpu").eval()


def _moments(
    patches: NDArray[np.float16],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each channel; 1 for a constant one."""
    some = patches[:: math.ceil(len(patches) / _MEASURED)].astype(np.float64)
    scale = some.std(axis=(0, 2, 3))
    return some.mean(axis=(0, 2, 3)), np.where(scale > 1e-3, scale, 1)


def predict_local_proba(
    net: LocalNet, patches: NDArray[np.float32], device: str
) -> NDArray[np.float32]:
    """Compute the class probabilities of patches.

    Parameters
    ----------
    net : LocalNet
        A trained network; stays where it is.
    patches : ndarray of float32 of shape (n_patches, 3, 25, 25)
        L*a*b*.
    device : str
        Where to compute.

    Returns
    -------
    ndarray of float32 of shape (n_patches, n_outputs)
    """
    limit_after_fork()
    if device != "cpu":
        net = copy.deepcopy(net).to(device)
    with torch.inference_mode():
        logits = [
            net(_to_tensor(patches[start : start + _PREDICTED_AT_ONCE], device))
            for start in range(0, len(patches), _PREDICTED_AT_ONCE)
        ]
        return torch.cat(logits).softmax(dim=1).cpu().numpy()


def _to_tensor(patches: NDArray[np.floating], device: str) -> Tensor:
    x = torch.from_numpy(patches.astype(np.float32, copy=False)).to(device)
    return x.contiguous(memory_format=torch.channels_last)
