"""Frozen networks and their taps: named layers, and fc7."""

import difflib
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .layers import map_layers

if TYPE_CHECKING:
    import torch

    from .spec import BackboneSpec


class FrozenNetwork:
    """A network that is looked at: maps of named layers, and fc7 if asked for.

    Only between `thaw` and `freeze` is it trained.

    Parameters
    ----------
    module : torch.nn.Module
        The network, with its weights.
    spec : BackboneSpec
        Its description.
    layers : "all", sequence of str or None, default=None
        Names of the modules whose maps are wanted; None for the network's own
        features, "all" for maps of every resolution (see `map_layers`).
    device : str, default="cpu"
        Where it runs.
    flip : bool, default=False
        Whether maps are averages of an image's and of its mirror image's.
    dtype : {"float32", "bfloat16", "float16"}, default="float32"
        What the network computes in; it is given, and gives, float32.

    Attributes
    ----------
    layers : tuple of str
        Names of the tapped modules.
    widths : list of int
        Channels of each of them, or the units of fc7.
    head : torch.nn.Module or None
        From maps of `grid` x `grid` cells (N, C, grid, grid) to fc7 after its ReLU
        (N, units); None when the maps themselves are the features.
    grid : int
        Cells per side that a region's map is pooled to.
    source, sha256 : str
        Where the weights came from, and the digest of their file ("random" weights
        and those of timm's models: of the tensors).
    """

    source: str
    sha256: str

    def __init__(
        self,
        module: "torch.nn.Module",
        spec: "BackboneSpec",
        layers: str | Sequence[str] | None = None,
        device: str = "cpu",
        flip: bool = False,
        dtype: str = "float32",
    ) -> None:
        import torch

        self.spec = spec
        self.flip = flip
        self.device = torch.device(device)
        self.dtype: torch.dtype = getattr(torch, dtype)
        self._lock = threading.Lock()
        self._thawed = False
        module = self._freeze(module)
        if layers is None:
            self.layers = spec.maps
        elif layers == "all":
            self.layers = map_layers(module, spec)
        else:
            self.layers = tuple(layers)
        _check_layers(module, spec, self.layers)
        self.head: torch.nn.Sequential | None = None
        self.grid = 1
        if spec.has_fc7:
            trunk: Any = module
            if layers is None:
                # All but the 1,000 class scores: up to the last rectified layer.
                hidden = list(trunk.classifier)[:-1]
                self.head = torch.nn.Sequential(torch.nn.Flatten(), *hidden)
                self._freeze(self.head)
                self.grid = trunk.avgpool.output_size[0]
            trunk.classifier = torch.nn.Identity()
        if spec.same_padding:
            _pad_as_tensorflow(module)
        self.module = module.to(memory_format=torch.channels_last)
        self._mean = torch.tensor(spec.mean, device=self.device).view(3, 1, 1)
        self._std = torch.tensor(spec.std, device=self.device).view(3, 1, 1)
        # How often tapped modules are called in a pass, by their names: seen at the
        # first one.
        self._n_calls: dict[tuple[str, ...], int] = {}
        self.widths = self._probe()

    def prepare(self, rgb: NDArray[np.float32]) -> "torch.Tensor":
        """Standardize an image, RGB (H, W, 3) in [0, 1] -> (3, H, W), both float32."""
        import torch

        # torch warns of arrays that cannot be written to, as joblib's processes get.
        rgb = np.require(rgb, requirements=["C", "W"])
        pixels = torch.from_numpy(rgb).to(self.device)
        standardized = (pixels.permute(2, 0, 1) - self._mean).div_(self._std)
        return standardized.flip(0) if self.spec.bgr else standardized

    def maps(
        self, batch: "torch.Tensor", layers: Sequence[str] | None = None
    ) -> list["torch.Tensor"]:
        """Compute the tapped maps of a batch.

        Parameters
        ----------
        batch : tensor of shape (N, 3, H, W), float32
            Standardized images.
        layers : sequence of str, optional
            Names of modules that give maps; by default `layers`.

        Returns
        -------
        maps : list of tensors of shape (N, C, h, w), float32
            One per tapped layer.
        """
        import torch

        layers = self.layers if layers is None else tuple(layers)
        if not self.flip:
            return self._tap(batch, layers)
        # Both images in one pass.
        both = self._tap(torch.cat([batch, batch.flip(3)]), layers)
        pairs = [m.chunk(2) for m in both]
        return [(plain + mirrored.flip(3)) / 2 for plain, mirrored in pairs]

    def _tap(
        self, batch: "torch.Tensor", layers: tuple[str, ...]
    ) -> list["torch.Tensor"]:
        """Run the network until the last tapped module, and keep what they return."""
        import torch

        seen: dict[str, torch.Tensor] = {}
        calls, n_calls = 0, self._n_calls.get(layers)

        def keep(name: str, output: torch.Tensor) -> None:
            nonlocal calls
            calls += 1
            last = calls == n_calls
            # Later modules may change in place what this one returned.
            seen[name] = output if last or not _is_map(output) else output.clone()
            if last:
                raise _SeenEnough

        with self._lock, torch.inference_mode(not self._thawed):
            hooks = [
                self.module.get_submodule(name).register_forward_hook(
                    lambda _module, _inputs, output, name=name: keep(name, output)
                )
                for name in layers
            ]
            try:
                batch = batch.to(self.dtype, memory_format=torch.channels_last)
                self.module(batch)
            except _SeenEnough:
                pass
            except RuntimeError as error:
                size = "x".join(map(str, batch.shape[2:]))
                numbers = "" if self.dtype == torch.float32 else "dtype='float32', "
                raise RuntimeError(
                    f"backbone {self.spec.name!r} failed on an input of {size} pixels; "
                    f"try {numbers}a larger size, or a smaller batch_size if memory "
                    f"ran out. torch says: {error}"
                ) from error
            finally:
                for hook in hooks:
                    hook.remove()
        self._n_calls[layers] = calls
        if self.spec.architecture.startswith("densenet") and "features" in seen:
            # torchvision applies the last ReLU outside of `features`.
            seen["features"] = seen["features"].relu()
        return [self._as_float32(seen.get(name)) for name in layers]

    def _as_float32(self, output: Any) -> Any:
        """Convert a map; what is none stays what it is."""
        import torch

        if not isinstance(output, torch.Tensor):
            return output
        if output.dtype == torch.float16:
            self._check_finite(output)
        return output.float()

    def _check_finite(self, *tensors: "torch.Tensor") -> None:
        if not all(tensor.isfinite().all() for tensor in tensors):
            raise FloatingPointError(
                f"dtype: backbone {self.spec.name!r} has larger numbers than "
                f"{self.dtype} has; use dtype='bfloat16' or dtype='float32'."
            )

    def thaw(self) -> Iterator["torch.nn.Parameter"]:
        """Let gradients pass through `maps`, and give the parameters.

        Batch normalization keeps its moments, and nothing is dropped: both stay in
        evaluation mode.
        """
        self._thawed = True
        return self.module.requires_grad_(True).parameters()

    def freeze(self) -> None:
        """Undo `thaw`."""
        self._thawed = False
        self.module.requires_grad_(False)

    def weights(self) -> dict[str, NDArray[Any]]:
        """Copy the parameters, by their names in `module`."""
        return {
            name: parameter.detach().cpu().numpy().copy()
            for name, parameter in self.module.named_parameters()
        }

    def vectors(self, batch: "torch.Tensor") -> "torch.Tensor":
        """Compute one feature vector for each image of a batch.

        Parameters
        ----------
        batch : tensor of shape (N, 3, H, W), float32
            Standardized images.

        Returns
        -------
        vectors : tensor of shape (N, sum of `widths`), float32
            fc7, or the averages of the tapped maps.
        """
        import torch

        maps = self.maps(batch)
        if self.head is None:
            return torch.cat([m.mean(dim=(2, 3)) for m in maps], dim=1)
        cells = torch.nn.functional.adaptive_avg_pool2d(maps[0], self.grid)
        return self.fc7(cells)

    def fc7(self, cells: "torch.Tensor") -> "torch.Tensor":
        """Compute the last hidden layer, which only networks with a `head` have.

        Parameters
        ----------
        cells : tensor of shape (N, C, grid, grid), float32
            A map, pooled to `grid` x `grid` cells.

        Returns
        -------
        tensor of shape (N, units), float32
        """
        assert self.head is not None
        return self._as_float32(self.head(cells.to(self.dtype)))

    def _freeze(self, module: "torch.nn.Module") -> "torch.nn.Module":
        import torch

        module = module.eval().requires_grad_(False).to(self.device, self.dtype)
        if self.dtype == torch.float16:
            self._check_finite(*module.state_dict().values())
        return module

    def _probe(self) -> list[int]:
        """Look at a small black image: which layers give maps, and how wide."""
        import torch

        maps = self._tap(torch.zeros(1, 3, 96, 96, device=self.device), self.layers)
        for name, output in zip(self.layers, maps, strict=True):
            if not _is_map(output):
                shape = getattr(output, "shape", None)
                got = f"a {type(output).__name__}" if shape is None else tuple(shape)
                raise ValueError(
                    f"layers: {name!r} of backbone {self.spec.name!r} gives {got}; "
                    "expected a module whose output is one map (N, C, h, w)."
                )
        if self.head is not None:
            cells = torch.zeros(1, maps[0].shape[1], self.grid, self.grid)
            return [self.fc7(cells.to(self.device)).shape[1]]
        return [output.shape[1] for output in maps]


