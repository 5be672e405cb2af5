"""BaseNet, one network as an estimator: read -> plan -> train -> keep; inference in blocks.

:class:`ClassOutputs` are the outputs of those that classify.
"""

from dataclasses import fields, replace
from functools import partial
from numbers import Integral, Real
from operator import attrgetter

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import (
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions
from sklearn.utils.validation import _num_samples, check_is_fitted

from sklearn_thin._adaptation import adapt
from sklearn_thin._arguments import check_nested
from sklearn_thin._backbones import build_module, module_input_shape
from sklearn_thin._checkpoints import FOLDER, PLACE, kept_plan
from sklearn_thin._compat import CallbackSupportMixin
from sklearn_thin._environment import CASTS, all_or_nothing, check_device, public
from sklearn_thin._pickling import KNOWN, Estimator, with_packed, with_unpacked
from sklearn_thin._sharing import check_unchanged, noted, shared
from sklearn_thin._spoilt import warn_if_spoilt
from sklearn_thin.exogenous.side import reads_nan
from sklearn_thin.modules import THINModule
from sklearn_thin.rows.arrays import (
    BLOCK,
    as_tensor,
    check_finite,
    infer_rows,
    read_dataset,
    read_held_out,
    read_rows,
)
from sklearn_thin.rows.labels import Classes, agreement, check_class_weight
from sklearn_thin.rows.split import hold_out
from sklearn_thin.rows.tables import input_of
from sklearn_thin.training.batches import usual_sizes
from sklearn_thin.training.callbacks import SklearnCallbacks, check_callback
from sklearn_thin.training.net import OPTIMIZERS, new_net, train
from sklearn_thin.training.plan import FitPlan, Settings
from sklearn_thin.training.resuming import resume

COUNT = 2**63 - 1  # largest int of torch
SIZE = Interval(Integral, 2, COUNT, closed="both")  # of a batch, or of held-out rows
FLOAT = float(np.finfo(np.float32).max)
LOGITS = {"soft": THINModule.logits, "hard": THINModule.hard_logits}
CLASS_WEIGHT = {"class_weight": [dict, StrOptions({"balanced"}), None]}


class BaseNet(ClassNamePrefixFeaturesOutMixin, CallbackSupportMixin, TransformerMixin, Estimator):
    """An estimator with one THINModule, trained by one THINNet.

    A subclass names in `_targets` the part that reads y: the class `Classes` or `Numbers`.
    """

    _parameter_constraints: dict = {
        "backbone": [str, HasMethods("build"), torch.nn.Module, callable],
        "hidden_units": [Interval(Integral, 0, COUNT, closed="both")],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "lr": [Interval(Real, 0, FLOAT, closed="right")],
        "lr_schedule": [StrOptions({"cosine", "constant"})],
        "weight_decay": [Interval(Real, 0, FLOAT, closed="both")],
        "batch_size": [StrOptions({"auto"}), SIZE],
        "max_epochs": [StrOptions({"auto"}), Interval(Integral, 1, COUNT, closed="both")],
        "early_stopping": ["boolean", Interval(RealNotInt, 0, 1, closed="neither"), SIZE],
        "n_iter_no_change": [Interval(Integral, 1, COUNT, closed="both")],
        "callbacks": [list, None],
        "checkpoint_dir": PLACE,
        "warm_start": ["boolean"],
        "device": [str, torch.device],
        "compile": ["boolean"],
        "mixed_precision": [StrOptions(set(CASTS)), None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }
    exogenous, inference = None, "soft"  # parameters of nets that have a frozen side beside them
    depth, n_experts, gating = 0, None, "head"  # parameters of nets with a tree
    class_weight = None  # parameter of classifiers
    preprocessing = "preprocessor"  # parameter of the transformer in front of the backbone
    _architecture = ("backbone", "hidden_units")  # a fit that continues another cannot change these
    _computes = ("backbone",)  # if these are equal, modules of equal shapes compute the same

    def set_params(self, **params):
        """Set parameters, also of parts, such as `backbone__dropout`."""
        try:
            return super().set_params(**params)
        except (AttributeError, TypeError):
            check_nested(self, params)
            raise

    # ------------------------------------------------------------------ fit

    def _fit(self, X, y, *, epochs=None, **given):
        """Plan, train and keep, or change nothing; with `epochs` the fit before continues."""
        self._validate_params()
        before = getattr(self, "net_", None) if self.warm_start or epochs is not None else None
        if before is not None:
            check_unchanged(self, self.architecture_)
        make_plan = partial(self._plan, X, y, before=before, epochs=epochs, **given)
        keeps = epochs is None and not (self.checkpoint_dir is None and FOLDER.get() is None)
        with all_or_nothing(self):
            plan = kept_plan(self, make_plan) if keeps else make_plan()
            self.net_ = new_net(plan)
            (train if plan.folder is None else resume)(self.net_, plan)
        if epochs is None and getattr(self, self.preprocessing) is None:
            warn_if_spoilt(self, plan)
        return self

    def keep(self, net):
        """Make a trained THINNet the net of this estimator; returns the estimator."""
        self.net_ = net
        return self

    def _read_parts(
        self, X, y, seeds, *, warm, left_out=(), X_val=None, y_val=None, whole=True, **given
    ):
        """Training rows, and rows held out for early stopping or None, ready for the backbone.

        The backbone does not see the columns that are `left_out`.
        """
        X, y = read_dataset(X, y, verbose=self.verbose)
        if not warm:
            self.input_ = input_of(self, X, left_out)
        rows, held_out = read_rows(self, X, y, self._targets, reset=not warm, **given), None
        before, self.validation_mask_ = self.validation_mask_ if warm else None, None
        if X_val is not None or y_val is not None:
            held_out = read_held_out(self, X_val, y_val, self._targets)
        elif self.early_stopping and whole:
            size = _num_samples(X), self.early_stopping, seeds.split
            how = {"before": before, "goes_on": warm, "targets": self.targets_}
            rows, held_out, self.validation_mask_ = hold_out(rows, *size, **how)
        parts = [part for part in (rows, held_out) if part is not None]
        labels = self.targets_.fit(parts)
        if warm:
            inputs = [self.input_.transform(p.raw) if p.x is None else p.x for p in parts]
        else:
            fit = partial(self.input_.fit, parts, labels, seeds.exogenous)
            # only fits that hold out the same rows, by equal seeds, may share
            kind = rows.x is None, getattr(self.input_, "left_out", None)
            key = "input", *kind, self.early_stopping, self.early_stopping and seeds.exogenous
            is_auto = isinstance(getattr(self, self.preprocessing), str)
            self.input_, inputs = shared(key, fit, owner=self) if is_auto else fit()
            self.module_input_shape_ = module_input_shape(self.backbone, self.input_.shape)
            self.architecture_ = noted(self, self._architecture)
        for part, x in zip(parts, inputs, strict=True):
            part.x = x
        return rows, held_out

    # ------------------------------------------------------------------ planning

    def _settings(self, epochs):
        """Settings of the training, checked."""
        if isinstance(self.class_weight, dict):
            check_class_weight(self.class_weight)
        device = check_device(self.device, self.mixed_precision, compiled=self.compile)
        for callback in self.callbacks or []:
            check_callback(callback)
        settings = {f.name: getattr(self, f.name) for f in fields(Settings)}
        if epochs is not None:
            settings.update(max_epochs=epochs, lr_schedule="constant")
        if epochs is not None or not self.early_stopping:
            settings["n_iter_no_change"] = None
        return Settings(**{**settings, "device": device})

    _build_module = build_module  # (seed, *, gate_input=None, dispels=False) -> THINModule

    def _new_plan(self, module, train, rows, *, settings, seed, before, epochs, **parts):
        """A plan with the parts that all estimators share."""
        norms = any(isinstance(part, torch.nn.BatchNorm1d) for part in module.modules())
        if len(train) < 2 and norms:
            raise ValueError(
                "there must be at least 2 rows to train on with batch normalisation, got "
                f"{len(train)} (rows of weight 0 and held-out rows do not count). Pass more "
                "rows at once, or use a backbone without it and hidden_units=0."
            )
        sizes = usual_sizes(train.X["x"].shape, settings.batch_size)
        auto = {name: n for name, n in sizes.items() if getattr(settings, name) == "auto"}
        settings = replace(settings, **auto)
        calls = epochs is None and getattr(self, "_skl_callbacks", None)
        followers = {"sklearn": SklearnCallbacks(self, rows, settings.max_epochs)} if calls else {}
        return FitPlan(
            module=module,
            train=train,
            settings=settings,
            seed=seed + (0 if before is None else len(before.history)),
            before=before,
            architecture=(type(self), *(self.architecture_[name][0] for name in self._computes)),
            keeps_optimizer=self.warm_start or epochs is not None,
            callbacks=self.callbacks or [],
            followers=followers,
            verbose=self.verbose,
            name=type(self).__name__,
            **parts,
        )

    # ------------------------------------------------------------------ fitted attributes

    @property
    def module_(self):
        """The trained :class:`~sklearn_thin.modules.THINModule`."""
        check_is_fitted(self, "net_")
        return self.net_.module_

    history_ = property(attrgetter("net_.history"))  # skorch's: losses, rate, seconds by epoch
    interrupted_ = property(attrgetter("net_.interrupted_"))
    input_shape_ = property(attrgetter("input_.shape"))
    input_dtype_ = property(attrgetter("input_.dtype"))
    image_range_ = property(attrgetter("input_.range"))
    _n_features_out = property(attrgetter("module_.experts.in_features"))

    @property
    def n_iter_(self) -> int:  # epochs trained
        return len(self.net_.history)

    # ------------------------------------------------------------------ predicting

    def _tensors(self, X, exogenous):
        """Number of rows of X, and the module's inputs by name, in blocks of rows."""
        x = self.input_.check(X, self)
        x = as_tensor(self.input_.transform(X) if x is None else x, self.module_input_shape_)
        if self.exogenous_side_ is None:
            if exogenous is not None:
                raise ValueError(f"{type(self).__name__} was fitted without an exogenous side")
            return len(x), [{"x": x}]
        how = {"exogenous": exogenous, "logits": self.dispelling_.reads_logits}
        blocks = self.exogenous_side_.blocks(X, **how)
        return len(x), ({"x": x[rows], **frozen} for rows, frozen in blocks)

    def _infer(self, X, function, exogenous=None):
        """`function(module, **inputs)` over all rows of X."""
        if not hasattr(self, "net_"):
            check_is_fitted(self, "net_")  # which collects all tags first
        n_rows, blocks = self._tensors(read_dataset(X, verbose=self.verbose)[0], exogenous)
        module = self.net_.module_
        if any(part.training for part in module.modules()):
            module.eval()  # which takes longer than the question
        function, device = partial(function, module), next(module.parameters()).device
        whole = infer_rows(function, blocks, n_rows, device, module.n_values)
        return check_finite(whole, f"the output of {type(self).__name__}")

    @public
    def transform(self, X, *, exogenous=None) -> np.ndarray:
        """Representation that the experts read: h_endo, or h_exo of an encoder.

        With `dispelling="erasure"` or "alignment" h_endo is the output of the map.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        exogenous : array-like, label or None, default=None
            See `predict`.

        Returns
        -------
        ndarray of shape (n_samples, width), float32
        """
        return self._infer(X, THINModule.represent, exogenous)

    adapt = adapt  # in a file of its own

    def __getstate__(self):
        known = KNOWN.get()
        return with_packed(dict(super().__getstate__()), {} if known is None else known)

    def __setstate__(self, state):
        super().__setstate__(with_unpacked(state, {}))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        given, read = getattr(self, self.preprocessing), tags.input_tags
        if isinstance(given, str):
            read.allow_nan = read.categorical = read.string = True
        elif hasattr(given, "__sklearn_tags__") and not isinstance(given, type):
            inner = get_tags(given).input_tags
            for name in ("allow_nan", "categorical", "string"):
                setattr(read, name, getattr(inner, name))
        read.allow_nan &= reads_nan(self.exogenous)
        read.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class ClassOutputs(ClassifierMixin):
    """scikit-learn's mixin for a net with targets of classes.

    An ensemble overrides `predict_proba` and `decision_function`.
    """

    _targets = Classes

    @public
    def score(self, X, y=None, sample_weight=None, *, exogenous=None) -> float:
        """Accuracy.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        y : array-like of shape (n_samples,), default=None
            True labels; None takes those of a torch data set.
        sample_weight : array-like of shape (n_samples,), default=None
        exogenous : array-like, label or None, default=None
            See `predict_proba`.

        Returns
        -------
        float
        """
        X, y = read_dataset(X, y, verbose=self.verbose)
        return agreement(y, self.predict(X, exogenous=exogenous), self.classes_, sample_weight)

    @public
    def predict_proba(self, X, *, exogenous=None) -> np.ndarray:
        """Probability of every class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        exogenous : array-like, label or None, default=None
            Labels (n_samples,), or probabilities (n_samples, n_levels), levels in their order,
            numbers as numbers, in place of the variable of X: the prediction if each row had come
            from there. Several variables have a column each, or a dict from the names of some to
            their labels. `exogenous="given"` needs it, or predicts by the gate's prior.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float32
            Columns in the order of `classes_`.
        """
        proba = self._infer(X, LOGITS[self.inference], exogenous)
        with np.errstate(over="ignore"):  # of differences, whose exponentials are 0 anyway
            for i in range(0, len(proba), BLOCK):  # softmax makes several copies
                proba[i : i + BLOCK] = softmax(proba[i : i + BLOCK], axis=1)
        return proba

    @public
    def decision_function(self, X, *, exogenous=None) -> np.ndarray:
        """Logits of the classes; their difference for two classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        exogenous : array-like, label or None, default=None
            See `predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes; float32
            An ensemble returns logarithms of its mean probabilities, which are finite.
        """
        logits = self._infer(X, LOGITS[self.inference], exogenous)
        if logits.shape[1] != 2:
            return logits
        difference = logits[:, 1].astype(float) - logits[:, 0]
        return np.clip(difference, -FLOAT, FLOAT).astype(np.float32)

    @public
    def predict_log_proba(self, X, *, exogenous=None) -> np.ndarray:
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        exogenous : array-like, label or None, default=None
            See `predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X, exogenous=exogenous))

    @public
    def predict(self, X, *, exogenous=None) -> np.ndarray:
        """Most probable class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        exogenous : array-like, label or None, default=None
            See `predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels as they were passed to `fit`.
        """
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X, exogenous=exogenous).argmax(1)]
