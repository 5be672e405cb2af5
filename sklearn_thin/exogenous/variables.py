"""The exogenous side as users pass it -> its variables, checked once; fitted, then frozen."""

from dataclasses import dataclass
from typing import Any

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import get_tags
from sklearn.utils.validation import _num_samples, check_is_fitted, has_fit_parameter
from torch import nn

from sklearn_thin._environment import fit_seeded, surrounding_searches, warn_once
from sklearn_thin.exogenous.columns import places_of
from sklearn_thin.exogenous.heads import check_predictor, frozen_head, readable_labels
from sklearn_thin.exogenous.known import (
    GivenVariable,
    KnownVariable,
    listed_variables,
    target_column,
    values_of,
)
from sklearn_thin.exogenous.refusals import (
    refuse_no_labels,
    refuse_numbers,
    refuse_side,
    refuse_unfitted,
)
from sklearn_thin.exogenous.side import ExogenousSide, ExogenousVariable, h_exo_of
from sklearn_thin.modules.heads import ClassLogits, ExpertHead
from sklearn_thin.rows.columns import as_table
from sklearn_thin.rows.labels import encode_labels

BROUGHT = "brought"  # stands for a transformer's own predictor


@dataclass
class Variable:
    """One exogenous variable as the user passed it."""

    name: str
    transformer: Any  # X -> h_exo; a FrozenEstimator is used as it is
    predictor: Any  # c: a classifier or module of h_exo, BROUGHT, or None
    fits_transformer: bool  # whether to clone and fit the transformer
    fits_predictor: bool  # whether to clone c and fit it on h_exo
    needs_labels: bool
    index: int  # place of the variable, and of its labels
    names: list  # of all variables
    fits: bool  # one of the two, or both
    columns: list  # positions of the columns of X that it is, which the backbone does not see

    def labels(self, target):
        """Labels of the variable, or None where it has none and needs none.

        A transformer that does not need labels still gets them, as in a Pipeline. Labels to erase
        may belong to other variables.
        """
        place = self.index, len(self.names), self.names
        if isinstance(self.transformer, GivenVariable):  # some may be missing, or numbers
            return target_column(target, *place)
        if self.needs_labels:
            z = target_column(target, *place)
            # of the training rows alone
            classes, codes = encode_labels(z, _num_samples(z), name="exogenous_target")
            return classes[codes]
        try:
            return None if target is None else target_column(target, *place)
        except ValueError:
            return None

    def fit(self, X, target, seed):
        """Fitted transformer, predictor or None, and h_exo (n_samples, width) if computed."""
        transformer, c, h = self.transformer, self.predictor, None
        z = self.labels(target)
        if self.fits_transformer:
            labelled = z is not None and has_fit_parameter(transformer, "y")
            given = (X, z) if labelled else (X,)
            transformer = clone(transformer)
            fit_seeded(transformer, seed + self.index, *given)
        if isinstance(transformer, GivenVariable):
            exact = transformer.classes_ is not None
            values = values_of(z, "exogenous_target", exact=exact)
            h = transformer.read_values(values, "exogenous_target")
        if self.fits_predictor:
            h = h_exo_of(transformer, X)
            c = clone(c)
            fit_seeded(c, seed + self.index, h.numpy(), readable_labels(c, z))
        return transformer, c, h


def read_variables(exogenous, predictor, X):
    """List of Variable from THINClassifier's `exogenous` and `exogenous_predictor`, checked.

    X has the columns that `exogenous` may name.
    """
    if exogenous is None:
        return []
    one = [("exogenous", exogenous)]
    named = one if hasattr(exogenous, "transform") else listed_variables(exogenous, X)
    if not named:
        raise ValueError("exogenous must not be an empty list; pass None for no exogenous side")
    for item in named:
        if not (isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)):
            raise TypeError(
                "a list of exogenous must hold (name, transformer) tuples, or columns of X alone, "
                f"got {item!r} in it"
            )
    names = [name for name, _ in named]
    given = predictor if isinstance(predictor, dict) else dict.fromkeys(names, predictor)
    if not set(given) <= set(names):
        raise ValueError(
            f"exogenous_predictor names {sorted(predictor)}, but exogenous has {names}"
        )
    variables = []
    for index, (name, transformer) in enumerate(named):
        is_class, has = isinstance(transformer, type), hasattr(transformer, "transform")
        if is_class or not (has and hasattr(transformer, "fit")):
            refuse_side(name, transformer)
        if predictor is not None and given is not predictor and len(named) > 1:
            raise ValueError(
                "exogenous_predictor must be a dict from name to predictor where exogenous "
                f"is a list of {len(named)}, got {type(predictor).__name__}"
            )
        inner, c = last_step(transformer), given.get(name)
        if c is None and (hasattr(type(inner), "predictor_") or hasattr(inner, "predictor_")):
            c = BROUGHT
        fits = not isinstance(transformer, FrozenEstimator)
        # classes of other packages may be fitted without an attribute that shows it
        if not fits and type(inner).__module__.partition(".")[0] in ("sklearn", "sklearn_thin"):
            try:
                check_is_fitted(inner)
            except NotFittedError as error:
                refuse_unfitted(name, error)
        fits_c = not isinstance(c, (FrozenEstimator, nn.Module, str, type(None)))
        labelled = fits_c or (fits and get_tags(inner).target_tags.required)
        some = fits or fits_c
        column = getattr(transformer, "column", None) if isinstance(inner, KnownVariable) else None
        columns = [] if column is None else places_of(column, as_table(X), "column")
        parts = name, transformer, c, fits, fits_c, labelled, index, names, some, columns
        variables.append(Variable(*parts))
    return variables


