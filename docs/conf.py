"""Configuration of the site: `make -C docs html` builds it, with warnings as errors."""

import ast
import re
import socket
import sys
from pathlib import Path

from sphinx.pycode import parser
from sphinx_gallery.sorting import ExplicitOrder

import sklearn_thin

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "examples"))  # an example imports its neighbour
# Sphinx's own fails for {**a, "b": c} in a decorator, and then leaves out the page of the source
parser.ast_unparse = ast.unparse


def online():
    """Whether a documentation of others can be reached, to link to it."""
    try:
        socket.create_connection(("docs.python.org", 443), timeout=2).close()
    except OSError:
        return False
    return True


project = "sklearn_thin"
author = "The sklearn_thin developers"
project_copyright = f"{author}, BSD-3-Clause"
version = release = sklearn_thin.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx_llms_txt",
]
exclude_patterns = ["_build", "_templates", "lecture", "**/*.py.md5", "sg_execution_times.rst"]
templates_path = ["_templates"]
default_role = "literal"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_validation_checks = {"GL05", "PR01", "PR02", "PR10", "SS01"}
numpydoc_validation_exclude = {r"\.[A-Z]\w*\.\w+$"}  # methods, many of which scikit-learn describes

ONLINE = online()
intersphinx_mapping = {
    "python": ("https://docs.python.org/3", None),
    "numpy": ("https://numpy.org/doc/stable", None),
    "sklearn": ("https://scikit-learn.org/stable", None),
    "skorch": ("https://skorch.readthedocs.io/en/stable", None),
    "torch": ("https://docs.pytorch.org/docs/stable", None),
}
if not ONLINE:
    intersphinx_mapping = {}

ORDER = [
    "plot_tour.py",
    "plot_nuisance.py",
    "plot_sites.py",
    "plot_training.py",
    "plot_new_person.py",
    "plot_quickstart.py",
    "plot_known_or_recognised.py",
    "plot_search.py",
    "plot_dispelling.py",
    "plot_pareto.py",
    "plot_explain.py",
    "plot_tabular_gate.py",
    "plot_frame.py",
    "plot_site_regression.py",
    "plot_serving.py",
    "plot_pretrained_identity.py",
    "*",
]
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "within_subsection_order": ExplicitOrder(ORDER),
    "ignore_pattern": "face_descriptor|drawn_faces",  # modules of an example
    "matplotlib_animations": True,
    "image_srcset": ["2x"],  # figures stay sharp on a phone and on slides
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
}
suppress_warnings = ["config.cache"]  # the order of the gallery is a function
if not ONLINE:  # docstrings of scikit-learn refer to its glossary
    suppress_warnings += ["ref.ref", "ref.term"]

html_theme = "pydata_sphinx_theme"
html_title = "sklearn_thin"
# the second holds models and runtime of the page "Turn a digit"; `make fast` may lack it
html_static_path = [p for p in ("_static", "_build/turn/static") if (HERE / p).exists()]
html_css_files = ["site.css"]
html_favicon = "_static/icon.svg"
html_context = {"default_mode": "auto"}  # without it the theme writes an error to the console
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": False,
    "header_links_before_dropdown": 6,
    "show_nav_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
whole_width = ("index", "install", "turn", "teaching", "auto_examples/plot_*")
html_sidebars = {page: [] for page in whole_width}


def skip(app, kind, name, obj, skipped, options):
    """Leave out what scikit-learn gives to every estimator for its own routing and output."""
    own = name.endswith("_request") or name in {"get_metadata_routing", "set_output"}
    return True if own else skipped


def show_shapes(app, kind, name, obj, options, lines):
    """Make notes of the section "Shape" of torch's docstrings, which numpydoc does not know."""
    for i, line in enumerate(lines):
        if line == "Shape":
            lines[i : i + 2] = ["Notes", "-----", "**Shape**", ""]
            return


def mend_gallery(app, page, template, context, doctree):
    """Link each figure to its file; give the animation a text and the theme's own icons."""
    body = context.get("body", "")
    figure = r'<img src="([^"]*)"(?=[^>]*sphx-glr-single-img)[^>]*>'
    context["body"] = body = re.sub(figure, r'<a class="figure" href="\1">\g<0></a>', body)
    if 'class="animation"' in body:
        body = re.sub(r'<link rel="stylesheet"\s+href="https://maxcdn[^>]*>', "", body)
        body = body.replace("<img id=", '<img alt="The gate after each epoch" id=')
        context["body"] = body.replace('type="range"', 'type="range" aria-label="Epoch"')


def setup(app):
    app.connect("html-page-context", mend_gallery)
    app.connect("autodoc-skip-member", skip)
    app.connect("autodoc-process-docstring", show_shapes, priority=400)  # numpydoc has 500
