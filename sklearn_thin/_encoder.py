"""Stage 1: the network of the exogenous variable, trained first and then frozen."""

from copy import deepcopy

from sklearn.utils.validation import check_is_fitted

from sklearn_thin._base import NetEstimator
from sklearn_thin._compat import with_callbacks
from sklearn_thin._heads import ExpertHead
from sklearn_thin._random import draw_seeds
from sklearn_thin._training import Training


class ExogenousEncoder(NetEstimator):
    """Classifier of the exogenous variable, whose hidden layer steers THIN.

    Stage 1 of THIN: the network γ: X ↦ h_exo and the predictor c: h_exo ↦ z_exo are
    trained on labels of the exogenous variable (a rotation bin, an identity, a site), then
    frozen. `transform` gives h_exo, `predictor_` is c.

    Parameters
    ----------
    backbone : {"auto"}, str, backbone object, Module or callable, default="auto"
        γ. See :class:`THINClassifier`; both must agree where `lam` > 0, as c also reads
        h_endo.
    hidden_units : int, default=0
        Hidden units of c; 0 makes it linear. The paper's network has 256.
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
        Whether to hold out rows and stop when their loss no longer improves: True for a
        tenth, a float for a fraction, an int for a number of rows. The best weights are
        restored. With `groups` the size is that of whole groups, as of :class:`THINClassifier`.
    n_iter_no_change : int, default=10
        Epochs without improvement after which to stop.
    callbacks : list of skorch callbacks, default=None
        Copied before use; found in `net_.callbacks_` afterwards. Beside skorch's LRScheduler set
        `lr_schedule` to "constant": their rates would multiply.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights that are there. A copy, as pickle makes it, goes on
        without the optimizer's moments.
    device : str or torch.device, default="auto"
        "auto" is the GPU where there is one, else the CPU.
    compile : bool, default=False
        Whether to make one program of the training step for batches of `batch_size`. A GPU
        captures it as a CUDA graph, which saves small networks most of their time. What the
        network does in Python is then done once: no values that are waited for (`.item()`), no
        counters, no random numbers but torch's on the GPU. Each new λ, set of trained weights
        and, with `callbacks`, epoch is captured anew. On a CPU the step is compiled
        (`torch.compile`), which takes seconds to minutes at the start of the first fit of a
        shape. The fit is the same but for rounding, and for dropout on a CPU, which draws other
        masks.
    mixed_precision : {"bf16"}, default=None
        "bf16" casts to bfloat16 what a training step's backbone and experts can compute in it
        (`torch.autocast`), for GPUs that do so themselves; weights, losses and predictions
        stay in float32.
    verbose : int, default=0
        1 shows a progress bar, 2 a line an epoch.
    random_state : int, RandomState instance or None, default=None
        Governs initialisation, order of rows, dropout and the held-out rows. The global
        generators are not touched.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels of the exogenous variable.
    predictor_ : Module
        c, from (n_samples, width) to logits (n_samples, n_classes).
    net_ : THINNet
        The skorch net.
    module_ : THINModule
        Its network: `module_.backbone` is γ.
    history_ : skorch.history.History
        Losses of every epoch.
    n_iter_ : int
        Epochs trained.
    n_features_in_ : int
        Values in one sample.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, where X has them.
    input_shape_ : tuple of int
        Shape of one sample.

    See Also
    --------
    THINClassifier : Reads this encoder's output.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_thin import ExogenousEncoder
    >>> digits = load_digits()
    >>> dark = digits.data.mean(1) > 5  # a nuisance: how much ink there is
    >>> encoder = ExogenousEncoder(max_epochs=5, random_state=0).fit(digits.data / 16, dark)
    >>> encoder.transform(digits.data[:3] / 16).shape
    (3, 256)
    """

    _parameter_constraints: dict = NetEstimator._parameter_constraints

    def __init__(
        self,
        backbone="auto",
        *,
        hidden_units=0,
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
        self.backbone = backbone
        self.hidden_units = hidden_units
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

    @with_callbacks
    def fit(self, X, y=None, *, sample_weight=None, groups=None, X_val=None, y_val=None):
        """Train γ and c.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
            Finite; uint8 images are scaled from 0..255 to [0, 1]. A `torch.utils.data.Dataset`
            of (x, label) is read once, into a temporary file where it is large.
        y : array-like of shape (n_samples,), default=None
            Labels of the exogenous variable, of any type; None takes those of a data set.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group are held out together by `early_stopping`.
        X_val, y_val : array-like, default=None
            Held-out rows and labels, instead of a part of X. Without `early_stopping`
            their loss is only recorded.

        Returns
        -------
        self : ExogenousEncoder

        Raises
        ------
        ValueError
            For data that cannot be learnt from, or a device that is not there or cannot do what
            is asked of it; says what was expected and what came.
        FloatingPointError
            When the loss turns NaN; the last good weights are kept.
        """
        self._validate_params()
        self._check_device()
        before = self._to_go_on_from(self.warm_start)
        warm = before is not None
        with self._all_or_nothing(keep_progress=self.warm_start):
            seeds = draw_seeds(self.random_state)
            rows = self._read(X, y, sample_weight, groups, reset=not warm)
            rows, held_out = self._split(rows, seeds.split, X_val, y_val)
            train, valid = self._dataset(rows), self._dataset(held_out)
            module = deepcopy(self.module_) if warm else self._build_module(seeds.module)
            self._train(Training(module, train, valid, rows, seeds.batches, before=before))
        return self

    @property
    def predictor_(self):
        """c: h_exo ↦ z_exo, the logits of the exogenous classes."""
        check_is_fitted(self, "net_")
        return ExpertHead(self.module_.experts)
