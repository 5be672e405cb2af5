"""
=====================================
Save, load, export and serve a model
=====================================

A fitted model leaves the notebook in one of four ways. Each contains the whole path from the rows
to the probabilities: preparation, gate, experts and softmax.

=============  ====================================  =======================================
function       result                                needs, where it is used
=============  ====================================  =======================================
`save`         one file that `load` reads            this package; no code of the file runs
`to_torch`     a torch module                        PyTorch
`to_onnx`      an ONNX graph                         any ONNX runtime
`to_numpy`     a Python file                         NumPy
=============  ====================================  =======================================
"""

import runpy
import tempfile
from pathlib import Path
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import torch
from onnxruntime import InferenceSession

import sklearn_thin
from sklearn_thin import THINClassifier
from sklearn_thin.datasets import make_sites

sites = make_sites(n_samples=2000, n_sites=8, random_state=0)
X, y = np.column_stack([sites.data, sites.site]), sites.target
clf = THINClassifier(7, max_epochs=5, random_state=0).fit(X, y)  # the last column is the site
expected = clf.predict_proba(X)

# %%
# A file for this package
# -----------------------

folder = Path(tempfile.mkdtemp())
sklearn_thin.save(clf, folder / "sites.thin")
again = sklearn_thin.load(folder / "sites.thin")
print("same bits:", (again.predict_proba(X) == expected).all())

# %%
# Files for others
# ----------------
#
# Each export is compared with the estimator on X, before anything is written.

module = sklearn_thin.to_torch(clf, X)
sklearn_thin.to_onnx(clf, folder / "sites.onnx", X)
sklearn_thin.to_numpy(clf, folder / "sites.py", X)

session = InferenceSession(folder / "sites.onnx")
alone = runpy.run_path(str(folder / "sites.py"))["predict_proba"]
served = {
    "predict_proba": lambda rows: clf.predict_proba(rows),
    "to_torch": lambda rows: module(torch.as_tensor(rows)).detach().numpy(),
    "to_onnx": lambda rows: session.run(["probabilities"], {"X": rows})[0],
    "to_numpy": alone,
}
for name, call in served.items():
    print(f"{name:14} largest difference {np.abs(call(X) - expected).max():.0e}")

# %%
# One row at a time
# -----------------
#
# The median time of one row, on the machine that built this page. Times depend on the machine;
# `benchmarks/bench_row.py` compares them with care.

microseconds = {}
for name, call in served.items():
    times = []
    for row in X[:200, None]:
        start = perf_counter()
        call(row)
        times.append(1e6 * (perf_counter() - start))
    microseconds[name] = np.median(times)

figure, ax = plt.subplots(figsize=(6, 2.4), layout="constrained")
bars = ax.barh(list(microseconds), list(microseconds.values()), color="#4477aa")
ax.bar_label(bars, fmt="{:.0f}", padding=3)
ax.set(xlabel="microseconds for one row, on a logarithmic scale", xscale="log")
ax.set_xlim(10, 4 * max(microseconds.values()))
ax.invert_yaxis()
figure.savefig("plot_serving.png", dpi=150)
