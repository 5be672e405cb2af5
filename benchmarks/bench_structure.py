"""Own files and own functions that a fit, a prediction and a stacked search pass.

    python benchmarks/bench_structure.py

A profile hook sees every call of a Python function. Printed are the files and the functions on
their first visit, of the package's source without `modules/` and `losses.py`. Lambdas and
comprehensions do not count. Two of scikit-learn's classifiers stand beside it, each counted in
the folder of its own subpackage. `--verbose` lists the functions in the order of the visits.
"""

import os
import sys
import warnings
from pathlib import Path

import sklearn
from _cases import arguments
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier

import sklearn_thin
from sklearn_thin import ExogenousEncoder, THINClassifier
from sklearn_thin.model_selection import StackedGridSearchCV

THIN, SKLEARN = Path(sklearn_thin.__file__).parent, Path(sklearn.__file__).parent
TORCH_ALONE = (THIN / "modules", THIN / "losses.py")
N_ROWS = 400


def visits(call, folder):
    """(file, function) of the folder that the call passes, in the order of the first visits."""
    passed, inside = {}, f"{folder}{os.sep}"

    def hook(frame, event, _):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(inside) and code.co_name[0] != "<":
            passed[code.co_filename, code.co_qualname] = None

    sys.setprofile(hook)
    try:
        call()
    finally:
        sys.setprofile(None)
    apart = tuple(map(str, TORCH_ALONE))
    return [
        (str(Path(file).relative_to(folder)), function)
        for file, function in passed
        if not file.startswith(apart)
    ]


def passes(X, y, z):
    """Name of a pass -> (the call, the folder whose functions count)."""
    params = {"depth": 2, "max_epochs": 2, "random_state": 0}
    encoder = FrozenEstimator(ExogenousEncoder(max_epochs=2, random_state=0).fit(X, z))
    thin = THINClassifier(encoder, **params)
    grids = {"lr": [1e-3, 1e-2]}, {"depth": [1, 2]}  # networks of one shape, and of two
    alike, padded = (StackedGridSearchCV(clone(thin), grid, cv=2) for grid in grids)
    calls = {
        "THINClassifier.fit": (lambda: thin.fit(X, y), THIN),
        "THINClassifier.predict_proba": (lambda: thin.predict_proba(X), THIN),
        "StackedGridSearchCV.fit": (lambda: alike.fit(X, y), THIN),
        "StackedGridSearchCV.fit over depths": (lambda: padded.fit(X, y), THIN),
    }
    theirs = {
        SKLEARN / "neural_network": MLPClassifier((16,), max_iter=2, random_state=0),
        SKLEARN / "ensemble/_hist_gradient_boosting": HistGradientBoostingClassifier(max_iter=2),
    }
    for folder, model in theirs.items():
        name = type(model).__name__
        calls[f"{name}.fit"] = (lambda model=model: model.fit(X, y)), folder
        calls[f"{name}.predict_proba"] = (lambda model=model: model.predict_proba(X)), folder
    return calls


def main():
    parser = arguments(__doc__)
    parser.add_argument("--verbose", action="store_true", help="list every file and function")
    args = parser.parse_args()
    X, y = (rows[:N_ROWS] for rows in load_digits(return_X_y=True))
    X = X / 16
    print(f"{'':46s}{'files':>7s}{'functions':>11s}")
    for name, (call, folder) in passes(X, y, X.mean(1) > 0.3).items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of two iterations
            passed = visits(call, folder)
        files = {file for file, _ in passed}
        print(f"{name:46s}{len(files):7d}{len(passed):11d}")
        if args.verbose:
            for file, function in passed:
                print(f"  {file:34s} {function}")


if __name__ == "__main__":
    main()
