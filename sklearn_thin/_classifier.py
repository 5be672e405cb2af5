"""Stage 2: THINClassifier, the story of fit and predict from arrays to probabilities."""

from dataclasses import replace
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import validate_data

from sklearn_thin._backbones import build_backbone, module_input_shape
from sklearn_thin._base import NetEstimator
from sklearn_thin._compat import with_callbacks
from sklearn_thin._exogenous import (
    DISPELLING,
    Augmentation,
    Dispeller,
    check_exogenous,
    fit_exogenous,
    named_exogenous,
    width_message,
)
from sklearn_thin._random import draw_seeds, set_missing_random_states, torch_seed
from sklearn_thin._validation import check_device, check_target, check_transformed, take


class THINClassifier(NetEstimator, _BaseComposition):
    """Classifier that uses a nuisance variable twice, then throws it away.

    THIN (THrowable Information Networks; Arnaud, Dapogny and Bailly) serves where a
    nuisance, the *exogenous* variable, changes how the classes look. A frozen encoder of
    that variable steers a differentiable tree, which mixes L small experts that read the
    *endogenous* representation; a dispelling loss, weighted λ, drives what the encoder
    would still read out of that representation. With z_exo = c(h_exo),

        loss = CE(softmax(Z·g), y) + λ · |cos(z_exo, c(h_endo))|

    The paper's architectures are settings of `depth`, `n_experts`, `exogenous` and `lam`:
    a baseline (0, 1, None, 0), a simple deep ensemble (0, L, None, 0), a tree-gated
    ensemble (D, None, None, 0), an exogenous tree-gated ensemble (D, None, encoder, 0),
    and THIN (D, None, encoder, > 0). With a transformer that gives the true variable the
    fourth is the paper's oracle.

    Parameters
    ----------
    exogenous : transformer, list of (name, transformer) or None, default=None
        What gives h_exo of X. A `FrozenEstimator` is used as it is; anything else is
        cloned and fitted in `fit`, on `exogenous_target` where it needs labels. Several
        are concatenated for the gate, and their dispelling terms averaged. None lets the
        gate read h_endo.
    exogenous_predictor : classifier, Module, dict from name to these or None, default=None
        c, for a transformer that brings none: a classifier of h_exo, fitted on
        `exogenous_target`, or frozen (`FrozenEstimator` or `torch.nn.Module`). Linear
        scikit-learn classifiers, `MLPClassifier`, skorch nets and modules can serve.
    endogenous : transformer or None, default=None
        What the backbone sees of X; cloned and fitted in `fit`. None is X as it is.
    gate_input : {"auto", "probabilities", "logits", "representation"}, default="auto"
        What the gate reads of each exogenous variable: the predictor's probabilities, its
        logits, or h_exo; the last two are centred and scaled by the training rows.
        "auto" takes the probabilities where there is a predictor, else h_exo.
    depth : int, default=3
        D, levels of the tree, 0 to 12.
    n_experts : int, default=None
        L, the number of experts; None is 2^depth. Fewer than leaves are shared by
        neighbouring leaves; of more, each leaf averages its own block.
    lam : float, default=0.0
        λ, weight of the dispelling term. Above 0 it needs a predictor c.
    dispelling : {"cosine"}, default="cosine"
        The dispelling term; "cosine" is the paper's.
    backbone : {"auto"}, str, backbone object, Module or callable, default="auto"
        F: X ↦ h_endo. "auto" is an :class:`MLPBackbone` for 2-D X and a
        :class:`ConvNetBackbone` for images; a name is one of torchvision's classifiers;
        a backbone object can be tuned (`backbone__channels`); a module is copied; a
        callable makes a module from the shape of one input.
    hidden_units : int, default=256
        Hidden units of all experts together, shared evenly, so that candidates with
        different L are about equally large. 0 makes the experts linear.
    augment : callable, default=None
        From a batch of image tensors (n, channels, height, width) to such a batch, on the
        device, in training only. The exogenous side then sees the augmented images.
    optimizer : {"adam", "adamw", "sgd"} or callable, default="adam"
        A callable is called as `optimizer(parameters, lr=..., weight_decay=...)`.
    lr : float, default=1e-3
        Learning rate at the start.
    lr_schedule : {"cosine", "constant"}, default="cosine"
        Cosine goes to 0 over `max_epochs`, stepping once an epoch.
    weight_decay : float, default=0.0
        As the optimizer understands it.
    batch_size : int, default=32
        Rows in a batch, at least 2; a single row left over joins the batch before.
    max_epochs : int, default=50
        Passes over the training rows.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes.
    early_stopping : bool, float or int, default=False
        Whether to hold out rows and stop when their cross-entropy no longer improves:
        True for a tenth, a float for a fraction, an int for a number of rows. The best
        weights are restored. The exogenous side is fitted on the other rows.
    n_iter_no_change : int, default=10
        Epochs without improvement after which to stop.
    callbacks : list of skorch callbacks, default=None
        Copied before use; found in `net_.callbacks_` afterwards.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights and transformers that are there.
    device : str or torch.device, default="auto"
        "auto" is the GPU where there is one, else the CPU.
    verbose : int, default=0
        1 shows a progress bar, 2 a line an epoch.
    random_state : int, RandomState instance or None, default=None
        Governs everything random, in the transformers fitted here too. The global
        generators are not touched.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    exogenous_ : ExogenousSide or None
        The frozen exogenous variables; `exogenous_.variables[0].transformer` is the first.
    endogenous_ : transformer or None
        The fitted `endogenous`.
    net_ : THINNet
        The skorch net.
    module_ : THINModule
        Its network, with `backbone`, `experts` and `gate`.
    history_ : skorch.history.History
        Losses, dispelling term, learning rate and seconds of every epoch.
    n_iter_ : int
        Epochs trained.
    n_features_in_ : int
        Columns of X, or values in one image.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, where X has them.
    input_shape_ : tuple of int
        Shape of one sample, before any folding into an image.

    See Also
    --------
    ExogenousEncoder : The encoder of the exogenous variable.

    References
    ----------
    Arnaud, Dapogny and Bailly, "THIN: THrowable Information Networks and application for
    facial expression recognition in the wild".

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_thin import ExogenousEncoder, THINClassifier
    >>> digits = load_digits()
    >>> X, ink = digits.data / 16, digits.data.mean(1).round()
    >>> thin = THINClassifier(
    ...     ExogenousEncoder(max_epochs=5), lam=0.005, max_epochs=5, random_state=0
    ... )
    >>> thin.fit(X, digits.target, exogenous_target=ink).predict_proba(X[:2]).shape
    (2, 10)
    >>> thin.gate_proba(X[:2]).shape
    (2, 8)
    """

    __metadata_request__fit = {"exogenous_target": True}
    __metadata_request__partial_fit = {"exogenous_target": True}

    _parameter_constraints: dict = {
        **NetEstimator._parameter_constraints,
        "exogenous": [HasMethods(["fit", "transform"]), list, None],
        "exogenous_predictor": [
            HasMethods(["fit", "predict"]),
            torch.nn.Module,
            dict,
            None,
        ],
        "endogenous": [HasMethods(["fit", "transform"]), None],
        "gate_input": [StrOptions({"auto", "probabilities", "logits", "representation"})],
        "depth": [Interval(Integral, 0, 12, closed="both")],
        "n_experts": [Interval(Integral, 1, None, closed="left"), None],
        "lam": [Interval(Real, 0, None, closed="left")],
        "dispelling": [StrOptions(set(DISPELLING))],
        "augment": [callable, None],
    }

    def __init__(
        self,
        exogenous=None,
        *,
        exogenous_predictor=None,
        endogenous=None,
        gate_input="auto",
        depth=3,
        n_experts=None,
        lam=0.0,
        dispelling="cosine",
        backbone="auto",
        hidden_units=256,
        augment=None,
        optimizer="adam",
        lr=1e-3,
        lr_schedule="cosine",
        weight_decay=0.0,
        batch_size=32,
        max_epochs=50,
        class_weight=None,
        early_stopping=False,
        n_iter_no_change=10,
        callbacks=None,
        warm_start=False,
        device="auto",
        verbose=0,
        random_state=None,
    ):
        self.exogenous = exogenous
        self.exogenous_predictor = exogenous_predictor
        self.endogenous = endogenous
        self.gate_input = gate_input
        self.depth = depth
        self.n_experts = n_experts
        self.lam = lam
        self.dispelling = dispelling
        self.backbone = backbone
        self.hidden_units = hidden_units
        self.augment = augment
        self.optimizer = optimizer
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.callbacks = callbacks
        self.warm_start = warm_start
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    def get_params(self, deep=True):
        """Parameters; those of a list of `exogenous` under the names in it."""
        if deep and isinstance(self.exogenous, list):
            return self._get_params("exogenous", deep=True)
        return super().get_params(deep=deep)

    def set_params(self, **params):
        """Set parameters, also of the transformers named in a list of `exogenous`."""
        return self._set_params("exogenous", **params)

    # ------------------------------------------------------------------ fit

    @with_callbacks
    def fit(
        self,
        X,
        y,
        *,
        exogenous_target=None,
        sample_weight=None,
        groups=None,
        X_val=None,
        y_val=None,
    ):
        """Fit the exogenous side where it is not frozen, then THIN on top of it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
            Finite; uint8 images are scaled from 0..255 to [0, 1]. With `endogenous`
            anything that the transformers read.
        y : array-like of shape (n_samples,)
            Class labels, of any type.
        exogenous_target : array-like of shape (n_samples,) or (n_samples, n_exogenous), \
                default=None
            Labels of the exogenous variables, in their order; needed where a side is to be
            fitted on them.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; rows of weight 0 are left out.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group are held out together by `early_stopping`.
        X_val, y_val : array-like, default=None
            Held-out rows and labels, instead of a part of X.

        Returns
        -------
        self : THINClassifier

        Raises
        ------
        ValueError
            For data or a combination of parameters that cannot be learnt from.
        TypeError
            For an exogenous side or predictor of the wrong kind.
        FloatingPointError
            When the loss turns NaN; the last good weights are kept.
        """
        return self._fit(X, y, exogenous_target, sample_weight, groups, X_val, y_val)

    def partial_fit(self, X, y, classes=None, *, exogenous_target=None, sample_weight=None):
        """Train one epoch on these rows, at the constant rate `lr`.

        The first call fits the exogenous and endogenous transformers where they are not
        frozen; later calls leave them as they are.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        y : array-like of shape (n_samples,)
        classes : array-like of shape (n_classes,), default=None
            All classes that will come, in the first call; None takes those of `y`.
        exogenous_target, sample_weight : array-like, default=None
            As in `fit`.

        Returns
        -------
        self : THINClassifier
        """
        return self._fit(X, y, exogenous_target, sample_weight, classes=classes, epochs=1)

    def _fit(
        self,
        X,
        y,
        exogenous_target,
        sample_weight,
        groups=None,
        X_val=None,
        y_val=None,
        classes=None,
        epochs=None,
    ):
        """Both ways to fit; `epochs` None is a whole fit, else a continued one."""
        self._validate_params()
        target = check_target(exogenous_target, X)
        go_on = self.warm_start or epochs is not None
        warm = go_on and hasattr(self, "net_")
        self._check_sides(target, warm)
        seeds = draw_seeds(self.random_state)
        with self._all_or_nothing(keep_progress=go_on):
            rows = self._read(
                X, y, sample_weight, reset=not warm, classes=classes, target=target
            )
            if epochs is None:
                rows, held_out = self._split(rows, seeds.split, groups, X_val, y_val)
            else:
                held_out = None
            if not warm:
                self._fit_endogenous(rows, seeds.exogenous)
            rows, held_out = self._as_backbone_sees(rows), self._as_backbone_sees(held_out)
            frozen = self._exogenous_outputs(rows, seeds.exogenous, fit=not warm)
            held_out_frozen = self._exogenous_outputs(held_out)
            module = self.module_ if warm else self._build_thin(rows, frozen, seeds.module)
            self._train(
                module,
                self._dataset(rows, **frozen),
                self._dataset(held_out, **held_out_frozen),
                seeds.batches,
                epochs=epochs,
                lam=self.lam,
                dispeller=self._dispeller(module),
                augmentation=self._augmentation(),
            )
        return self

    def _check_sides(self, target, warm):
        """What can be said of both sides before anything is read or fitted."""
        check_device(self.device)
        if self.augment is not None and self.endogenous is not None:
            raise ValueError(
                "augment changes the images that both sides see, but with "
                f"endogenous={self.endogenous!r} they do not see the same X; augment inside "
                "the backbone, or set endogenous=None"
            )
        if self.exogenous is not None:
            if not warm:
                check_exogenous(
                    self.exogenous, self.exogenous_predictor, self.gate_input, self.lam, target
                )
        elif self.lam > 0 or self.exogenous_predictor is not None:
            given = "exogenous_predictor" if self.lam == 0 else f"lam={self.lam}"
            raise ValueError(
                f"{given} needs an exogenous side to dispel, but exogenous is None. Pass an "
                "ExogenousEncoder or another transformer, or set lam=0."
            )

    # ------------------------------------------------------------------ the two sides

    def _backbone_array(self, X, *, reset):
        if self.endogenous is None:
            return super()._backbone_array(X, reset=reset)
        validate_data(self, X, reset=reset, skip_check_array=True)
        return None if reset else self._endogenous_array(X)

    def _endogenous_array(self, X):
        """Output of the endogenous transformer as the backbone sees it."""
        x = self.endogenous_.transform(X)
        x = check_transformed(x, "endogenous", images=self._folds_images())
        if x.shape[1:] != getattr(self, "input_shape_", x.shape[1:]):
            raise ValueError(
                f"endogenous gives samples of shape {x.shape[1:]}, but gave "
                f"{self.input_shape_} in fit"
            )
        return x

    def _fit_endogenous(self, rows, seed):
        self.endogenous_ = self.endogenous
        if self.endogenous is None:
            return
        if not isinstance(self.endogenous, FrozenEstimator):
            self.endogenous_ = set_missing_random_states(clone(self.endogenous), seed)
            self.endogenous_.fit(rows.raw, self.classes_[rows.codes])
        self.input_shape_ = check_transformed(
            self.endogenous_.transform(take(rows.raw, [0])), "endogenous"
        ).shape[1:]

    def _as_backbone_sees(self, rows):
        if rows is None or rows.x is not None:
            return rows
        return replace(rows, x=self._endogenous_array(rows.raw))

    def _exogenous_outputs(self, rows, seed=None, *, fit=False):
        """The frozen side's tensors for these rows, the side being fitted first on `fit`."""
        if fit:
            self.exogenous_ = None
        if self.exogenous is None or rows is None:
            return {}
        logits = seed is not None and self.lam > 0
        if not fit:
            return self.exogenous_.outputs(rows.raw, logits=logits)
        self._check_widths(rows)
        self.exogenous_, outputs = fit_exogenous(
            self.exogenous,
            self.exogenous_predictor,
            self.gate_input,
            rows.raw,
            rows.target,
            seed,
            logits=logits,
        )
        return outputs

    def _check_widths(self, rows):
        """Compare h_endo with what an encoder yet to be trained will read, before that."""
        encoders = [t for _, t in named_exogenous(self.exogenous) if isinstance(t, NetEstimator)]
        if not self.lam or not encoders:
            return
        with torch_seed(0, torch.device("cpu")):
            _, width = build_backbone(self.backbone, self._input_shape(rows.x))
            for encoder in encoders:
                shape = module_input_shape(encoder.backbone, np.shape(rows.raw)[1:])
                _, read = build_backbone(encoder.backbone, shape)
                if read != width:
                    raise ValueError(width_message(width, read))

    # ------------------------------------------------------------------ the net

    def _build_thin(self, rows, frozen, seed):
        gate_width = frozen["gate_input"].shape[1] if frozen else None
        return self._build_module(
            self._input_shape(rows.x),
            seed,
            gate_width=gate_width,
            depth=self.depth,
            n_experts=self.n_experts,
        )

    def _dispeller(self, module):
        if self.lam == 0:
            return None
        heads = [variable.head for variable in self.exogenous_.variables]
        width = module.experts.in_features
        return Dispeller(heads, self.dispelling, width, check_device(self.device))

    def _augmentation(self):
        if self.augment is None:
            return None
        if len(self._input_shape(np.empty((1, *self.input_shape_)))) == 1:
            raise ValueError(
                f"augment takes images, but samples of X have shape {self.input_shape_}; give "
                "X as images, or the backbone an image_shape"
            )
        return Augmentation(self.augment, self.exogenous_, self.input_shape_)

    # ------------------------------------------------------------------ predict

    def _tensors(self, X):
        return {**super()._tensors(X), **self._gate_tensors(X)}

    def _gate_tensors(self, X):
        return {} if self.exogenous_ is None else self.exogenous_.outputs(X)

    def _infer_gate(self, X, function):
        """`function(gate, what it reads)` over all rows of X."""

        def read(module, x, gate_input):
            return function(module.gate, module.backbone(x) if gate_input is None else gate_input)

        return self._infer(X, read)

    def gate_proba(self, X):
        """Mixture weights g of the experts.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)

        Returns
        -------
        ndarray of shape (n_samples, n_experts), float32
            Rows sum to 1.
        """
        return self._infer_gate(X, lambda gate, h: gate(h))

    def apply(self, X):
        """Index of the most probable leaf, counted from left to right.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)

        Returns
        -------
        ndarray of shape (n_samples,), int64
            In [0, 2^depth).
        """
        return self._infer_gate(X, lambda gate, h: gate.leaf_log_proba(h).argmax(1))

    def decision_path(self, X):
        """Probability of going left at every node of the tree, d_n.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)

        Returns
        -------
        ndarray of shape (n_samples, 2^depth - 1), float32
            Nodes level by level from the root.
        """
        return self._infer_gate(X, lambda gate, h: gate.decisions(h))

    def expert_proba(self, X):
        """Class probabilities of every single expert.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)

        Returns
        -------
        ndarray of shape (n_samples, n_experts, n_classes), float32
        """

        def experts(module, x, gate_input):
            return module.experts(module.backbone(x)).softmax(2)

        return self._infer(X, experts)
