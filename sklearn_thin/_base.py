"""BaseNet, one network as an estimator: read -> plan -> train -> keep; inference in blocks."""

from dataclasses import fields, replace
from functools import partial
from numbers import Integral, Real
from operator import attrgetter

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions
from sklearn.utils.validation import _num_samples, check_is_fitted
from skorch.dataset import Dataset as Tensors

from sklearn_thin._adaptation import adapted_copy
from sklearn_thin._arguments import check_nested
from sklearn_thin._backbones import build_module, module_input_shape
from sklearn_thin._compat import CallbackSupportMixin
from sklearn_thin._environment import CASTS, all_or_nothing, check_device, public
from sklearn_thin._pickling import KNOWN, with_packed, with_unpacked
from sklearn_thin._sharing import check_unchanged, identity, shared
from sklearn_thin._spoilt import warn_if_spoilt
from sklearn_thin.modules import THINModule
from sklearn_thin.rows.arrays import (
    as_tensor,
    check_finite,
    infer_rows,
    read_dataset,
    read_held_out,
    read_rows,
)
from sklearn_thin.rows.columns import as_table
from sklearn_thin.rows.inputs import ArrayInput, RestInput, TransformedInput
from sklearn_thin.rows.labels import check_class_weight, row_weights
from sklearn_thin.rows.split import hold_out
from sklearn_thin.rows.tables import TableInput
from sklearn_thin.training.batches import usual_sizes
from sklearn_thin.training.callbacks import SklearnCallbacks, check_callback
from sklearn_thin.training.net import OPTIMIZERS, new_net, train
from sklearn_thin.training.plan import FitPlan, Settings

COUNT = 2**63 - 1  # largest int of torch
FLOAT = float(np.finfo(np.float32).max)


