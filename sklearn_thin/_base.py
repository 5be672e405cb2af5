"""BaseNet, one network as an estimator: read -> plan -> train -> keep; inference in blocks."""

from dataclasses import fields
from functools import partial
from numbers import Integral, Real

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
from skorch.callbacks import Callback
from skorch.dataset import Dataset as Tensors

from sklearn_thin._backbones import build_backbone
from sklearn_thin._compat import CallbackSupportMixin
from sklearn_thin._environment import (
    CASTS,
    all_or_nothing,
    check_compiler,
    check_device,
    fitted_attributes,
    torch_seed,
)
from sklearn_thin._preprocessing import input_of, preprocess, read_input, set_tags, warn_if_spoilt
from sklearn_thin._sharing import identity, shared
from sklearn_thin.modules import ExpertEnsemble, THINModule, TreeGate
from sklearn_thin.rows.arrays import as_tensor, infer_rows, read_dataset
from sklearn_thin.rows.labels import check_weights, encode_labels, known_classes, row_weights
from sklearn_thin.rows.rows import Rows
from sklearn_thin.rows.split import held_out_indices
from sklearn_thin.training.callbacks import SklearnCallbacks
from sklearn_thin.training.net import OPTIMIZERS, new_net, train
from sklearn_thin.training.plan import FitPlan, Settings


class ClassOutputs(ClassifierMixin):
    """scikit-learn's mixin for a `predict_proba`."""

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
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(1)]


