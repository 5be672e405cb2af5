"""The map in front of the experts, fitted to the backbone's output on the training rows."""

import torch

from sklearn_thin.rows.arrays import block_rows

EPOCH_ROWS = 8192  # rows for the map of an epoch; the last map is fitted to all


def refit_map(module, plan, n_rows=EPOCH_ROWS, generator=None):
    """Fit the map of a module to `n_rows` random training rows, or with None to all.

    Rows of one class leave the map as it is.
    """
    labels = plan.map_labels
    if labels is None or (labels == labels[0]).all():
        return
    index = torch.randperm(len(labels), generator=generator)[:n_rows]
    parts = [labels] if plan.map_weight is None else [labels, plan.map_weight]
    module.eval()
    device = next(module.parameters()).device
    try:
        module.eraser.refit(Blocks(module, plan.train.X, parts, index, device))
    except torch.linalg.LinAlgError as error:
        raise FloatingPointError(
            "dispelling cannot fit its map, as the representation has become too large: "
            f"{error} Try a lower lr (got {plan.settings.lr})."
        ) from error


class Blocks:
    """Blocks of (h, *parts) for a map, computed anew in each pass.

    `X` holds "x" (n_samples, ...) and maybe "gate_input", which give h; `parts` are labels
    (n_samples, n_labels), and maybe weights (n_samples,). `index` holds the rows to take, in order.
    """

    def __init__(self, module, X, parts, index, device):
        self.module = module
        self.inputs = [X["x"], *([X["gate_input"]] if module.gates_layers else [])]
        self.parts = parts
        self.index = index
        self.device = device

    @torch.no_grad()
    def __iter__(self):
        for rows in self.index.split(block_rows(self.inputs[0], self.device)):
            h = self.module.features(*(part[rows].to(self.device) for part in self.inputs))
            yield h, *(part[rows].to(self.device) for part in self.parts)
