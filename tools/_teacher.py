"""The networks that ZoomNet and its larger sibling are made from."""

from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import load_file
from torch import nn

from sklearn_zoomout.backbones.zoomnet import ZoomNet, ZoomNetLarge
from sklearn_zoomout.backbones.zoomnet._network import Block


class Teacher(nn.Module):
    """A classifier: the part that the student replaces, and the rest.

    Parameters
    ----------
    path : Path
        The file of its weights.

    Attributes
    ----------
    name : str
        The name of the file without its suffix.
    origin : str
        Where the file comes from.
    blocks : tuple of Block
        The bottlenecks of the trunk.
    compared : dict of int to str
        The blocks whose outputs are compared, the last of every width, and their
        names.
    student : type
        The network that is made of it.
    trunk : ZoomNet
        The part that is replaced.
    """

    name: ClassVar[str]
    origin: ClassVar[str]
    blocks: ClassVar[tuple[Block, ...]]
    compared: ClassVar[dict[int, str]]
    student: ClassVar[type[ZoomNet]]

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.trunk = self.student(self.blocks)
        self.rest: nn.Module = nn.Identity()
        self._load({name: t.float() for name, t in load_file(path).items()})
        self.eval().requires_grad_(False)
        self.to(memory_format=torch.channels_last)

    def _load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Load weights."""
        raise NotImplementedError

    def _set_head(self, head: list[torch.Tensor], last: list[torch.Tensor]) -> None:
        """Set the weights and the biases of the last two layers."""
        (units, width), classes = head[0].shape[:2], len(last[1])
        self.head = nn.Conv2d(width, units, 1)
        self.classifier = nn.Linear(units, classes)
        for layer, tensors in ((self.head, head), (self.classifier, last)):
            layer.load_state_dict(dict(zip(("weight", "bias"), tensors, strict=True)))

    def classify(self, deepest: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute pooled features and class scores from the map at stride 32."""
        features = self.trunk.activation(self.head(self.rest(deepest)))
        pooled = features.mean(dim=(2, 3))
        return pooled, self.classifier(pooled)

    @torch.no_grad()
    def outputs(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Compute the compared maps, pooled features and class scores."""
        maps = self.compared_maps(self.trunk, images)
        return *maps, *self.classify(maps[-1])

    def compared_maps(self, net: ZoomNet, images: torch.Tensor) -> list[torch.Tensor]:
        """Compute the maps of `compared`, from RGB in 0..1."""
        x = net.activation(net.stem(images * 2 - 1), inplace=True)
        maps = []
        for i, block in enumerate(net.blocks):
            x = block(x)
            if i in self.compared:
                maps.append(x)
        return maps


class MobileNetV2Teacher(Teacher):
    """MobileNetV2, whose weights have torchvision's names."""

    name = "mobilenet_v2_tf2"
    origin = "google-coral/test_data@104342d tf2_mobilenet_v2_1.0_224_ptq.tflite"
    blocks = (
        Block(16, 32),
        *(Block(24, 96, 2), Block(24, 144)),
        *(Block(32, 144, 2), *2 * (Block(32, 192),)),
        *(Block(64, 192, 2), *3 * (Block(64, 384),)),
        *(Block(96, 384), *2 * (Block(96, 576),)),
        *(Block(160, 576, 2), *2 * (Block(160, 960),)),
    )
    compared: ClassVar[dict[int, str]] = {
        2: "stride 4",
        5: "stride 8",
        9: "stride 16 (64 channels)",
        12: "stride 16 (96 channels)",
        15: "stride 32",
    }
    student = ZoomNet

    def _load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Load weights, whose batch normalization is folded into the convolutions."""

        def folded(name: str, norm: str) -> list[torch.Tensor]:
            scale = tensors[f"{norm}.weight"] / tensors[f"{norm}.running_var"].sqrt()
            if (scale - 1).abs().max() > 1e-4 or tensors[f"{norm}.running_mean"].any():
                raise ValueError(f"{norm} is not folded into {name}.")
            return [tensors[f"{name}.weight"], tensors[f"{norm}.bias"]]

        (self.rest,) = ZoomNet((Block(320, 960),), stem=160).blocks
        fill([self.trunk.stem], [folded("features.0.0", "features.0.1")])
        for i, block in enumerate([*self.trunk.blocks, self.rest], start=1):
            name, convs = f"features.{i}.conv", convolutions(block)
            n = len(convs) - 1
            found = [folded(f"{name}.{j}.0", f"{name}.{j}.1") for j in range(n)]
            fill(convs, [*found, folded(f"{name}.{n}", f"{name}.{n + 1}")])
        last = [tensors[f"classifier.1.{part}"] for part in ("weight", "bias")]
        self._set_head(folded("features.18.0", "features.18.1"), last)


class MobileNetEdgeTPUTeacher(Teacher):
    """MobileNet-EdgeTPU, whose weights have the names of the library."""

    name = "mobilenet_edgetpu_100"
    origin = (
        "mlcommons/mobile_models@1f99633 v0_7/tflite/"
        "mobilenet_edgetpu_224_1.0_uint8.tflite"
    )
    blocks = (
        Block(16, 32, kernel=1),
        *(Block(32, 128, 2, fused=True), *3 * (Block(32, 128, fused=True),)),
        *(Block(48, 256, 2, fused=True), *3 * (Block(48, 192, fused=True),)),
        *(Block(96, 384, 2), *3 * (Block(96, 384),)),
        *(Block(96, 768, residual=False), *3 * (Block(96, 384),)),
        *(Block(160, 768, 2, kernel=5), *3 * (Block(160, 640, kernel=5),)),
        Block(192, 1280),
    )
    compared: ClassVar[dict[int, str]] = {
        4: "stride 4",
        8: "stride 8",
        12: "stride 16 (block 12)",
        16: "stride 16 (block 16)",
        20: "stride 32 (160 channels)",
        21: "stride 32 (192 channels)",
    }
    student = ZoomNetLarge

    def _load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Load weights without batch normalization."""

        def pair(name: str) -> list[torch.Tensor]:
            return [tensors[f"{name}.weight"], tensors[f"{name}.bias"]]

        fill([self.trunk.stem], [pair("stem")])
        for i, block in enumerate(self.trunk.blocks):
            convs = convolutions(block)
            fill(convs, [pair(f"blocks.{i}.conv.{j}") for j in range(len(convs))])
        self._set_head(pair("head"), pair("classifier"))


TEACHERS: dict[str, type[Teacher]] = {
    "zoomnet": MobileNetV2Teacher,
    "zoomnet_large": MobileNetEdgeTPUTeacher,
}


def convolutions(block: nn.Module) -> list[nn.Conv2d]:
    """List the convolutions of a bottleneck."""
    return [child for child in block.children() if isinstance(child, nn.Conv2d)]


def fill(convs: list[nn.Conv2d], tensors: list[list[torch.Tensor]]) -> None:
    """Set the weights and the biases of convolutions."""
    for conv, (weight, bias) in zip(convs, tensors, strict=True):
        conv.load_state_dict({"weight": weight, "bias": bias})
