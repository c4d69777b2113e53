"""Settings of the documentation site; ``make docs`` builds it without a connection."""

import re
import sys
from pathlib import Path

import sklearn_zoomout

sys.path.append(str(Path(__file__).parent))  # gallery_order

project = "sklearn-zoomout"
author = "The sklearn-zoomout developers"
copyright = "The sklearn-zoomout developers"
version = release = sklearn_zoomout.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["_build", "auto_examples/*.py", "auto_examples/*.ipynb"]
templates_path = ["_templates"]

html_theme = "pydata_sphinx_theme"
html_title = "sklearn-zoomout"
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "sklearn-zoomout"},
    "github_url": "https://github.com/sklearn-zoomout/sklearn-zoomout",
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Single backticks in docstrings are names of Python.
default_role = "py:obj"
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections hold the types
numpydoc_show_class_members = False  # the templates of autosummary list them

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "within_subsection_order": "gallery_order.by_lesson",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,  # its page loads scripts of other sites
    "remove_config_comments": True,
    "doc_module": ("sklearn_zoomout",),
    "backreferences_dir": "api/backreferences",
}


def skip_foreign_members(app, kind, name, obj, skip, options):
    """Leave out methods that other packages define and document."""
    function = getattr(obj, "fget", obj)
    module = getattr(function, "__module__", None) or ""
    is_foreign = module.partition(".")[0] not in {"", "sklearn_zoomout"}
    return True if is_foreign or re.fullmatch(r"set_\w+_request", name) else skip


def clean_docstring(app, kind, name, obj, options, lines):
    """Keep shapes such as (n_features_in_,) from being read as links.

    Constants have the docstring of their type, which says nothing about them.
    """
    if kind == "data" and isinstance(obj, (tuple, str)):
        lines.clear()
    lines[:] = [re.sub(r"(\w)_([,)])", r"\1\\_\2", line) for line in lines]


def find_short_name(app, env, node, contnode):
    """Resolve names of the library that are written without their module."""
    domain, target = env.get_domain("py"), node["reftarget"]
    if node.get("refdomain") != "py" or target.startswith("sklearn_zoomout"):
        return None
    submodules = [name for name in sklearn_zoomout.__all__ if name.islower()]
    for module in ("", *(f".{name}" for name in submodules)):
        found = f"sklearn_zoomout{module}.{target}"
        if found in domain.objects:
            where = (env, node["refdoc"], app.builder, node["reftype"], found)
            return domain.resolve_xref(*where, node, contnode)
    return None


def setup(app):
    """Connect the functions above."""
    app.connect("autodoc-skip-member", skip_foreign_members)
    app.connect("autodoc-process-docstring", clean_docstring, priority=400)
    app.connect("missing-reference", find_short_name)
