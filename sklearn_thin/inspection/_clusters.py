"""Standard errors of means over cells, where the rows of a group depend on each other.

A group explains its own rows where it holds much of a cell. Its residuals there are too small. Bell
and McCaffrey (2002) divide them by a power of the share of the cell that other groups hold: 1/2
(CR2), or 1 as if each group were left out in turn (CR3, a jackknife).
"""

import numpy as np
from scipy.sparse import coo_array


def shares_of_others(units, cells):
    """Share of the row's cell that other groups hold, (n,); 1 where they hold nothing of it."""
    pairs = units * (cells.max() + 1) + cells
    _, pair, counts = np.unique(pairs, return_inverse=True, return_counts=True)
    share = 1 - counts[pair] / np.bincount(cells)[cells]
    return np.where(share > 0, share, 1)  # residuals of a cell with one group have the sum 0


def degrees_of_freedom(units, cells, weight):
    """Degrees of freedom of the variance of a weighted sum of cell means, at least 1.

    Weights (n,) are those of the residuals. Satterthwaite's, for independent rows of one variance
    (Bell and McCaffrey, 2002).
    """
    of_pairs = coo_array((weight / np.sqrt(np.bincount(cells)[cells]), (units, cells))).tocsr()
    alone, explained = np.bincount(units, weight**2), (of_pairs**2).sum(1)
    both = of_pairs.T @ of_pairs  # (n_cells, n_cells)
    squares = (alone**2).sum() - 2 * alone @ explained + (both**2).sum()
    return max(1.0, (alone - explained).sum() ** 2 / squares) if squares > 0 else 1.0
