"""The paper's way to dispel, a term of the loss, which is also the base of all ways."""

import torch

from sklearn_thin._pickling import Estimator
from sklearn_thin.losses import CosineTerm


class Cosine(Estimator):
    """The paper's way to dispel: λ weighs `|cos(c(h_exo), c(h_endo))|`, and h_endo has no map.

    A way to dispel has a term of the loss, weighted by λ, and a map in front of all readers of
    h_endo. Other ways are subclasses, and override the methods that differ.

    Examples
    --------
    >>> from sklearn_thin import THINClassifier
    >>> from sklearn_thin.dispelling import Cosine
    >>> THINClassifier(dispelling=Cosine()).get_params()["dispelling"]
    Cosine()
    """

    name = "cosine"
    reads_logits = False  # whether the map reads the predictors' logits, in predict as in fit
    keep_target = False  # whether :meth:`keep` changes the labels or the weights of the map
    has_map = False  # whether the class overrides a method of the map; else λ = 0 dispels nothing

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        of_map = "read_target", "map_labels", "make_map"
        cls.has_map = any(getattr(cls, name) is not getattr(Cosine, name) for name in of_map)

    @property
    def reads_target(self):
        """Whether a fit may read `exogenous_target`; true for ways that override a reader of it."""
        readers = "read_target", "map_labels"
        return any(getattr(type(self), n) is not getattr(Cosine, n) for n in readers)

    def asks(self, lam, target):
        """The setting that needs a predictor of every exogenous variable, for errors; or None.

        Called if the way has a map, or if λ is above 0. If there is such a setting, a fit
        evaluates the predictors' logits on the training rows.

        Parameters
        ----------
        lam : float
        target : array-like or None
            `exogenous_target`.
        """
        if lam > 0:
            return f"lam={lam}"
        return f"dispelling={self.name!r}" if self.reads_logits else None

    def read_target(self, target, before, *, has_side):
        """Encoder of the labels for the map, checked before any long work; or None.

        Parameters
        ----------
        target : array-like or None
            `exogenous_target`.
        before : tuple of (encoder or None,), or None
            The encoder of the fit that this fit continues, if any.
        has_side : bool
            Whether there is an exogenous side.
        """
        return

    def check(self, width, encoder, reads):
        """Raise for a wrong width of h_endo, before any encoder is trained.

        Parameters
        ----------
        width : int
            Features of h_endo.
        encoder : result of :meth:`read_target`
        reads : list of int
            Features that the predictors yet to be trained will read, with λ above 0.
        """
        for read in reads:
            if read != width:
                raise ValueError(width_message(width, read))

    def map_labels(self, encoder, target, side, logits):
        """Labels for the map, and the number of labels of each variable.

        Parameters
        ----------
        encoder : result of :meth:`read_target`
        target : array-like or None
            Exogenous labels of the training rows.
        side : ExogenousSide or None
        logits : Tensor of shape (n_samples, exogenous classes), or None
            The predictors' logits on the training rows, if :meth:`asks` needs them.

        Returns
        -------
        labels : Tensor of shape (n_samples, n_labels), or None
            The map is fitted to them; without labels it is never fitted.
        sizes : list of int
        """
        return None, []

    def check_kept(self, targets):
        """Raise for targets that :meth:`keep` cannot keep, before any long work.

        Parameters
        ----------
        targets : type
            `Classes` or `Numbers`.
        """

    def keep(self, labels, sizes, y, weight, *, goes_on):
        """Labels and weights with which the map keeps the information about y.

        Called, as :meth:`check_kept` is, if `keep_target` is true.

        Parameters
        ----------
        labels, sizes : results of :meth:`map_labels`
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Class codes, int64, or standardised numbers, float32.
        weight : Tensor of shape (n_samples,), or None
            Sample weights.
        goes_on : bool
            Whether the fit continues another.
        """
        return labels, weight

    def make_map(self, width, sizes):
        """Module from (h, exogenous_logits) to h of the same shape, or None.

        `refit(blocks)` of the module fits it to blocks of (h, labels) or (h, labels, weight).
        """
        return

    def make_term(self, heads, sizes, width):
        """Module from (exogenous_logits, h_endo) to the values of the term, (n_samples,); or None.

        Parameters of the module that require a gradient are trained with the network.

        Parameters
        ----------
        heads : list of Module
            Frozen copies of the predictors, which the term may keep.
        sizes : list of int
            Exogenous classes of each predictor.
        width : int
            Features of h_endo.
        """
        for head, size in zip(heads, sizes, strict=True):
            try:
                with torch.no_grad():
                    n_logits = head(torch.zeros(2, width)).shape[1]
            except RuntimeError as error:
                raise ValueError(width_message(width, f"another number ({error})")) from error
            if n_logits != size:  # a function of single values reads any width
                also = f"another number (it gives {n_logits} logits for {size} classes)"
                raise ValueError(width_message(width, also))
        return CosineTerm(heads, sizes)


class Off(Cosine):
    """Nothing is dispelled, whatever λ is."""

    def asks(self, lam, target):
        """Nothing."""
        return

    def check(self, width, encoder, reads):
        """Any width will do."""

    def make_term(self, heads, sizes, width):
        """None."""
        return


def width_message(width, read):
    """Error text for a predictor that cannot read h_endo."""
    return (
        f"dispelling feeds h_endo to the exogenous predictor, but h_endo has {width} "
        f"features and the predictor reads {read}. Give both sides the same backbone, "
        "choose a backbone of the predictor's width, or set lam=0."
    )
