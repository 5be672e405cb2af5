"""Models and recordings of the page "Turn a digit": `python docs/turn/models.py FOLDER`.

`FOLDER/static/turn` gets three ONNX graphs, `digits.json` with held-out digits, and `sites.json`
with the gate's weights after each epoch. `FOLDER/fitted` gets the estimators, for the browser test.
"""

import json
import sys
import time
import warnings
from copy import deepcopy
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import train_test_split
from skorch.callbacks import Callback
from torch import nn

from sklearn_thin import (
    ConvNetBackbone,
    ExogenousEncoder,
    MLPBackbone,
    THINClassifier,
    save,
    to_onnx,
)
from sklearn_thin.datasets import make_rotated, make_sites

N_BINS = 9  # an odd number, so that "upright" is the centre of a bin
N_SHOWN = 5  # held-out images of each class


# ---------------------------------------------------------------------- digits


def split_digits():
    """Upright images in [0, 1] and classes; a third is held out."""
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)
    how = {"test_size": 1 / 3, "stratify": digits.target, "random_state": 0}
    return train_test_split(images, digits.target, **how)


def fit_digits(images, y):
    """The frozen encoder of the angle, THIN, and a baseline with about as many parameters.

    The shared part of THIN is convolutions, as in the paper. The hidden units of the experts are
    those of the baseline's only head, dealt among eight.
    """
    backbone = ConvNetBackbone((16, 16), hidden_layer_sizes=())
    many = make_rotated(images, n_bins=N_BINS, n_copies=20, random_state=2)
    encoder = ExogenousEncoder(backbone, hidden_units=128, max_epochs=3, random_state=0)
    encoder.fit(many.images, many.angle_bins)
    how = {"backbone": backbone, "hidden_units": 128, "max_epochs": 15, "random_state": 0}
    thin = THINClassifier(FrozenEstimator(encoder), depth=3, lam=0.005, **how)
    baseline = THINClassifier(depth=0, **how)
    few = make_rotated(images, n_bins=N_BINS, n_copies=4, random_state=0)
    for model in (thin, baseline):
        model.fit(few.images, y[few.index])
    return {"encoder": encoder, "thin": thin, "baseline": baseline}


class Inside(nn.Module):
    """THIN with its inside: decisions of the nodes, weights and votes of the experts.

    The gate reads `angle`, the probabilities of the angle's bins, so that they can be set.
    """

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, image, angle):
        h = angle * N_BINS**0.5  # (n, bins), as the estimator scales it
        votes = self.module.experts(self.module.represent(image.unsqueeze(1)))  # (n, L, K)
        weights = self.module.gate(h)  # (n, L)
        proba = torch.einsum("nl,nlk->nk", weights, votes).softmax(1)
        return proba, self.module.gate.decisions(h), weights, votes.softmax(2)


OUTPUTS = ("probabilities", "decisions", "weights", "votes")


def write_inside(thin, path):
    """Write the graph of THIN with its inside."""
    rows = torch.zeros(2, 8, 8), torch.zeros(2, N_BINS)
    any_rows = {0: torch.export.Dim.DYNAMIC}
    names = {"input_names": ["X", "angle"], "output_names": list(OUTPUTS)}
    how = {"dynamo": True, "opset_version": 18, "verbose": False}
    how["dynamic_shapes"] = any_rows, any_rows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of itself
        program = torch.onnx.export(Inside(thin.module_).eval(), rows, **names, **how)
    onnx.save(program.model_proto, path)


