"""Sites where features mean different classes: posterior drift, drawn with its best accuracy."""

from numbers import Integral, Real

import numpy as np
from scipy.special import softmax
from scipy.stats import ortho_group
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, validate_params

from sklearn_thin.datasets._tables import as_table

CLASSES = ("a", "b", "c")
# corners of a triangle around 0: no class is larger, whatever way the triangle turns
CORNERS = np.array([[1.0, 0.0], [-0.5, np.sqrt(0.75)], [-0.5, -np.sqrt(0.75)]])  # (K, 2)
SHARED = {  # constraints of the parameters that both functions have
    "n_samples": [Interval(Integral, 1, None, closed="left")],
    "n_sites": [Interval(Integral, 1, None, closed="left")],
    "n_features": [Interval(Integral, 2, None, closed="left")],
    "noise": [Interval(Real, 0, None, closed="left")],
    "as_frame": ["boolean"],
    "return_X_y": ["boolean"],
    "random_state": ["random_state"],
}
HIDDEN_TYPES = """
Sites of hidden types (synthetic). Features have the same distribution at every site. Their
relation to the three classes is linear, and differs between the types of sites.
"""
ROTATED = """
Rotated sites (synthetic). Features have the same distribution at every site. Their relation to
the three classes is quadratic, and turns by the angle of the site.
"""


@validate_params(
    {**SHARED, "n_types": [Interval(Integral, 1, None, closed="left")]},
    prefer_skip_nested_validation=True,
)
def make_sites(
    n_samples=4000,
    *,
    n_sites=60,
    n_types=4,
    n_features=7,
    noise=0.32,
    as_frame=False,
    return_X_y=False,
    random_state=None,
):
    """Draw rows of sites of hidden types; each type has its own relation of X and y.

    Features are standard normal at every site, so that X alone says nothing about the site or
    its type. A class is the largest of three linear scores plus Gumbel noise. Within a type a
    multinomial logistic regression is thus the true model. Few rows a site make it worthwhile
    to find the sites of one type. A change of P(y | X) under one P(X) is known as posterior or
    concept drift [1]_.

    Parameters
    ----------
    n_samples : int, default=4000
        Number of rows. Sites have equally many rows, or one more.
    n_sites : int, default=60
        Number of sites.
    n_types : int, default=4
        Number of types, at most `n_sites`. Types have equally many sites, or one more.
    n_features : int, default=7
        Number of features, at least 2.
    noise : float, default=0.32
        Scale of the Gumbel noise. The scores have a standard deviation of 1. With 0 the score
        alone decides on the class.
    as_frame : bool, default=False
        Whether `data` is a pandas DataFrame that has the site as a column. `target` is then a
        Series.
    return_X_y : bool, default=False
        Return `(data, target)` instead of the Bunch.
    random_state : int, RandomState instance or None, default=None
        Draws the types, their relations and the rows.

    Returns
    -------
    Bunch
        `data` of shape (n_samples, n_features), or (n_samples, n_features + 1) with
        `as_frame=True`, when its column "site" holds texts such as "site 07"; `target`
        (n_samples,), an index of `target_names`; `site` (n_samples,), an index of `site_names`;
        `site_type` (n_sites,), the hidden type of each site; `oracle_proba` (n_samples, 3), the
        probabilities of the classes for those who know the types; `oracle`, the expected
        accuracy of the largest of them, which no model exceeds but by chance;
        `feature_names`; `frame`, data and target, or None; `DESCR`.
    (data, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    ValueError
        For an argument out of range.

    References
    ----------
    .. [1] Moreno-Torres, Raeder, Alaiz-Rodríguez, Chawla, Herrera: A unifying view on dataset
       shift in classification, Pattern Recognition, 2012.

    Examples
    --------
    >>> from sklearn_thin.datasets import make_sites
    >>> sites = make_sites(random_state=0)
    >>> sites.data.shape, sites.site_names[sites.site[:2]], round(sites.oracle, 2)
    ((4000, 7), array(['site 49', 'site 57'], dtype='<U7'), 0.85)
    """
    if n_types > n_sites:
        raise ValueError(f"n_types must be at most n_sites={n_sites}, got {n_types}")
    random_state = check_random_state(random_state)
    turns = ortho_group.rvs(n_features, size=n_types, random_state=random_state)
    weights = turns.reshape(n_types, n_features, n_features)[:, :, :2] @ CORNERS.T  # (T, p, K)
    site_type = random_state.permutation(np.arange(n_sites) % n_types)
    site = draw_sites(random_state, n_samples, n_sites)
    X = random_state.normal(size=(n_samples, n_features))
    scores = np.einsum("np,tpk->tnk", X, weights)[site_type[site], np.arange(n_samples)]  # (n, K)
    text = f"{HIDDEN_TYPES.strip()}\n\nHere: {n_sites} sites of {n_types} types.\n"
    drawn = Bunch(site_names=name_sites(n_sites), site_type=site_type, DESCR=text)
    return bunch(drawn, X, site, scores, noise, as_frame, return_X_y, random_state)


