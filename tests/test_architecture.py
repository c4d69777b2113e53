"""The layout of the package: layers, private files, sizes, and no hidden state."""

import ast
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import sklearn_zoomout

PACKAGE = Path(sklearn_zoomout.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
# From the lowest to the highest: a module imports its own layer and those before it.
LAYERS = [
    "_version",
    "exceptions",
    "_utils",
    "images",
    "masks",
    "rasters",
    "descriptors",
    "cache",
    "superpixels",
    "labels",
    "loss",
    "table",
    "metrics",
    "backbones",
    "features",
    "classifier",
    "postprocessing",
    "plotting",
    "inspection",
    "tiles",
    "persistence",
    "pipeline",
    "checks",
]
CHANGING_METHODS = {"append", "add", "update", "setdefault", "pop", "clear", "extend"}
# Data sets are read by users, not by the library.
BELOW_DATASETS = {"_version", "exceptions", "_utils", "images", "masks", "datasets"}


def module_of(path):
    """The dotted name of a file, without that of the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_of(path): path for path in FILES}


def imports_of(path):
    """Modules of the package that a file imports anywhere, also within functions."""
    here = module_of(path)
    package = here if path.name == "__init__.py" else here.rpartition(".")[0]
    text = path.read_text()
    if path.name == "__init__.py" and path.with_suffix(".pyi").exists():
        # The names of a package are listed in its stub, from where they are loaded.
        text += path.with_suffix(".pyi").read_text()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ImportFrom) or node.level == 0:
            continue
        base = package.split(".") if package else []
        base = base[: len(base) - (node.level - 1)]
        source = ".".join([*base, *(node.module or "").split(".")]).strip(".")
        for alias in node.names:
            inner = f"{source}.{alias.name}".strip(".")
            yield inner if inner in MODULES else source


def layer_of(module):
    """The first part of a module's name."""
    return module.partition(".")[0]


def module_level(tree):
    """Statements that run when a module is imported."""
    return [
        node
        for node in tree.body
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef))
    ]


def test_every_module_has_a_layer():
    """Nothing lies outside of the layers."""
    layers = {layer_of(module) for module in MODULES if module}
    assert layers == {*LAYERS, "datasets"}


@pytest.mark.parametrize("module", [m for m in MODULES if m])
def test_imports_go_downwards(module):
    """A module imports nothing of a higher layer, not even for an annotation."""
    layer = layer_of(module)
    allowed = set(LAYERS[: LAYERS.index(layer) + 1]) if layer in LAYERS else set()
    if layer == "datasets":
        allowed = BELOW_DATASETS
    imported = {layer_of(name) for name in imports_of(MODULES[module])}
    assert imported <= allowed


def test_no_import_circles():
    """The modules can be put in an order in which each imports earlier ones only."""
    graph = defaultdict(set)
    for module, path in MODULES.items():
        graph[module] = set(imports_of(path)) - {module}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"import circle: {error.args[1]}")
    assert len(order) >= len(MODULES)


def test_files_inside_packages_are_private():
    """Packages are public, files inside them private."""
    public = [
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        if path.parent not in (PACKAGE, PACKAGE / "_utils")
        and not path.name.startswith("_")
    ]
    assert public == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_files_are_read_in_one_sitting(path):
    """No file has more than 400 lines."""
    assert len(path.read_text().splitlines()) <= 400


def test_the_only_state_of_a_module_are_the_loaded_networks():
    """No module keeps results, locks or settings, but the cache of loaded networks."""
    found = []
    for module, path in MODULES.items():
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Global):
                found.append(f"{module}: global {node.names}")
        for node in tree.body:
            for decorator in getattr(node, "decorator_list", []):
                if "cache" in ast.unparse(decorator):
                    found.append(f"{module}: {node.name}")
        for node in module_level(tree):
            for call in ast.walk(node):
                text = ast.unparse(call) if isinstance(call, ast.Call) else ""
                if text.startswith(("threading.", "ContextVar", "contextvars.")):
                    found.append(f"{module}: {text}")
        found += [f"{module}: {name}" for name in changed_constants(tree)]
    assert found == [
        "backbones._loading: _load_once",
        "backbones._loading: threading.RLock()",
    ]


def changed_constants(tree):
    """Names of a module that its functions write into."""
    names = {
        target.id
        for node in module_level(tree)
        for target in getattr(node, "targets", [getattr(node, "target", None)])
        if isinstance(target, ast.Name)
    }
    functions = [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    for node in (n for function in functions for n in ast.walk(function)):
        changes = isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))
        changes |= getattr(node, "attr", None) in CHANGING_METHODS
        written = getattr(node, "value", None)
        if changes and isinstance(written, ast.Name) and written.id in names:
            yield written.id
