"""Ways to dispel the exogenous variable from h_endo, one in each file.

Each way is an object with `get_params`, so that a search tunes `dispelling__rank`. The paper's
:class:`Cosine` is the base of all: a new way overrides its `make_term`, its `make_map`, or both.
"""

from sklearn_thin.dispelling.alignment import Alignment
from sklearn_thin.dispelling.cosine import Cosine, Off
from sklearn_thin.dispelling.erasure import Erasure

WAYS = {way.name: way for way in (Cosine, Erasure, Alignment)}

__all__ = ["WAYS", "Alignment", "Cosine", "Erasure", "Off"]