@validate_params(SHARED, prefer_skip_nested_validation=True)
def make_rotated_sites(
    n_samples=5000,
    *,
    n_sites=8,
    n_features=4,
    noise=0.3,
    as_frame=False,
    return_X_y=False,
    random_state=None,
):
    """Draw rows of sites whose features are turned by the angle of the site.

    Features are pairs of coordinates. Site i turns each pair by i / n_sites of a full turn.
    Before the turn they are standard normal, and so they are after it: X alone says nothing
    about the site. A class is the largest of three scores, linear plus quadratic in the
    features before the turn, plus Gumbel noise.

    Parameters
    ----------
    n_samples : int, default=5000
        Number of rows. Sites have equally many rows, or one more.
    n_sites : int, default=8
        Number of sites; with 8 a site turns 45 degrees more than the one before.
    n_features : int, default=4
        Number of features, even.
    noise : float, default=0.3
        See :func:`make_sites`.
    as_frame, return_X_y
        See :func:`make_sites`.
    random_state : int, RandomState instance or None, default=None
        Draws the relation and the rows.

    Returns
    -------
    Bunch
        See :func:`make_sites`. `site_angle` (n_sites,), in degrees counter-clockwise, replaces
        `site_type`. The oracle knows the angles.
    (data, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    ValueError
        For an argument out of range, or an odd number of features.

    Examples
    --------
    >>> from sklearn_thin.datasets import make_rotated_sites
    >>> sites = make_rotated_sites(random_state=0)
    >>> sites.data.shape, sites.site_angle[:3]
    ((5000, 4), array([ 0., 45., 90.]))
    """
    if n_features % 2:
        raise ValueError(f"n_features must be even, as pairs of features turn, got {n_features}")
    random_state = check_random_state(random_state)
    score = draw_quadratic(random_state, n_features)
    site = draw_sites(random_state, n_samples, n_sites)
    upright = random_state.normal(size=(n_samples, n_features))
    site_angle = np.arange(n_sites) * (360 / n_sites)
    turn = np.exp(1j * np.deg2rad(site_angle[site]))[:, None]  # (n, 1)
    pairs = (upright[:, ::2] + 1j * upright[:, 1::2]) * turn  # (n, p/2)
    X = np.stack([pairs.real, pairs.imag], 2).reshape(n_samples, n_features)
    text = f"{ROTATED.strip()}\n\nHere: {n_sites} sites.\n"
    drawn = Bunch(site_names=name_sites(n_sites), site_angle=site_angle, DESCR=text)
    return bunch(drawn, X, site, score(upright), noise, as_frame, return_X_y, random_state)


def name_sites(n_sites):
    """Names of sites, of equal length."""
    width = len(str(n_sites - 1))
    return np.array([f"site {site:0{width}d}" for site in range(n_sites)])


def draw_sites(random_state, n_samples, n_sites):
    """The site of each row; sites have equally many rows, or one more."""
    return random_state.permutation(np.arange(n_samples) % n_sites)


def draw_quadratic(random_state, n_features):
    """A function from standard normal features (n, p) to scores (n, K), each of variance 1."""
    linear = ortho_group.rvs(n_features, random_state=random_state)[:, :2] @ CORNERS.T  # (p, K)
    forms = random_state.normal(size=(len(CLASSES), n_features, n_features))
    forms = forms + forms.transpose(0, 2, 1)
    forms -= forms.mean(0)
    trace = np.trace(forms, axis1=1, axis2=2)[:, None, None]
    forms -= trace * np.eye(n_features) / n_features  # a mean score of 0
    forms /= np.sqrt(2) * np.linalg.norm(forms, axis=(1, 2), keepdims=True)

    def score(X):
        return (X @ linear + np.einsum("np,kpq,nq->nk", X, forms, X)) / np.sqrt(2)

    return score


def bunch(drawn, X, site, scores, noise, as_frame, return_X_y, random_state):
    """The Bunch that adds features, sites and classes to the entries `drawn`."""
    target = (scores + noise * random_state.gumbel(size=scores.shape)).argmax(1)
    oracle_proba = softmax(scores / max(noise, 1e-9), axis=1)
    names, labels = [f"x{i}" for i in range(X.shape[1])], drawn.site_names[site]
    entries = as_table(X, target, names, "site", labels, as_frame)
    if return_X_y:
        return entries["data"], entries["target"]
    return Bunch(
        **drawn,
        **entries,
        target_names=np.array(CLASSES),
        site=site,
        oracle_proba=oracle_proba,
        oracle=float(oracle_proba.max(1).mean()),
    )
