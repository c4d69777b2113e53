"""Small sound files of every format that the library reads, which are then mutated."""

import base64
import io
import json
import struct
import tempfile
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SHAPE = (16, 16)


def image_seeds():
    """Return files of pictures.

    Returns
    -------
    list of (str, bytes)
        The ending and the bytes of every file.
    """
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 256, SHAPE, dtype=np.uint8)
    colors = rng.integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    deep = rng.integers(0, 65_536, (*SHAPE, 3), dtype=np.uint16)
    return [
        *_pillow_seeds(gray, colors),
        *_opencv_seeds(deep),
        *_tiff_seeds(gray, colors, deep),
        (".png", _interlaced_png(gray)),
    ]


def _pillow_seeds(gray, colors):
    exif = Image.Exif()
    exif[274] = 6
    rgb, small = Image.fromarray(colors), Image.fromarray(gray // 64)
    rgba = Image.fromarray(np.dstack([colors, gray]))
    palette = small.convert("P")
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    frames = {"save_all": True, "append_images": [rgb.rotate(90)]}
    lossless = {"lossless": True}
    pictures = [
        ("PNG", rgb, {"exif": exif}),
        ("PNG", Image.fromarray(gray), {}),
        ("PNG", Image.fromarray(gray > 127), {}),
        ("PNG", rgba, {}),
        ("PNG", palette, {"transparency": 1}),
        ("PNG", rgb, frames),
        ("JPEG", rgb, {"exif": exif}),
        ("JPEG", Image.fromarray(gray), {"progressive": True}),
        ("JPEG", rgb.convert("CMYK"), {}),
        ("GIF", palette, {"transparency": 1}),
        ("GIF", rgb, frames),
        ("WEBP", rgb, {"exif": exif}),
        ("WEBP", rgba, lossless),
        ("WEBP", rgb, frames | lossless),
        ("BMP", rgb, {}),
        ("BMP", palette, {}),
        ("PPM", rgb, {}),
        ("TGA", rgba, {"compression": "tga_rle"}),
        ("TIFF", palette, {"compression": "packbits"}),
        ("TIFF", rgb, {"compression": "tiff_lzw"}),
        ("TIFF", rgb, {"compression": "jpeg"}),
        ("TIFF", Image.fromarray(gray > 127), {"compression": "group4"}),
        ("TIFF", rgb.convert("CMYK"), {}),
        ("TIFF", rgb, frames),
    ]
    return [_save_pillow(*picture) for picture in pictures]


def _save_pillow(kind, picture, options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    endings = {"JPEG": ".jpg", "TIFF": ".tif"}
    return endings.get(kind, f".{kind.lower()}"), file.getvalue()


def _opencv_seeds(deep):
    arrays = [(".png", deep), (".png", deep[..., 0]), (".ppm", deep), (".tif", deep)]
    return [(e, cv2.imencode(e, array)[1].tobytes()) for e, array in arrays]


def _tiff_seeds(gray, colors, deep):
    import tifffile

    bands = np.dstack([deep, deep[..., :2]])
    arrays = [
        (deep, {"photometric": "rgb"}),
        (deep, {"photometric": "rgb", "compression": "zlib", "predictor": True}),
        (deep, {"photometric": "rgb", "tile": (16, 16), "bigtiff": True}),
        (colors, {"photometric": "rgb", "tile": (16, 16), "compression": "zlib"}),
        (gray.astype(np.float32), {"compression": "lzma"}),
        (gray.astype(np.int32), {"byteorder": ">"}),
        (gray > 127, {"photometric": "minisblack"}),
        (np.moveaxis(bands, -1, 0), {"planarconfig": "separate"}),
        (np.moveaxis(deep, -1, 0), {"imagej": True, "metadata": {"axes": "CYX"}}),
    ]
    seeds = []
    for array, options in arrays:
        file = io.BytesIO()
        tifffile.imwrite(file, np.ascontiguousarray(array), **options)
        seeds.append((".tif", file.getvalue()))
    return seeds


def _interlaced_png(gray):
    """Write the seven passes of a gray PNG, which Pillow does not write."""
    starts = ((0, 0), (0, 4), (4, 0), (0, 2), (2, 0), (0, 1), (1, 0))
    steps = ((8, 8), (8, 8), (8, 4), (4, 4), (4, 2), (2, 2), (2, 1))
    rows = b"".join(
        b"\0" + row.tobytes()
        for (top, left), (down, right) in zip(starts, steps, strict=True)
        for row in gray[top::down, left::right]
    )
    size = struct.pack(">IIBBBBB", *gray.shape[::-1], 8, 0, 0, 0, 1)
    chunks = ((b"IHDR", size), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body))
        + kind
        + body
        + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def annotation_seeds():
    """Return files of annotation programs, and masks that are arrays.

    Returns
    -------
    list of (str, bytes)
    """
    height, width = SHAPE
    picture = io.BytesIO()
    Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(picture, "PNG")
    points = [[1, 1], [9, 2], [5, 12]]
    labelme = {
        "imageHeight": height,
        "imageWidth": width,
        "shapes": [
            {"label": kind, "shape_type": kind, "points": points}
            for kind in ("polygon", "rectangle", "circle", "linestrip", "points")
        ]
        + [
            {
                "label": "m",
                "shape_type": "mask",
                "points": points,
                "mask": base64.b64encode(picture.getvalue()).decode(),
            }
        ],
    }
    coco = {
        "images": [{"id": 1, "height": height, "width": width, "file_name": "a.jpg"}],
        "categories": [{"id": 3, "name": "dog"}, {"id": 7, "name": "cat"}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 3, "bbox": [1, 2, 5, 6], **more}
            for i, more in enumerate(
                (
                    {},
                    {"segmentation": [[1, 1, 9, 2, 5, 12]]},
                    {"segmentation": {"counts": [100, 56, 100], "size": [16, 16]}},
                    {"segmentation": {"counts": "T3h1T3", "size": [16, 16]}},
                )
            )
        ],
    }
    size = {"original_width": width, "original_height": height}
    oval = {"x": 50, "y": 50, "radiusX": 9, "radiusY": 5, "rotation": 10}
    box = {"x": 5, "y": 5, "width": 50, "height": 50}
    results = [
        {"type": "polygonlabels", "value": {"points": points}},
        {"type": "rectanglelabels", "value": box},
        {"type": "ellipselabels", "value": oval},
        {"type": "brushlabels", "value": {"format": "rle", "rle": _brush()}},
    ]
    for result in results:
        result["value"][result["type"]] = [result["type"]]
        result.update(size)
    task = {"data": {"image": "/a.jpg"}, "annotations": [{"result": results}]}
    cvat = (
        "<annotations><meta><job><labels><label><name>cat</name>"
        "<color>#ff0000</color></label></labels></job></meta>"
        f'<image id="0" name="a.jpg" width="{width}" height="{height}">'
        '<polygon label="cat" points="3.0,1.0;5.0,1.0;5.0,3.0" z_order="1"/>'
        '<box label="cat" xtl="3" ytl="1" xbr="5" ybr="3" rotation="90"/>'
        '<ellipse label="cat" cx="5" cy="2" rx="1" ry="5"/>'
        '<polyline label="cat" points="3,5;3,9"/><points label="cat" points="5,2"/>'
        '<mask label="cat" rle="1, 3, 1, 3" left="5" top="7" width="4" height="2"/>'
        "</image></annotations>"
    )
    npy = io.BytesIO()
    np.save(npy, np.arange(256).reshape(SHAPE) % 5)
    return [
        *((".json", json.dumps(x).encode()) for x in (labelme, coco, [task])),
        (".xml", cvat.encode()),
        (".npy", npy.getvalue()),
        *_noted_masks(),
        *_hdf5_mask(),
    ]


def _brush():
    """Pack 1,024 equal values as Label Studio does: one run of 16 bits."""
    bits = f"{1024:032b}{7:05b}" + f"{15:04b}" * 4 + f"{1:b}{0:02b}{1023:016b}{255:08b}"
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def _noted_masks():
    """Return masks with a note of `write_labels`."""
    from sklearn_zoomout import write_labels

    labels = np.arange(256).reshape(SHAPE) % 4 - 1
    with tempfile.TemporaryDirectory() as folder:
        for ending in (".png", ".tif"):
            path = Path(folder) / f"a{ending}"
            write_labels(path, labels, names=["a", "b", "c"])
            yield ending, path.read_bytes()


def _hdf5_mask():
    try:
        import h5py
    except ImportError:
        return
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        opened["exported_data"] = np.arange(256, dtype=np.uint8).reshape(SHAPE) % 3
    yield ".h5", file.getvalue()
