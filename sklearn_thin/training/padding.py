"""Modules of one family -> one padded module with stacked tensors.

Modules of a family differ only in sizes: depth, number of experts, and widths of layers. Each net
lies in the first places of tensors that hold the largest net. The other places are zero, and so are
their gradients: a padded unit is 0, and its readers' weights are 0. A padded level of a tree splits
leaves that share their experts. A loss without a dispelling term gets one with λ = 0.
"""

from copy import deepcopy
from dataclasses import replace
from math import prod

import torch
from skorch.dataset import Dataset
from torch import nn
from torch.nn import functional as F

from sklearn_thin.losses import CosineTerm
from sklearn_thin.modules import (
    MLP,
    AlignerChain,
    ConditionalAligner,
    ConvNet,
    ExpertEnsemble,
    GatedMLP,
    LinearEraser,
    MixedLinear,
    Modulation,
    ScalingLayer,
    THINModule,
    TreeGate,
)
from sklearn_thin.modules.tensors import in_full_precision, own_tensors
from sklearn_thin.modules.thin import THINOutput
from sklearn_thin.modules.tree_gate import leaf_to_expert

# parts whose padded units stay zero, and the layers that may lie inside of them
PARTS = MLP, ConvNet, GatedMLP, LinearEraser, AlignerChain, ConditionalAligner
LAYERS = (
    nn.Linear,
    nn.BatchNorm1d,
    nn.Conv2d,
    nn.BatchNorm2d,
    nn.ReLU,
    nn.MaxPool2d,
    nn.Dropout,
    nn.Identity,
    nn.Flatten,
    nn.ModuleList,
    MixedLinear,
    Modulation,
    ScalingLayer,
)
AROUND = nn.Sequential, nn.Flatten
HOOKS = "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"
# attributes of layers that padding changes
SIZES = {"in_features", "out_features", "in_channels", "out_channels", "num_features", "n_experts"}
HEAD = "experts.", "gate."  # start the names of tensors that :func:`head_sizes` describes
# products of a value and a row that take as long as the launch of a step's operations, measured by
# benchmarks/bench_padding.py on a CPU, and guessed for a GPU
LAUNCH = {"cpu": 5_000_000, "cuda": 100_000_000}


# ------------------------------------------------------------------------- what can be padded


def can_be_padded(part, inside=False):
    """Whether a backbone or a map is built of known layers alone."""
    inside = inside or type(part) in PARTS
    known = (*PARTS, *LAYERS) if inside else (*PARTS, *AROUND)
    plain = type(part) in known and not any(getattr(part, name) for name in HOOKS)
    plain &= getattr(part, "groups", 1) == 1  # groups of channels would move
    return plain and all(can_be_padded(child, inside) for child in part.children())


def family(module, term=None):
    """A key that is equal for modules of one family, or None for a module that has none.

    A `term` of the loss reads h_endo, whose width is then the same in a family.
    """
    if type(module) is not THINModule:
        return None
    kinds = type(module.gate), type(module.experts)
    parts = [part for part in (module.backbone, module.eraser) if part is not None]
    if kinds != (TreeGate, ExpertEnsemble) or not all(map(can_be_padded, parts)):
        return None
    layers = []
    for name, layer in module.named_modules():
        settings = {k: v for k, v in vars(layer).items() if k[0] != "_" and k not in SIZES}
        if not isinstance(layer, (TreeGate, ExpertEnsemble)) and not name.startswith("gate."):
            settings.pop("training")
            layers.append((name, type(layer), repr(sorted(settings.items()))))
    tensors = [
        (name, t.ndim, t.dtype, t.requires_grad)
        for name, t in module.state_dict(keep_vars=True).items()
        if not name.startswith("gate.")
    ]
    experts, reads_h = module.experts, term is not None and module.experts.in_features
    return tuple(layers), tuple(tensors), experts.n_outputs, experts.hidden_units > 0, reads_h


def with_terms(plans):
    """The plans; a plan without a term gets that of another plan, if they are of one family then.

    A term of a user may be infinite for logits of zeros, and is not given to others.
    """
    others = {p.family_key: p for p in plans if type(p.loss.term) is CosineTerm}
    found = []
    for plan in plans:
        if plan.loss.term is None and plan.why_alone is None:
            given = [(key, with_term(plan, other)) for key, other in others.items()]
            plan = next((new for key, new in given if new.family_key == key), plan)
        found.append(plan)
    return found


