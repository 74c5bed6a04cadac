"""Settings of the documentation; it builds without network access."""

import skcalib

project = "skcalib"
author = "skcalib developers"
copyright = "skcalib developers"
version = release = skcalib.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
default_role = "literal"
# Methods inherited from scikit-learn refer to its own user guide.
suppress_warnings = ["ref.ref"]

html_theme = "pydata_sphinx_theme"
html_theme_options = {"show_prev_next": False}
html_show_sourcelink = False

autosummary_generate = True
numpydoc_show_class_members = True
numpydoc_show_inherited_class_members = False
# Without it numpydoc lists every method twice: autosummary gives methods no page of their own.
numpydoc_class_members_toctree = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skcalib",),
    "show_memory": False,
    "abort_on_example_error": True,
}
