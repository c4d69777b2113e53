"""The network that ZoomNet is made from."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from sklearn_zoomout.backbones.zoomnet import ZoomNet

TEACHER = "mobilenet_v2_tf2"
TEACHER_BLOCKS = (
    *((16, 32, 1), (24, 96, 2), (24, 144, 1), (32, 144, 2), (32, 192, 1)),
    *((32, 192, 1), (64, 192, 2), (64, 384, 1), (64, 384, 1), (64, 384, 1)),
    *((96, 384, 1), (96, 576, 1), (96, 576, 1), (160, 576, 2), (160, 960, 1)),
    (160, 960, 1),
)
#: Blocks whose outputs are compared: the last of every width.
COMPARED = {
    2: "stride 4",
    5: "stride 8",
    9: "stride 16 (64 channels)",
    12: "stride 16 (96 channels)",
    15: "stride 32",
}


class Teacher(nn.Module):
    """MobileNetV2: the part that ZoomNet replaces, and the rest.

    Parameters
    ----------
    path : Path
        The file of its weights, with torchvision's names.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.trunk = ZoomNet(TEACHER_BLOCKS)
        (self.rest,) = ZoomNet(((320, 960, 1),), stem=160).blocks
        self.head = nn.Conv2d(320, 1280, 1)
        self.classifier = nn.Linear(1280, 1000)
        self._load({name: t.float() for name, t in load_file(path).items()})
        self.eval().requires_grad_(False)
        self.to(memory_format=torch.channels_last)

    def _load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Load weights, whose batch normalization is folded into the convolutions."""

        def fill(conv: nn.Module, name: str, norm: str) -> None:
            weights = {"weight": tensors[f"{name}.weight"]}
            scale = tensors[f"{norm}.weight"] / tensors[f"{norm}.running_var"].sqrt()
            if (scale - 1).abs().max() > 1e-4 or tensors[f"{norm}.running_mean"].any():
                raise ValueError(f"{norm} is not folded into {name}.")
            conv.load_state_dict(weights | {"bias": tensors[f"{norm}.bias"]})

        fill(self.trunk.stem, "features.0.0", "features.0.1")
        for i, block in enumerate([*self.trunk.blocks, self.rest], start=1):
            name = f"features.{i}.conv"
            convs = [c for c in block.children() if isinstance(c, nn.Conv2d)]
            for j, conv in enumerate(convs[:-1]):
                fill(conv, f"{name}.{j}.0", f"{name}.{j}.1")
            n = len(convs) - 1
            fill(convs[-1], f"{name}.{n}", f"{name}.{n + 1}")
        fill(self.head, "features.18.0", "features.18.1")
        parts = ("weight", "bias")
        last = {part: tensors[f"classifier.1.{part}"] for part in parts}
        self.classifier.load_state_dict(last)

    def classify(self, deepest: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute pooled features and class scores from the map at stride 32."""
        pooled = F.relu6(self.head(self.rest(deepest))).mean(dim=(2, 3))
        return pooled, self.classifier(pooled)

    @torch.no_grad()
    def outputs(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Compute the compared maps, pooled features and class scores."""
        maps = compared_maps(self.trunk, images)
        return *maps, *self.classify(maps[-1])


def compared_maps(net: ZoomNet, images: torch.Tensor) -> list[torch.Tensor]:
    """Compute the maps of `COMPARED`, from RGB in 0..1."""
    x = F.relu6(net.stem(images * 2 - 1), inplace=True)
    maps = []
    for i, block in enumerate(net.blocks):
        x = block(x)
        if i in COMPARED:
            maps.append(x)
    return maps
