"""Convert weights that were published for Caffe, so that the library can load them.

    site=https://www.robots.ox.ac.uk/~vgg/software/deep_eval/releases/bvlc
    curl -LO $site/VGG_CNN_S.caffemodel
    python tools/convert_caffemodel.py VGG_CNN_S.caffemodel weights/

writes ``weights/cnn_s.safetensors``, which ``Backbone("cnn_s")`` finds if the
environment variable SKLEARN_ZOOMOUT_WEIGHTS names the folder. Two files are known:

- VGG_CNN_S.caffemodel, the network of most experiments of the paper, for the backbone
  "cnn_s". Its authors allow non-commercial use only.
- VGG_ILSVRC_16_layers.caffemodel (in
  https://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/), VGG-16, for the backbone
  "vgg16_caffe" (Creative Commons Attribution).

A file of another name needs ``--backbone``. Caffe and protobuf are not needed: a
``.caffemodel`` is a message in protobuf's wire format [1]_, a sequence of fields, each
a number, a type and a payload, which may be a message again. Field numbers are those of
``caffe.proto`` [2]_. Nothing in a file is run, and every length is compared with the
size of the file before anything is read.

References
----------
.. [1] https://protobuf.dev/programming-guides/encoding
.. [2] https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto
"""

import argparse
import math
import mmap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from sklearn_zoomout import Backbone
from sklearn_zoomout.backbones import load_network

# The published files, and their backbones.
PUBLISHED = {"VGG_CNN_S": "cnn_s", "VGG_ILSVRC_16_layers": "vgg16_caffe"}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# NetParameter: `layers` of older files, `layer` of newer ones; and in each of them
# the fields of the name and of the blobs.
_LAYERS = {2: (4, 6), 100: (1, 7)}
# BlobProto.
_OLD_SHAPE, _DATA, _SHAPE, _DOUBLE_DATA = (1, 2, 3, 4), 5, 7, 8
_MOST_AXES = 32  # kMaxBlobAxes of Caffe
_LONGEST_NAME = 100  # so that messages stay short


def read_caffemodel(path: Path) -> dict[str, list[NDArray[np.float32]]]:
    """Read the layers of a ``.caffemodel`` that have weights.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    layers : dict of str to list of ndarray
        For each layer the float32 arrays of its parameters, usually weights and
        biases, in the order of the file. Older files give all of them four axes.

    Raises
    ------
    ValueError
        If the file is no such message, or damaged; with the position in bytes.
    """
    with path.open("rb") as file:
        # Mapped, so that nothing but the arrays is held; closed when it is forgotten.
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    layers: dict[str, list[NDArray[np.float32]]] = {}
    for field in _fields(data, 0, len(data)):
        if field.number in _LAYERS:
            name, blobs = _read_layer(data, field.expect(_BYTES))
            if name in layers:
                raise ValueError(
                    f"byte {field.begin}: expected one layer {name!r} with weights, "
                    "found another"
                )
            if blobs:
                layers[name] = blobs
    if not layers:
        raise ValueError("expected layers with weights, found none")
    return layers


def name_as_torch(
    layers: Mapping[str, Sequence[NDArray[np.float32]]], backbone: str
) -> dict[str, torch.Tensor]:
    """Name and shape the parameters of Caffe's layers as those of torch's modules.

    Parameters
    ----------
    layers : mapping of str to sequence of ndarray
        The result of `read_caffemodel`.
    backbone : {"cnn_s", "vgg16_caffe"}
        The network.

    Returns
    -------
    state : dict of str to tensor
        The same numbers, not copied. Layers that the network does not have keep their
        names, and arrays that cannot be its parameters their shapes.
    """
    modules = _MODULES[backbone]
    state = {}
    for layer, blobs in layers.items():
        kinds = ["weight", "bias", *map(str, range(2, len(blobs)))]
        for kind, blob in zip(kinds, blobs, strict=False):
            n_axes = 1 if kind == "bias" else 2 if layer.startswith("fc") else 4
            # Older files write (1, 1, 1, n) and (1, 1, n, m).
            if math.prod(blob.shape[:-n_axes]) == 1:
                blob = blob.reshape(blob.shape[-n_axes:])
            state[f"{modules.get(layer, layer)}.{kind}"] = torch.from_numpy(blob)
    return state


