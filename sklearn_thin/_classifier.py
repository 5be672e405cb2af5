"""Stage 2: THINClassifier, with its parameters and its class outputs."""

from operator import attrgetter
from typing import Self

import numpy as np

from sklearn_thin._base import CLASS_WEIGHT, ClassOutputs
from sklearn_thin._environment import public
from sklearn_thin._thin import BaseTHIN


class THINClassifier(ClassOutputs, BaseTHIN):
    """Classifier that uses a nuisance variable twice, then throws it away.

    THIN (THrowable Information Networks; Arnaud, Dapogny and Bailly) is for data in which a
    nuisance, the *exogenous* variable, changes how the classes look. A frozen encoder of this
    variable steers a differentiable tree. The tree mixes L small experts, which read the
    *endogenous* representation h_endo. A dispelling term, weighted by λ, drives the exogenous
    information out of h_endo. With z_exo = c(h_exo)::

        loss = CE(softmax(Z·g), y) + λ · |cos(z_exo, c(h_endo))|

    The paper's architectures are settings of `depth`, `n_experts`, `exogenous` and `lam`:
    a baseline (0, 1, None, 0), a simple deep ensemble (0, L, None, 0), a tree-gated
    ensemble (D, None, None, 0), an exogenous tree-gated ensemble (D, None, encoder, 0),
    and THIN (D, None, encoder, > 0). The fourth is the paper's oracle if a transformer gives
    the true variable.

    Parameters
    ----------
    exogenous : str, int, slice, callable, list, transformer or None, default=None
        Where the exogenous variable comes from.

        - A column name, a position, a list of these, a slice or a selector names columns of X. They
          steer the gate, and the backbone does not see them. Labels are text, categories, booleans
          and whole numbers; other numbers are scaled and clipped. Missing levels, and levels that
          `fit` lacked, get the gate's prior, the frequencies of the levels in `fit`. A missing
          number gets the median (:class:`~sklearn_thin.exogenous.KnownVariable`).
        - "given" takes the labels from `exogenous_target` in `fit`, and from `exogenous` in
          `predict` and its like. Without them these predict with the gate's prior.
        - A transformer, or a list of (name, transformer), recognises the variable.

        A transformer gives h_exo of X. A `FrozenEstimator` is used as it is. Other transformers are
        cloned and fitted in `fit`, on `exogenous_target` if they need labels. The gate reads
        several transformers side by side, and their dispelling terms are averaged. They transform X
        in blocks, and must treat each row by itself. None lets the gate read h_endo.
    exogenous_predictor : classifier, Module, dict from name to these or None, default=None
        c, for a transformer without a predictor, or instead of its own. It is a classifier of
        h_exo, fitted on `exogenous_target`, or frozen (`FrozenEstimator` or `torch.nn.Module`).
        Linear scikit-learn classifiers, `MLPClassifier`, skorch nets and modules can be c.
    endogenous : {"auto"}, transformer or None, default="auto"
        Makes the backbone's input from X. "auto" passes tables through a
        :class:`TablePreprocessor`. Missing values, text and extreme numbers are then allowed. It
        leaves images as they are, except for float values far outside the range of the training
        images, which it clips. A transformer is cloned and fitted in `fit`. None is X as it is. A
        fit then warns where extreme values have spoilt it.
    gate_input : {"auto", "probabilities", "logits", "representation"}, default="auto"
        The gate's input from each exogenous variable. The predictor's probabilities are
        multiplied by the square root of their number. Logits and h_exo are centred and scaled by
        the training rows. "auto" takes the probabilities if there is a predictor, else h_exo.
        Linear one-versus-rest classifiers get the softmax of their decision values.
    gating : {"auto", "head", "layers"}, default="auto"
        Where the experts are. "head" is the paper: experts behind the representation. With
        "layers" the gate also mixes L linear maps in each dense layer of the backbone, in front of
        its non-linearity, and its input scales and shifts the units of the layer
        (:class:`~sklearn_thin.modules.GatedMLP`). It needs an exogenous side, and an
        :class:`MLPBackbone`, a :class:`ConvNetBackbone`, or a backbone object with `build_gated`.
        "auto" is "layers" for tables with an exogenous side and such a backbone, if nothing is
        dispelled: gated layers bring the variable back into h_endo. Else "auto" is "head".
    depth : int, default=3
        D, levels of the tree, 0 to 12.
    n_experts : int, default=None
        L, the number of experts; None is 2^depth. With fewer experts than leaves, neighbouring
        leaves share one. With more, each leaf averages its own block of experts.
    lam : float, default=0.0
        λ, weight of the dispelling term. Above 0 it needs a predictor c.
    dispelling : {"cosine", "erasure", "alignment"}, object or None, default="cosine"
        How the exogenous information leaves h_endo: a name, an object of
        :mod:`sklearn_thin.dispelling`, or None for no dispelling, whatever `lam` is. A search
        tunes the parameters of an object, such as `dispelling__rank` of `Alignment(rank=8)`.

        - "cosine" or `Cosine()`: the paper's term alone. It lowers the cosine, and guarantees
          nothing about other predictors.
        - "erasure" or `Erasure()`: a closed-form affine map
          (:class:`~sklearn_thin.modules.LinearEraser`) in front of all readers of h_endo. On the
          training rows no linear probe then beats a constant. The map erases the classes or
          the numbers of `exogenous_target`, or without them the frozen predictors' probabilities.
        - "alignment" or `Alignment(rank=None)`: a map
          (:class:`~sklearn_thin.modules.ConditionalAligner`) that gives all exogenous classes one
          mean and one covariance, so that probes that are not linear find less as well. The map
          reads the frozen predictors, in `predict` as in `fit`, and depends on their accuracy.

        With `keep_target=True`, both keep the information about y where y depends on the variable.
        Both maps are fitted anew in each epoch, at last to all training rows, and trained through.
        Rows count by `sample_weight`, not by `class_weight`. `lam` weighs the paper's term beside
        the maps.
    backbone : {"auto"}, str, backbone object, Module or callable, default="auto"
        F: X ↦ h_endo. "auto" is an :class:`MLPBackbone` for 2-D X and a
        :class:`ConvNetBackbone` for images. With gated layers the former is
        `MLPBackbone((128, 128), 0.35, 0.5, 6)`. A name is one of torchvision's classifiers.
        A backbone object can be tuned (`backbone__channels`). A module is copied. A
        callable makes a module from the shape of one input.
    hidden_units : int, default=0
        Hidden units of all experts together, dealt evenly, so that networks of different L are
        about equally large. With 0 the experts are linear, and share the backbone's last layer.
        The paper's networks have 256, and none in the backbone
        (`ConvNetBackbone(hidden_layer_sizes=())`).
    inference : {"soft", "hard"}, default="soft"
        How the trained network predicts. "soft" is the paper's mixture of all experts. "hard"
        takes the experts of the most probable leaf alone. It is faster for large L, and less
        accurate for rows between two leaves.
    augment : callable, default=None
        Gets a batch of image tensors (n, channels, height, width) on the device, in training
        only, and returns such a batch. Examples are
        :class:`~sklearn_thin.datasets.ImageAugmentation` and torchvision's transforms inside a
        `v2.Compose`. The exogenous side then reads the augmented images.
    optimizer : {"adam", "adamw", "sgd"} or callable, default="adam"
        A callable is called as `optimizer(parameters, lr=..., weight_decay=...)`.
    lr : float, default=1e-3
        Learning rate at the start.
    lr_schedule : {"cosine", "constant"}, default="cosine"
        Cosine goes to 0 over `max_epochs`, with a step after each batch.
    weight_decay : float, default=0.0
        The optimizer gets it.
    batch_size : int or "auto", default="auto"
        Rows in a batch, at least 2. A single row left over joins the batch before. "auto" is 32 for
        images. For tables it is the power of two nearest to 1/128 of the training rows, at least 32
        and at most 256.
    max_epochs : int or "auto", default="auto"
        Passes over the training rows. "auto" is 50 for images. For tables it is the number that
        makes about 4,000 steps, at least 10 and at most 50.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes.
    early_stopping : bool, float or int, default=False
        Whether to hold out rows and stop when their cross-entropy no longer improves.
        True holds out a tenth, a float a fraction, an int a number of rows. The best weights
        are restored. The exogenous side is fitted on the other rows. With `groups` whole groups
        are held out, as one of k about equal parts. k is 1 / fraction, rounded, at least 2
        and at most the number of groups. A warm start holds out the same rows if X is as long as
        in the fit before, whatever the fraction. Otherwise it holds out new rows, and warns, as
        the fit before may have trained on them.
    n_iter_no_change : int, default=10
        Epochs without improvement after which to stop.
    callbacks : list of skorch callbacks, default=None
        They are copied before use; `net_.callbacks_` has the copies after the fit. With skorch's
        LRScheduler set `lr_schedule` to "constant", as the rates would multiply. A grid holds
        whole lists. The parameters of a callback cannot be set by `callbacks__name__parameter`.
    checkpoint_dir : str, path or None, default=None
        Folder from which a killed fit goes on, when it is fitted again with the same rows and
        parameters. On a CPU with as many threads the model has the same bits. The folder keeps the
        states after two epochs, also of encoders that are fitted here. They are written at least
        10 seconds apart, and take a twentieth of the time at most. The result replaces them, and an
        equal fit reads it: delete the folder afterwards. Other rows, parameters, seeds or versions
        train anew. So do fits with callbacks, hooks or code of your own, with a warning.
        `random_state` must be set. `partial_fit` writes nothing. Networks that train together use
        the folder of their search.
    warm_start : bool, default=False
        Whether `fit` starts from the weights and transformers of the fit before. A pickled copy
        starts without the optimizer's moments. Ctrl-C then keeps the whole epochs, with the
        best weights of early stopping, and sets `interrupted_`. Without `warm_start`, or before
        the end of the first epoch, Ctrl-C leaves the estimator as it was.
    device : str or torch.device, default="auto"
        "auto" is the GPU if there is one, else the CPU.
    compile : bool, default=False
        Whether to make one program of the training step, as in :class:`ExogenousEncoder`. For
        networks that train together, a GPU captures the common step; a CPU compiles nothing.
    mixed_precision : {"bf16"}, default=None
        See :class:`ExogenousEncoder`. Gate and erasure stay in float32 as well.
    verbose : int, default=0
        1 shows a progress bar, 2 a line an epoch.
    random_state : int, RandomState instance or None, default=None
        Governs everything random, also in the transformers that are fitted here. The global
        generators stay as they are.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    exogenous_ : transformer, list of (name, transformer) or None
        The fitted, frozen `exogenous`.
    exogenous_side_ : ExogenousSide or None
        `exogenous_` with the predictors, as the gate and the dispelling term read it.
    endogenous_ : transformer or None
        The fitted `endogenous`. For "auto" a :class:`TablePreprocessor`, or None for images.
    image_range_ : tuple of float or None
        Least and greatest value of images that "auto" lets pass.
    dispelling_ : object of :mod:`sklearn_thin.dispelling`
        The way of the fit: a copy of `dispelling`, or the object of that name.
    erasure_encoder_ : object or None
        Encoder of `exogenous_target` that is erased from h_endo. Its `categories_` hold the classes
        of each variable, or None for a number.
    net_ : THINNet
        The skorch net.
    module_ : THINModule
        The trained network, with `backbone`, `experts` and `gate`.
    history_ : skorch.history.History
        Losses, dispelling term, learning rate and seconds of every epoch.
    n_iter_ : int
        Epochs trained.
    validation_mask_ : ndarray of bool of shape (n_samples,), or None
        Rows of X that `early_stopping` held out.
    interrupted_ : bool
        Whether Ctrl-C or a diverging loss ended the last fit early. The last whole epoch then has
        "interrupted" in `history_`.
    n_features_in_ : int
        Columns of X, or values in one image.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, if X has them.
    input_shape_ : tuple of int
        Shape of one sample behind `endogenous`, before any folding into an image.
    input_dtype_ : numpy.dtype
        Type of X, if it has images.

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

    _parameter_constraints: dict = {**BaseTHIN._parameter_constraints, **CLASS_WEIGHT}
    classes_ = property(attrgetter("targets_.classes"))

    def __init__(
        self,
        exogenous=None,
        *,
        exogenous_predictor=None,
        endogenous="auto",
        gate_input="auto",
        gating="auto",
        depth=3,
        n_experts=None,
        lam=0.0,
        dispelling="cosine",
        backbone="auto",
        hidden_units=0,
        inference="soft",
        augment=None,
        optimizer="adam",
        lr=1e-3,
        lr_schedule="cosine",
        weight_decay=0.0,
        batch_size="auto",
        max_epochs="auto",
        class_weight=None,
        early_stopping=False,
        n_iter_no_change=10,
        callbacks=None,
        checkpoint_dir=None,
        warm_start=False,
        device="auto",
        compile=False,  # noqa: A002 -- the name that skorch and PyTorch have for it
        mixed_precision=None,
        verbose=0,
        random_state=None,
    ) -> None:
        self.exogenous = exogenous
        self.exogenous_predictor = exogenous_predictor
        self.endogenous = endogenous
        self.gate_input = gate_input
        self.gating = gating
        self.depth = depth
        self.n_experts = n_experts
        self.lam = lam
        self.dispelling = dispelling
        self.backbone = backbone
        self.hidden_units = hidden_units
        self.inference = inference
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
        self.checkpoint_dir = checkpoint_dir
        self.warm_start = warm_start
        self.device = device
        self.compile = compile
        self.mixed_precision = mixed_precision
        self.verbose = verbose
        self.random_state = random_state

    @public
    def partial_fit(
        self, X, y=None, classes=None, *, exogenous_target=None, sample_weight=None
    ) -> Self:
        """Train one epoch on these rows, at the constant rate `lr`.

        The first call fits the exogenous and endogenous transformers that are not frozen. Later
        calls leave them as they are. Each call fits the maps of `dispelling="erasure"` and
        `"alignment"` anew, to its own rows alone, and should hold rows of all exogenous classes.
        A call with rows of one class leaves the map of erasure as it was. The guarantees of a map
        hold for the rows of its last fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        y : array-like of shape (n_samples,), default=None
        classes : array-like of shape (n_classes,), default=None
            All classes of all calls, in the first call; None takes the classes of `y`. Later
            calls may repeat them.
        exogenous_target : array-like, default=None
            See `fit`. With `dispelling="erasure"` all calls must pass it, or none. The first
            must hold every class of all calls.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, used as they are, while `fit` scales them to mean 1.

        Returns
        -------
        self : THINClassifier

        Raises
        ------
        ValueError
            As in `fit`, for labels or `classes` that the first call lacks, and for
            `class_weight="balanced"`.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not known in partial_fit, which sees a part of the "
                "rows at a time. Pass a dict from class to weight, or sample_weight."
            )
        rows = {"target": exogenous_target, "sample_weight": sample_weight}
        return self._fit(X, y, announced=classes, epochs=1, **rows)

    @public
    def expert_proba(self, X, *, exogenous=None) -> np.ndarray:
        """Class probabilities of each expert.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        exogenous : array-like, label or None, default=None
            See `predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples, n_experts, n_classes), float32
        """

        def experts(module, x, gate_input=None, exogenous_logits=None):
            return module.experts(module.represent(x, gate_input, exogenous_logits)).softmax(2)

        return self._infer(X, experts, exogenous)
