"""The models of the paper, and the changes that we made to them."""

from dataclasses import dataclass, field, replace

from _data import FREE, LONG, OWN, SHUFFLED
from _penalties import CovariancePenalty, ErasureAndReversal, GradientReversal

from sklearn_thin import MLPBackbone
from sklearn_thin.dispelling import Erasure

LAM = 0.005  # the paper's λ

# Kinds of encoder, besides OWN and FREE, which are trained. ORACLE is no encoder: the gate reads
# the true label. PRETRAINED is a face-recognition network.
ORACLE, PRETRAINED = "oracle", "pretrained"


@dataclass(frozen=True)
class Model:
    """A classifier: the paper's network, and the differences from it.

    `_build.fit` turns a Model and a Setting into a fitted classifier.
    """

    encoder: str | None = None  # kind of encoder that steers the gate
    params: dict = field(default_factory=dict)  # of THINClassifier
    shared_layer: bool = False  # hidden units in the backbone instead of in the experts
    width: int | None = None  # of the shared layer; None is _build.SHARED_WIDTH
    modulated: bool = False  # the gate's input scales and shifts the shared layer
    dropout: float = 0.0  # of h_endo
    temperature: float | None = None  # divides the encoder's logits
    other_draws: bool = False  # the classifier too is trained on the images of FREE
    encoder_alone: bool = False  # the backbone reads the encoder's probabilities, no image

    def with_params(self, **params):
        """The same model with other parameters of THINClassifier."""
        return replace(self, params={**self.params, **params})

    def with_lam(self, lam):
        """The same model at another λ, if it has λ; at 0 it equals the model without λ."""
        rest = {name: value for name, value in self.params.items() if name != "lam"}
        if rest == self.params:
            return self
        return replace(self, params={**rest, "lam": lam} if lam > 0 else rest)


ALONE = "encoder alone, free labels"
UNGATED = {"depth": 0}
ON_H_EXO = {"gate_input": "representation"}
COSINE, ALIGNMENT, ERASURE = {"lam": LAM}, {"dispelling": "alignment"}, {"dispelling": Erasure()}
COVARIANCE = {"lam": LAM, "dispelling": CovariancePenalty()}
# The adversary takes steps of its own: its training cannot be compiled.
REVERSAL = {"lam": LAM, "dispelling": GradientReversal(), "compile": False}
BALANCED = {"class_weight": "balanced"}
SHARED_GATE = Model(FREE, shared_layer=True)
# As large as the others; SCALE_AND_SHIFT has a single expert, and no tree
MODULATED = replace(SHARED_GATE, width=230, modulated=True).with_params(gating="layers")
SCALE_AND_SHIFT = replace(MODULATED, width=240).with_params(depth=0)
MODELS = {
    "baseline": Model(params=UNGATED),
    "simple ensemble": Model(params={"depth": 0, "n_experts": 8}),
    "tree gate on h_endo": Model(params={"depth": 3}),
    "exogenous gate, as in the paper": Model(OWN, ON_H_EXO),
    "THIN, as in the paper": Model(OWN, {**ON_H_EXO, **COSINE}),
    "oracle": Model(ORACLE),
    "exogenous gate": Model(OWN),
    "exogenous gate, free labels": Model(FREE),
    ALONE: Model(
        FREE,
        {"depth": 0, "backbone": MLPBackbone((256,)), "hidden_units": 0},
        encoder_alone=True,
    ),
    "baseline, shared layer": Model(params=UNGATED, shared_layer=True),
    "baseline, as large as gate and encoder": Model(params={"depth": 0, "hidden_units": 512}),
    "baseline, other draws": Model(params=UNGATED, other_draws=True),
    "exogenous gate, shared layer, other draws": replace(SHARED_GATE, other_draws=True),
    "oracle, other draws": Model(ORACLE, other_draws=True),
    "exogenous gate, own images, shared layer": Model(OWN, shared_layer=True),
    "exogenous gate, shared layer": SHARED_GATE,
    "exogenous gate, temperature 10": replace(SHARED_GATE, temperature=10.0),
    "exogenous gate, two leaves": SHARED_GATE.with_params(depth=1),
    "THIN, cosine": SHARED_GATE.with_params(**COSINE),
    "THIN, covariance": SHARED_GATE.with_params(**COVARIANCE),
    "THIN, reversal": SHARED_GATE.with_params(**REVERSAL),
    "THIN, erasure": SHARED_GATE.with_params(**ERASURE),
    "THIN, erasure and reversal": SHARED_GATE.with_params(
        **{**REVERSAL, "dispelling": ErasureAndReversal()}
    ),
    "THIN": SHARED_GATE.with_params(**ALIGNMENT),
    "THIN and cosine": SHARED_GATE.with_params(**ALIGNMENT, **COSINE),
    "oracle, shared layer": Model(ORACLE, shared_layer=True),
    "exogenous gate, modulated layer": MODULATED,
    "exogenous gate, modulated layer, long encoder": replace(MODULATED, encoder=LONG),
    "exogenous gate, scale and shift": SCALE_AND_SHIFT,
    "exogenous gate, shared layer, long encoder": replace(SHARED_GATE, encoder=LONG),
    "exogenous gate, free labels, logits": Model(FREE, {"gate_input": "logits"}),
    "exogenous gate, free labels, h_exo": Model(FREE, ON_H_EXO),
    "baseline, dropout": Model(params=UNGATED, dropout=0.5),
    "exogenous gate, free labels, dropout": Model(FREE, dropout=0.5),
    "exogenous gate, shared layer, dropout": replace(SHARED_GATE, dropout=0.5),
    "oracle, dropout": Model(ORACLE, dropout=0.5),
    "THIN, own images": Model(OWN, ALIGNMENT, shared_layer=True),
    "exogenous gate, shuffled labels": Model(SHUFFLED, shared_layer=True),
    "THIN, shuffled labels": Model(SHUFFLED, ALIGNMENT, shared_layer=True),
    "baseline, balanced": Model(params={**UNGATED, **BALANCED}),
    "exogenous gate, balanced": Model(OWN, BALANCED, shared_layer=True),
    "THIN, balanced": Model(OWN, {**ALIGNMENT, **BALANCED}, shared_layer=True),
    "pretrained gate, balanced": Model(PRETRAINED, {**ON_H_EXO, **BALANCED}, shared_layer=True),
}


def models(names):
    """Rows of a table for these models, each in the setting of the table."""
    return {name: ({}, MODELS[name]) for name in names}
