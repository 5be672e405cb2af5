"""Stage 2: THINClassifier, the story of fit and predict from arrays to probabilities."""

from copy import deepcopy

from sklearn_thin._compat import with_callbacks
from sklearn_thin._inside import InsideViews
from sklearn_thin._random import draw_seeds
from sklearn_thin._sides import TwoSidedEstimator
from sklearn_thin._training import Training
from sklearn_thin._validation import check_target


class THINClassifier(InsideViews, TwoSidedEstimator):
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
        are concatenated for the gate, and their dispelling terms averaged. They transform
        X in blocks, and must treat each row by itself. None lets the gate read h_endo.
    exogenous_predictor : classifier, Module, dict from name to these or None, default=None
        c, for a transformer that brings none, or instead of what it brings: a classifier of
        h_exo, fitted on `exogenous_target`, or frozen (`FrozenEstimator` or
        `torch.nn.Module`). Linear scikit-learn classifiers, `MLPClassifier`, skorch nets and
        modules can serve.
    endogenous : transformer or None, default=None
        What the backbone sees of X; cloned and fitted in `fit`. None is X as it is.
    gate_input : {"auto", "probabilities", "logits", "representation"}, default="auto"
        What the gate reads of each exogenous variable: the predictor's probabilities, times
        the square root of their number, or its logits or h_exo, both centred and scaled by the
        training rows. "auto" takes the probabilities where there is a predictor, else h_exo.
        Of a linear one-versus-rest classifier, which may know none, the probabilities are the
        softmax of its decision values.
    depth : int, default=3
        D, levels of the tree, 0 to 12.
    n_experts : int, default=None
        L, the number of experts; None is 2^depth. Fewer than leaves are shared by
        neighbouring leaves; of more, each leaf averages its own block.
    lam : float, default=0.0
        λ, weight of the dispelling term. Above 0 it needs a predictor c.
    dispelling : {"cosine", "erasure", "alignment"}, default="cosine"
        How the exogenous information leaves h_endo. "cosine" is the paper's term alone,
        which lowers that cosine and promises no more. "erasure" puts a closed-form affine map
        (:class:`~sklearn_thin.modules.LinearEraser`) in front of all that reads h_endo and
        trains through it: refitted each epoch, and in the end to all training rows, on which
        no linear reader then tells the exogenous classes better than a constant; they count by
        `sample_weight`, and not by `class_weight`. The classes are
        those of `exogenous_target` where it is passed, else the frozen predictors'
        probabilities. "alignment", told by the frozen predictors, in `predict` as in
        `fit`, which exogenous class a row is of, moves the classes onto one mean and one
        covariance (:class:`~sklearn_thin.modules.ConditionalAligner`), so that readers that
        are not linear find less as well; it is as good as the predictors are certain and right.
        `lam` weighs the paper's term beside both.
    backbone : {"auto"}, str, backbone object, Module or callable, default="auto"
        F: X ↦ h_endo. "auto" is an :class:`MLPBackbone` for 2-D X and a
        :class:`ConvNetBackbone` for images; a name is one of torchvision's classifiers;
        a backbone object can be tuned (`backbone__channels`); a module is copied; a
        callable makes a module from the shape of one input.
    hidden_units : int, default=0
        Hidden units of all experts together, dealt evenly, so that candidates with
        different L are about equally large. 0 makes the experts linear: they then share the
        backbone's last layer. The paper's networks have 256, and none in the backbone
        (`ConvNetBackbone(hidden_layer_sizes=())`).
    inference : {"soft", "hard"}, default="soft"
        How the trained network predicts: "soft" is the paper's mixture of all experts;
        "hard" takes the most probable leaf's alone, which saves time where L is large, and
        gives up what mixing knows of rows between two leaves.
    augment : callable, default=None
        From a batch of image tensors (n, channels, height, width) to such a batch, on the
        device, in training only, such as :class:`~sklearn_thin.datasets.ImageAugmentation`,
        or torchvision's transforms inside a `v2.Compose`. The exogenous side then sees the
        augmented images.
    optimizer : {"adam", "adamw", "sgd"} or callable, default="adam"
        A callable is called as `optimizer(parameters, lr=..., weight_decay=...)`.
    lr : float, default=1e-3
        Learning rate at the start.
    lr_schedule : {"cosine", "constant"}, default="cosine"
        Cosine goes to 0 over `max_epochs`, a step a batch.
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
        weights are restored. The exogenous side is fitted on the other rows. With `groups` the
        rows held out are whole groups, one of k about equal parts: k is 1 / fraction, rounded, at
        least 2 and at most the number of groups.
    n_iter_no_change : int, default=10
        Epochs without improvement after which to stop.
    callbacks : list of skorch callbacks, default=None
        Copied before use; found in `net_.callbacks_` afterwards. Beside skorch's LRScheduler set
        `lr_schedule` to "constant": their rates would multiply.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights and transformers that are there. A copy, as pickle
        makes it, goes on without the optimizer's moments.
    device : str or torch.device, default="auto"
        "auto" is the GPU where there is one, else the CPU.
    compile : bool, default=False
        Whether to make one program of the training step, as of :class:`ExogenousEncoder`. Of
        networks that train together in a search or an ensemble a GPU captures the common step;
        on a CPU that is not compiled.
    mixed_precision : {"bf16"}, default=None
        As of :class:`ExogenousEncoder`; gate and erasure stay in float32 as well.
    verbose : int, default=0
        1 shows a progress bar, 2 a line an epoch.
    random_state : int, RandomState instance or None, default=None
        Governs everything random, in the transformers fitted here too. The global
        generators are not touched.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    exogenous_ : transformer, list of (name, transformer) or None
        The fitted, frozen `exogenous`.
    exogenous_side_ : ExogenousSide
        The same with the predictors, as the gate and the dispelling term read it.
    endogenous_ : transformer or None
        The fitted `endogenous`.
    erasure_encoder_ : OneHotEncoder or None
        Classes of `exogenous_target` that are erased from h_endo, where any are.
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
    input_dtype_ : numpy.dtype
        Type of the images in X, where it has images.

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
        hidden_units=0,
        inference="soft",
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
        compile=False,  # noqa: A002 -- the name that skorch and PyTorch have for it
        mixed_precision=None,
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
        self.warm_start = warm_start
        self.device = device
        self.compile = compile
        self.mixed_precision = mixed_precision
        self.verbose = verbose
        self.random_state = random_state

    # ------------------------------------------------------------------ fit

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
    ):
        """Fit the exogenous side where it is not frozen, then THIN on top of it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
            Finite; uint8 images are scaled from 0..255 to [0, 1]. With `endogenous`
            anything that the transformers read. A `torch.utils.data.Dataset` of (x, label) is
            read once, into a temporary file where it is large; the methods that predict read
            such ones too.
        y : array-like of shape (n_samples,), default=None
            Class labels, of any type; None takes those of a data set.
        exogenous_target : array-like of shape (n_samples,) or (n_samples, n_exogenous), \
                default=None
            Labels of the exogenous variables, in their order; needed where a side is to be
            fitted on them, and what `dispelling="erasure"` erases.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; rows of weight 0 are left out. Transformers and encoders that
            are fitted here get neither them nor `groups`: fit those beforehand, and freeze them.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group are held out together by `early_stopping`.
        X_val, y_val : array-like, default=None
            Held-out rows and labels, instead of a part of X. Without `early_stopping`
            their loss is only recorded.

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
        given = {"exogenous_target": exogenous_target, "sample_weight": sample_weight}
        return self._fit(X, y, groups=groups, X_val=X_val, y_val=y_val, **given)

    def partial_fit(self, X, y=None, classes=None, *, exogenous_target=None, sample_weight=None):
        """Train one epoch on these rows, at the constant rate `lr`.

        The first call fits the exogenous and endogenous transformers where they are not
        frozen; later calls leave them as they are.

        The maps of `dispelling="erasure"` and `"alignment"` are fitted anew in each call, to its
        rows alone: the network has moved on from what it made of the rows before, and these are
        not kept. What a map guarantees on its training rows, it guarantees on those of the
        last call. Each call should therefore hold rows of all exogenous classes; one whose
        rows are all of one leaves the map of erasure as it was.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        y : array-like of shape (n_samples,), default=None
        classes : array-like of shape (n_classes,), default=None
            All classes that will come, in the first call; None takes those of `y`. Later
            calls may repeat them.
        exogenous_target : array-like, default=None
            As in `fit`. With `dispelling="erasure"` all calls must pass it or none, and the
            first must hold every class that will come.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, taken as they are from call to call, while `fit` scales them to
            mean 1.

        Returns
        -------
        self : THINClassifier

        Raises
        ------
        ValueError
            As in `fit`, for labels or `classes` that the first call did not have, and for
            `class_weight="balanced"`.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not known in partial_fit, which sees a part of the "
                "rows at a time. Pass a dict from class to weight, or sample_weight."
            )
        given = {"exogenous_target": exogenous_target, "sample_weight": sample_weight}
        return self._fit(X, y, classes=classes, epochs=1, **given)

    def _fit(self, X, y, *, epochs=None, **given):
        """Both ways to fit: `epochs` None is a whole fit, a number goes on from before."""
        self._validate_params()
        goes_on = self.warm_start or epochs is not None
        before = self._to_go_on_from(goes_on)
        with self._all_or_nothing(keep_progress=goes_on):
            self._train(self._prepare(X, y, before=before, epochs=epochs, **given))
        return self

    def _prepare(
        self,
        X,
        y,
        *,
        exogenous_target=None,
        sample_weight=None,
        groups=None,
        X_val=None,
        y_val=None,
        classes=None,
        before=None,
        epochs=None,
        sides=None,
    ):
        """Everything but the training: both sides, their tensors, and a module.

        `sides` is a dict that keeps fitted exogenous sides for other fits on the same rows.
        """
        warm = before is not None
        target = check_target(exogenous_target, X)
        self._check_sides(target, warm)
        seeds = draw_seeds(self.random_state)
        rows = self._read(X, y, sample_weight, groups, target, reset=not warm, classes=classes)
        self._check_augment()
        held_out = None
        if epochs is None:
            rows, held_out = self._split(rows, seeds.split, X_val, y_val)
        if not warm:
            self._fit_endogenous(rows, seeds.exogenous)
            self._fit_erasure(target)
        how = {"fit": not warm, "sides": sides, "mean_one": epochs is None}
        train = self._frozen_dataset(rows, seeds.exogenous, **how)
        valid = self._frozen_dataset(held_out)
        erased, sizes = self._told_eraser(rows, train)
        build = self._build_thin
        module = deepcopy(self.module_) if warm else build(train, sizes, seeds.module)
        go_on = {"before": before, "epochs": epochs}
        params = self._loss_params(module)
        return Training(
            module, train, valid, rows, seeds.batches, erased, net_params=params, **go_on
        )
