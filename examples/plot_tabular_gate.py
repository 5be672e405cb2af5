"""
===================================================
A table with a nuisance column: sexing of penguins
===================================================

Male penguins are larger than females. A female of one species is larger than a male of another: the
species changes how the classes look. The species is the exogenous variable. A column of the frame
holds it. The gate reads this column, and the backbone does not.

The data are the Palmer penguins of the package `palmerpenguins`. Two birds of a nest share a line
of descent and a day of measuring. Splits of the rows therefore keep nests whole.
"""

import matplotlib.pyplot as plt
import numpy as np
from palmerpenguins import load_penguins_raw
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_thin import MLPBackbone, THINClassifier

# %%
# The frame: four measurements, the species, the sex as target, and the nest.

measures = ["Culmen Length (mm)", "Culmen Depth (mm)", "Flipper Length (mm)", "Body Mass (g)"]
penguins = load_penguins_raw().dropna(subset=["Sex"])
penguins["Species"] = penguins["Species"].astype(str).str.split().str[0]
X, y = penguins[[*measures, "Species"]], penguins["Sex"].astype(str).to_numpy()
nest = (penguins["studyName"] + penguins["Species"] + penguins["Individual ID"].str[:-2]).to_numpy()
print(f"{len(X)} penguins in {len(np.unique(nest))} nests")

# %%
# Three models see the species: a regression and a network as a feature, and THIN through its gate.
# `exogenous="Species"` names the column. The backbone then does not see it. Networks impute and
# scale the numbers themselves.


def models(seed):
    """Each model with the columns that it reads."""
    common = {
        "backbone": MLPBackbone((16,)),
        "hidden_units": 0,  # linear experts: there are 333 rows
        "max_epochs": 100,
        "lr": 3e-3,
        "random_state": seed,
    }
    encoded = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), measures),
        (OneHotEncoder(handle_unknown="ignore"), ["Species"]),
    )
    regression, network = LogisticRegression(), THINClassifier(depth=0, **common)
    gated = THINClassifier("Species", depth=2, n_experts=3, **common)
    return {
        "logistic regression, with species": (make_pipeline(encoded, regression), list(X)),
        "baseline, without species": (network, measures),
        "baseline, species as features": (network, list(X)),
        "gated by species": (gated, list(X)),
    }


# %%
# Accuracy on unseen nests: five folds, three seeds of both the folds and the networks. Gating is
# no free lunch, since every expert learns from its part of the rows alone. With so few rows the
# species serves at least as well as an ordinary feature.

scores = {}
for seed in range(3):
    folds = StratifiedGroupKFold(n_splits=5, shuffle=True, random_state=seed)
    for name, (model, columns) in models(seed).items():
        accuracy = cross_val_score(model, X[columns], y, cv=folds, groups=nest)
        scores.setdefault(name, []).append(100 * accuracy.mean())

for name, values in scores.items():
    print(f"{name:36s}{np.mean(values):6.1f} ± {np.std(values, ddof=1):.1f} %")

# %%
# The left picture shows the role of the species. Within a species the sexes lie apart. Over all
# species they overlap.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for species, marker in zip(np.unique(X["Species"]), "os^", strict=True):
    for sex, colour in (("FEMALE", "C1"), ("MALE", "C0")):
        rows = penguins[(penguins["Species"] == species) & (penguins["Sex"] == sex)]
        label = f"{species}, {sex.lower()}"
        left.scatter(
            rows[measures[1]],
            rows[measures[3]],
            s=16,
            marker=marker,
            c=colour,
            alpha=0.7,
            label=label,
        )
left.set(xlabel=measures[1], ylabel=measures[3])
left.legend(fontsize="small")

names = list(scores)
values = np.array([scores[name] for name in names])
right.errorbar(values.mean(1), names, xerr=values.std(1, ddof=1), fmt="o", capsize=4)
right.plot(values, names, ".", color="0.6", zorder=0)
right.set(xlabel="accuracy on unseen nests, %", title="Three seeds: mean, deviation, each seed")
right.invert_yaxis()
right.margins(y=0.15)
figure.savefig("plot_tabular_gate.png", dpi=120)
print("figure: plot_tabular_gate.png")
