"""Settings of Sphinx; `build.py` assembles the pages and calls it."""

import re
from importlib.metadata import version as installed

import glassdask

project = "glassdask"
author = copyright = "the glassdask developers"
version = release = installed("glassdask") if glassdask.__version__ is None else glassdask.__version__
extensions = [
    "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx-mathjax-offline", "numpydoc", "myst_nb", "sphinx_design",
]  # fmt: skip

# API: numpydoc's sections, members in the order of the sources
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the sections Parameters say more
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
default_role = "py:obj"

# pages in Markdown, notebooks that were run before
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_merge_streams = True
suppress_warnings = ["mystnb.unknown_mime_type", "misc.highlighting_failure"]

html_theme = "pydata_sphinx_theme"
html_title = "glassdask"
html_static_path = ["pages/_static"]
html_css_files = ["glassdask.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "gallery": [], "README": []}
smartquotes = False  # formulas have apostrophes

PAPERS = {
    "A": "https://doi.org/10.1063/5.0128265",
    "B": "https://arxiv.org/abs/2410.03216",
    "C": "https://doi.org/10.3389/fphy.2022.1007861",
}


def polish(app, what, name, obj, options, lines):
    """Of the text of docstrings, not of code and formulas: papers become links, and bars are no substitutions."""
    formula = None
    for k, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if formula is not None and (not line.strip() or indent > formula):
            continue
        formula = indent if line.lstrip().startswith((".. math::", ".. code")) or line.endswith("::") else None
        if formula is not None or line.lstrip().startswith((">>>", "...")):
            continue
        # every second part is code, a link or a formula
        parts = re.split(r"(``[^`]+``|:?\w*:?`[^`]+`_*)", line)
        for j in range(0, len(parts), 2):
            parts[j] = parts[j].replace("|", r"\|")
            if parts[j].count("*") == 1:
                parts[j] = parts[j].replace("*", r"\*")
            parts[j] = re.sub(r"\b([Pp]aper) ([ABC])\b", lambda m: f"`{m[0]} <{PAPERS[m[2]]}>`__", parts[j])
        lines[k] = "".join(parts)


def skip(app, what, name, obj, skipped, options):
    """What scikit-learn gives to every estimator is told there."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def setup(app):
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", polish, priority=900)  # after numpydoc
    app.connect("autodoc-skip-member", skip)
