"""Sphinx settings: MyST pages, docstrings as the reference, furo."""

import sys
from pathlib import Path
from typing import Any

import attrs
from docutils import nodes

from gradient_async import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "gradient_async"
author = "gradient_async contributors"
project_copyright = f"2026, {author}"
release = version = __version__

extensions = [
    "import_graph",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_click",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
default_role = "py:obj"  # `name` in a docstring is code, and a link where it leads somewhere

smartquotes = False  # they would make a dash of the `--` before an option

html_theme = "furo"
html_title = f"gradient_async {release}"
html_static_path = ["_static"]
html_css_files = ["import-graph.css", "pages.css"]
html_theme_options = {
    "source_repository": "https://github.com/gradient-async/gradient-async/",
    "source_branch": "main",
    "source_directory": "docs/",
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# Other projects' names cannot be looked up without a network, and ours that begin with an
# underscore have no page, so both are left unlinked. So are the pieces of a quoted default value,
# and bare names in annotations of modules that import them for type checkers only.
outside = "|".join(
    [*sorted(sys.stdlib_module_names), "aiohttp", "attr", "attrs", "msgspec", "pytest", "yarl"]
)
nitpick_ignore_regex = [
    (r"py:obj", r".*"),
    (r"py:.*", rf"({outside})\..*"),
    (r"py:.*", r"(.*\.)?_.*"),
    (r"py:.*", r".*[^\w.].*"),
    (r"py:.*", r"[RT]|datetime|timedelta|Droplet(Ids|Type)|Feed|LoopFactory|Paged?|PlanChoice"),
    (r"py:.*", r"LinkStyle|Portal|Session\w+"),
    (r"py:.*", r"Async\w+With\w+Response"),
    (r"py:.*", r"gradient_async\.sync\.(views\.\w+|responses\.T)"),
]


def signature_of(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """Show how to make what users make, with its defaults; leave it out for all else."""
    made_by_us = ("Resource", "Response", "Iterator", "FanOut", "Listing", "ResultStream")
    if what != "class" or not (attrs.has(obj) or name.endswith(made_by_us)):
        return None
    if name not in {"gradient_async.RateLimit", "gradient_async.Timeout"}:
        return "", ""
    fields = [f"{'*, ' * field.kw_only}{field.name}={field.default}" for field in attrs.fields(obj)]
    return f"({', '.join(fields)})", ""


def with_dashes(app: Any, doctree: nodes.document, docname: str) -> None:
    """Put a dash between a parameter and what it is."""
    for text in list(doctree.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" \N{EN DASH} "))


def examples_as_code(app: Any, context: Any, lines: list[str]) -> None:
    """Show the indented lines of a help text as a block of code, not as lines of prose."""
    shown: list[str] = []
    for line, before in zip(lines, ["", *lines], strict=False):
        is_code, follows_code = line.startswith("|  "), before.startswith("|  ")
        if is_code and not follows_code:
            shown[-1] = shown[-1].removeprefix("| ")
            shown += ["", ".. code-block:: text", ""]
        elif follows_code and not is_code:
            shown.append("")
        shown.append(f"   {line[4:]}" if is_code else line)
    lines[:] = shown


def setup(app: Any) -> None:
    """Tell Sphinx of them."""
    app.connect("sphinx-click-process-epilog", examples_as_code)
    app.connect("autodoc-process-signature", signature_of)
    app.connect("doctree-resolved", with_dashes)
