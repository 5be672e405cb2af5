"""Displays show the numbers of the public methods, with their labels, and refuse wrong input."""

import copy
import itertools
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import ValidationCurveDisplay

from sklearn_thin import ExogenousEncoder
from sklearn_thin.inspection import (
    DispellingDisplay,
    ExpertDisplay,
    GateDisplay,
    GateTreeDisplay,
    HistoryDisplay,
    PairDistanceDisplay,
    RepresentationDisplay,
    expert_agreement,
    export_gate_text,
    leaf_usage,
    pair_distance_iou,
    similar_levels,
)
from sklearn_thin.losses import cosine_dispelling
from sklearn_thin.model_selection import StackedGridSearchCV
from tests.helpers import run_python, small, small_encoder

PAIRS = np.array([[0, 1], [2, 3], [4, 5], [6, 7]])
SAME = np.array([1, 0, 1, 0])


def labels_of(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


# ------------------------------------------------------------------ all displays


def calls(X, y, z):
    """name -> a display of an estimator."""
    return {
        "GateDisplay": lambda clf: GateDisplay.from_estimator(clf, X, z),
        "GateTreeDisplay": lambda clf, **how: GateTreeDisplay.from_estimator(clf, X, y, **how),
        "DispellingDisplay": lambda clf: DispellingDisplay.from_estimator(clf, X),
        "ExpertDisplay": lambda clf: ExpertDisplay.from_estimator(clf, X, y, z),
        "HistoryDisplay": HistoryDisplay.from_estimator,
        "PairDistanceDisplay": lambda clf: PairDistanceDisplay.from_estimator(clf, X, PAIRS, SAME),
        "RepresentationDisplay": lambda clf: RepresentationDisplay.from_estimator(clf, X, z),
    }


NAMES = list(calls(None, None, None))


@pytest.mark.parametrize("name", NAMES)
def test_a_display_keeps_its_axes_and_draws_on_given_ones(name, thin, rows):
    display = calls(*rows)[name](thin)
    assert display.figure_ is display.ax_.figure
    _, ax = plt.subplots(layout="constrained")
    assert display.plot(ax=ax) is display
    assert display.ax_ is ax
    assert ax.has_data() or ax.images


@pytest.mark.parametrize("name", NAMES)
def test_an_unfitted_estimator_is_refused(name, rows):
    with pytest.raises(NotFittedError, match="not fitted"):
        calls(*rows)[name](small())


@pytest.mark.parametrize("name", NAMES)
def test_without_matplotlib_the_error_says_how_to_install_it(name, rows, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    # before any long work: the estimator is not even fitted
    with pytest.raises(
        ImportError, match=rf"{name}.from_estimator needs .* 'sklearn-thin\[plot\]'"
    ):
        calls(*rows)[name](small())


@pytest.mark.parametrize("name", ["GateDisplay", "GateTreeDisplay", "ExpertDisplay"])
def test_without_a_gate_there_is_nothing_to_draw(name, rows, encoder):
    call = calls(*rows)[name]
    if name != "ExpertDisplay":  # a plain ensemble has experts
        with pytest.raises(ValueError, match="no gate: it was fitted with depth=0"):
            call(small(depth=0).fit(*rows[:2]))
    with pytest.raises(TypeError, match="ExogenousEncoder has no gate"):
        call(encoder)


@pytest.mark.parametrize("name", ["GateDisplay", "ExpertDisplay", "RepresentationDisplay"])
def test_levels_of_another_length_are_refused(name, thin, rows):
    X, y, z = rows
    with pytest.raises(ValueError, match="one label for each of the 200 rows of X, got 7"):
        calls(X, y, z[:7])[name](thin)


@pytest.mark.parametrize("name", ["GateTreeDisplay", "ExpertDisplay"])
def test_classes_of_another_length_are_refused(name, thin, regressor, rows, sites):
    X, y, z = rows
    with pytest.raises(ValueError, match="y must have one label for each of the 200 rows"):
        calls(X, y[:7], z)[name](thin)
    frame, numbers = sites[0], np.zeros((7, 2))
    with pytest.raises(ValueError, match="y must have one number for each of the 600 rows"):
        calls(frame, numbers, frame["site"])[name](regressor)


def test_inspection_does_not_import_matplotlib():
    code = "import sys, sklearn_thin.inspection; print('matplotlib' in sys.modules)"
    assert run_python("-c", code).stdout.split() == ["False"]


# ------------------------------------------------------------------ the gate


def test_the_gate_by_level_has_the_means_of_its_leaves(thin, rows, overlaps):
    X, _, z = rows
    display = GateDisplay.from_estimator(thin, X, z, level_name="ink")
    means = np.stack([thin.gate_proba(X[z == level]).mean(0) for level in range(4)])
    np.testing.assert_allclose(display.leaf_proba, means[:, display.leaves], atol=1e-6)
    np.testing.assert_allclose(display.im_.get_array(), display.leaf_proba)
    centre = np.arange(4) @ (display.leaf_proba / display.leaf_proba.sum(0))
    assert (np.diff(centre) >= 0).all()
    entropy = -(means * np.log2(means)).sum(1)
    np.testing.assert_allclose([bar.get_width() for bar in display.bars_], entropy, rtol=1e-4)
    assert display.ax_.get_ylabel() == "ink"
    assert labels_of(display.ax_.yaxis) == ["0", "1", "2", "3"]
    assert labels_of(display.ax_.xaxis) == [str(leaf) for leaf in display.leaves]
    ticks = [*display.ax_.get_xticklabels(), *display.entropy_ax_.get_xticklabels()]
    assert not overlaps(display.figure_, ticks)


def test_levels_are_drawn_in_a_given_order(by_site, sites):
    X, _ = sites
    order = similar_levels(by_site, X, X["site"]).order
    display = GateDisplay.from_estimator(by_site, X, X["site"], level_order=order)
    assert labels_of(display.ax_.yaxis) == order.tolist()
    one = by_site.gate_proba(X[X["site"] == order[2]]).mean(0)
    np.testing.assert_allclose(display.leaf_proba[2], one[display.leaves], atol=1e-6)
    with pytest.raises(ValueError, match="level_order must hold each of the 8 levels once"):
        GateDisplay.from_estimator(by_site, X, X["site"], level_order=order[:5])


@pytest.fixture(scope="module")
def of_32(digits):
    """A gate of 32 leaves on images."""
    X = digits.images[:300]
    clf = small("given", backbone="auto", depth=5, max_epochs=1)
    return clf.fit(X, digits.y[:300], exogenous_target=digits.z[:300])


def test_32_leaves_and_levels_have_labels_that_do_not_overlap(overlaps):
    rng = np.random.RandomState(0)
    proba = rng.dirichlet(np.ones(32), 32)
    levels = [f"site {i}" for i in range(32)]
    display = GateDisplay(proba, levels=levels, leaves=range(32)).plot()
    assert labels_of(display.ax_.xaxis) == [str(i) for i in range(32)]
    assert labels_of(display.ax_.yaxis) == levels
    for axis in (display.ax_.xaxis, display.ax_.yaxis):
        assert not overlaps(display.figure_, axis.get_ticklabels())


def test_long_names_that_begin_alike_keep_labels_of_their_own():
    levels = [f"measurement site {i}" for i in range(8)]
    display = GateDisplay(np.full((8, 2), 0.5), levels=levels, leaves=range(2)).plot()
    labels = labels_of(display.ax_.yaxis)
    assert len(set(labels)) == 8
    assert max(map(len, labels)) == 16


# ------------------------------------------------------------------ the tree


def test_the_tree_has_the_reach_of_its_nodes(thin, rows):
    X, y, _ = rows
    display = GateTreeDisplay.from_estimator(thin, X, y)
    left = thin.decision_path(X)
    np.testing.assert_allclose(display.reach[0], 1)
    np.testing.assert_allclose(display.reach[1], left[:, 0].mean(), rtol=1e-5)
    np.testing.assert_allclose(display.reach[3:], leaf_usage(thin, X).usage, rtol=1e-5)
    shown = [text.get_text() for text in display.node_texts_]
    assert shown == [f"{100 * share:.0f} %" for share in display.reach[:3]]
    names = [text.get_text() for text in display.texts_["leaf"]]
    assert [name.partition(" (")[0] for name in names] == [f"leaf {i}" for i in range(4)]


def test_leaves_have_the_classes_and_levels_of_their_rows(by_site, sites):
    X, y = sites
    display = GateTreeDisplay.from_estimator(by_site, X, y, levels=X["site"], level_name="site")
    weight = by_site.gate_proba(X)[:, 2]  # of leaf 2
    for words, labels in ((display.y, y), (display.levels, X["site"].to_numpy())):
        share = {label: weight[labels == label].sum() / weight.sum() for label in np.unique(labels)}
        best = max(share, key=share.get)
        assert words[2].startswith(f"{best} ({100 * share[best]:.0f} %)")
    assert list(display.texts_) == ["leaf", "y", "site"]


def test_a_regressor_has_the_mean_of_y_in_each_leaf(regressor, sites):
    X, _ = sites
    y = X.iloc[:, :2].to_numpy()
    display = GateTreeDisplay.from_estimator(regressor, X, y)
    text = export_gate_text(regressor, X, y)
    assert all(f"y {words}" in text for words in display.y)
    assert display.y[0].startswith("mean ")


def test_images_of_a_leaf_are_those_that_come_there_most_surely(of_images, digits, rows):
    X, z = digits.images[:200], digits.z[:200]
    display = GateTreeDisplay.from_estimator(of_images, X, exogenous=z, n_images=2)
    assert display.images.shape == (4, 2, 1, 8, 8)
    left = of_images.decision_path(X, exogenous=z).astype(float)
    best = np.argsort(-left[:, 0] * left[:, 1], kind="stable")[:2]
    np.testing.assert_array_equal(display.images[0, :, 0], X[best])
    assert len(display.images_) == 4
    # of a table, from other images
    table = digits.X[:200]
    clf = small("given", depth=1).fit(table, rows[1], exogenous_target=z)
    colour = np.random.RandomState(0).uniform(size=(200, 3, 5, 4))
    shown = GateTreeDisplay.from_estimator(clf, table, exogenous=z, images=colour)
    assert shown.images.shape == (2, 3, 3, 5, 4)
    assert GateTreeDisplay.from_estimator(clf, table, exogenous=z).images is None


def test_32_leaves_with_images_are_legible(of_32, digits, overlaps):
    X, y, z = digits.images[:300], digits.y[:300], digits.z[:300]
    display = GateTreeDisplay.from_estimator(of_32, X, y, levels=z, exogenous=z)
    texts = [text for column in display.texts_.values() for text in column]
    texts += display.node_texts_
    assert len(display.texts_["leaf"]) == len(display.images_) == 32
    assert not overlaps(display.figure_, texts)
    assert min(text.get_fontsize() for text in texts) >= 6
    images = [image.get_window_extent() for image in display.images_]
    assert max(text.get_window_extent().x1 for text in texts) < min(box.x0 for box in images)
    assert all(low.y1 <= high.y0 for high, low in itertools.pairwise(images))


def test_long_words_are_cut_at_whole_items(overlaps):
    words = [", ".join(f"a level with a long name {i} (9 %)" for i in range(3))] * 4
    display = GateTreeDisplay(
        np.full(7, 0.25), leaves=list("abcd"), y=words, levels=words, level_name="level"
    ).plot()
    texts = [text for column in display.texts_.values() for text in column]
    assert not overlaps(display.figure_, [*texts, *display.node_texts_])


def test_long_names_of_levels_leave_room_for_the_tree(overlaps):
    levels = [", ".join(f"St. Mary's Hospital of town {i} (9 %)" for i in range(4))] * 8
    y = ["mid (42 %), high (30 %), low (28 %)"] * 8
    leaves = [f"leaf {i}" for i in range(8)]
    display = GateTreeDisplay(np.full(15, 0.25), leaves=leaves, y=y, levels=levels).plot()
    texts = [text for column in display.texts_.values() for text in column]
    assert not overlaps(display.figure_, [*texts, *display.node_texts_])
    assert "St. Mary's Hospital of town 0 (9 %)" in display.texts_["level"][0].get_text()
    tree = min(text.get_window_extent().x0 for text in display.texts_["leaf"])
    assert tree > 600 / 5  # pixels


def test_a_deep_tree_is_cut_and_its_ends_are_nodes(of_32, digits):
    X, z = digits.images[:300], digits.z[:300]
    display = GateTreeDisplay.from_estimator(of_32, X, exogenous=z, max_depth=2, n_images=0)
    assert display.leaves == [f"node {i}" for i in range(3, 7)]
    assert display.images is None
    leaves = leaf_usage(of_32, X, exogenous=z).usage
    np.testing.assert_allclose(display.reach[3:], leaves.reshape(4, 8).sum(1), rtol=1e-6)
    with pytest.raises(ValueError, match="max_depth must be an int of at least 1, got 0"):
        GateTreeDisplay.from_estimator(of_32, X, exogenous=z, max_depth=0)


@pytest.mark.parametrize(
    "images", [np.zeros((200, 64)), np.zeros((9, 8, 8)), np.zeros((200, 2, 8, 8))]
)
def test_images_of_the_wrong_shape_are_refused(images, thin, rows):
    with pytest.raises(ValueError, match=r"images must have shape .* of the 200 rows of X, got"):
        GateTreeDisplay.from_estimator(thin, rows[0], images=images)


def test_the_text_has_a_line_for_each_node_and_leaf(by_site, sites):
    X, y = sites
    text = export_gate_text(by_site, X, y, levels=X["site"], spacing=2)
    lines = text.splitlines()
    assert len(lines) == 7
    assert lines[0].startswith("|-- node 0, 100 %: left for site=site ")
    assert lines[2].startswith("|  |  |-- leaf 0, ")
    assert "; levels site " in lines[2]
    assert [line.count("|") for line in lines] == [1, 2, 3, 3, 2, 3, 3]
    short = export_gate_text(by_site, X, max_depth=1).splitlines()
    assert [line.partition(",")[0] for line in short[1:]] == ["|   |--- node 1", "|   |--- node 2"]


# ------------------------------------------------------------------ representations


def test_cosines_are_those_of_the_loss(thin, encoder, rows):
    X = rows[0]
    display = DispellingDisplay.from_estimator(thin, X)
    c = encoder.predictor_
    with torch.no_grad():
        z = [c(torch.from_numpy(part)) for part in (encoder.transform(X), thin.transform(X))]
    np.testing.assert_allclose(display.cosines, cosine_dispelling(*z).numpy(), atol=1e-5)
    shares, edges, _ = display.histogram_.get_data()
    np.testing.assert_allclose(shares, np.histogram(display.cosines, edges)[0] / 200)
    (label,) = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert label == f"cosine, λ = 0.01: mean {display.cosines.mean():.2f}"


def test_two_estimators_on_one_axes_have_different_colours(thin, rows):
    first = DispellingDisplay.from_estimator(thin, rows[0], name="with")
    other = DispellingDisplay.from_estimator(thin, rows[0], name="without", ax=first.ax_)
    assert first.histogram_.get_edgecolor() != other.histogram_.get_edgecolor()
    off = copy.copy(thin).set_params(lam=0.0)
    DispellingDisplay.from_estimator(off, rows[0], ax=first.ax_)
    texts = [text.get_text().partition(":")[0] for text in first.ax_.get_legend().get_texts()]
    assert texts == ["with", "without", "no dispelling"]


def test_a_cosine_needs_a_predictor_that_reads_h_endo(by_site, fitted, sites, rows):
    with pytest.raises(ValueError, match="the variable 'site' has none"):
        DispellingDisplay.from_estimator(by_site, sites[0])
    with pytest.raises(ValueError, match="it has no exogenous side"):
        DispellingDisplay.from_estimator(fitted, rows[0])
    wide = FrozenEstimator(ExogenousEncoder(max_epochs=1, random_state=0).fit(rows[0], rows[2]))
    with pytest.raises(ValueError, match="h_endo has 16 features"):
        DispellingDisplay.from_estimator(small(wide).fit(*rows[:2]), rows[0])


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_pairs_have_the_distances_of_their_rows(metric, thin, rows):
    display = PairDistanceDisplay.from_estimator(thin, rows[0], PAIRS, SAME, metric=metric)
    a, b = thin.transform(rows[0])[PAIRS.T].astype(float)
    expected = np.linalg.norm(a - b, axis=1)
    if metric == "cosine":
        expected = 1 - (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(display.distances, expected, atol=1e-6)
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["same: 2 pairs", "different: 2 pairs"]
    assert display.ax_.get_legend().get_title().get_text() == f"overlap (IoU): {display.iou:.2f}"
    for drawn, kind in zip(display.histograms_, (1, 0), strict=True):
        counts, edges, _ = drawn.get_data()
        # a rounding error may move a distance over an outer edge
        among = display.distances[kind == SAME]
        np.testing.assert_allclose(counts, np.histogram(among, edges)[0] / 2)


def test_the_overlap_is_intersection_over_union():
    rng = np.random.RandomState(0)
    distances, same = rng.uniform(size=20_000), np.arange(20_000) % 2
    assert pair_distance_iou(distances, same) > 0.9
    assert pair_distance_iou(distances + same, same) < 0.01
    # uniform on [0, 2) and on [1, 3): a third of the union
    shifted = 2 * distances + same
    assert pair_distance_iou(shifted, same, n_bins=30) == pytest.approx(1 / 3, abs=0.03)
    assert pair_distance_iou(np.ones(4), SAME) == 1


@pytest.mark.parametrize(
    ("pairs", "same", "match"),
    [
        (PAIRS[:, :1], SAME, r"pairs must hold ints of shape \(n_pairs, 2\).* got int64 of shape"),
        (PAIRS + 199, SAME, r"indices in \[0, 200\) .* from 199 to 206"),
        (PAIRS / 2, SAME, "pairs must hold ints"),
        (PAIRS, SAME[:2], "inconsistent numbers of samples"),
        (PAIRS, SAME * 0, r"same must hold both 1 \(or True\).* got \[0\]"),
        (PAIRS, SAME + 1, "same must hold both 1"),
    ],
)
def test_wrong_pairs_are_refused(pairs, same, match, thin, rows):
    with pytest.raises(ValueError, match=match):
        PairDistanceDisplay.from_estimator(thin, rows[0], pairs, same)


@pytest.mark.parametrize("n_bins", [0, -1, 2.5])
def test_bins_are_counted_from_one(n_bins, thin, rows):
    with pytest.raises(ValueError, match="n_bins must be an int of at least 1, got"):
        pair_distance_iou(PAIRS[:, 0], SAME, n_bins=n_bins)
    with pytest.raises(ValueError, match="n_bins must be an int of at least 1, got"):
        PairDistanceDisplay.from_estimator(thin, rows[0], PAIRS, SAME, n_bins=n_bins)


def test_each_pair_has_one_distance():
    with pytest.raises(ValueError, match=r"1d array, got an array of shape \(4, 2\)"):
        pair_distance_iou(PAIRS, SAME)


def test_a_representation_that_is_the_same_for_all_rows_has_no_variance():
    display = RepresentationDisplay.from_representation(np.ones((4, 3)), SAME)
    assert display.ax_.get_title() == "variance along the first 3 axes: 0, 0, 0 %"
    assert not display.embedding.any()


def test_principal_axes_and_their_variance(thin, rows):
    X, _, z = rows
    display = RepresentationDisplay.from_estimator(thin, X, z, label_name="ink")
    h = thin.transform(X).astype(float)
    values = np.linalg.eigvalsh(np.cov(h.T))[::-1]
    np.testing.assert_allclose(
        display.explained_variance_ratio, values[:3] / values.sum(), rtol=1e-4
    )
    np.testing.assert_allclose(display.embedding.var(0, ddof=1), values[:2], rtol=1e-4)
    shares = ", ".join(f"{100 * share:.0f}" for share in display.explained_variance_ratio)
    assert display.ax_.get_title() == f"variance along the first 3 axes: {shares} %"
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["0", "1", "2", "3"]
    for code, scatter in enumerate(display.scatters_):
        np.testing.assert_allclose(scatter.get_offsets(), display.embedding[z == code])


def test_many_levels_have_a_scale_of_colours(rows):
    h, labels = rows[0], np.arange(200) % 32
    (scatter,) = RepresentationDisplay.from_representation(h, labels).scatters_
    np.testing.assert_array_equal(scatter.get_array(), labels)
    names = np.array([f"site {i:02}" for i in range(32)])[labels]
    display = RepresentationDisplay.from_representation(h, names, label_name="site")
    ticks = labels_of(display.figure_.axes[1].yaxis)
    assert (ticks[0], ticks[-1], len(ticks)) == ("site 00", "site 31", 7)


def test_t_sne_is_reproducible_and_refuses_fewer_rows_than_its_perplexity(encoder, rows):
    X, _, z = rows
    how = {"method": "tsne", "perplexity": 5, "random_state": 0}
    first, second = (
        RepresentationDisplay.from_estimator(encoder, X[:30], z[:30], **how) for _ in range(2)
    )
    np.testing.assert_array_equal(first.embedding, second.embedding)
    assert first.ax_.get_xlabel() == "t-SNE 1"
    match = (
        "perplexity of 30 needs more than 30 rows, got 10. Pass more rows, a perplexity below 10"
    )
    with pytest.raises(ValueError, match=match):
        RepresentationDisplay.from_estimator(encoder, X[:10], z[:10], method="tsne")
    with pytest.raises(ValueError, match="method must be 'pca' or 'tsne', got 'umap'"):
        RepresentationDisplay.from_estimator(encoder, X, z, method="umap")


# ------------------------------------------------------------------ training and experts


def test_curves_are_those_of_the_history(thin, rows):
    display = HistoryDisplay.from_estimator(thin)
    assert list(display.curves) == ["train_loss", "train_dispelling"]
    np.testing.assert_array_equal(
        display.lines_["train_loss"].get_ydata(), thin.history_[:, "train_loss"]
    )
    assert display.best_line_ is None
    encoder = small_encoder(max_epochs=4, early_stopping=0.3, random_state=0).fit(rows[0], rows[2])
    stopped = HistoryDisplay.from_estimator(encoder)
    best = int(np.argmin(encoder.history_[:, "valid_loss"])) + 1
    assert stopped.best_epoch == stopped.best_line_.get_xdata()[0] == best


def test_experts_have_their_own_accuracy_at_each_level(by_site, sites):
    X, y = sites
    display = ExpertDisplay.from_estimator(by_site, X, y, X["site"], level_name="site")
    mine = X["site"] == "site 3"
    right = by_site.expert_proba(X[mine]).argmax(2) == np.asarray(y)[mine][:, None]
    np.testing.assert_allclose(display.scores[3], right.mean(0))
    assert display.preferred[3] == by_site.gate_proba(X[mine]).mean(0).argmax()
    np.testing.assert_array_equal(display.dots_.get_xdata(), display.preferred)
    assert labels_of(display.ax_.yaxis) == [f"site {i}" for i in range(8)]


def test_experts_of_a_plain_ensemble_need_no_tree(rows):
    X, y, z = rows
    clf = small(depth=0, n_experts=3).fit(X, y)
    display = ExpertDisplay.from_estimator(clf, X, y, z)
    assert display.scores.shape == (4, 3)
    agreement = expert_agreement(clf, X).agreement
    np.testing.assert_allclose(agreement.diagonal(), 1)
    assert agreement[0, 1] < 1


def test_experts_of_a_regressor_have_an_error_in_deviations_of_y(regressor, sites):
    X, _ = sites
    y = np.column_stack([X.iloc[:, 0], 100 * X.iloc[:, 1] * (X["site"] < "site 4")])
    display = ExpertDisplay.from_estimator(regressor, X, y, X["site"])
    mine = (X["site"] == "site 2").to_numpy()
    off = regressor.expert_predict(X[mine]) - y[mine][:, None]
    expected = (np.sqrt((off**2).mean(0)) / regressor.targets_.scale).mean(1)
    np.testing.assert_allclose(display.scores[2], expected, rtol=1e-5)
    assert display.figure_.axes[1].get_ylabel().startswith("root mean squared error / std of y")


def test_scikit_learns_display_draws_a_curve_of_a_search(rows):
    X, y, _ = rows
    search = StackedGridSearchCV(small(max_epochs=1), {"depth": [1, 2, 3]}, cv=2).fit(X, y)
    results = search.cv_results_
    scores = [results[f"split{fold}_test_score"] for fold in range(search.n_splits_)]
    display = ValidationCurveDisplay(
        param_name="depth",
        param_range=np.array(results["param_depth"], dtype=float),
        train_scores=None,
        test_scores=np.column_stack(scores),
        score_name="accuracy",
    ).plot(score_type="test")
    np.testing.assert_allclose(display.lines_[0].get_ydata(), results["mean_test_score"])
