"""Random configurations: each fits and keeps its promises, or is refused by name.

    python -m tests.reliability --configurations 5000 --jobs 2

prints how many fitted, how many were refused and by which argument, and all faults. The counts
depend on the number of configurations and on `--seed` alone. Each fault is printed as the Case
that shows it: `check(Case(...))` repeats it. :mod:`tests.reliability.saving` has saved files, and
:mod:`tests.reliability.fitting` killed fits.
"""

import argparse
import pickle
import re
import sys
import traceback
import warnings
from collections import Counter
from contextlib import ExitStack, contextmanager, nullcontext
from copy import deepcopy

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from joblib import Parallel, delayed
from sklearn import config_context
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from sklearn_thin import ExogenousEncoder, THINClassifier
from tests.helpers import global_states
from tests.strategies import cases

REFUSALS = (ValueError, TypeError, FloatingPointError)
ARGUMENTS = ("X", "y", "sample_weight", "exogenous_target", "exogenous")
PARAMETERS = {*THINClassifier().get_params(), *ExogenousEncoder().get_params()}
KINDS = ("classifier", "classifier", "regressor", "encoder")  # of shards, in turn
SYNONYMS = {  # of an argument, in scikit-learn's messages
    "X": r"X|images?|samples?|features?|columns?|array|data|rows",
    "y": r"y|labels?|class(es)?|samples?",
    "sample_weight": r"sample_weight|[Ss]ample weights?",
    "exogenous": r"exogenous\w*|FrozenEstimator|fit before|not fitted yet",
    "dispelling": r"dispelling|\w+ of Alignment",
    "backbone": r"backbone|\w+ of MLPBackbone|hidden_layer_sizes|dropout",
}
DOCUMENTED = (  # warnings that a fit may give, and the files that they come from
    (r"invalid value encountered in divide", r"_pca\.py$"),  # of PCA, on equal rows
    (r"overflow encountered in square", r"_pca\.py$"),  # of PCA, on numbers near the largest
    (r"lbfgs failed to converge", r"_logistic\.py$"),  # of a predictor on such numbers
    (r"overflow encountered in cast", r"_array_api\.py$"),  # of scikit-learn 1.6's check
    (r"extreme values have spoilt the fit", r""),  # of extreme values that the network reads raw
    (r"invalid value encountered in reduce", r"fromnumeric\.py$"),  # of the check for infinity
)
# hypothesis starts with the simplest case, and mutates earlier cases from the tenth on
SHARD = 9  # configurations of one seed


class FaultError(AssertionError):
    """A promise that a configuration breaks; `kind` groups the faults."""

    def __init__(self, kind, message):
        super().__init__(f"{kind}: {message}")
        self.kind = kind


def check(case):
    """("fitted", None), or ("refused", the argument at fault); FaultError for all else."""
    arguments = case.given()
    with ExitStack() as stack:
        caught = stack.enter_context(warnings.catch_warnings(record=True))
        warnings.simplefilter("always")
        stack.enter_context(surroundings(case.ambient))
        before = deepcopy(arguments), ambient(), global_states()
        ending = _run(case, arguments)
        _require(ambient() == before[1], "change of state", f"torch's state: {ambient()}")
    if case.seeded:
        _require(global_states() == before[2], "change of state", "a global generator")
    for name, value in arguments.items():
        _require(equal(value, before[0][name]), "change of state", f"{name} was written to")
    for warning in caught:
        text, file = str(warning.message), warning.filename
        known = any(re.search(part, text) and re.search(f, file) for part, f in DOCUMENTED)
        where = f"{warning.category.__name__} in {file}:{warning.lineno}: {text}"
        _require(known, "warning", where)
    return ending


def _require(condition, kind, message):
    if not condition:
        raise FaultError(kind, message)


# ------------------------------------------------------------------------- a fit


def _run(case, arguments):
    estimator = None
    try:
        estimator = case.estimator(arguments)
        twin, params = clone(estimator), parameters(estimator)
        estimator.fit(**arguments)
    except REFUSALS as error:
        if estimator is not None:
            _check_unfitted(estimator, error)
        return "refused", _blamed(case, error)
    except Exception as error:
        raise FaultError("internal error", _short(error)) from error
    _require(case.wrong is None, "accepted", f"{case.wrong} is wrong, and the fit took it")
    _require(same_parameters(params, parameters(estimator)), "change of state", "parameters")
    try:
        _check_outputs(estimator, arguments["X"])
        if case.seeded:
            _check_twin(estimator, twin, arguments)
    except REFUSALS as error:
        return "refused", _blamed(case, error)
    except FaultError:
        raise
    except Exception as error:
        raise FaultError("internal error", _short(error)) from error
    return "fitted", None


def _check_unfitted(estimator, error):
    """A fit that is refused leaves nothing; one that diverges keeps the last good weights."""
    left = [n for n in vars(estimator) if n.endswith("_") and not n.startswith("_")]
    allowed = isinstance(error, FloatingPointError)
    _require(allowed or not left, "change of state", f"a refused fit left {left}")


