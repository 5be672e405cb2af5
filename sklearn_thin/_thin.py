"""BaseTHIN, a net with two sides: rows and both sides -> a plan; views of the fitted gate."""

from copy import deepcopy
from functools import partial
from numbers import Integral, Real
from operator import attrgetter
from typing import Self

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import _BaseComposition

from sklearn_thin._backbones import backbone_width, deal_experts, module_input_shape
from sklearn_thin._base import COUNT, FLOAT, BaseNet
from sklearn_thin._compat import with_callbacks
from sklearn_thin._environment import all_or_nothing, draw_seeds, public, torch_seed
from sklearn_thin._pickling import copied
from sklearn_thin._sharing import Itself, shared
from sklearn_thin.dispelling import WAYS, Cosine, Off
from sklearn_thin.exogenous.augmentation import Augmentation, check_augment
from sklearn_thin.exogenous.known import is_named_list
from sklearn_thin.exogenous.variables import check_variables, fit_side, read_variables
from sklearn_thin.losses import THINLoss
from sklearn_thin.rows.arrays import as_numpy, read_dataset
from sklearn_thin.rows.labels import read_target, scaled_to_mean_one


class BaseTHIN(_BaseComposition, BaseNet):
    """A net whose backbone reads `endogenous` of X, and whose gate reads `exogenous`."""

    _parameter_constraints: dict = {
        **BaseNet._parameter_constraints,
        "exogenous": "no_validation",  # read_variables names the way to a right one
        "exogenous_predictor": [HasMethods(["fit", "predict"]), torch.nn.Module, dict, None],
        "endogenous": [StrOptions({"auto"}), HasMethods(["fit", "transform"]), None],
        "gate_input": [StrOptions({"auto", "probabilities", "logits", "representation"})],
        "gating": [StrOptions({"auto", "head", "layers"})],
        "depth": [Interval(Integral, 0, 12, closed="both")],
        "n_experts": [Interval(Integral, 1, COUNT, closed="both"), None],
        "lam": [Interval(Real, 0, FLOAT, closed="both")],
        "dispelling": [StrOptions(set(WAYS)), Cosine, None],
        "inference": [StrOptions({"soft", "hard"})],
        "augment": [callable, None],
    }
    preprocessing = "endogenous"
    __metadata_request__fit = {"exogenous_target": True}
    __metadata_request__partial_fit = {"exogenous_target": True}
    _architecture = (
        *BaseNet._architecture,
        "exogenous",
        "exogenous_predictor",
        "endogenous",
        "gate_input",
        "gating",
        "depth",
        "n_experts",
        "dispelling",
    )
    _computes = ("backbone", "dispelling")

    def get_params(self, deep=True):
        """Parameters, also of the transformers named in a list of `exogenous`."""
        if deep and isinstance(self.exogenous, list) and is_named_list(self.exogenous):
            return self._get_params("exogenous", deep=True)
        return super().get_params(deep=deep)

    def set_params(self, **params):
        """Set parameters, also of the transformers named in a list of `exogenous`."""
        exogenous = params.get("exogenous", self.exogenous)
        if isinstance(exogenous, list) and is_named_list(exogenous):
            return self._set_params("exogenous", **params)
        return super().set_params(**params)

    # ------------------------------------------------------------------ fit

    @public
    @with_callbacks
    def fit(
        self,
        X,
        y=None,
        *,
        exogenous_target=None,
        sample_weight=None,
        groups=None,
        X_val=None,
        y_val=None,
    ) -> Self:
        """Fit the exogenous side if it is not frozen, then THIN on top of it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
            Images of finite numbers, or a table of numbers and text. uint8 images are scaled from
            0..255 to [0, 1]. With a transformer as `endogenous` any input of the transformers. A
            `torch.utils.data.Dataset` of (x, label) is read once, into a temporary file if it is
            large. The methods that predict accept data sets too.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Class labels of any type, (n_samples,), or the numbers that a regressor learns. None
            takes the labels of a data set.
        exogenous_target : array-like of shape (n_samples,) or (n_samples, n_exogenous), \
                default=None
            Labels of the exogenous variables, in their order. An exogenous side that is fitted
            here needs them, and `dispelling="erasure"` erases them, numbers too.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights. Rows of weight 0 are left out. Transformers and encoders that
            are fitted here get neither weights nor `groups`: fit and freeze them beforehand.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group are held out together by `early_stopping`. A search passes groups
            to `fit` only with metadata routing and `set_fit_request(groups=True)`.
        X_val, y_val : array-like, default=None
            Held-out rows and their y, instead of a part of X. Without `early_stopping` the fit
            only records their loss.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            For data or a combination of parameters that do not allow a fit.
        TypeError
            For an exogenous side or predictor of the wrong kind.
        FloatingPointError
            When the loss turns NaN. The estimator keeps the last good weights.
        OSError
            If `checkpoint_dir` cannot be written to, before the fit.
        """
        rows = {"target": exogenous_target, "sample_weight": sample_weight, "groups": groups}
        return self._fit(X, y, X_val=X_val, y_val=y_val, **rows)

    @public
    def plan(
        self,
        X,
        y=None,
        *,
        exogenous_target=None,
        sample_weight=None,
        groups=None,
        X_val=None,
        y_val=None,
    ):
        """All of `fit` except the training, so that a search can train many plans together.

        Parameters
        ----------
        X, y, exogenous_target, sample_weight, groups, X_val, y_val : as in `fit`

        Returns
        -------
        FitPlan
            Pass the net that its training gives to :meth:`keep`.
        """
        self._validate_params()
        rows = {"target": exogenous_target, "sample_weight": sample_weight, "groups": groups}
        with all_or_nothing(self):
            return self._plan(X, y, X_val=X_val, y_val=y_val, before=None, epochs=None, **rows)

    def _plan(self, X, y, *, before, epochs, target, **given):
        """The plan of a training; fits both sides. `before` is the net to continue, or None."""
        warm, settings = before is not None, self._settings(epochs)
        target = None if target is None else read_target(as_numpy(target), X)
        X, y = read_dataset(X, y, verbose=self.verbose)
        way, variables, asks = self._check_sides(X, target, warm)
        seeds = draw_seeds(self.random_state)
        given |= {"left_out": [column for v in variables for column in v.columns]}
        given |= {"target": target, "whole": epochs is None, "warm": warm}
        rows, held_out = self._read_parts(X, y, seeds, **given)
        if self.augment is not None and len(self.module_input_shape_) == 1:
            raise ValueError(
                f"augment takes images, but samples of X have shape {self.input_shape_}; give "
                "X as images, or the backbone an image_shape"
            )
        if not warm and (self.erasure_encoder_ is not None or any(v.fits for v in variables)):
            self._check_widths(way, variables, rows)
        parts, how = (variables, rows, held_out), {"logits": asks, "mean_one": epochs is None}
        train, valid = self._with_exogenous(*parts, seeds.exogenous, warm=warm, **how)
        side, labels, sizes = self.exogenous_side_, None, []
        if way.has_map:
            given = self.erasure_encoder_, rows.target, side, train.X.get("exogenous_logits")
            labels, sizes = way.map_labels(*given)
        reads = {"gate_input": train.X.get("gate_input"), "dispels": asks or labels is not None}
        module = copied(self.module_) if warm else self._build_module(seeds.module, **reads)
        if way.has_map and not warm:
            module.eraser = way.make_map(module.experts.in_features, sizes)
        loss = THINLoss(fit_loss=self.targets_.fit_loss)
        if self.lam > 0 and side is not None:
            loss = self._dispelling_loss(way, module, seeds.module)
        weight = None
        if rows.weight is not None:  # sums of the map's weights neither overflow nor vanish
            weight = torch.from_numpy(scaled_to_mean_one(rows.weight))
        if way.keep_target:
            labels, weight = way.keep(labels, sizes, rows.y, weight, goes_on=warm)
        augments = self.augment is not None
        training = {"settings": settings, "before": before, "epochs": epochs}
        return self._new_plan(
            module,
            train,
            rows,
            loss=loss,
            valid=valid,
            seed=seeds.batches,
            **training,
            term_source=(Itself(side), way, self.lam > 0),
            map_labels=labels,
            map_weight=weight,
            augmentation=Augmentation(self.augment, side, self.input_shape_) if augments else None,
        )

    def _check_sides(self, X, target, warm):
        """The way to dispel, the exogenous variables, and whether the way reads predictors.

        They are checked before any row is read.
        """
        way = Off() if self.dispelling is None else self.dispelling
        way = WAYS[way]() if isinstance(way, str) else clone(way)
        variables = read_variables(self.exogenous, self.exogenous_predictor, X)
        before = (self.erasure_encoder_,) if warm else None
        if way.keep_target:
            way.check_kept(self._targets)
        has_side = self.exogenous is not None
        self.dispelling_ = way
        self.erasure_encoder_ = asked = None
        if way.has_map:
            self.erasure_encoder_ = way.read_target(target, before, has_side=has_side)
        if way.has_map or self.lam > 0:
            asked = way.asks(self.lam, target)
        asks = asked is not None
        if self.gating == "layers" and not has_side:
            raise ValueError(
                "gating='layers' needs an exogenous side, but exogenous is None: a gate cannot "
                "mix the layers that make its own input. Pass exogenous, or gating='head'"
            )
        if self.augment is not None:
            check_augment(self.augment, self.endogenous)
        if isinstance(self.exogenous, list) and is_named_list(self.exogenous):
            self._validate_names(variables[0].names)
        reads_predictor = self.gate_input in ("probabilities", "logits")
        if has_side and reads_predictor and not (asks and self.lam > 0):
            asked = f"gate_input={self.gate_input!r}"
        reads = asked, target is not None and way.reads_target, self.lam > 0
        check_variables(variables, self.exogenous_predictor, target, *reads, fitted=warm)
        return way, variables, asks

    def _check_widths(self, way, variables, rows):
        """Raise for widths that do not suit a setting, before any encoder is trained."""
        own, reads = backbone_width(self.backbone, self.module_input_shape_), []
        deal_experts(self, own)
        if self.lam > 0:
            for side in (v.transformer for v in variables if isinstance(v.transformer, BaseNet)):
                shape = side.sample_shape(rows.raw, rows.target)
                reads.append(
                    backbone_width(side.backbone, module_input_shape(side.backbone, shape))
                )
        way.check(own, self.erasure_encoder_, reads)

    # ------------------------------------------------------------------ the exogenous side

    def _validate_names(self, names):
        try:
            super()._validate_names(names)
        except ValueError as error:
            raise ValueError(f"names in the list of exogenous: {error}") from error

    def _with_exogenous(self, variables, rows, held_out, seed, *, logits, warm, mean_one):
        """Tensors of the rows with outputs of the exogenous side; fits the side first."""
        if warm:
            frozen = self._exogenous_outputs(rows, logits=logits)
        elif not variables:
            self.exogenous_side_, frozen = None, {}
        else:
            # only fits that hold out the same rows, by equal seeds, may share a side
            seeded = self.early_stopping or any(variable.fits for variable in variables)
            given = self.exogenous, self.exogenous_predictor, self.gate_input
            key = "exogenous side", *given, seed if seeded else None, logits, self.early_stopping
            parts = variables, self.gate_input, rows.raw, rows.target, seed
            listed = len(variables) > 1 or isinstance(self.exogenous, list)
            fit = partial(fit_side, *parts, logits=logits, listed=listed)
            self.exogenous_side_, frozen = shared(key, fit, owner=self)
        train = rows.tensors(self, mean_one=mean_one, **frozen)
        if held_out is None:
            return train, None
        frozen = self._exogenous_outputs(held_out, logits=self.dispelling_.reads_logits)
        return train, held_out.tensors(self, **frozen)

    def _exogenous_outputs(self, rows, *, logits):
        """Tensors of the rows for the gate, and for a map that reads logits."""
        side = self.exogenous_side_
        return {} if side is None else side.outputs_of(rows.raw, rows.target, logits=logits)

    endogenous_ = property(attrgetter("input_.transformer"))

    @property
    def exogenous_(self):
        """The frozen transformer, a list of (name, transformer), or None."""
        return None if self.exogenous_side_ is None else self.exogenous_side_.transformers

    def _dispelling_loss(self, way, module, seed):
        """The loss with a term, which keeps frozen copies of the predictors."""
        heads = deepcopy(self.exogenous_side_.heads)
        with torch_seed(seed, torch.device("cpu")):
            term = way.make_term(heads, self.exogenous_side_.sizes, module.experts.in_features)
            return THINLoss(term, self.lam, self.targets_.fit_loss)

    # ------------------------------------------------------------------ views of the gate

    def _infer_gate(self, X, function, exogenous):
        """`function(gate, its input)` over all rows of X."""

        def read(module, x, gate_input=None, exogenous_logits=None):
            if gate_input is None:
                gate_input = module.represent(x, None, exogenous_logits)
            return function(module.gate, gate_input)

        return self._infer(X, read, exogenous)

    @public
    def gate_proba(self, X, *, exogenous=None) -> np.ndarray:
        """Mixture weights g of the experts, also with `inference="hard"`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        exogenous : array-like, label or None, default=None
            See `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_experts), float32
            Rows sum to 1.
        """
        return self._infer_gate(X, lambda gate, h: gate(h), exogenous)

    @public
    def apply(self, X, *, exogenous=None) -> np.ndarray:
        """Index of the most probable leaf, counted from left to right.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        exogenous : array-like, label or None, default=None
            See `predict`.

        Returns
        -------
        ndarray of shape (n_samples,), int64
            The indices lie in [0, 2^depth).
        """
        return self._infer_gate(X, lambda gate, h: gate.most_probable_leaf(h), exogenous)

    @public
    def decision_path(self, X, *, exogenous=None) -> np.ndarray:
        """Probability of going left at every node of the tree, d_n.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        exogenous : array-like, label or None, default=None
            See `predict`.

        Returns
        -------
        ndarray of shape (n_samples, 2^depth - 1), float32
            Nodes level by level, from the root.
        """
        return self._infer_gate(X, lambda gate, h: gate.decisions(h), exogenous)