def _name_vgg16() -> dict[str, str]:
    """Name the modules of torchvision's VGG-16 by the layers of Caffe's."""
    modules, index = {}, 0
    for stage, n_convolutions in enumerate((2, 2, 3, 3, 3), start=1):
        for i in range(1, n_convolutions + 1):
            modules[f"conv{stage}_{i}"] = f"features.{index}"
            index += 2  # a convolution and its ReLU
        index += 1  # pooling
    return modules | {f"fc{6 + i}": f"classifier.{3 * i}" for i in range(3)}


_MODULES = {
    "cnn_s": {f"conv{i}": f"features.conv{i}" for i in range(1, 6)}
    | {f"fc{i}": f"classifier.fc{i}" for i in range(6, 9)},
    "vgg16_caffe": _name_vgg16(),
}


class _Field(NamedTuple):
    """A field of a message: its payload is data[begin:end], or the number `value`."""

    number: int
    type: int
    begin: int
    end: int
    value: int

    def expect(self, *types: int) -> "_Field":
        if self.type not in types:
            raise ValueError(
                f"byte {self.begin}: expected field {self.number} to be of wire type "
                f"{' or '.join(map(str, types))}, found {self.type}"
            )
        return self


def _fields(data: memoryview, begin: int, end: int) -> Iterator[_Field]:
    """Yield the fields of the message data[begin:end]."""
    position = begin
    while position < end:
        key, start = _read_varint(data, position, end)
        number, kind = key >> 3, key & 7
        value = 0
        if kind == _VARINT:
            value, stop = _read_varint(data, start, end)
        elif kind == _BYTES:
            size, start = _read_varint(data, start, end)
            stop = start + size
        elif kind in (_FIXED32, _FIXED64):
            stop = start + (4 if kind == _FIXED32 else 8)
        else:
            raise ValueError(
                f"byte {position}: expected a field of wire type 0, 1, 2 or 5, "
                f"found {kind}"
            )
        if number == 0:
            raise ValueError(f"byte {position}: expected a field number, found 0")
        if stop > end:
            raise ValueError(
                f"byte {start}: expected {stop - start} bytes of field {number}, "
                f"found {end - start}; the file may be truncated"
            )
        yield _Field(number, kind, start, stop, value)
        position = stop