def check_inside(path, thin, encoder, X):
    """Greatest difference of the graph's outputs from the estimator's, with and without `as if`."""
    session, worst = onnxruntime.InferenceSession(path), 0.0
    upright = np.eye(N_BINS, dtype=np.float32)[np.full(len(X), N_BINS // 2)]
    for angle, given in ((encoder.predict_proba(X), {}), (upright, {"exogenous": upright})):
        methods = (thin.predict_proba, thin.decision_path, thin.gate_proba, thin.expert_proba)
        outputs = session.run(OUTPUTS, {"X": X, "angle": angle})
        for output, method in zip(outputs, methods, strict=True):
            worst = max(worst, float(np.abs(output - method(X, **given)).max()))
    if worst > 1e-5:
        raise ValueError(
            f"the graph of THIN differs by {worst:.2g} from predict_proba and its like"
        )
    return worst


def describe_digits(folder, fitted):
    """Fit, export and describe the models of digits."""
    images, held_out, y, y_held_out = split_digits()
    models = fit_digits(images, y)
    test = make_rotated(held_out, n_bins=N_BINS, n_copies=3, random_state=1)
    encoder, thin, baseline = models.values()
    to_onnx(encoder, folder / "encoder.onnx", test.images)
    to_onnx(baseline, folder / "baseline.onnx", test.images)
    write_inside(thin, folder / "thin.onnx")
    for name, model in models.items():
        save(model, fitted / f"{name}.thin")
    shown = [i for c in range(10) for i in np.flatnonzero(y_held_out == c)[:N_SHOWN]]
    right = y_held_out[test.index]
    worst = check_inside(folder / "thin.onnx", thin, encoder, test.images)
    print(f"largest difference of THIN's graph from the estimator: {worst:.1g}")
    for name, model in models.items():
        score = model.score(test.images, test.angle_bins if name == "encoder" else right)
        n_parameters = sum(weights.numel() for weights in model.module_.parameters())
        print(f"{name:10s}accuracy {100 * score:.1f} %, {n_parameters:,} parameters")
    images = np.rint(held_out[shown] * 16).astype(int).reshape(-1, 64)
    return {"images": images.tolist(), "classes": y_held_out[shown].tolist()}


# ---------------------------------------------------------------------- sites


class Recorder(Callback):
    """The weights of the network before the first epoch, and after each."""

    def on_train_begin(self, net, **kwargs):
        self.states = [deepcopy(net.module_.state_dict())]

    def on_epoch_end(self, net, **kwargs):
        self.states.append(deepcopy(net.module_.state_dict()))


def describe_sites():
    """Fit one THIN to sixty sites, and describe its gate after each epoch."""
    sites = make_sites(n_samples=8000, as_frame=True, random_state=0)
    X, X_test, y, y_test = train_test_split(
        sites.data, sites.target, train_size=4000, stratify=sites.data["site"], random_state=0
    )
    thin = THINClassifier(
        "site",
        backbone=MLPBackbone(()),
        depth=2,
        lr=5e-3,
        max_epochs=20,
        callbacks=[("recorder", Recorder())],
        random_state=0,
    )
    thin.fit(X, y)
    one_row = X_test.drop_duplicates("site").sort_values("site")  # the gate reads nothing else
    epochs = []
    for state in dict(thin.net_.callbacks_)["recorder"].states:
        thin.module_.load_state_dict(state)
        weights = thin.gate_proba(one_row)  # (sites, leaves)
        epochs.append(
            {
                "weights": [[round(float(w), 3) for w in row] for row in weights],
                "accuracy": thin.score(X_test, y_test),
                "agreement": adjusted_rand_score(sites.site_type, weights.argmax(1)),
            }
        )
    return {"types": sites.site_type.tolist(), "oracle": sites.oracle, "epochs": epochs}


def main(folder):
    """Write everything that the page reads, except the runtime."""
    start = time.perf_counter()
    static, fitted = folder / "static" / "turn", folder / "fitted"
    for made in (static, fitted):
        made.mkdir(parents=True, exist_ok=True)
    digits, sites = describe_digits(static, fitted), describe_sites()
    for name, described in (("digits", digits), ("sites", sites)):
        (static / f"{name}.json").write_text(json.dumps(described, separators=(",", ":")))
    last = sites["epochs"][-1]
    print(f"sites: accuracy {last['accuracy']:.3f}, adjusted Rand index {last['agreement']:.2f}")
    print(f"{time.perf_counter() - start:.0f} s, {time.process_time():.0f} s of processor time")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
