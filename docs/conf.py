"""Sphinx settings: MyST pages, docstrings as the reference, furo."""

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
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# Other projects' names cannot be looked up without a network, so they are left unlinked.
nitpick_ignore_regex = [
    (r"py:.*", r"(aiohttp|asyncio|attr|attrs|collections|contextvars|datetime|pathlib|types)\..*"),
]