def _check_outputs(estimator, X):
    weights, others = {}, ["transform"]
    if hasattr(estimator, "gate_proba"):
        weights["gate_proba"] = estimator.gate_proba(X)
    if hasattr(estimator, "predict_proba"):
        weights["predict_proba"] = estimator.predict_proba(X)
        others.append("decision_function")
        best = estimator.classes_[weights["predict_proba"].argmax(1)]
        _require(np.array_equal(estimator.predict(X), best), "argmax", "predict is another class")
    for name, values in weights.items():
        _require(np.isfinite(values).all(), "NaN", f"of {name}")
        _require((values >= 0).all(), "sums", f"{name} is negative")
        off = np.abs(values.sum(1) - 1).max()
        _require(off < 1e-5, "sums", f"rows of {name} sum to 1 up to {off}")
    for name in others:
        _require(np.isfinite(np.asarray(getattr(estimator, name)(X))).all(), "NaN", f"of {name}")
    if isinstance(X, np.ndarray) and X.dtype == np.float64:
        _check_far_rows(estimator, np.full_like(X[:2], np.finfo(np.float32).max))
    outputs = predicted(estimator, X)
    _require(np.isfinite(outputs).all(), "NaN", "of the predictions")
    off = _distance(estimator, predicted(estimator, _safe_indexing(X, [3])), outputs[3])
    _require(off < 1e-5, "neighbours", f"a row alone differs by {off}")
    if estimator.exogenous_side_ is not None:
        _check_elsewhere(estimator, X, len(outputs))


def predicted(estimator, X, **elsewhere):
    """Probabilities of a classifier, or the numbers of a regressor, (n, outputs)."""
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(X, **elsewhere)
    return estimator.predict(X, **elsewhere).reshape(len(estimator.transform(X)), -1)


def _distance(estimator, outputs, others):
    """Largest distance of predictions, for numbers in units of the standard deviation of y."""
    scale = np.asarray(getattr(estimator.targets_, "scale", 1.0))
    return (np.abs(outputs - others) / np.where(scale > 0, scale, 1)).max()


def _check_far_rows(estimator, X):
    """Rows at the end of float32 get finite outputs, or are refused."""
    X[1] *= -1
    try:
        outputs = predicted(estimator, X)
    except ValueError:
        return
    _require(np.isfinite(outputs).all(), "NaN", "of predictions, for rows far away")


def _check_elsewhere(estimator, X, n_rows):
    """A label, labels and probabilities of one level stand for the variable in X alike."""
    variables = estimator.exogenous_side_.variables
    levels = [0.5 if v.classes is None else v.classes[-1] for v in variables]
    columns = np.empty((n_rows, len(levels)), dtype=object)
    for column, level in zip(columns.T, levels, strict=True):
        column[:] = level
    ways = {"labels": columns}
    if len(levels) == 1:
        ways |= {"a label": levels[0], "a column": columns[:, 0]}
        if variables[0].classes is not None:
            order = variables[0].classes if variables[0].levels is None else variables[0].levels
            ways["probabilities"] = np.tile(np.asarray(order) == levels[0], (n_rows, 1)) * 1.0
    try:
        found = {way: predicted(estimator, X, exogenous=given) for way, given in ways.items()}
    except ValueError as error:
        reads = all(v.classes is not None and v.gate_input == "probabilities" for v in variables)
        _require(not reads and names(str(error), "exogenous"), "elsewhere", _short(error))
        return
    for way, outputs in found.items():
        _require(np.isfinite(outputs).all(), "NaN", f"elsewhere, from {way}")
        off = _distance(estimator, outputs, found["labels"])
        _require(off < 1e-5, "elsewhere", f"{way} differ by {off} from labels")


def _check_twin(estimator, twin, arguments):
    X, proba = arguments["X"], predicted(estimator, arguments["X"])
    try:
        again = predicted(twin.fit(**arguments), X)
    except REFUSALS as error:
        raise FaultError("second fit", f"fails alone: {_short(error)}") from error
    _require(
        np.array_equal(again, proba), "second fit", f"differs by {np.abs(again - proba).max()}"
    )
    copied = predicted(pickle.loads(pickle.dumps(estimator)), X)
    _require(np.array_equal(copied, proba), "pickle", "a copy predicts something else")


# ------------------------------------------------------------------------- a refusal


def _blamed(case, error):
    """The argument that an error names; FaultError where it names none, or comes from elsewhere."""
    message = str(error)
    _require(message.strip(), "internal error", f"{type(error).__name__} without a message")
    frame = traceback.extract_tb(error.__traceback__)[-1]
    ours = re.search(r"[/\\](sklearn_thin|sklearn|tests)[/\\]", frame.filename)
    _require(ours, "internal error", f"{_short(error)} in {frame.filename}:{frame.lineno}")
    named = [name for name in (*ARGUMENTS, *sorted(PARAMETERS)) if names(message, name)]
    if case.wrong is not None and case.wrong not in named:
        # the argument may still be right to blame if the rest fails by itself
        try:
            ending, named = check(case.mended())
        except FaultError:
            ending, named = "fault", None
        _require(ending == "refused", "unclear", f"{case.wrong} is wrong: {_short(error)}")
        return named
    _require(named, "unclear", _short(error))
    if case.wrong is not None:
        return case.wrong
    first = {name: re.search(pattern(name), message).start() for name in named}
    return min(first, key=lambda name: (first[name], -len(name)))


