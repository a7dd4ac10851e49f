"""The documentation site: `make docs` builds it from these pages and the library's docstrings."""

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from sphinx.application import Sphinx  # noqa: E402
from sphinx.ext.napoleon import Config, NumpyDocstring  # noqa: E402

from OrbitalSegLib.product import PRODUCT, VERSION  # noqa: E402

project = PRODUCT
author = f"The {PRODUCT} contributors"
copyright = f"{author}, Apache License 2.0"  # noqa: A001
version = release = VERSION
html_title = f"{PRODUCT} {VERSION}"

extensions = [
    "myst_parser",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
]
exclude_patterns = ["api/modules.rst"]
html_theme = "furo"
html_theme_options = {"footer_icons": []}
html_show_sphinx = False

# Pages are written for readers of the repository too: links go from file to file, headings have the anchors of GitHub.
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # pages of figures begin as parts of docs/model.md
myst_enable_extensions = ["colon_fence"]
highlight_language = "none"

# Docstrings: names in single back quotes are code; a page for each module, made anew by every build.
default_role = "code"
apidoc_modules = [
    {
        "path": "../OrbitalSegLib",
        "destination": "api",
        "exclude_patterns": [
            "../OrbitalSegLib/**/__main__.py",
            "../OrbitalSegLib/cli.py",
            "../*/training/templates/build.py",
        ],
        "separate_modules": True,
        "module_first": True,
        "max_depth": 1,
        "automodule_options": {"members", "undoc-members"},
    }
]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
add_module_names = False
autodoc_preserve_defaults = True
autodoc_mock_imports = [
    "dicomweb_client", "highdicom", "lib3mf", "manifold3d", "matplotlib", "onnx", "openvino", "pynetdicom",
    "safetensors", "scipy", "torch",
]  # fmt: skip

# A broken link or an unknown name fails the build. Names of other packages cannot be looked up without a network.
nitpicky = True
OTHERS = [
    *sys.stdlib_module_names, *autodoc_mock_imports, "SimpleITK", "np", "numpy", "pydicom", "requests", "sitk", "typer",
    "vtk", "vtkmodules",
]  # fmt: skip
nitpick_ignore_regex = [
    ("py:.*", rf"({'|'.join(OTHERS)})\..*"),
    (
        "py:class",
        r".*\.([A-Z]|Flag|Values)|.*\[.*",
    ),  # type variables, and a subscript that the parser of signatures cuts in two
]

NUMPY = Config(napoleon_google_docstring=False, napoleon_use_rtype=False)


def _read_numpy_style(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Sections of NumPy's style become fields. Attributes are left alone: the extension takes what stands before a
    colon in theirs for a type, and here it is a sentence."""
    if what not in {"attribute", "data", "property", "type"}:
        lines[:] = NumpyDocstring(lines, NUMPY, app, what, name, thing, options).lines()


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", _read_numpy_style)
