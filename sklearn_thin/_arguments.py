"""Arguments of functions, checked; parameters of parts, refused with the way out."""

from collections.abc import Callable

from sklearn.utils._param_validation import validate_params

from sklearn_thin._compat import Method

OBJECTS = {  # objects with parameters, for those that users pass by name or not at all
    "backbone": "backbone=MLPBackbone(...) for tables or ConvNetBackbone(...) for images",
    "dispelling": "dispelling=Alignment(...) of sklearn_thin.dispelling",
    "exogenous": "exogenous=ExogenousEncoder(...), or name the variable if exogenous is a list",
    "exogenous_predictor": "exogenous_predictor=LogisticRegression(...)",
    "endogenous": "endogenous=StandardScaler(...) or another transformer",
    "optimizer": "optimizer=functools.partial(torch.optim.SGD, momentum=...)",
    "callbacks": "callbacks=[...] with other callbacks; a grid holds whole lists",
}


def validated(constraints) -> Callable[[Method], Method]:
    """scikit-learn's `validate_params`, behind which type checkers see the signature."""
    return validate_params(constraints, prefer_skip_nested_validation=True)


def check_nested(estimator, params):
    """Raise ValueError for a parameter of a part that has none, such as `backbone__dropout`."""
    own = estimator.get_params(deep=False)
    for key in params:
        name, nested, _ = key.partition("__")
        part = params.get(name, own.get(name))
        if nested and name in own and (isinstance(part, type) or not hasattr(part, "set_params")):
            hint = OBJECTS.get(name, f"{name}=...")
            raise ValueError(
                f"{key} cannot be set, as {name}={part!r} has no parameters of its own. Pass an "
                f"object that has them: {hint}"
            )
