"""Stage 1: the network of the exogenous variable, trained first and then frozen."""

from operator import attrgetter
from typing import Self

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods, StrOptions

from sklearn_thin._base import CLASS_WEIGHT, BaseNet, ClassOutputs
from sklearn_thin._compat import with_callbacks
from sklearn_thin._environment import draw_seeds, fit_seeded, public, shown_without
from sklearn_thin._pickling import copied
from sklearn_thin.losses import THINLoss
from sklearn_thin.rows.arrays import take
from sklearn_thin.rows.columns import as_table
from sklearn_thin.rows.tables import input_of


class ExogenousEncoder(ClassOutputs, BaseNet):
    """Classifier of the exogenous variable, whose hidden layer steers THIN.

    Stage 1 of THIN: the network γ: X ↦ h_exo and the predictor c: h_exo ↦ z_exo are
    trained on labels of the exogenous variable (a rotation bin, an identity, a site), then
    frozen. `transform` gives h_exo, `predictor_` is c.

    Parameters
    ----------
    backbone : {"auto"}, str, backbone object, Module or callable, default="auto"
        γ; see :class:`THINClassifier`. With `lam` > 0 both must agree, as c also reads h_endo.
    preprocessor : {"auto"}, transformer or None, default="auto"
        Makes the backbone's input from X, as `endogenous` of :class:`THINClassifier` does.
    hidden_units : int, default=0
        Hidden units of c; 0 makes it linear. The paper's network has 256.
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
        Whether to hold out rows and stop when their loss no longer improves. True holds out a
        tenth, a float a fraction, an int a number of rows. The best weights are restored. With
        `groups` whole groups are held out, as in :class:`THINClassifier`.
    n_iter_no_change : int, default=10
        Epochs without improvement after which to stop.
    callbacks : list of skorch callbacks, default=None
        They are copied before use; `net_.callbacks_` has the copies after the fit. With skorch's
        LRScheduler set `lr_schedule` to "constant", as the rates would multiply.
    checkpoint_dir : str, path or None, default=None
        Folder from which a fit that was killed goes on, as in :class:`THINClassifier`.
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the fit before. A pickled copy starts without
        the optimizer's moments. Ctrl-C acts as in :class:`THINClassifier`.
    device : str or torch.device, default="auto"
        "auto" is the GPU if there is one, else the CPU.
    compile : bool, default=False
        Whether to make one program of the training step for batches of `batch_size`. A GPU
        captures the step as a CUDA graph, which saves small networks most of their time. The
        network's Python code then runs once: it must not wait for values (`.item()`), count, or
        draw random numbers other than torch's on the GPU. Each new set of trained weights and,
        with `callbacks`, each epoch is captured anew. A CPU compiles the step (`torch.compile`)
        in the first fit of a shape, which takes seconds to minutes. The fit is the same except
        for rounding, and for dropout on a CPU, which draws other masks.
    mixed_precision : {"bf16"}, default=None
        "bf16" computes the training step's backbone and experts in bfloat16 where torch can
        (`torch.autocast`), on GPUs with that type. Weights, losses and predictions stay in
        float32.
    verbose : int, default=0
        1 shows a progress bar, 2 a line an epoch.
    random_state : int, RandomState instance or None, default=None
        Governs initialisation, order of rows, dropout and the held-out rows. The global
        generators stay as they are.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels of the exogenous variable.
    preprocessor_ : transformer or None
        The fitted `preprocessor`. For "auto" a :class:`TablePreprocessor`, or None for images.
    image_range_ : tuple of float or None
        Least and greatest value of images that "auto" lets pass.
    predictor_ : Module
        c. It maps h_exo, (n_samples, width), to logits (n_samples, n_classes).
    net_ : THINNet
        The skorch net.
    module_ : THINModule
        The trained network; `module_.backbone` is γ.
    history_ : skorch.history.History
        Losses of every epoch.
    n_iter_ : int
        Epochs trained.
    validation_mask_ : ndarray of bool of shape (n_samples,), or None
        Rows of X that `early_stopping` held out.
    interrupted_ : bool
        Whether Ctrl-C or a diverging loss ended the last fit early. The last whole epoch then has
        "interrupted" in `history_`.
    n_features_in_ : int
        Values in one sample.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, if X has them.
    input_shape_ : tuple of int
        Shape of one sample behind `preprocessor`.

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

    _parameter_constraints: dict = {
        **BaseNet._parameter_constraints,
        **CLASS_WEIGHT,
        "preprocessor": [StrOptions({"auto"}), HasMethods(["fit", "transform"]), None],
    }
    _architecture = (*BaseNet._architecture, "preprocessor")

    def __init__(
        self,
        backbone="auto",
        *,
        preprocessor="auto",
        hidden_units=0,
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
        self.backbone = backbone
        self.preprocessor = preprocessor
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
        self.checkpoint_dir = checkpoint_dir
        self.warm_start = warm_start
        self.device = device
        self.compile = compile
        self.mixed_precision = mixed_precision
        self.verbose = verbose
        self.random_state = random_state

    @public
    @with_callbacks
    def fit(self, X, y=None, *, sample_weight=None, groups=None, X_val=None, y_val=None) -> Self:
        """Train γ and c.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
            Images of finite numbers, or a table of numbers and text. uint8 images are scaled from
            0..255 to [0, 1]. A `torch.utils.data.Dataset` of (x, label) is read once, into a
            temporary file if it is large.
        y : array-like of shape (n_samples,), default=None
            Labels of the exogenous variable, of any type. None takes the labels of a data set.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group are held out together by `early_stopping`. A search passes groups
            to `fit` only with metadata routing and `set_fit_request(groups=True)`.
        X_val, y_val : array-like, default=None
            Held-out rows and labels, instead of a part of X. Without `early_stopping` the fit
            only records their loss.

        Returns
        -------
        self : ExogenousEncoder

        Raises
        ------
        ValueError
            For data that do not allow a fit, or a device that is missing or lacks an ability.
        FloatingPointError
            When the loss turns NaN. The encoder keeps the last good weights.
        OSError
            If `checkpoint_dir` cannot be written to, before the fit.
        """
        held_out = {"groups": groups, "X_val": X_val, "y_val": y_val}
        return self._fit(X, y, sample_weight=sample_weight, **held_out)

    def sample_shape(self, X, target):
        """Shape of one sample that the backbone would read after a fit.

        Parameters
        ----------
        X, target : rows and labels of that fit

        Returns
        -------
        tuple of int
        """
        X = as_table(X)
        transformer = input_of(self, X).transformer
        if transformer is None:
            return np.shape(X)[1:]
        if not isinstance(transformer, FrozenEstimator):
            transformer = fit_seeded(clone(transformer), 0, X, target)
        return np.shape(transformer.transform(take(X, [0])))[1:]

    def _plan(self, X, y, *, before, epochs, **given):
        warm = before is not None
        settings = self._settings(epochs)
        seeds = draw_seeds(self.random_state)
        rows, held_out = self._read_parts(X, y, seeds, warm=warm, **given)
        module = copied(self.module_) if warm else self._build_module(seeds.module)
        return self._new_plan(
            module,
            rows.tensors(self),
            rows,
            loss=THINLoss(),
            valid=None if held_out is None else held_out.tensors(self),
            settings=settings,
            seed=seeds.batches,
            before=before,
            epochs=epochs,
        )

    exogenous_side_ = None  # an encoder stands for itself
    predict = shown_without(ClassOutputs.predict, "exogenous")
    predict_proba = shown_without(ClassOutputs.predict_proba, "exogenous")
    predict_log_proba = shown_without(ClassOutputs.predict_log_proba, "exogenous")
    decision_function = shown_without(ClassOutputs.decision_function, "exogenous")
    score = shown_without(ClassOutputs.score, "exogenous")
    transform = shown_without(BaseNet.transform, "exogenous")
    classes_ = property(attrgetter("targets_.classes"))
    preprocessor_ = property(attrgetter("input_.transformer"))
    # c: h_exo ↦ z_exo, the logits of the exogenous classes
    predictor_ = property(attrgetter("module_.predictor"))
