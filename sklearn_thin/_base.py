"""What the encoder and the classifier share: reading rows, building a module, predicting."""

from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import check_consistent_length
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions
from sklearn.utils.validation import _num_samples, check_is_fitted
from skorch.dataset import Dataset

from sklearn_thin._backbones import build_backbone, folds_images, module_input_shape
from sklearn_thin._compat import CallbackSupportMixin
from sklearn_thin._forward import CASTS, as_float, infer_rows
from sklearn_thin._random import torch_seed
from sklearn_thin._specification import specification
from sklearn_thin._storage import read_dataset, take
from sklearn_thin._training import OPTIMIZERS, TrainingMixin
from sklearn_thin._validation import (
    as_tensor,
    check_rows,
    check_weights,
    encode_labels,
    held_out_indices,
    held_out_size,
    known_classes,
    row_weights,
)
from sklearn_thin.modules import ExpertEnsemble, THINModule, TreeGate


@dataclass
class Rows:
    """Rows of a fit on their way to the net."""

    raw: Any  # as the user passed them, for the transformers
    x: np.ndarray | None  # as the backbone sees them; None until `endogenous` is fitted
    codes: np.ndarray  # class codes, (n,)
    weight: np.ndarray | None = None  # sample weights, (n,)
    groups: Any = None  # what early stopping holds out together, (n,)
    target: Any = None  # exogenous labels, (n,) or (n, n_exogenous)

    def __getitem__(self, index):
        parts = {f.name: take(getattr(self, f.name), index) for f in fields(self) if f.name != "x"}
        one = isinstance(self.raw, np.ndarray) and self.x is not None
        one = one and np.may_share_memory(self.raw, self.x)
        return Rows(x=parts["raw"] if one else take(self.x, index), **parts)


