"""The folder of a search that goes on after it was killed, checked before long work."""

from sklearn_thin._checkpoints import made_folder, warn_of_unset
from sklearn_thin.model_selection._members import last_step


def checked_folder(search):
    """Make the folder of a search, and warn of random states that no other process repeats."""
    folder = made_folder(search.checkpoint_dir)
    estimator, cv, unset = search.estimator, search.cv, []
    _, prefix = last_step(estimator)
    grids = vars(search).get("param_grid", vars(search).get("param_distributions"))
    grids = [grids] if isinstance(grids, dict) else grids
    searched = [f"{prefix}random_state" in grid for grid in grids]
    if estimator.get_params().get(f"{prefix}random_state", 0) is None and not all(searched):
        unset.append("the estimator")
    if getattr(cv, "random_state", 0) is None and getattr(cv, "shuffle", True):
        unset.append("cv")
    draws = getattr(search, "resource", "n_samples") == "n_samples"
    if draws and getattr(search, "random_state", 0) is None:
        unset.append("the search")
    if unset:
        warn_of_unset(unset, "search")
    return folder