class _SeenEnough(Exception):
    """The last tapped layer has been seen; the rest of the network is not needed."""


def _check_layers(
    module: "torch.nn.Module", spec: "BackboneSpec", layers: Sequence[str]
) -> None:
    names = [name for name, _ in module.named_modules()]
    unknown = [name for name in layers if name not in names]
    if unknown:
        close = difflib.get_close_matches(str(unknown[0]), names, n=5, cutoff=0.3)
        children = [name for name, _ in module.named_children()]
        raise ValueError(
            f"layers: backbone {spec.name!r} has no module {unknown[0]!r}; "
            f"similar: {close}; its parts: {children}."
        )
    if not layers or len(set(layers)) != len(layers):
        raise ValueError(f"layers: expected distinct names of modules, got {layers!r}.")


def _is_map(output: Any) -> bool:
    return getattr(output, "ndim", 0) == 4


def _pad_as_tensorflow(module: "torch.nn.Module") -> None:
    """Pad strided convolutions as TensorFlow's "SAME".

    On even sizes it pads right and bottom only, where torch pads both sides.
    Convolutions of stride 1 are the same in both.
    """
    import torch

    def pad(conv: torch.nn.Conv2d, inputs: tuple[torch.Tensor]) -> torch.Tensor:
        (x,) = inputs
        before_after: list[int] = []
        for axis in (1, 0):  # the last axis comes first in torch's `pad`
            size, stride = x.shape[2 + axis], conv.stride[axis]
            extent = (conv.kernel_size[axis] - 1) * conv.dilation[axis] + 1
            total = max((-(-size // stride) - 1) * stride + extent - size, 0)
            before_after += [total // 2, total - total // 2]
        return torch.nn.functional.pad(x, before_after)

    for conv in module.modules():
        if isinstance(conv, torch.nn.Conv2d) and max(conv.stride) > 1:
            conv.padding = (0, 0)
            conv.register_forward_pre_hook(pad)
