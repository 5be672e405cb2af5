"""How X reaches both sides: the endogenous and the exogenous one, in fit and predict."""

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
from sklearn_thin._erasure import (
    check_room,
    make_eraser,
    one_hot,
    one_hot_encoder,
    reads_logits,
)
from sklearn_thin._exogenous import Augmentation, Dispeller, fit_exogenous, width_message
from sklearn_thin._exogenous_parameters import (
    check_asked,
    check_erased_labels,
    check_exogenous,
    check_named,
    is_to_fit_any,
    named_exogenous,
)
from sklearn_thin._fingerprint import fingerprint
from sklearn_thin._random import set_missing_random_states, torch_seed
from sklearn_thin._storage import take
from sklearn_thin._validation import (
    check_device,
    check_transformed,
    held_out_size,
)


class TwoSidedEstimator(NetEstimator, _BaseComposition):
    """A net estimator whose backbone reads `endogenous` of X, and whose gate `exogenous`."""

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
        "dispelling": [StrOptions({"cosine", "erasure", "alignment"})],
        "inference": [StrOptions({"soft", "hard"})],
        "augment": [callable, None],
    }
    _architecture = (
        *NetEstimator._architecture,
        "exogenous",
        "exogenous_predictor",
        "endogenous",
        "gate_input",
        "depth",
        "n_experts",
        "dispelling",
    )

    def get_params(self, deep=True):
        """Parameters; those of a list of `exogenous` under the names in it."""
        if deep and isinstance(self.exogenous, list):
            return self._get_params("exogenous", deep=True)
        return super().get_params(deep=deep)

    def set_params(self, **params):
        """Set parameters, also of the transformers named in a list of `exogenous`."""
        return self._set_params("exogenous", **params)

    def _check_sides(self, target, warm):
        """What can be said of both sides before anything is read or fitted."""
        self._check_device()
        self._check_erasure(target, warm)
        if self.augment is not None and self.endogenous is not None:
            raise ValueError(
                "augment changes the images that both sides see, but with "
                f"endogenous={self.endogenous!r} they do not see the same X; augment inside "
                "the backbone, or set endogenous=None"
            )
        if hasattr(self.augment, "_validate_params"):  # scikit-learn's, else known once it is used
            self.augment._validate_params()
        if isinstance(self.exogenous, list):
            check_named(self.exogenous)
            self._validate_names([name for name, _ in self.exogenous])
        if self.exogenous is not None:
            asked = self._asked_of_predictors(target)
            if warm:
                check_asked(self.exogenous_side_.unpredicted(), asked)
            else:
                check_exogenous(self.exogenous, self.exogenous_predictor, asked, target)
        else:
            self._check_no_side()

    def _check_no_side(self):
        """Raise where something that is set needs an exogenous side, and there is none."""
        needs_one = {
            f"lam={self.lam}": self.lam > 0,
            "dispelling='alignment'": self.dispelling == "alignment",
            "exogenous_predictor": self.exogenous_predictor is not None,
        }
        given = next((name for name, needed in needs_one.items() if needed), None)
        if given:
            raise ValueError(
                f"{given} needs an exogenous side to dispel, but exogenous is None. Pass an "
                "ExogenousEncoder or another transformer, or set lam=0 and "
                "dispelling='cosine'."
            )

    def _asked_of_predictors(self, target):
        """The setting that needs every exogenous variable to have a predictor, or None."""
        if self.lam > 0:
            return f"lam={self.lam}"
        if self.gate_input in ("probabilities", "logits"):
            return f"gate_input={self.gate_input!r}"
        if self.dispelling == "erasure" and target is None:
            return "dispelling='erasure' without exogenous_target"
        if self.dispelling == "alignment":
            return "dispelling='alignment'"
        return None

    def _check_erasure(self, target, warm):
        """Say whether there is something to erase, and the same as in the fit before."""
        if self.dispelling != "erasure":
            return
        if warm and (target is None) != (self.erasure_encoder_ is None):
            came = "is missing" if target is None else "was passed"
            raise ValueError(
                f"exogenous_target {came} in a fit that goes on, unlike in the one before: "
                "dispelling='erasure' erases the same labels in all of them"
            )
        if target is not None:
            check_erased_labels(target, self.erasure_encoder_.categories_ if warm else None)
        elif self.exogenous is None:
            raise ValueError(
                "dispelling='erasure' needs labels of what is to be erased: pass "
                "fit(X, y, exogenous_target=...), or an exogenous side with a predictor"
            )

    def _backbone_array(self, X, *, reset):
        if reset:
            self.endogenous_ = self.endogenous  # a copy is fitted when all rows are read
        if self.endogenous_ is None:
            return super()._backbone_array(X, reset=reset)
        validate_data(self, X, reset=reset, skip_check_array=True)
        return None  # what `endogenous` makes of it comes once that is fitted

    def _endogenous_array(self, X):
        """Output of the endogenous transformer as the backbone sees it."""
        x = self.endogenous_.transform(X)
        x = check_transformed(x, "endogenous", images=len(self.module_input_shape_) > 1)
        if x.shape[1:] != self.input_shape_:
            raise ValueError(
                f"endogenous gives samples of shape {x.shape[1:]}, but gave "
                f"{self.input_shape_} in fit"
            )
        return x

    def _fit_endogenous(self, rows, seed):
        if self.endogenous is None:
            return
        if not isinstance(self.endogenous, FrozenEstimator):
            self.endogenous_ = set_missing_random_states(clone(self.endogenous), seed)
            self.endogenous_.fit(rows.raw, self.classes_[rows.codes])
        self.input_shape_ = check_transformed(
            self.endogenous_.transform(take(rows.raw, [0])), "endogenous"
        ).shape[1:]
        self.module_input_shape_ = module_input_shape(self.backbone, self.input_shape_)

    def _frozen_dataset(self, rows, seed=None, *, fit=False, sides=None, mean_one=True):
        """Tensors of the rows with the frozen side's outputs; None for None.

        On `fit` the exogenous side is fitted first. A `seed` says that these are training
        rows, which the dispelling term and the eraser read as well. `sides` keeps fitted sides
        for other fits on these rows. `mean_one` scales the weights of the rows.
        """
        if rows is None:
            return None
        if rows.x is None:
            rows = replace(rows, x=self._endogenous_array(rows.raw))
        logits = self._reads_logits(rows, training=seed is not None)
        if fit:
            fitted = self._fit_exogenous(rows, seed, logits=logits, sides=sides)
            self.exogenous_side_, frozen = fitted
        elif self.exogenous_side_ is None:
            frozen = {}
        else:
            frozen = self.exogenous_side_.outputs(rows.raw, logits=logits)
        return self._dataset(rows, mean_one=mean_one, **frozen)

    def _reads_logits(self, rows, *, training):
        """Whether the predictors' logits on these rows are wanted."""
        if self.dispelling == "alignment":
            return True
        erased = self.dispelling == "erasure" and rows.target is None
        return training and (self.lam > 0 or erased)

    def _fit_exogenous(self, rows, seed, *, logits, sides):
        if self.exogenous is None:
            return None, {}
        self._check_widths(rows)
        given = self.exogenous, self.exogenous_predictor, self.gate_input

        def fitted():
            return fit_exogenous(*given, rows.raw, rows.target, seed, logits=logits)

        if sides is None:
            return fitted()
        # with equal seeds early stopping holds out the same rows
        held_out = held_out_size(self.early_stopping)
        seeded = held_out is not None or is_to_fit_any(*given[:2])
        key = fingerprint(given), seed if seeded else None, logits, held_out
        if key not in sides:
            sides[key] = fitted()
        return sides[key]

    def _check_widths(self, rows):
        """Compare h_endo with what an encoder yet to be trained will read, before that."""
        encoders = [t for _, t in named_exogenous(self.exogenous) if isinstance(t, NetEstimator)]
        if not self.lam or not encoders:
            return
        width = self._h_width()
        with torch_seed(0, torch.device("cpu")):
            raw_shape = self.input_shape_ if self.endogenous is None else np.shape(rows.raw)[1:]
            for encoder in encoders:
                shape = module_input_shape(encoder.backbone, raw_shape)
                _, read = build_backbone(encoder.backbone, shape)
                if read != width:
                    raise ValueError(width_message(width, read))

    def _h_width(self):
        """Width of h_endo, before there is a backbone."""
        with torch_seed(0, torch.device("cpu")):
            return build_backbone(self.backbone, self.module_input_shape_)[1]

    def _fit_erasure(self, target):
        """Read the classes to be erased, and see whether they leave anything of h_endo."""
        self.erasure_encoder_ = None
        if self.dispelling == "erasure" and target is not None:
            self.erasure_encoder_ = one_hot_encoder(target)
            check_room(self._h_width(), sum(len(c) - 1 for c in self.erasure_encoder_.categories_))

    def _told_eraser(self, rows, train):
        """What the eraser is fitted to, (n_samples, n_labels), and its labels by variable.

        None and no labels where nothing is erased.
        """
        if self.dispelling == "cosine":
            return None, []
        if self.dispelling == "erasure" and rows.target is not None:
            told = one_hot(self.erasure_encoder_, rows.target)
            return told, [told.shape[1]]
        sizes = [variable.n_labels for variable in self.exogenous_side_.variables]
        logits = train.X["exogenous_logits"]
        if self.dispelling == "alignment":
            return logits, sizes
        check_room(self._h_width(), sum(sizes) - len(sizes))
        return self.exogenous_side_.probabilities(logits), sizes

    def _build_thin(self, train, sizes, seed):
        """The module: its gate reads the exogenous side where there is one, else h_endo."""
        gate_input = train.X.get("gate_input")
        module = self._build_module(
            seed,
            gate_width=None if gate_input is None else gate_input.shape[1],
            depth=self.depth,
            n_experts=self.n_experts,
        )
        module.eraser = make_eraser(self.dispelling, module.experts.in_features, sizes)
        return module

    def _loss_params(self, module):
        """What the net adds to the cross-entropy, and does to a batch before."""
        return {
            "lam": self.lam,
            "dispeller": self._dispeller(module),
            "augmentation": self._augmentation(),
        }

    def _dispeller(self, module):
        if self.lam == 0:
            return None
        heads = [variable.head for variable in self.exogenous_side_.variables]
        return Dispeller(heads, module.experts.in_features, check_device(self.device))

    def _check_augment(self):
        if self.augment is not None and len(self.module_input_shape_) == 1:
            raise ValueError(
                f"augment takes images, but samples of X have shape {self.input_shape_}; give "
                "X as images, or the backbone an image_shape"
            )

    def _augmentation(self):
        if self.augment is None:
            return None
        return Augmentation(self.augment, self.exogenous_side_, self.input_shape_)

    @property
    def exogenous_(self):
        """The frozen transformer, the list of (name, transformer), or None."""
        if self.exogenous_side_ is None:
            return None
        named = [(v.name, v.transformer) for v in self.exogenous_side_.variables]
        return named if self.exogenous_side_.listed else named[0][1]

    def _tensors(self, X):
        frozen = {}
        if self.exogenous_side_ is not None:
            frozen = self.exogenous_side_.outputs(X, logits=reads_logits(self.module_))
        return {**super()._tensors(X), **frozen}

    def _logits(self, X):
        if self.inference == "hard":
            return self._infer(X, lambda module, x, **frozen: module.hard_logits(x, **frozen))
        return super()._logits(X)

    def _checked_input(self, X):
        x = super()._checked_input(X)
        return self._endogenous_array(X) if x is None else x
