"""The parts of a fitted estimator -> torch modules that read the inputs of a whole path."""

import copy
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.decomposition import PCA, FactorAnalysis, TruncatedSVD
from sklearn.feature_selection import SelectorMixin
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils import _safe_indexing
from torch import nn

from sklearn_thin._base import BaseNet
from sklearn_thin._pickling import copied
from sklearn_thin._sharing import Itself, shared
from sklearn_thin.exogenous.known import GivenVariable, KnownVariable
from sklearn_thin.persistence.agreement import unwrapped
from sklearn_thin.persistence.parts import (
    GIVEN,
    MISSING,
    ROWS,
    Affine,
    BackboneRows,
    Columns,
    Levels,
    Net,
    Number,
    Pick,
    PreparedTable,
    Representation,
    VariableOutputs,
)
from sklearn_thin.persistence.samples import Samples
from sklearn_thin.rows.inputs import ArrayInput, RestInput, TransformedInput
from sklearn_thin.rows.tables import TablePreprocessor

# whose output is an affine function of numbers
AFFINE = (PCA, TruncatedSVD, FactorAnalysis, StandardScaler, RobustScaler, MaxAbsScaler)
AFFINE += (MinMaxScaler, SelectorMixin)


@dataclass
class Builder:
    """Makes torch modules of the parts of an estimator."""

    samples: Samples  # of what the parts read
    given: Samples | None  # of labels that come with each call
    foreign: list | None  # (name, transformer, columns) that torch does not have
    rows: object = None  # sample rows
    base: nn.Module = field(default_factory=lambda: Pick(ROWS))  # inputs -> what the parts read
    places: np.ndarray | None = None  # of the columns in X
    raw: bool = True  # whether the parts read columns of X
    sources: dict = field(default_factory=dict)  # modules whose outputs become inputs, by name

    def once(self, key, make):
        """The output of a module, which all parts that read it share."""

        def added():
            module, name = make(), f"source_{len(self.sources)}"
            self.sources[name] = module
            return Pick(name)

        return shared((Itself(self.base), key), added)

    def behind(self, base, rows):
        """The builder of parts that read the output of `base`."""
        samples = Samples(rows)
        if samples.texts:
            raise TypeError("the steps in front of the network give text, not numbers")
        return replace(self, samples=samples, rows=rows, base=base, places=None, raw=False)

    def among(self, places):
        """The builder of parts that read some columns alone."""
        base = self.once(tuple(places), lambda: nn.Sequential(self.base, Columns(places)))
        rows = _safe_indexing(self.rows, places, axis=1)
        return replace(self, base=base, places=np.asarray(places), rows=rows)

    # ------------------------------------------------------------------ networks

    def member(self, member):
        """A Member as a module that reads the inputs."""
        builder = self
        for steps in member.steps:
            rows = steps.transform(builder.rows)
            builder = builder.behind(builder.source(steps, "the Pipeline"), rows)
        return builder.net(member.net)

    def net(self, net):
        """A fitted BaseNet as a module that reads the inputs."""
        side = net.exogenous_side_
        variables = [] if side is None else side.variables
        way = getattr(net, "dispelling_", None)
        return Net(
            self.backbone_rows(net.input_, net.module_input_shape_, type(net).__name__),
            [self.variable(v, i) for i, v in enumerate(variables)],
            copied(net.module_).cpu().eval(),
            hard=net.inference == "hard",
            reads_logits=way is not None and way.reads_logits,
        )

    def variable(self, variable, index):
        """One exogenous variable of a net."""
        return VariableOutputs(self.source(variable.transformer, variable.name, index), variable)

    def backbone_rows(self, reader, shape, estimator):
        """The part of a net of this type that reads X as a module."""
        if isinstance(reader, RestInput):
            return self.among(reader.kept).backbone_rows(reader.inner, shape, estimator)
        rows = BackboneRows(shape, reader, estimator)
        if isinstance(reader, ArrayInput):
            return nn.Sequential(self.base, rows)
        name = reader.name if isinstance(reader, TransformedInput) else ""
        return nn.Sequential(self.source(reader.transformer, name), rows)

    # ------------------------------------------------------------------ transformers

    def source(self, transformer, name, index=0):
        """The output of a transformer. `name` is that of the side."""
        inner = unwrapped(transformer)
        return self.once(itself(inner), lambda: self.source_of(inner, name, index))

    def source_of(self, inner, name, index):
        """A transformer as a module that reads the inputs."""
        if isinstance(inner, GivenVariable):
            column = nn.Sequential(Pick(GIVEN), Columns([index]))
            return nn.Sequential(column, known(inner, self.given, index))
        if isinstance(inner, BaseNet):
            return Representation(self.net(inner))
        if isinstance(inner, Pipeline):
            nets = [isinstance(unwrapped(step), BaseNet) for step in inner]
            if any(nets):
                return self.source_in_steps(inner, nets.index(True), name)
        module = self.function(inner)
        if module is not None:
            return nn.Sequential(self.base, module)
        if self.foreign is None or not self.raw:
            hint = ""
            if self.foreign is None:
                hint = ". to_onnx may export it, if skl2onnx converts it to the same outputs"
            kind = type(unknown_step(inner)).__name__
            raise TypeError(
                f"{kind} of {name} cannot become a torch module: it is no affine function of "
                f"numbers{hint}"
            )
        self.foreign.append((name, inner, self.places))
        return Pick(f"other_{len(self.foreign) - 1}")

    def source_in_steps(self, pipeline, place, name):
        """A Pipeline in which step `place` is a net."""
        builder, rest = self, pipeline[place:]
        if place:
            rows = pipeline[:place].transform(self.rows)
            builder = self.behind(self.source(pipeline[:place], name), rows)
        module = builder.source(rest[0], name)
        if len(rest) > 1:
            return builder.behind(module, unwrapped(rest[0]).transform(builder.rows)).source(
                rest[1:], name
            )
        return module

    def function(self, transformer):
        """A transformer as a module that reads rows; None if torch has none."""
        if isinstance(transformer, KnownVariable):
            place = place_of(transformer)
            column = place if self.places is None else int(self.places[place])
            return nn.Sequential(Columns([place]), known(transformer, self.samples, column))
        if isinstance(transformer, TablePreprocessor):
            return self.prepared(transformer)
        if isinstance(transformer, FunctionTransformer) and transformer.func is None:
            return nn.Identity()
        return affine(transformer, self.rows) if is_affine(transformer) else None

    def prepared(self, table):
        """A TablePreprocessor as a module."""
        codes, encoder = [], table.encoder_
        for i, place in enumerate(np.flatnonzero(table.is_level_)):
            rare = encoder.infrequent_categories_[i]
            levels = [c for c in encoder.categories_[i] if rare is None or c not in rare]
            column = place if self.places is None else int(self.places[place])
            found = iter(self.samples.codes(column, [c for c in levels if c is not None]))
            known_codes = [MISSING if c is None else next(found) for c in levels]
            codes.append((known_codes, rare is not None))
        return PreparedTable(table, codes)