class DatasetClassifierMixin(ClassifierMixin):
    """scikit-learn's mixin, for a `predict_proba` and an X that may be a torch data set."""

    def score(self, X, y=None, sample_weight=None):
        """Accuracy.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        y : array-like of shape (n_samples,), default=None
            True labels; None takes those of a torch data set.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        X, y = read_dataset(X, y, verbose=self.verbose)
        return super().score(X, y, sample_weight)

    def predict_log_proba(self, X):
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))


class NetEstimator(
    TrainingMixin,
    ClassNamePrefixFeaturesOutMixin,
    CallbackSupportMixin,
    TransformerMixin,
    DatasetClassifierMixin,
    BaseEstimator,
):
    """A classifier that is one THINModule, trained by one THINNet."""

    _parameter_constraints: dict = {
        "backbone": [str, HasMethods("build"), torch.nn.Module, callable],
        "hidden_units": [Interval(Integral, 0, None, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "lr_schedule": [StrOptions({"cosine", "constant"})],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "early_stopping": [
            "boolean",
            Interval(RealNotInt, 0, 1, closed="neither"),
            Interval(Integral, 2, None, closed="left"),
        ],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "callbacks": [list, None],
        "warm_start": ["boolean"],
        "device": [str, torch.device],
        "compile": ["boolean"],
        "mixed_precision": [StrOptions(set(CASTS)), None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }
    _architecture = ("backbone", "hidden_units")  # what a fit that goes on cannot change

    # ------------------------------------------------------------------ reading rows

    def _read(
        self, X, y, sample_weight=None, groups=None, target=None, *, reset=True, classes=None
    ):
        """Checked rows; `classes_` and the input's shape and names are set on `reset`."""
        X, y = read_dataset(X, y, verbose=self.verbose)
        x = self._backbone_array(X, reset=reset)
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        known = known_classes(classes, None if reset else self.classes_)
        self.classes_, codes = encode_labels(y, _num_samples(X), known=known)
        check_consistent_length(codes, groups)
        rows = Rows(X, x, codes, check_weights(sample_weight, codes), groups, target)
        if rows.weight is None or rows.weight.all():
            return rows
        # A row of weight zero counts for nothing, BatchNorm's statistics included.
        return rows[np.flatnonzero(rows.weight)]

    def _backbone_array(self, X, *, reset):
        """X as the backbone sees it."""
        images = folds_images(self.backbone) if reset else len(self.module_input_shape_) > 1
        x = check_rows(X, self, reset=reset, images=images)
        if reset:
            self.module_input_shape_ = module_input_shape(self.backbone, x.shape[1:])
        return x

    def _split(self, rows, seed, X_val, y_val):
        """Training rows and held-out rows; the latter None where nothing is held out."""
        X_val, y_val = read_dataset(X_val, y_val, verbose=self.verbose)
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be passed together, got only one of them")
        if X_val is not None:
            return rows, self._read(X_val, y_val, reset=False)
        if held_out_size(self.early_stopping) is None:
            return rows, None
        train, held_out = held_out_indices(self.early_stopping, rows.codes, rows.groups, seed)
        return rows[train], rows[held_out]

    # ------------------------------------------------------------------ building

    def _build_module(self, seed, *, gate_width=None, depth=0, n_experts=None):
        """A THINModule, initialised under `seed` alone; `gate_width` None reads h_endo."""
        self.architecture_ = {
            name: specification(getattr(self, name)) for name in self._architecture
        }
        with torch_seed(seed, torch.device("cpu")):
            backbone, width = build_backbone(self.backbone, self.module_input_shape_)
            gate = TreeGate(gate_width or width, depth, n_experts)
            # one budget of hidden units, shared: as wide as the baseline, however many
            units = -(-self.hidden_units // gate.n_experts)
            experts = ExpertEnsemble(width, len(self.classes_), gate.n_experts, units)
            return THINModule(backbone, experts, gate)

    def _dataset(self, rows, *, mean_one=True, **tensors):
        """Tensors of the rows for the net; rows of None give None."""
        if rows is None:
            return None
        tensors["x"] = self._module_input(rows.x)
        given = self.class_weight, rows.codes, self.classes_, rows.weight
        weight = row_weights(*given, mean_one=mean_one)
        if weight is not None:
            tensors["weight"] = torch.from_numpy(weight)
        return Dataset(tensors, torch.from_numpy(rows.codes))

    def _module_input(self, x):
        return as_tensor(x).reshape(len(x), *self.module_input_shape_)

    # ------------------------------------------------------------------ predicting

    @property
    def module_(self):
        """The trained :class:`~sklearn_thin.modules.THINModule`."""
        return self.net_.module_

    @property
    def history_(self):
        """skorch's history: losses, learning rate and seconds of every epoch."""
        return self.net_.history

    @property
    def n_iter_(self):
        """Epochs trained."""
        return len(self.net_.history)

    @property
    def _n_features_out(self):
        return self.module_.experts.in_features

    def _tensors(self, X):
        """What the module reads of X, by name."""
        return {"x": self._module_input(self._checked_input(X))}

    def _checked_input(self, X):
        return self._backbone_array(X, reset=False)

    def _infer(self, X, function):
        """`function(module, x, ...)` over all rows of X, with what the frozen side says."""
        check_is_fitted(self, "net_")
        tensors = self._tensors(read_dataset(X, verbose=self.verbose)[0])
        module = self.module_.eval()

        def block(x, **frozen):
            return function(module, as_float(x), **frozen)

        return infer_rows(block, tensors, next(module.parameters()).device)

    def _logits(self, X):
        return self._infer(X, lambda module, x, **frozen: module(x, **frozen).logits)

    def predict(self, X):
        """Most probable class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels as they were passed to `fit`.
        """
        check_is_fitted(self, "net_")
        return self.classes_[self._logits(X).argmax(1)]

    def predict_proba(self, X):
        """Probability of every class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float32
            Columns in the order of `classes_`.
        """
        return softmax(self._logits(X), axis=1)

    def decision_function(self, X):
        """Logits of the classes; their difference for two classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes; float32
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def transform(self, X):
        """Representation that is classified: h_endo, or h_exo of an encoder.

        Where `dispelling` is "erasure" or "alignment", h_endo is what its map leaves of the
        backbone's output.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)

        Returns
        -------
        ndarray of shape (n_samples, width), float32
        """

        def represent(module, x, gate_input=None, exogenous_logits=None):
            return module.represent(x, exogenous_logits)

        return self._infer(X, represent)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