def with_term(plan, other):
    """The plan with the loss of another plan, at λ = 0.

    Logits of zeros stand for those that the plan lacks: their term is 0, and so is its gradient.
    """
    loss, rows = deepcopy(other.loss), plan.train
    loss.lam.zero_()
    zeros = other.train.X["exogenous_logits"][:1].clone().zero_()
    X = {"exogenous_logits": zeros.expand(len(rows), -1), **rows.X}
    return replace(plan, loss=loss, train=Dataset(X, rows.y), term_source=other.term_source)


def sizes(module):
    """Shapes by name of the tensors that hold a module of a family, padded or not."""
    own = own_tensors(module).items()
    shapes = {name: tuple(tensor.shape) for name, tensor in own if not name.startswith(HEAD)}
    return shapes | head_sizes(module.experts, module.gate)


def head_sizes(experts, gate):
    """Shapes by name of the tensors of experts and gate.

    Hidden units of all experts lie side by side, as many experts have few units each.
    """
    n_leaves, n_experts, n_outputs = 2**gate.depth, experts.n_experts, experts.n_outputs
    units, shapes = n_experts * experts.hidden_units, {"gate.leaf_to_expert": (n_leaves, n_experts)}
    if gate.depth:
        shapes["gate.nodes.weight"] = n_leaves - 1, gate.in_features
        shapes["gate.nodes.bias"] = (n_leaves - 1,)
    shapes["experts.bias"] = n_experts, n_outputs
    if not units:
        return shapes | {"experts.weight": (n_experts, n_outputs, experts.in_features)}
    return shapes | {
        **{f"experts.norm.{name}": tuple(t.shape) for name, t in experts.norm.state_dict().items()},
        "experts.hidden_weight": (units, experts.in_features),
        "experts.hidden_bias": (units,),
        "experts.weight": (n_outputs, units),
        "experts.reader": (n_experts, units),
    }


def largest(shapes):
    """Shapes by name that hold all the given ones."""
    whole = {}
    for name, shape in ((name, shape) for given in shapes for name, shape in given.items()):
        whole[name] = tuple(map(max, shape, whole.get(name, shape)))
    return whole


def count(shapes):
    """Values of all tensors."""
    return sum(map(prod, shapes.values()))


def cheapest(groups, launch):
    """Groups of equal sizes -> larger groups, in which padding costs less than stacks of their own.

    A step of a stack costs its `launch`, and the values of all its padded nets. A group is merged
    with its neighbours in order of size.

    Parameters
    ----------
    groups : list of (sizes, list of plans)
    launch : int
        Values whose arithmetic takes as long as a launch.

    Returns
    -------
    list of list of plans
    """
    groups = sorted(groups, key=lambda group: count(group[0]))
    best = [(0, [])]  # cost and stacks of the first groups
    for stop in range(1, len(groups) + 1):
        whole, n_nets, found = {}, 0, []
        for start in reversed(range(stop)):
            shapes, plans = groups[start]
            whole, n_nets = largest([whole, shapes]), n_nets + len(plans)
            found.append((best[start][0] + launch + n_nets * count(whole), start))
        cost, start = min(found)
        together = [plan for _, plans in groups[start:stop] for plan in plans]
        best.append((cost, [*best[start][1], together]))
    return best[-1][1]


# ------------------------------------------------------------------------- padded modules


class MixedExperts(nn.Module):
    """Mixed logits of experts: h (n, in) and g (n, L) -> (n, K).

    `reader` (L, units) is 1 where a hidden unit is of an expert.
    """

    def __init__(self, experts):
        super().__init__()
        for name in ("weight", "bias"):
            self.register_parameter(name, getattr(experts, name))
        self.norm = None
        if experts.hidden_units:
            self.norm = experts.norm
            for name in ("hidden_weight", "hidden_bias"):
                self.register_parameter(name, getattr(experts, name))
            self.register_buffer("reader", torch.empty(0))

    def forward(self, h, g):
        if self.norm is None:
            z = F.linear(h, self.weight.flatten(0, 1), self.bias.flatten())  # (n, L·K)
            # the products of small matrices of einsum would take twice as long
            return (g.unsqueeze(2) * z.unflatten(1, self.bias.shape)).sum(1)  # (n, K)
        h = F.relu(self.norm(F.linear(h, self.hidden_weight, self.hidden_bias)))  # (n, units)
        return F.linear(h * (g @ self.reader), self.weight) + g @ self.bias  # (n, K)


