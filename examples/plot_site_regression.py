"""
=======================================================
Regression where sites turn the relation: use of energy
=======================================================

Sixty buildings report their daily use of energy. The weather drives the use. Some buildings heat,
some cool, some do both, and some have lamps that the sun replaces. No column holds the kind of a
building. A column holds its name, which is the exogenous variable. The gate reads the name, and the
backbone reads the weather.

The data are simulated, so that the figure can compare the kinds and the leaves of the gate.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.metrics import adjusted_rand_score, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, PolynomialFeatures, StandardScaler

from sklearn_thin import MLPBackbone, THINRegressor
from sklearn_thin.model_selection import StackedGridSearchCV

# %%
# A row is one day of one building. The use is in kWh: THINRegressor standardises y, and returns
# predictions in the units of y.

NOISE = 20  # kWh
weather = ["temperature", "sunshine", "wind"]
rng = np.random.RandomState(0)
kind_of = rng.randint(4, size=60)


def days(n_rows):
    """Days of random buildings: a frame, and the use in kWh."""
    X = pd.DataFrame(
        {
            "temperature": rng.uniform(-10, 35, n_rows),
            "sunshine": rng.uniform(0, 12, n_rows),
            "wind": rng.gamma(2, 2, n_rows),
        }
    )
    building = rng.randint(len(kind_of), size=n_rows)
    cold = np.maximum(18 - X["temperature"], 0) * (1 + 0.05 * X["wind"])
    warm = np.maximum(X["temperature"] + 0.6 * X["sunshine"] - 22, 0)
    demands = [8 * cold, 10 * warm, 6 * cold + 8 * warm, 250 - 12 * X["sunshine"]]
    use = 900 + np.choose(kind_of[building], demands) + NOISE * rng.randn(n_rows)
    X["building"] = [f"building {b:02d}" for b in building]
    return X, use


X_train, y_train = days(1500)
X_test, y_test = days(6000)
print(f"{len(X_train) / len(kind_of):.0f} days of each building to learn from")

# %%
# Rivals: a network of the weather alone, the same network and a boosting with the building as a
# feature, and a quadratic ridge regression for each building.


def per_building():
    """R² of a ridge regression for each building, which sees the days of its building alone."""
    predicted = np.empty(len(X_test))
    for building, rows in X_train.groupby("building"):
        ridge = make_pipeline(
            StandardScaler(), PolynomialFeatures(2), RidgeCV(np.logspace(-3, 3, 13))
        )
        mine = (X_test["building"] == building).to_numpy()
        predicted[mine] = ridge.fit(rows[weather], y_train[rows.index]).predict(
            X_test.loc[mine, weather]
        )
    return r2_score(y_test, predicted)


common = {"backbone": MLPBackbone((32, 32)), "batch_size": 64, "lr": 5e-3, "random_state": 0}
network = THINRegressor(depth=0, max_epochs=40, **common)
pooled = clone(network).fit(X_train[weather], y_train)
feature = clone(network).fit(X_train, y_train)
boosting = make_pipeline(
    make_column_transformer((OrdinalEncoder(), ["building"]), remainder="passthrough"),
    HistGradientBoostingRegressor(categorical_features=[0], random_state=0),
).fit(X_train, y_train)

# %%
# The gated regressor shares its experts among the buildings. A search, whose networks train
# together, chooses their number and their place. Two experts are too few for four kinds.

gated = StackedGridSearchCV(
    THINRegressor("building", max_epochs=40, **common),
    {"depth": [1, 2], "gating": ["head", "layers"]},
    cv=2,
).fit(X_train, y_train)
print(f"chosen: {gated.best_params_}")

scores = {
    "network of the weather": pooled.score(X_test[weather], y_test),
    "ridge for each building": per_building(),
    "network, building as feature": feature.score(X_test, y_test),
    "boosting, building as feature": boosting.score(X_test, y_test),
    "gated by the building": gated.score(X_test, y_test),
    "without the noise": 1 - NOISE**2 / y_test.var(),
}
for name, score in scores.items():
    print(f"{name:32s} R² {score:.3f}")

# %%
# The gate gives buildings of one kind nearly the same weights. The third kind heats and cools: it
# mixes the experts of the first two. `exogenous` predicts the use of another building in the same
# weather.

thin = gated.best_estimator_
each = X_test.drop_duplicates("building").sort_values("building")
weights = thin.gate_proba(each)
agreement = adjusted_rand_score(kind_of, weights.argmax(1))
print(f"kinds and favourite leaves: adjusted Rand index {agreement:.2f}")

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
left.barh(list(scores), list(scores.values()), color=["C0"] * 4 + ["C1", "0.8"])
left.set(xlabel="R² on new days", xlim=(0, 1))
left.invert_yaxis()
order = np.argsort(kind_of, kind="stable")
middle.imshow(weights[order], aspect="auto", vmin=0, vmax=1)
middle.set(xlabel="leaf", xticks=range(4), title="gate's weights")
middle.set(ylabel="building, sorted by its hidden kind")
temperature = np.linspace(-10, 35, 100)
line = pd.DataFrame({"temperature": temperature, "sunshine": 6.0, "wind": 4.0})
line["building"] = each["building"].iloc[0]
for kind in range(4):
    building = each["building"].iloc[np.flatnonzero(kind_of == kind)[0]]
    right.plot(temperature, thin.predict(line, exogenous=building), label=building)
right.set(xlabel="temperature, °C", ylabel="predicted use, kWh", title="one day, four buildings")
right.legend(fontsize="small")
figure.savefig("plot_site_regression.png", dpi=120)
