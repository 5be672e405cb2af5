"""Arguments of methods and of `set_params`, refused in the words of the public class."""

from functools import wraps
from inspect import signature

OBJECTS = {  # objects with parameters, for those that users pass by name or not at all
    "backbone": "backbone=MLPBackbone(...) for tables or ConvNetBackbone(...) for images",
    "dispelling": "dispelling=Alignment(...) of sklearn_thin.dispelling",
    "exogenous": "exogenous=ExogenousEncoder(...), or name the variable if exogenous is a list",
    "exogenous_predictor": "exogenous_predictor=LogisticRegression(...)",
    "endogenous": "endogenous=StandardScaler(...) or another transformer",
    "optimizer": "optimizer=functools.partial(torch.optim.SGD, momentum=...)",
    "callbacks": "callbacks=[...] with other callbacks; a grid holds whole lists",
}


def named_call(method):
    """Raise TypeError for arguments that the method lacks, as Python would name a private class."""
    arguments = signature(method)
    shown = arguments.replace(parameters=list(arguments.parameters.values())[1:])
    takes_one = sum(p.default is p.empty for p in shown.parameters.values()) <= 1
    by_name = [p.name for p in shown.parameters.values() if p.kind == p.KEYWORD_ONLY]
    hint = f". Pass all but X and y by name, such as {by_name[0]}=..." if by_name else ""
    if len(shown.parameters) == 1:
        hint = f". {method.__name__} reads X alone; labels of the exogenous variable go to fit"

    @wraps(method)
    def checked(self, *args, **named):
        if takes_one and len(args) == 1 and not named:
            return method(self, *args)
        try:
            arguments.bind(self, *args, **named)
        except TypeError as error:
            name = f"{type(self).__name__}.{method.__name__}"
            raise TypeError(f"{name}{shown}: {error}{hint}") from error
        return method(self, *args, **named)

    return checked


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
