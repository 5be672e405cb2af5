"""Chosen settings of one estimator, with weights: what a search refits with refit="ensemble"."""

from numbers import Real

from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import check_consistent_length

from sklearn_thin.model_selection._ensemble import Ensemble, MeanNumbers, MeanProbabilities


class WeightedEnsemble(Ensemble):
    """The part that both weighted ensembles share."""

    _parameter_constraints: dict = {
        **Ensemble._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"])],
        "settings": [list],
        "weights": ["array-like"],
    }

    def __init__(
        self, estimator, settings, weights, *, stack_size="auto", n_jobs=None, verbose=0
    ) -> None:
        self.estimator = estimator
        self.settings = settings
        self.weights = weights
        self.stack_size = stack_size
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _settings(self):
        """Parameters of each member."""
        if wrong := [params for params in self.settings if not isinstance(params, dict)]:
            raise ValueError(f"settings must hold dicts of parameters, got {wrong[0]!r}")
        check_consistent_length(self.settings, self.weights)
        positive = all(isinstance(w, Real) and 0 < w < float("inf") for w in self.weights)
        if not (self.settings and positive):
            raise ValueError(
                "weights must be positive numbers, one for each of the settings, got "
                f"{self.weights!r} for {len(self.settings)} settings"
            )
        return self.settings

    def _weights(self):
        return self.weights


class WeightedEnsembleClassifier(MeanProbabilities, WeightedEnsemble):
    """Weighted mean of settings of one classifier, which train together.

    The `best_estimator_` of a search with `refit="ensemble"`. Predicts as scikit-learn's
    `VotingClassifier(voting="soft")`. Networks of equal shape train as one batched program, as in
    :class:`StackedGridSearchCV`.

    Parameters
    ----------
    estimator : THINClassifier, or Pipeline that ends in one
    settings : list of dict
        Parameters of each member, set on a clone of `estimator`.
    weights : array-like of shape (n_members,)
        Positive weights of the members. Only their ratios count.
    stack_size, n_jobs, verbose
        See :class:`SeedEnsembleClassifier`.

    Attributes
    ----------
    estimators_ : list of estimator
        The fitted members.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Columns of X, or values in one image.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, if X has them.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_thin import THINClassifier
    >>> from sklearn_thin.model_selection import WeightedEnsembleClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> settings = [{"depth": 0, "random_state": 0}, {"depth": 1, "random_state": 1}]
    >>> thin = THINClassifier(max_epochs=2)
    >>> ensemble = WeightedEnsembleClassifier(thin, settings, weights=[3, 1]).fit(X, y)
    >>> ensemble.predict_proba(X).shape
    (150, 3)
    """


class WeightedEnsembleRegressor(MeanNumbers, WeightedEnsemble):
    """Weighted mean of settings of one regressor, which train together.

    As :class:`WeightedEnsembleClassifier`, for numbers.

    Parameters
    ----------
    estimator : THINRegressor, or Pipeline that ends in one
    settings, weights, stack_size, n_jobs, verbose
        See WeightedEnsembleClassifier.

    Attributes
    ----------
    estimators_, n_features_in_, feature_names_in_
        See WeightedEnsembleClassifier.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_thin import THINRegressor
    >>> from sklearn_thin.model_selection import WeightedEnsembleRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> settings = [{"depth": 0, "random_state": 0}, {"depth": 1, "random_state": 1}]
    >>> thin = THINRegressor(max_epochs=2)
    >>> ensemble = WeightedEnsembleRegressor(thin, settings, weights=[1, 1]).fit(X, y)
    >>> ensemble.predict(X).shape
    (442,)
    """
