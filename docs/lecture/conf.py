"""Configuration of the lecture: reveal.js comes with sphinx-revealjs, and needs no network."""

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml

project = "Exogenous gating"
extensions = ["myst_parser", "sphinx_revealjs"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
html_math_renderer = "mathml"
html_favicon = "../_static/icon.svg"

revealjs_html_theme = "revealjs-simple"  # "revealjs-basic" forbids a phone to zoom
revealjs_style_theme = "white"
revealjs_static_path = ["_static"]
revealjs_css_files = ["revealjs/plugin/highlight/monokai.css", "lecture.css"]
revealjs_script_conf = {
    "width": 1280,
    "height": 720,
    "margin": 0.06,
    "center": False,
    "hash": True,
    "slideNumber": "c/t",
    "transition": "none",
}
revealjs_script_plugins = [
    {"name": "RevealNotes", "src": "revealjs/plugin/notes/notes.js"},
    {"name": "RevealHighlight", "src": "revealjs/plugin/highlight/highlight.js"},
]


def inline(translator, node):
    translator.body.append(tex2mathml(node.astext()))
    raise SkipNode


def block(translator, node):
    translator.body.append(f"<p>{tex2mathml(node.astext(), as_block=True)}</p>")
    raise SkipNode


def setup(app):
    """Browsers draw MathML themselves. Sphinx's own renderers need a network or LaTeX."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
