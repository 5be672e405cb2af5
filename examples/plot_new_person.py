"""
=====================================================
A new wearer: calibration with a few rows of a person
=====================================================

A band around the forearm has eight electrodes, and a model recognises five gestures. Nobody puts
the band on at the same angle. One gesture of one person looks like another gesture of the next.
The person is the exogenous variable, since the person changes the relation of features and classes.

Thirty people have recorded a whole session. Ten new people record a few rows each. Four models use
these rows. The example measures the accuracy on later rows of the new people.

The rows are synthetic. `benchmarks/peers.py` has the comparison on a real arm band.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_thin import THINClassifier

ELECTRODES = [f"electrode {i}" for i in range(8)]
CALIBRATION = (5, 10, 20, 40)  # rows of a new person

# %%
# A gesture activates the electrodes around one place of the forearm. A person has an angle of the
# band, and a gain of each electrode. A repetition has a force, and each electrode adds noise.


def record(person, n_rows, random_state):
    """Rows of a person with the angle of the band, in radians, and the gesture."""
    band = random_state.uniform(0, 2 * np.pi)
    gain = random_state.lognormal(0, 0.2, 8)
    gesture = random_state.permutation(np.arange(n_rows) % 5)
    place = 2 * np.pi * gesture[:, None] / 5 + band  # (n, 1)
    activity = np.exp(2 * np.cos(2 * np.pi * np.arange(8) / 8 - place) - 2)  # (n, 8)
    force = random_state.lognormal(0, 0.3, (n_rows, 1))
    noise = random_state.normal(0, 0.25, activity.shape)
    rows = pd.DataFrame(force * gain * activity + noise, columns=ELECTRODES)
    return rows.assign(person=person, band=band, gesture=gesture)


def draw(seed):
    """Whole sessions of 30 people, calibration rows of 10 new people, and their later rows."""
    random_state = np.random.RandomState(seed)
    known = pd.concat(record(f"known {i:02d}", 100, random_state) for i in range(30))
    new = [record(f"new {i}", 240, random_state) for i in range(10)]
    return known, [rows[:40] for rows in new], pd.concat(rows[40:] for rows in new)


# %%
# The pooled network does not see the person. The second network reads the person as a feature.
# THIN reads the column through its gate: `exogenous="person"`. A regression of each new person
# learns from the calibration rows of this person alone.

SIGNALS, WITH_PERSON = ELECTRODES, [*ELECTRODES, "person"]
NETWORKS = {
    "one network for all": (THINClassifier(depth=0), SIGNALS),
    "person as a feature": (THINClassifier(depth=0), WITH_PERSON),
    "THIN, gated by the person": (THINClassifier("person"), WITH_PERSON),
}


def accuracy_alone(calibration, later):
    """Accuracy of a regression for each new person."""
    right = []
    for person, rows in calibration.groupby("person"):
        model = make_pipeline(StandardScaler(), LogisticRegression())
        model.fit(rows[ELECTRODES], rows["gesture"])
        test = later[later["person"] == person]
        right.append(model.score(test[ELECTRODES], test["gesture"]))
    return np.mean(right)


accuracy = {name: [] for name in (*NETWORKS, "a regression for each person")}
for seed in range(3):
    known, sessions, later = draw(seed)
    for name in accuracy:
        accuracy[name].append([])
    for n_rows in CALIBRATION:
        calibration = pd.concat(rows[:n_rows] for rows in sessions)
        train = pd.concat([known, calibration])
        for name, (model, columns) in NETWORKS.items():
            model.set_params(batch_size=128, max_epochs=12, lr=3e-3, random_state=seed)
            model.fit(train[columns], train["gesture"])
            accuracy[name][-1].append(100 * model.score(later[columns], later["gesture"]))
        alone = accuracy_alone(calibration, later)
        accuracy["a regression for each person"][-1].append(100 * alone)

print(f"{'rows of a new person':30s}" + "".join(f"{n_rows:12d}" for n_rows in CALIBRATION))
for name, values in accuracy.items():
    cells = zip(np.mean(values, 0), np.std(values, 0, ddof=1), strict=True)
    print(f"{name:30s}" + "".join(f"{mean:6.1f} ± {spread:3.1f}" for mean, spread in cells))

# %%
# The gate has not read the angle of the band. Its weights in the last fit still show who is alike:
# people with like angles share experts. A new person needs few rows to find these experts.

thin = NETWORKS["THIN, gated by the person"][0]
people = train.groupby("person").head(1)
weights = thin.gate_proba(people[WITH_PERSON])  # (40 people, 8 experts)
first, second = np.triu_indices(len(people), 1)  # all pairs
angle = np.rad2deg(people["band"].to_numpy())
apart = np.abs((angle[first] - angle[second] + 180) % 360 - 180)
differ = np.abs(weights[first] - weights[second]).sum(1) / 2  # 0 for equal weights, at most 1
bins = np.digitize(apart, np.arange(20, 180, 20))  # nine
of_pairs = np.array([differ[bins == i].mean() for i in range(9)])
print("difference of the weights, by angle: " + " ".join(f"{d:.2f}" for d in of_pairs))

# %%
# Left: mean and standard deviation of three draws of people and of weights. Right: pairs of people,
# and the mean over intervals of 20 degrees.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
for name, colour in zip(accuracy, ("0.55", "C0", "C1", "C2"), strict=True):
    mean, spread = np.mean(accuracy[name], 0), np.std(accuracy[name], 0, ddof=1)
    width = 2.5 if "THIN" in name else 1.5
    left.errorbar(CALIBRATION, mean, spread, color=colour, linewidth=width, capsize=3, label=name)
left.axhline(20, color="0.8", linestyle=":", label="chance")
left.set(
    xscale="log",
    xticks=CALIBRATION,
    xticklabels=CALIBRATION,
    xlabel="calibration rows of a new person",
    ylabel="accuracy on later rows, %",
    ylim=(0, 100),
)
left.minorticks_off()
left.legend(loc="center right", bbox_to_anchor=(1, 0.4), fontsize="small")

right.plot(apart, differ, ".", color="0.8", markersize=4)
right.plot(np.arange(10, 180, 20), of_pairs, "o-", color="C1", linewidth=2.5)
right.set(
    xlabel="difference of the angles of two people, degrees",
    ylabel="difference of the weights of their experts",
    xlim=(0, 180),
    ylim=(0, None),
)
figure.savefig("plot_new_person.png", dpi=120)
print("figure: plot_new_person.png")