class MixedNet(THINModule):
    """A THINModule with :class:`MixedExperts`."""

    def forward(self, x, gate_input=None, exogenous_logits=None):
        g = in_full_precision(self.gate, gate_input) if self.gates_layers else None
        h = self.represent(x, gate_input, exogenous_logits, g)  # (n, width)
        if g is None:
            g = in_full_precision(self.gate, h if gate_input is None else gate_input)  # (n, L)
        return THINOutput(self.experts(h, g), h)


def padded_module(module, shapes):
    """The structure of a module of these shapes; it gets its tensors from `functional_call`."""
    n_leaves, n_experts = shapes["gate.leaf_to_expert"]
    depth = n_leaves.bit_length() - 1
    structure = deepcopy(module)
    structure.gate.depth, structure.gate.n_experts = depth, n_experts
    structure.gate.leaf_to_expert = torch.empty(0)
    structure.gate.nodes = nn.Linear(1, 1, device="meta") if depth else None
    for layer in structure.modules():
        if isinstance(layer, MixedLinear):
            layer.n_experts = n_experts
    parts = structure.backbone, MixedExperts(structure.experts), structure.gate
    return MixedNet(*parts, structure.eraser, structure.gates_layers)


def padded(modules):
    """Modules of one family -> the structure of a padded one, stacked tensors and places.

    The tensors are dicts of parameters and buffers, (nets, ...) each, zero except for the nets' own
    places. The places of each net are the indices of its tensors, by name.
    """
    own, whole = list(map(own_tensors, modules)), largest(map(sizes, modules))
    structure, found = padded_module(modules[0], whole), [places(m, whole) for m in modules]
    known = {name: tensor for tensors in own for name, tensor in tensors.items()}
    like = next(modules[0].parameters())
    state = {
        name: known.get(name, like).new_zeros(len(modules), *shape) for name, shape in whole.items()
    }
    for index, module in enumerate(modules):
        for name, place in found[index].items():
            state[name][index][place] = own[index][name].detach()
        for name, tensor in mixing(module, whole).items():
            state[name][index] = tensor
    trained = {name for name, _ in structure.named_parameters()}
    for name in trained:
        state[name].requires_grad_(known[name].requires_grad)
    buffers = {name: tensor for name, tensor in state.items() if name not in trained}
    return structure, ({name: state[name] for name in state if name in trained}, buffers), found


def mixing(module, whole):
    """Buffers by which a padded net mixes its own experts alone."""
    experts, gate = module.experts, module.gate
    n_leaves, n_experts = whole["gate.leaf_to_expert"]
    own = leaf_to_expert(2**gate.depth, experts.n_experts)
    shared = torch.zeros(n_leaves, n_experts)
    # leaves below the same leaf of the net share their experts
    shared[:, : experts.n_experts] = own.repeat_interleave(n_leaves // len(own), dim=0)
    buffers = {"gate.leaf_to_expert": shared}
    if experts.hidden_units:
        reader = torch.eye(experts.n_experts).repeat_interleave(experts.hidden_units, dim=1)
        buffers["experts.reader"] = torch.zeros(whole["experts.reader"])
        buffers["experts.reader"][: len(reader), : reader.shape[1]] = reader
    return buffers


def places(module, whole):
    """Index of each own tensor of a module in the padded tensors, by name."""
    experts, found = module.experts, {}
    for name, tensor in own_tensors(module).items():
        found[name] = tuple(slice(size) for size in tensor.shape)
    found.pop("gate.leaf_to_expert", None)
    if experts.n_experts == 1:  # the gate is unused, and stays as it is
        found = {name: place for name, place in found.items() if not name.startswith("gate.")}
    for name, layer in module.named_modules():
        if isinstance(layer, Modulation):  # scales and shifts, one above the other
            name = f"{name}.scale_and_shift.weight"
            width, start = layer.scale_and_shift.out_features // 2, whole[name][0] // 2
            found[name] = [*range(width), *range(start, start + width)], found[name][1]
    if experts.hidden_units:
        n_experts, units, n_outputs = experts.n_experts, experts.hidden_units, experts.n_outputs
        unit = torch.arange(n_experts * units).view(n_experts, units)
        found["experts.hidden_weight"] = unit, slice(experts.in_features)
        found["experts.hidden_bias"] = (unit,)
        found["experts.weight"] = torch.arange(n_outputs).view(-1, 1), unit.unsqueeze(1)
    return found
