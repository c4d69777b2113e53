"""Files of annotation programs: which program wrote them, and what they hold."""

import json
import os
from pathlib import Path
from typing import IO, Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from .._utils.foreign_files import FileError, explain_damage, open_file
from ._coco import read_coco
from ._cvat import read_cvat
from ._label_studio import read_label_studio
from ._labelme import read_labelme
from ._shapes import Drawing

#: Endings of annotation files.
SUFFIXES = {".json", ".xml"}
#: Bytes of an annotation file. Python takes about thirty times as many to read it.
LARGEST = 2**30


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
    task = f"read as {path.suffix[1:].upper()} of an annotation program"
    with open_file(path) as file, explain_damage(path, task, "export it again"):
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST:
            raise FileError(
                f"{path}: expected at most {LARGEST} bytes, got {size}; export fewer "
                "images into a file."
            )
        is_xml = path.suffix.lower() == ".xml"
        content: Any = _parse_xml(file, path) if is_xml else json.load(file)
        try:
            return read_cvat(path, content) if is_xml else _read_json(path, content)
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise FileError(
                f"{path}: expected the fields of an annotation file, got none for "
                f"{error}; export it again."
            ) from error


def _parse_xml(file: IO[bytes], path: Path) -> Element:
    """Parse XML that declares no entities, which could expand without a bound."""

    def refuse(*declaration: Any) -> None:
        raise FileError(
            f"{path}: expected XML without a document type, got "
            f"<!DOCTYPE {declaration[0]}>; remove it, or export the file again."
        )

    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.ParseFile(file)
    return builder.close()


def _read_json(path: Path, content: Any) -> list[Drawing]:
    if isinstance(content, dict) and "shapes" in content:
        return [read_labelme(path, content)]
    if isinstance(content, dict) and {"images", "annotations"} <= set(content):
        return read_coco(path, content)
    tasks = content if isinstance(content, list) else [content]
    if tasks and all(isinstance(t, dict) and "annotations" in t for t in tasks):
        return read_label_studio(path, tasks)
    raise FileError(
        f"{path}: expected a file of labelme, COCO or Label Studio, got other JSON; "
        "from Label Studio, export JSON and not JSON-MIN."
    )
