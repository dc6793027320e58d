"""Sphinx settings: MyST pages, docstrings as the reference, furo."""

import sys

from gradient_async import __version__

project = "gradient_async"
author = "gradient_async contributors"
project_copyright = f"2026, {author}"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"gradient_async {release}"

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "member-order": "bysource", "show-inheritance": True}
autodoc_typehints = "description"
autodoc_class_signature = "separated"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# Other projects' names cannot be looked up without a network, and ours that begin with an
# underscore have no page, so both are left unlinked. So are the pieces of a quoted default value.
outside = "|".join(
    [*sorted(sys.stdlib_module_names), "aiohttp", "attr", "attrs", "msgspec", "yarl"]
)
nitpick_ignore_regex = [
    (r"py:.*", rf"({outside})\..*"),
    (r"py:.*", r"(.*\.)?_.*"),
    (r"py:.*", r".*[^\w.].*"),
    (r"py:.*", r"SessionSource|Async\w+With\w+Response"),  # imported for type checkers only
]