class BaseNet(
    ClassNamePrefixFeaturesOutMixin,
    CallbackSupportMixin,
    TransformerMixin,
    BaseEstimator,
):
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
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 2, COUNT, closed="both")],
        "max_epochs": [StrOptions({"auto"}), Interval(Integral, 1, COUNT, closed="both")],
        "early_stopping": [
            "boolean",
            Interval(RealNotInt, 0, 1, closed="neither"),
            Interval(Integral, 2, COUNT, closed="both"),
        ],
        "n_iter_no_change": [Interval(Integral, 1, COUNT, closed="both")],
        "callbacks": [list, None],
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
        goes_on = self.warm_start or epochs is not None
        before = getattr(self, "net_", None) if goes_on else None
        if before is not None:
            check_unchanged(self, self.architecture_)
        with all_or_nothing(self):
            plan = self._plan(X, y, before=before, epochs=epochs, **given)
            self.net_ = new_net(plan)
            train(self.net_, plan)
        if epochs is None and getattr(self, self.preprocessing) is None:
            warn_if_spoilt(self, plan)
        return self

    def keep(self, net):
        """Make a trained THINNet the net of this estimator; returns the estimator."""
        self.net_ = net
        return self

    # ------------------------------------------------------------------ reading rows

    def _read_parts(
        self, X, y, seeds, *, warm, left_out=(), X_val=None, y_val=None, whole=True, **given
    ):
        """Training rows, and rows held out for early stopping or None, ready for the backbone.

        The backbone does not see the columns that are `left_out`.
        """
        X, y = read_dataset(X, y, verbose=self.verbose)
        if not warm:
            chosen = self._choose_input(X)
            self.input_ = RestInput(chosen, sorted(set(left_out))) if left_out else chosen
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
            read = self.input_
            inputs = [read.transform(part.raw) if part.x is None else part.x for part in parts]
        else:
            seed = seeds.exogenous
            fit = partial(self.input_.fit, parts, labels, seed)
            # only fits that hold out the same rows, by equal seeds, may share
            kind = rows.x is None, getattr(self.input_, "left_out", None)
            key = "input", *kind, self.early_stopping, self.early_stopping and seed
            is_auto = isinstance(getattr(self, self.preprocessing), str)
            self.input_, inputs = shared(key, fit, owner=self) if is_auto else fit()
            self.module_input_shape_ = module_input_shape(self.backbone, self.input_.shape)
            values = {name: getattr(self, name) for name in self._architecture}
            self.architecture_ = shared(  # as texts take their time
                ("architecture", *values.values()),
                lambda: {name: (identity(v), v, repr(v)) for name, v in values.items()},
            )
        for part, x in zip(parts, inputs, strict=True):
            part.x = x
        return rows, held_out

    def _choose_input(self, X):
        """The unfitted part that makes the backbone's input of X."""
        given = getattr(self, self.preprocessing)
        images = getattr(self.backbone, "image_shape", None) is not None  # folded from rows
        if not (given is None or isinstance(given, str)):
            return TransformedInput(given, self.preprocessing, images)
        table = X if isinstance(X, np.ndarray) else as_table(X)
        if given is None or images or getattr(table, "ndim", 2) > 2:
            return ArrayInput(images, clips=given is not None)
        return TableInput()

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

    def _dataset(self, rows, *, mean_one=True, **tensors):
        """Tensors of the rows, or None for None."""
        if rows is None:
            return None
        tensors["x"] = as_tensor(rows.x, self.module_input_shape_)
        if self.class_weight is not None or rows.weight is not None:
            classes = None if self.class_weight is None else self.targets_.classes
            given = self.class_weight, rows.y, classes, rows.weight
            tensors["weight"] = torch.from_numpy(row_weights(*given, mean_one=mean_one))
        return Tensors(tensors, torch.from_numpy(rows.y))

    def _new_plan(self, module, train, rows, *, settings, seed, before, epochs, **parts):
        """A plan with the parts that all estimators share."""
        norms = any(isinstance(part, torch.nn.BatchNorm1d) for part in module.modules())
        if len(train) < 2 and norms:
            raise ValueError(
                "there must be at least 2 rows to train on with batch normalisation, got "
                f"{len(train)} (rows of weight 0 and held-out rows do not count). Pass more "
                "rows at once, or use a backbone without it and hidden_units=0."
            )
        built = self.architecture_
        sizes = usual_sizes(train.X["x"].shape, settings.batch_size)
        auto = {name: n for name, n in sizes.items() if getattr(settings, name) == "auto"}
        settings = replace(settings, **auto)
        followed = epochs is None and getattr(self, "_skl_callbacks", None)
        follows = self, rows, settings.max_epochs
        return FitPlan(
            module=module,
            train=train,
            settings=settings,
            seed=seed + (0 if before is None else len(before.history)),
            before=before,
            architecture=(type(self), *(built[name][0] for name in self._computes)),
            keeps_optimizer=self.warm_start or epochs is not None,
            callbacks=self.callbacks or [],
            followers={"sklearn": SklearnCallbacks(*follows)} if followed else {},
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

    # skorch's history: losses, learning rate and seconds of every epoch
    history_ = property(attrgetter("net_.history"))
    interrupted_ = property(attrgetter("net_.interrupted_"))
    input_shape_ = property(attrgetter("input_.shape"))
    input_dtype_ = property(attrgetter("input_.dtype"))
    image_range_ = property(attrgetter("input_.range"))
    _n_features_out = property(attrgetter("module_.experts.in_features"))

    @property
    def n_iter_(self):
        """Epochs trained."""
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
        given = X, self.net_.module_.gate.in_features, exogenous
        blocks = self.exogenous_side_.blocks(*given, logits=self.dispelling_.reads_logits)
        return len(x), ({"x": x[rows], **frozen} for rows, frozen in blocks)

    def _infer(self, X, function, exogenous=None):
        """`function(module, **inputs)` over all rows of X."""
        check_is_fitted(self, "net_")
        n_rows, blocks = self._tensors(read_dataset(X, verbose=self.verbose)[0], exogenous)
        module = self.net_.module_.eval()
        function, device = partial(function, module), next(module.parameters()).device
        whole = infer_rows(function, blocks, n_rows, device, module.n_values)
        return check_finite(whole, f"the output of {type(self).__name__}")

    @public
    def transform(self, X, *, exogenous=None):
        """Representation that the experts read: h_endo, or h_exo of an encoder.

        With `dispelling="erasure"` or "alignment" h_endo is the output of the map.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        exogenous : array-like, label or None, default=None
            As in `predict`.

        Returns
        -------
        ndarray of shape (n_samples, width), float32
        """
        return self._infer(X, THINModule.represent, exogenous)

    @public
    def adapt(self, X, *, exogenous=None):
        """A copy for a site that `fit` lacked, adapted to rows without labels.

        Means and variances of batch normalisation become those of X (AdaBN; Li et al., 2016). Those
        of the training count as 16 rows beside X (Schneider et al., 2020). All weights stay, and so
        do the exogenous side, the preprocessing and the map of `dispelling`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
            Rows of one site, two at least, with classes about as frequent as in `fit`.
        exogenous : array-like, label or None, default=None
            As in `predict`.

        Returns
        -------
        estimator
            Another fitted estimator. This estimator stays as it is.

        Raises
        ------
        ValueError
            If the network has no batch normalisation, or X has fewer than two rows.
        """
        check_is_fitted(self, "net_")
        X = read_dataset(X, verbose=self.verbose)[0]
        return adapted_copy(self, *self._tensors(X, exogenous))

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
        for item in self.exogenous if isinstance(self.exogenous, list) else [self.exogenous]:
            side = item[-1] if isinstance(item, tuple) else item
            side = side.estimator if isinstance(side, FrozenEstimator) else side  # copies its tags
            has_tags = hasattr(side, "__sklearn_tags__") and not isinstance(side, type)
            read.allow_nan &= not has_tags or get_tags(side).input_tags.allow_nan
        read.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