def pattern(name):
    return rf"(?<!\w)({SYNONYMS.get(name, name)})(?!\w)"


def names(message, name):
    """Whether a message names the argument."""
    return re.search(pattern(name), message) is not None


def _short(error):
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


# ------------------------------------------------------------------------- states


def surroundings(name):
    """A context with a state of torch, or of scikit-learn, that users may have set."""
    contexts = {
        "none": nullcontext,
        "float64": float64_by_default,
        "inference mode": torch.inference_mode,
        "no gradients": torch.no_grad,
        "autocast": lambda: torch.autocast("cpu"),
        "frames": lambda: config_context(transform_output="pandas"),
        "meta device": lambda: torch.device("meta"),
    }
    return contexts[name]()


@contextmanager
def float64_by_default():
    before = torch.get_default_dtype()  # a case may hold another
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def ambient():
    """torch's state around a call."""
    return {
        "default dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "threads": torch.get_num_threads(),
        "default device": str(torch.get_default_device()),
        "numpy's errors": tuple(np.geterr().items()),
    }


def equal(value, other):
    """Whether an argument holds the same values, in the same types."""
    if hasattr(value, "equals"):
        return bool(value.equals(other))
    if hasattr(value, "tocsr"):
        return (value != other).nnz == 0
    if isinstance(value, (list, str, type(None))):
        return value == other
    value, other = np.asarray(value), np.asarray(other)
    if value.dtype != other.dtype or value.shape != other.shape:
        return False
    if value.dtype == object:
        return all(a is b or a == b for a, b in zip(value.flat, other.flat, strict=True))
    return value.tobytes() == other.tobytes()


def parameters(estimator):
    """Parameters, and the weights of modules among them."""
    params = estimator.get_params()
    weights = {
        name: {key: tensor.clone() for key, tensor in value.state_dict().items()}
        for name, value in params.items()
        if isinstance(value, torch.nn.Module)
    }
    return params, weights


def same_parameters(before, after):
    (params, weights), (now, weights_now) = before, after
    return (
        params.keys() == now.keys()
        and all(now[name] is value for name, value in params.items())
        and all(
            torch.equal(tensor, weights_now[name][key])
            for name, state in weights.items()
            for key, tensor in state.items()
        )
    )


# ------------------------------------------------------------------------- counts


def run_shard(number, size, *, kind):
    """Counts of the endings of `size` configurations, and (FaultError, Case) of each fault."""
    torch.set_num_threads(1)
    torch.set_warn_always(True)  # else torch warns once a process
    endings, faults, started = Counter(), [], False

    @seed(number)
    @settings(
        max_examples=size + 1,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(kind))
    def each(case):
        nonlocal started
        if not started:
            started = True
            return
        try:
            endings[check(case)] += 1
        except FaultError as fault:
            endings["fault", fault.kind] += 1
            faults.append((str(fault), repr(case)))
        except Exception as error:
            endings["fault", "harness"] += 1
            faults.append(("".join(traceback.format_exception(error)), repr(case)))

    each()
    return endings, faults


def count(configurations, *, jobs=1, first_seed=0):
    """Counts of the endings, and the faults, of random configurations of KINDS."""
    shards, left = [], configurations
    while left > 0:
        number = len(shards)
        shards.append((first_seed + number, min(SHARD, left), KINDS[number % len(KINDS)]))
        left -= SHARD
    run = Parallel(n_jobs=jobs)(
        delayed(run_shard)(number, size, kind=kind) for number, size, kind in shards
    )
    endings = sum((part for part, _ in run), Counter())
    return endings, [fault for _, part in run for fault in part]


def print_counts(endings, faults, file=sys.stdout):
    """A table of the counts, then each fault with its case."""
    total = Counter()
    for (ending, _), number in endings.items():
        total[ending] += number
    kinds = ("internal error", "NaN", "change of state")
    others = {kind for ending, kind in endings if ending == "fault"} - set(kinds)
    print("| | configurations |\n| --- | --- |", file=file)
    print(f"| all | {sum(total.values()):,} |", file=file)
    print(f"| fitted | {total['fitted']:,} |", file=file)
    print(f"| refused | {total['refused']:,} |", file=file)
    for (ending, name), number in endings.most_common():
        if ending == "refused":
            print(f"| refused: `{name}` | {number:,} |", file=file)
    for kind in (*kinds, *sorted(others)):
        print(f"| fault: {kind} | {endings['fault', kind]:,} |", file=file)
    for fault, case in faults:
        print(f"\n{fault}\n    {case}", file=file)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configurations", type=int, default=5000)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--seed", type=int, default=0, help="of the first configurations")
    args = parser.parse_args()
    endings, faults = count(args.configurations, jobs=args.jobs, first_seed=args.seed)
    print_counts(endings, faults)
    sys.exit(bool(faults))