def check_variables(variables, predictor, target, asked, reads_target, reads_h, *, fitted):
    """Raise where a setting or the labels do not suit the variables, before any is fitted.

    `predictor` is the user's. `asked` is a setting that needs a predictor of every variable, or
    None. `reads_target` notes that the dispelling reads labels, `reads_h` that the predictors
    read h_endo. `fitted` variables need no labels, except given ones.
    """
    if not variables and (asked or predictor is not None):
        raise ValueError(
            f"{asked or 'exogenous_predictor'} needs an exogenous side to dispel, but "
            "exogenous is None. Pass an ExogenousEncoder or another transformer, or set lam=0 "
            "and dispelling='cosine'."
        )
    for variable in variables:
        name, c = variable.name, variable.predictor
        known = isinstance(last_step(variable.transformer), KnownVariable)
        if reads_h and c is BROUGHT and known:
            raise ValueError(
                f"{asked} needs a predictor that reads h_endo, and the known variable {name!r} has "
                "none. Set lam=0, and dispelling='erasure' or 'alignment' to dispel it."
            )
        if c is None and asked:
            raise ValueError(
                f"{asked} needs a predictor of the exogenous variable {name!r}, and "
                f"{type(variable.transformer).__name__} brings none. Use an ExogenousEncoder, "
                "pass exogenous_predictor, or set lam=0, gate_input='representation' and "
                "dispelling='cosine'."
            )
        if c not in (None, BROUGHT):
            check_predictor(c)
        given = isinstance(variable.transformer, GivenVariable)  # whose labels no column holds
        if not variable.needs_labels or (fitted and not given):
            continue
        if target is None:
            refuse_no_labels(name, given=given)
        variable.labels(target)
    if target is not None and not (fitted or reads_target):
        warn_of_unused_labels(variables)


def warn_of_unused_labels(variables):
    """Warn, once in a search, where no variable is fitted on the labels that were passed."""
    fitted = (v.fits_transformer and has_fit_parameter(v.transformer, "y") for v in variables)
    if any(fitted) or any(variable.fits_predictor for variable in variables):
        return
    if any(map(varies_readers, surrounding_searches())):
        return
    side = "the exogenous side is frozen" if variables else "exogenous is None"
    warn_once(
        f"exogenous_target is not used: {side}, and the dispelling reads no labels. Labels are "
        "used by an exogenous side that is fitted here, such as ExogenousEncoder(), by an "
        "exogenous_predictor, and by dispelling='erasure'. Pass one of these, or no "
        "exogenous_target."
    )


def varies_readers(search):
    """Whether other candidates of a search may read the labels."""
    grids = getattr(search, "param_grid", getattr(search, "param_distributions", {}))
    grids = [grids] if isinstance(grids, dict) else grids
    names = {part for grid in grids for key in grid for part in key.split("__")}
    return not names.isdisjoint({"exogenous", "exogenous_predictor", "dispelling"})


def fit_side(variables, gate_input, X, target, seed, *, logits, listed=False):
    """Fit and freeze the variables; the side, and its outputs on the training rows.

    `listed` notes that the user passed a list of transformers.
    """
    frozen, hs = [], []
    for variable in variables:
        transformer, c, h = variable.transformer, variable.predictor, None
        if variable.fits:
            transformer, c, h = variable.fit(X, target, seed)
        c = getattr(last_step(transformer), "predictor_", None) if c is BROUGHT else c
        if c is None and gate_input in ("probabilities", "logits"):
            refuse_numbers(variable.name)
        reads = gate_input
        if reads == "auto":
            reads = "representation" if c is None else "probabilities"
        head = None
        if c is not None:  # an encoder's own needs no conversion
            head = ClassLogits.frozen(c) if isinstance(c, ExpertHead) else frozen_head(c)
        classes = getattr(transformer, "classes_", getattr(c, "classes_", None))
        known = last_step(transformer)
        how = {"classes": classes}
        if isinstance(known, KnownVariable):
            spread = getattr(known, "range_", None)  # older files have none
            how["levels"] = getattr(known, "levels_", None)
            how["spread"] = None if spread is None else (known.prior_, spread)
        frozen.append(ExogenousVariable(variable.name, transformer, head, reads, **how))
        hs.append(h)
    side = ExogenousSide(frozen, listed=listed)
    return side, side.outputs(X, hs, logits=logits, fit=True)


def last_step(estimator):
    """The estimator inside FrozenEstimators, searches and Pipelines."""
    if isinstance(estimator, (FrozenEstimator, BaseSearchCV)):
        return last_step(getattr(estimator, "best_estimator_", estimator.estimator))
    if hasattr(estimator, "steps"):
        return last_step(estimator.steps[-1][1])
    return estimator