def _read_varint(data: memoryview, position: int, end: int) -> tuple[int, int]:
    """Read a number of up to 64 bits, seven bits a byte; return it and its end."""
    value = 0
    for i in range(10):
        if position + i >= end:
            raise ValueError(
                f"byte {position}: expected a number, found its beginning only; the "
                "file may be truncated"
            )
        byte = data[position + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            if value >= 1 << 64:
                break
            return value, position + i + 1
    raise ValueError(f"byte {position}: expected a number of at most 64 bits")


def _read_layer(
    data: memoryview, layer: _Field
) -> tuple[str, list[NDArray[np.float32]]]:
    name_field, blobs_field = _LAYERS[layer.number]
    name, blobs = "", []
    for field in _fields(data, layer.begin, layer.end):
        if field.number == name_field:
            field.expect(_BYTES)
            shown = data[field.begin : min(field.end, field.begin + _LONGEST_NAME)]
            name = bytes(shown).decode(errors="backslashreplace")
        elif field.number == blobs_field:
            blobs.append(_read_blob(data, field.expect(_BYTES)))
    return name, blobs


def _read_blob(data: memoryview, blob: _Field) -> NDArray[np.float32]:
    old_shape = dict.fromkeys(_OLD_SHAPE, 0)
    shape: list[int] | None = None
    singles, doubles = bytearray(), bytearray()
    for field in _fields(data, blob.begin, blob.end):
        # Repeated numbers are packed into one field, or are a field each.
        if field.number == _DATA:
            field.expect(_BYTES, _FIXED32)
            singles += data[field.begin : field.end]
        elif field.number == _DOUBLE_DATA:
            field.expect(_BYTES, _FIXED64)
            doubles += data[field.begin : field.end]
        elif field.number == _SHAPE:
            shape = _read_shape(data, field.expect(_BYTES))
        elif field.number in old_shape:
            old_shape[field.number] = field.expect(_VARINT).value
    if shape is None:
        shape = list(old_shape.values())
    position = f"byte {blob.begin}"
    if len(singles) % 4 or len(doubles) % 8 or (singles and doubles):
        raise ValueError(
            f"{position}: expected numbers of 4 bytes, or of 8 bytes, found "
            f"{len(singles)} and {len(doubles)} bytes of them"
        )
    if doubles:
        with np.errstate(over="ignore"):  # infinities are refused with their names
            values = np.frombuffer(doubles, "<f8").astype(np.float32)
    else:
        values = np.frombuffer(singles, "<f4").astype(np.float32, copy=False)
    if min(shape, default=1) < 1 or math.prod(shape) != len(values):
        raise ValueError(
            f"{position}: expected as many numbers as its shape {tuple(shape)} says, "
            f"found {len(values)}"
        )
    return values.reshape(shape)


def _read_shape(data: memoryview, shape: _Field) -> list[int]:
    sides: list[int] = []
    for field in _fields(data, shape.begin, shape.end):
        if field.number == 1 and field.expect(_BYTES, _VARINT).type == _VARINT:
            sides.append(field.value)
        elif field.number == 1:
            position = field.begin
            while position < field.end and len(sides) <= _MOST_AXES:
                side, position = _read_varint(data, position, field.end)
                sides.append(side)
        if len(sides) > _MOST_AXES:
            raise ValueError(
                f"byte {shape.begin}: expected a shape of at most {_MOST_AXES} axes"
            )
    return sides


def convert(path: Path, folder: Path, backbone: str | None = None) -> Path:
    """Convert a ``.caffemodel``, after checking that the network can be loaded.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    folder : pathlib.Path
        Where to write; created if missing.
    backbone : {"cnn_s", "vgg16_caffe"}, default=None
        The network. None goes by the name of the file.

    Returns
    -------
    pathlib.Path
        The file that was written, named after the backbone.

    Raises
    ------
    ValueError
        If the network is unknown, or the file is damaged or does not fit it.
    """
    backbone = backbone or PUBLISHED.get(path.stem)
    if backbone is None:
        raise ValueError(
            f"{path}: expected one of the names "
            f"{[f'{name}.caffemodel' for name in PUBLISHED]}; pass --backbone."
        )
    try:
        state = name_as_torch(read_caffemodel(path), backbone)
    except ValueError as error:
        raise ValueError(
            f"{path} is not a file of Caffe's weights: {error}."
        ) from error
    infinite = [key for key, value in state.items() if not value.isfinite().all()]
    if infinite:
        raise ValueError(
            f"{path}: expected finite numbers, got NaN or inf in {infinite}."
        )
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{backbone}.safetensors"
    unfinished = folder / f"unfinished-{backbone}.safetensors"
    try:
        save_file({k: t.contiguous() for k, t in state.items()}, unfinished)
        load_network(Backbone(backbone, unfinished))
        unfinished.replace(target)
    except ValueError as error:
        raise ValueError(str(error).replace(str(unfinished), str(path))) from error
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def main() -> None:
    """Convert the file that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="the .caffemodel")
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--backbone", choices=sorted(_MODULES))
    args = parser.parse_args()
    try:
        target = convert(args.file, args.folder, args.backbone)
    except (OSError, ValueError) as error:
        parser.exit(1, f"{error}\n")
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