def itself(transformer):
    """A key of this transformer alone; Pipelines of the same steps are the same."""
    inner = unwrapped(transformer)
    return tuple(map(itself, inner)) if isinstance(inner, Pipeline) else Itself(inner)


def place_of(variable):
    """Position of the column of a KnownVariable."""
    if isinstance(variable.column, str):
        return list(variable.feature_names_in_).index(variable.column)
    return int(variable.column) % variable.n_features_in_


def known(variable, samples, place):
    """A column of levels, or of a number, as a module."""
    if variable.classes_ is None:
        return Number(variable.prior_)
    return Levels(samples.codes(place, variable.classes_.tolist()), variable.prior_)


def unknown_step(transformer):
    """The first step of a Pipeline that is not affine; other transformers themselves."""
    if not isinstance(transformer, Pipeline):
        return transformer
    return unknown_step(next(step for step in active(transformer) if not is_affine(step)))


def active(pipeline):
    """The steps of a Pipeline that do something."""
    return [step for step in pipeline if step not in (None, "passthrough")]


def is_affine(transformer):
    """Whether the output is known to be an affine function of numbers."""
    if isinstance(transformer, Pipeline):
        return all(is_affine(step) for step in active(transformer))
    own = type(transformer).__module__.startswith("sklearn.")
    return own and isinstance(transformer, AFFINE) and not getattr(transformer, "clip", False)


def affine(transformer, rows):
    """The module of an affine transformer, from its outputs around the mean of sample rows."""
    rows = np.nan_to_num(np.asarray(rows, np.float64))
    centre, deviation = rows.mean(0), rows.std(0)
    step = np.where(deviation > 0, deviation, np.maximum(np.abs(centre), 1.0))
    probes = np.vstack([centre, centre + np.diag(step)])
    for part in active(transformer) if isinstance(transformer, Pipeline) else [transformer]:
        part = copy.copy(part)
        vars(part).pop("feature_names_in_", None)  # scikit-learn warns where arrays have no names
        probes = np.asarray(part.transform(probes), np.float64)
    return Affine(centre, (probes[1:] - probes[0]) / step[:, None], probes[0])
