"""The rows that early stopping holds out."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, train_test_split


def held_out_indices(size, codes, groups, seed, early_stopping):
    """Indices of the training and of the held-out rows, in equal proportions of the classes.

    `size` is a fraction or a number of rows, from `early_stopping`, which errors show. Rows of one
    group stay together; the size is then met approximately.
    """
    n_rows = len(codes)
    fraction = size if size < 1 else size / n_rows
    if fraction >= 1:
        raise ValueError(f"early_stopping={early_stopping!r} rows cannot be held out of {n_rows}")
    if groups is not None:
        n_groups = len(np.unique(groups))
        if n_groups < 2:
            raise ValueError(
                f"early_stopping={early_stopping!r} cannot hold out a whole group: groups has "
                "only one. Pass X_val and y_val, or no groups."
            )
        n_folds = min(max(2, round(1 / fraction)), n_groups)
        folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        return next(folds.split(codes, codes, groups))
    try:
        return train_test_split(
            np.arange(n_rows), test_size=size, stratify=codes, random_state=seed
        )
    except ValueError as error:
        raise ValueError(
            f"early_stopping={early_stopping!r} cannot hold out rows of every class: {error} "
            "Hold out another number of rows, or pass X_val and y_val."
        ) from error
