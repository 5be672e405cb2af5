"""What users pass as exogenous side, predictor and labels, read and checked before the fit."""

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import get_tags
from torch import nn

from sklearn_thin._heads import check_predictor
from sklearn_thin._validation import encode_labels

BROUGHT = "brought"  # stands for the predictor that a transformer brings with it


def named_exogenous(exogenous):
    """`exogenous` as a list of (name, transformer)."""
    return exogenous if isinstance(exogenous, list) else [("exogenous", exogenous)]


def check_named(exogenous):
    """Raise where a list of `exogenous` does not hold pairs of a name and a transformer."""
    if not exogenous:
        raise ValueError("exogenous is an empty list; pass None where there is no such side")
    for item in exogenous:
        if not (isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)):
            raise TypeError(
                f"a list of exogenous must hold (name, transformer) tuples, got {item!r} in it"
            )


def check_exogenous(exogenous, predictor, asked, target):
    """Raise what is wrong with the exogenous side's parameters, before anything is fitted.

    Parameters
    ----------
    exogenous, predictor : as in THINClassifier
        `exogenous` is not None.
    asked : str or None
        The setting that needs a predictor of every variable, if any does.
    target : array-like or None
        `exogenous_target`, of checked length.
    """
    named = named_exogenous(exogenous)
    names = [name for name, _ in named]
    if isinstance(predictor, dict) and not set(predictor) <= set(names):
        raise ValueError(
            f"exogenous_predictor names {sorted(predictor)}, but exogenous has {names}"
        )
    for index, (name, transformer) in enumerate(named):
        if not hasattr(transformer, "transform"):
            raise TypeError(
                f"the exogenous side {name!r} must be a transformer (with fit and transform), "
                f"got {transformer!r}"
            )
        c = predictor_of(name, transformer, predictor, len(named))
        check_asked({name: transformer} if c is None else {}, asked)
        if c not in (None, BROUGHT):
            check_predictor(c)
        if not (needs_target(transformer) or is_to_fit(c)):
            continue
        if target is None:
            raise ValueError(
                f"exogenous_target is missing: the exogenous side {name!r} is to be fitted "
                "on it. Pass fit(X, y, exogenous_target=...), or wrap a fitted encoder in "
                "sklearn.frozen.FrozenEstimator to use it as it is."
            )
        _check_named(target, name, names)
        column = target_column(target, index, len(named), name)
        encode_labels(column, len(column), name="exogenous_target")


def check_asked(unpredicted, asked):
    """Raise where a setting needs a predictor of every variable, and one has none.

    Parameters
    ----------
    unpredicted : dict from name to transformer
        The variables that have none.
    asked : str or None
        The setting, if any.
    """
    for name, transformer in unpredicted.items():
        if asked:
            raise ValueError(
                f"{asked} needs a predictor of the exogenous variable {name!r}, and "
                f"{type(transformer).__name__} brings none. Use an ExogenousEncoder, pass "
                "exogenous_predictor, or set lam=0, gate_input='representation' and "
                "dispelling='cosine'."
            )


def predictor_of(name, transformer, predictor, n_variables):
    """c for one variable: given by name, given for the only one, or brought along."""
    if isinstance(predictor, dict):
        given = predictor.get(name)
    else:
        given = predictor
        if given is not None and n_variables > 1:
            raise ValueError(
                "exogenous_predictor must be a dict from name to predictor where exogenous "
                f"is a list of {n_variables}, got {type(predictor).__name__}"
            )
    return BROUGHT if given is None and _brings_predictor(transformer) else given


def last_step(estimator):
    """The estimator inside a FrozenEstimator or a search, and at the end of a Pipeline."""
    if isinstance(estimator, (FrozenEstimator, BaseSearchCV)):
        return last_step(getattr(estimator, "best_estimator_", estimator.estimator))
    if hasattr(estimator, "steps"):
        return last_step(estimator.steps[-1][1])
    return estimator


def needs_target(transformer):
    """Whether the transformer is to be fitted on labels of the exogenous variable."""
    frozen = isinstance(transformer, FrozenEstimator)
    return not frozen and get_tags(last_step(transformer)).target_tags.required


def is_to_fit(predictor):
    """Whether a predictor is to be cloned and fitted on h_exo."""
    return predictor not in (None, BROUGHT) and not isinstance(
        predictor, (FrozenEstimator, nn.Module)
    )


def is_to_fit_any(exogenous, predictor):
    """Whether a transformer or a predictor is to be fitted; else a seed makes no difference."""
    predictors = predictor.values() if isinstance(predictor, dict) else [predictor]
    transformers = [transformer for _, transformer in named_exogenous(exogenous)]
    frozen = all(isinstance(transformer, FrozenEstimator) for transformer in transformers)
    return not frozen or any(map(is_to_fit, predictors))


def _brings_predictor(transformer):
    estimator = last_step(transformer)
    return hasattr(type(estimator), "predictor_") or hasattr(estimator, "predictor_")


def _check_named(target, name, names):
    """Raise where a frame names the labels of other variables, but not those of this one."""
    columns = list(getattr(target, "columns", ()))
    others = [other for other in names if other in columns]
    if others and name not in columns:
        raise ValueError(
            f"exogenous_target has the columns {columns}: one for {', '.join(map(repr, others))}, "
            f"but none for {name!r}. Name a column after each exogenous variable, or none"
        )


def target_column(target, index, n_variables, name=None):
    """Labels of one exogenous variable: a frame's by its name, else in the order of the list."""
    shape = np.shape(target)
    if n_variables == 1 and len(shape) == 1:
        return target
    if name is not None and name in getattr(target, "columns", ()):
        return target[name]
    if len(shape) != 2 or shape[1] != n_variables:
        hint = ". For several, pass exogenous as a list of (name, transformer)"
        raise ValueError(
            f"exogenous_target must have shape (n_samples, {n_variables}), a column for each "
            f"exogenous variable, got {shape}{hint if n_variables == 1 else ''}"
        )
    return target.iloc[:, index] if hasattr(target, "iloc") else np.asarray(target)[:, index]


def check_erased_labels(target, known=None):
    """Raise where labels say nothing of what is to be erased.

    Parameters
    ----------
    target : array-like of shape (n_samples,) or (n_samples, n_variables)
    known : list of ndarray, default=None
        Classes of each variable in the fit before, which the labels must not go beyond; they
        may then be fewer. None takes any, of at least two classes.
    """
    n_variables = np.shape(target)[1] if np.ndim(target) > 1 else 1
    if known is not None and n_variables != len(known):
        raise ValueError(
            f"exogenous_target has labels of {n_variables} variables, but had those of "
            f"{len(known)} in the fit before: dispelling='erasure' erases the same in both"
        )
    for index in range(n_variables):
        column = target_column(target, index, n_variables)
        before = None if known is None else known[index]
        encode_labels(column, len(column), known=before, name="exogenous_target")