class BaseNet(
    ClassNamePrefixFeaturesOutMixin,
    CallbackSupportMixin,
    TransformerMixin,
    ClassOutputs,
    BaseEstimator,
):
    """A classifier with one THINModule, trained by one THINNet."""

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
    preprocessing = "preprocessor"  # parameter of the transformer in front of the backbone
    _architecture = ("backbone", "hidden_units")  # a fit that continues another cannot change these
    _computes = ("backbone",)  # if these are equal, modules of equal shapes compute the same

    # ------------------------------------------------------------------ fit

    def _fit(self, X, y, *, epochs=None, **given):
        """Plan, train and keep, or change nothing; with `epochs` the fit before continues."""
        self._validate_params()
        goes_on = self.warm_start or epochs is not None
        before = self._net_before() if goes_on and hasattr(self, "net_") else None
        with all_or_nothing(self, keep_progress=goes_on):
            plan = self._plan(X, y, before=before, epochs=epochs, **given)
            self.net_ = new_net(plan)
            train(self.net_, plan)
        if epochs is None:
            warn_if_spoilt(self, plan)
        return self

    def keep(self, net):
        """Make a trained net the net of this estimator.

        Parameters
        ----------
        net : THINNet

        Returns
        -------
        self : estimator
        """
        self.net_ = net
        return self

    def _net_before(self):
        """The net of the fit before; raises where the architecture has changed."""
        for name, (key, was, shown) in self.architecture_.items():
            value = getattr(self, name)
            # factories may count their calls
            same = value is was and callable(value) and not hasattr(value, "get_params")
            if not same and identity(value) != key:
                raise ValueError(
                    f"{name} was {shown} when the network was built, and is {value!r} now: "
                    "a fit that goes on cannot change it. Set it back, or start anew with "
                    "warm_start=False and fit."
                )
        return self.net_

    # ------------------------------------------------------------------ reading rows

    def _read_parts(self, X, y, seeds, *, warm, **given):
        """Training rows, and rows held out for early stopping or None, ready for the backbone."""
        rows, held_out = self._split(X, y, seeds.split, warm=warm, **given)
        return preprocess(self, rows, held_out, seeds.exogenous, warm=warm)

    def _split(self, X, y, seed, *, warm, X_val=None, y_val=None, whole=True, **given):
        rows = self._read(X, y, reset=not warm, **given)
        X_val, y_val = read_dataset(X_val, y_val, verbose=self.verbose)
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be passed together, got only one of them")
        if X_val is not None:
            return rows, self._read(X_val, y_val, reset=False)
        if self._held_out is None or not whole:
            return rows, None
        train, held_out = held_out_indices(
            self._held_out, rows.codes, rows.groups, seed, self.early_stopping
        )
        return rows[train], rows[held_out]

    @property
    def _held_out(self):
        """Size held out for early stopping: None, a fraction, or a number of rows."""
        if isinstance(self.early_stopping, (bool, np.bool_)):  # a grid of an array has np.bool_
            return 0.1 if self.early_stopping else None
        return self.early_stopping

    def _read(
        self, X, y, *, sample_weight=None, groups=None, target=None, reset=True, classes=None
    ):
        """Checked rows; `reset` sets `classes_` and the input's shape and names."""
        X, y = read_dataset(X, y, verbose=self.verbose)
        x = read_input(self, X, reset=reset)
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        known = classes
        if classes is not None or not reset:
            known = known_classes(classes, None if reset else self.classes_)
        self.classes_, codes = encode_labels(y, _num_samples(X), known=known)
        check_consistent_length(codes, groups)
        weight = None if sample_weight is None else check_weights(sample_weight, codes)
        rows = Rows(X, x, codes, weight, groups, target)
        if rows.weight is None or rows.weight.all():
            return rows
        # rows of weight zero must not count in BatchNorm's statistics either
        return rows[np.flatnonzero(rows.weight)]

    # ------------------------------------------------------------------ planning

    def _settings(self, epochs):
        """Settings of the training, checked."""
        device = check_device(self.device, self.mixed_precision)
        if self.compile and device.type != "cuda":  # CUDA captures a graph instead
            check_compiler(device.type)
        for callback in self.callbacks or []:
            named = isinstance(callback, tuple) and len(callback) == 2
            if not isinstance(callback[1] if named else callback, (Callback, type)):
                raise TypeError(
                    "callbacks must be a list of skorch callbacks, or of (name, callback), "
                    f"got {callback!r} in it"
                )
        settings = {f.name: getattr(self, f.name) for f in fields(Settings)}
        if epochs is not None:
            settings.update(max_epochs=epochs, lr_schedule="constant")
        if epochs is not None or self._held_out is None:
            settings["n_iter_no_change"] = None
        return Settings(**{**settings, "device": device})

    def _build_module(self, seed, *, gate_width=None, depth=0, n_experts=None):
        """A THINModule, initialised under `seed`; with `gate_width` None its gate reads h_endo."""
        values = {name: getattr(self, name) for name in self._architecture}
        self.architecture_ = shared(  # as texts take their time
            ("architecture", *values.values()),
            lambda: {name: (identity(v), v, repr(v)) for name, v in values.items()},
        )
        with torch_seed(seed, torch.device("cpu")):
            backbone, width = build_backbone(self.backbone, self.module_input_shape_)
            gate = TreeGate(gate_width or width, depth, n_experts)
            # the experts share the hidden units, so that L does not change the size
            units = -(-self.hidden_units // gate.n_experts)
            experts = ExpertEnsemble(width, len(self.classes_), gate.n_experts, units)
            return THINModule(backbone, experts, gate)

    def _dataset(self, rows, *, mean_one=True, **tensors):
        """Tensors of the rows, or None for None."""
        if rows is None:
            return None
        tensors["x"] = as_tensor(rows.x, self.module_input_shape_)
        if self.class_weight is not None or rows.weight is not None:
            given = self.class_weight, rows.codes, self.classes_, rows.weight
            tensors["weight"] = torch.from_numpy(row_weights(*given, mean_one=mean_one))
        return Tensors(tensors, torch.from_numpy(rows.codes))

    def _new_plan(self, module, loss, train, valid, rows, *, seed, before, epochs, **parts):
        """A plan with the parts that all estimators share."""
        norms = any(isinstance(part, torch.nn.BatchNorm1d) for part in module.modules())
        if len(train) < 2 and norms:
            raise ValueError(
                "there must be at least 2 rows to train on with batch normalisation, got "
                f"{len(train)} (rows of weight 0 and held-out rows do not count). Pass more "
                "rows at once, or use a backbone without it and hidden_units=0."
            )
        followed = epochs is None and getattr(self, "_skl_callbacks", None)
        return FitPlan(
            module,
            loss,
            train,
            valid,
            seed=seed + (0 if before is None else len(before.history)),
            before=before,
            architecture=(type(self), *(self.architecture_[name][0] for name in self._computes)),
            keeps_optimizer=self.warm_start or epochs is not None,
            callbacks=self.callbacks or [],
            followers=self._followers(rows) if followed else {},
            verbose=self.verbose,
            name=type(self).__name__,
            **parts,
        )

    def _followers(self, rows):
        """The bridge to scikit-learn's own callbacks."""
        context = self._init_callback_context(max_subtasks=self.max_epochs)
        weight = None if rows.weight is None else {"sample_weight": rows.weight}
        fit = {
            "X": rows.raw,
            "y": self.classes_[rows.codes],
            "metadata": weight,
            "reconstruction_attributes": partial(fitted_attributes, self),
        }
        return {"sklearn": SklearnCallbacks(self, context, fit)}

    # ------------------------------------------------------------------ fitted attributes

    @property
    def module_(self):
        """The trained :class:`~sklearn_thin.modules.THINModule`."""
        check_is_fitted(self, "net_")
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

    # ------------------------------------------------------------------ predicting

    def _tensors(self, X):
        """The module's inputs for X, by name."""
        return {"x": as_tensor(input_of(self, X), self.module_input_shape_)}

    def _infer(self, X, function):
        """`function(module, **inputs)` over all rows of X."""
        check_is_fitted(self, "net_")
        tensors = self._tensors(read_dataset(X, verbose=self.verbose)[0])
        module = self.module_.eval()
        return infer_rows(partial(function, module), tensors, next(module.parameters()).device)

    def _logits(self, X):
        return self._infer(X, THINModule.logits)

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
        """Representation that the experts read: h_endo, or h_exo of an encoder.

        With `dispelling="erasure"` or "alignment" h_endo is the output of the map.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)

        Returns
        -------
        ndarray of shape (n_samples, width), float32
        """
        return self._infer(X, THINModule.represent)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        set_tags(tags, getattr(self, self.preprocessing))
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
