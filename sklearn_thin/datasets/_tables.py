"""Tables with a known variable, as arrays or as a pandas frame."""

from sklearn.utils._optional_dependencies import check_pandas_support


def as_table(X, target, feature_names, variable, labels, as_frame):
    """Entries of a Bunch: `data`, `target`, `feature_names` and `frame`.

    With `as_frame` the data are a DataFrame that has the variable's `labels` (n,) as a column.
    """
    frame = None
    if as_frame:
        pandas = check_pandas_support("as_frame=True")
        X = pandas.DataFrame(X, columns=feature_names).assign(**{variable: labels})
        target = pandas.Series(target, name="target")
        feature_names = [*feature_names, variable]
        frame = X.assign(target=target)
    return {"data": X, "target": target, "feature_names": feature_names, "frame": frame}
