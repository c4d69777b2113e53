"""A loaded network: feature maps of its layers, and fc7."""

import difflib
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._utils.threads import limit_after_fork
from ._layers import map_layers
from ._padding import pad_as_tensorflow

if TYPE_CHECKING:
    import torch

    from ._backbone import Backbone
    from ._spec import BackboneSpec

# Weights of a network from which several threads are allowed: fewer than those of VGG
# and ResNet, more than those of ZoomNet, SqueezeNet and MobileNet.
_SMALL = 10_000_000


class Taps(NamedTuple):
    """What is read of a network.

    Attributes
    ----------
    layers : tuple of str
        Names of the modules whose feature maps are read.
    widths : tuple of int
        Channels of each of the maps, or units of fc7.
    fc7 : bool
        Whether fc7 is computed from the map of the only layer.
    """

    layers: tuple[str, ...]
    widths: tuple[int, ...]
    fc7: bool


class Network:
    """A network with its weights, loaded as a `Backbone` says.

    Parameters
    ----------
    module : torch.nn.Module
        The network, with its weights.
    spec : BackboneSpec
        Its preprocessing and its layers.
    backbone : Backbone
        How it computes.
    source : str
        Where the weights came from.
    sha256 : str
        Digest of the file of weights, or of the tensors where there is no file.

    Attributes
    ----------
    key : tuple
        Networks of equal keys compute the same feature maps.
    grid : int
        Cells per side of the map that fc7 is computed from.
    is_small : bool
        Whether one thread is enough. Threads wait for each other at the end of every
        layer. While other programs kept two cores busy, ZoomNet took 7 times as long on
        two threads as on one. Without other programs it takes three quarters.
    """

    def __init__(
        self,
        module: "torch.nn.Module",
        spec: "BackboneSpec",
        backbone: "Backbone",
        source: str,
        sha256: str,
    ) -> None:
        import torch

        self.spec, self.source, self.sha256 = spec, source, sha256
        self.flip = backbone.flip
        self.device = torch.device(backbone.device)
        self.dtype: torch.dtype = getattr(torch, backbone.dtype)
        self.key = (spec, sha256, backbone.flip, backbone.dtype, backbone.device)
        self._lock = threading.Lock()
        self._trainable = False
        module = self._freeze(module)
        self._head: torch.nn.Sequential | None = None
        self.grid = 1
        if spec.has_fc7:
            trunk: Any = module
            # All but the 1,000 class scores: up to the last rectified layer.
            hidden = list(trunk.classifier)[:-1]
            self._head = torch.nn.Sequential(torch.nn.Flatten(), *hidden)
            self.grid = trunk.avgpool.output_size[0]
            trunk.classifier = torch.nn.Identity()
        if spec.same_padding:
            pad_as_tensorflow(module)
        self.module = module.to(memory_format=torch.channels_last)
        self.is_small = sum(p.numel() for p in module.parameters()) < _SMALL
        # How often the modules of some layers are called in a forward pass: counted in
        # the first one.
        self._n_calls: dict[tuple[str, ...], int] = {}
        self._taps: dict[Any, Taps] = {}

    def taps(self, layers: str | Sequence[str] | None = None) -> Taps:
        """Find what is read of the network, and check it on a small black image.

        Parameters
        ----------
        layers : "all", sequence of str or None, default=None
            Names of modules. None reads the network's own features: its last maps, or
            fc7 if it has one. "all" reads maps of every resolution.

        Returns
        -------
        Taps

        Raises
        ------
        ValueError
            If a layer does not exist or its output is no map, or fc7 is not finite.
        """
        wanted = layers if isinstance(layers, str) or layers is None else tuple(layers)
        if wanted not in self._taps:
            self._taps[wanted] = self._find_taps(wanted)
        return self._taps[wanted]

    def _find_taps(self, layers: str | tuple[str, ...] | None) -> Taps:
        if layers is None:
            names = self.spec.maps
        elif layers == "all":
            with self._lock:  # no other thread may run the network meanwhile
                names = map_layers(self.module, self.spec)
        else:
            names = tuple(layers)
        _check_layers(self.module, self.spec, names)
        fc7 = layers is None and self._head is not None
        return Taps(names, tuple(self._probe(names, fc7)), fc7)

    def prepare(self, rgb: NDArray[np.float32]) -> "torch.Tensor":
        """Standardize an image, RGB (H, W, 3) in [0, 1] -> (3, H, W), both float32."""
        import torch

        limit_after_fork()
        # Over whole rows of pixels, which is faster than three values at a time.
        rows = np.reshape(rgb, (len(rgb), -1))
        mean, std = (
            np.tile(np.asarray(moment, dtype=np.float32), rgb.shape[1])
            for moment in (self.spec.mean, self.spec.std)
        )
        pixels = rows - mean
        pixels /= std
        standardized = torch.from_numpy(pixels.reshape(rgb.shape)).permute(2, 0, 1)
        standardized = standardized.to(self.device)
        return standardized.flip(0) if self.spec.bgr else standardized

    def maps(
        self, batch: "torch.Tensor", layers: Sequence[str]
    ) -> list["torch.Tensor"]:
        """Compute the feature maps of some layers.

        Parameters
        ----------
        batch : tensor of shape (N, 3, H, W), float32
            Standardized images.
        layers : sequence of str
            Names of modules whose outputs are maps.

        Returns
        -------
        maps : list of tensors of shape (N, C, h, w), float32
            One per layer.
        """
        import torch

        layers = tuple(layers)
        if not self.flip:
            return self._forward(batch, layers)
        # Both images in one pass.
        both = self._forward(torch.cat([batch, batch.flip(3)]), layers)
        pairs = [m.chunk(2) for m in both]
        return [(plain + mirrored.flip(3)) / 2 for plain, mirrored in pairs]

    def vectors(self, batch: "torch.Tensor", taps: Taps) -> "torch.Tensor":
        """Compute one feature vector for each image of a batch.

        Parameters
        ----------
        batch : tensor of shape (N, 3, H, W), float32
            Standardized images.
        taps : Taps
            What is read.

        Returns
        -------
        vectors : tensor of shape (N, sum of the widths), float32
            fc7, or the averages of the maps.
        """
        import torch

        maps = self.maps(batch, taps.layers)
        if not taps.fc7:
            return torch.cat([m.mean(dim=(2, 3)) for m in maps], dim=1)
        pool = torch.nn.functional.adaptive_avg_pool2d
        return self.fc7(pool(maps[0], self.grid))

    def fc7(self, cells: "torch.Tensor") -> "torch.Tensor":
        """Compute fc7 after its ReLU.

        Parameters
        ----------
        cells : tensor of shape (N, C, grid, grid), float32
            Averages of the last map over the cells of a grid.

        Returns
        -------
        tensor of shape (N, units), float32
        """
        assert self._head is not None
        limit_after_fork()
        return self._as_float32(self._head(cells.to(self.dtype)))

    def unfreeze(self) -> Iterator["torch.nn.Parameter"]:
        """Let gradients pass through `maps`, and return the parameters.

        Batch normalization keeps its moments, and nothing is dropped: both stay in
        evaluation mode.
        """
        self._trainable = True
        return self.module.requires_grad_(True).parameters()

    def freeze(self) -> None:
        """Undo `unfreeze`."""
        self._trainable = False
        self.module.requires_grad_(False)

    def weights(self) -> dict[str, NDArray[Any]]:
        """Copy the parameters, by their names in `module`."""
        return {
            name: parameter.detach().cpu().numpy().copy()
            for name, parameter in self.module.named_parameters()
        }

    def _forward(
        self, batch: "torch.Tensor", layers: tuple[str, ...]
    ) -> list["torch.Tensor"]:
        """Run the network up to the last of the layers, and keep their outputs."""
        import torch

        limit_after_fork()
        seen: dict[str, torch.Tensor] = {}
        calls, n_calls = 0, self._n_calls.get(layers)

        def keep(name: str, output: torch.Tensor) -> None:
            nonlocal calls
            calls += 1
            last = calls == n_calls
            # Later modules may change this output in place.
            seen[name] = output if last or not _is_map(output) else output.clone()
            if last:
                raise _SeenEnough

        with self._lock, torch.inference_mode(not self._trainable):
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
                numbers = "" if self.dtype == torch.float32 else "dtype='float32', or "
                raise RuntimeError(
                    f"backbone {self.spec.name!r} failed on an input of {size} pixels; "
                    f"try {numbers}a larger size, or a smaller one if memory ran out. "
                    f"torch says: {error}"
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
        """Convert a map; return anything else as it is."""
        import torch

        if not isinstance(output, torch.Tensor):
            return output
        if output.dtype == torch.float16:
            self._check_range(output)
        return output.float()

    def _check_range(self, *tensors: "torch.Tensor") -> None:
        if not all(tensor.isfinite().all() for tensor in tensors):
            raise FloatingPointError(
                f"dtype: backbone {self.spec.name!r} has numbers too large for "
                f"{self.dtype}; use dtype='bfloat16' or dtype='float32'."
            )

    def _freeze(self, module: "torch.nn.Module") -> "torch.nn.Module":
        import torch

        module = module.eval().requires_grad_(False).to(self.device, self.dtype)
        if self.dtype == torch.float16:
            self._check_range(*module.state_dict().values())
        return module

    def _probe(self, layers: tuple[str, ...], fc7: bool) -> list[int]:
        """Return the widths of the maps of a small black image."""
        import torch

        maps = self._forward(torch.zeros(1, 3, 96, 96, device=self.device), layers)
        for name, output in zip(layers, maps, strict=True):
            if not _is_map(output):
                shape = getattr(output, "shape", None)
                got = f"a {type(output).__name__}" if shape is None else tuple(shape)
                raise ValueError(
                    f"layers: expected a module whose output is one map (N, C, h, w), "
                    f"got {got} from {name!r} of backbone {self.spec.name!r}."
                )
        if not fc7:
            return [output.shape[1] for output in maps]
        self._check_fc7()
        cells = torch.zeros(1, maps[0].shape[1], self.grid, self.grid)
        return [self.fc7(cells.to(self.device)).shape[1]]

    def _check_fc7(self) -> None:
        assert self._head is not None
        if all(bool(w.isfinite().all()) for w in self._head.parameters()):
            return
        of_torchvision = self.spec.name == self.spec.architecture
        better = "the IMAGENET1K_V1 weights" if of_torchvision else "another file"
        raise ValueError(
            f"weights: {self.source!r} has no usable classifier (NaN or inf), as "
            "torchvision's IMAGENET1K_FEATURES weights, but fc7 of backbone "
            f"{self.spec.name!r} needs it. Use {better}, or read maps, such as "
            "layers=('features',)."
        )


class _SeenEnough(Exception):
    """The last layer has been computed; the rest of the network is not needed."""


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
