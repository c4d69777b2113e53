"""Files of annotation programs: which program wrote them, and what they hold."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ._coco import read_coco
from ._cvat import read_cvat
from ._label_studio import read_label_studio
from ._labelme import read_labelme
from ._shapes import Drawing

#: Endings of annotation files.
SUFFIXES = {".json", ".xml"}


def read_annotations(path: Path) -> list[Drawing]:
    """Read the annotated images of a file.

    Parameters
    ----------
    path : pathlib.Path
        A JSON file of labelme, Label Studio or COCO, or an XML file of CVAT.

    Returns
    -------
    list of Drawing

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it is damaged, of another program, or holds something that is not known.
    """
    try:
        if path.suffix.lower() == ".xml":
            return read_cvat(path, ElementTree.parse(path).getroot())
        return _read_json(path, json.loads(path.read_text("utf-8-sig")))
    except (ElementTree.ParseError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path} cannot be read as {path.suffix[1:].upper()} ({error}); export it "
            "again."
        ) from error
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(
            f"{path}: expected the fields of an annotation file, got none for {error}; "
            "export it again."
        ) from error


def _read_json(path: Path, content: Any) -> list[Drawing]:
    if isinstance(content, dict) and "shapes" in content:
        return [read_labelme(path, content)]
    if isinstance(content, dict) and {"images", "annotations"} <= set(content):
        return read_coco(path, content)
    tasks = content if isinstance(content, list) else [content]
    if tasks and all(isinstance(t, dict) and "annotations" in t for t in tasks):
        return read_label_studio(path, tasks)
    raise ValueError(
        f"{path}: expected a file of labelme, COCO or Label Studio, got other JSON; "
        "from Label Studio, export JSON and not JSON-MIN."
    )
