"""Names, types, precision and memory layout of tensors."""

import torch
from torch.nn import functional as F


def in_full_precision(part, *inputs):
    """What a part computes without `torch.autocast`: weights that sum to 1, information erased."""
    device = inputs[0].device.type
    if not torch.is_autocast_enabled(device):
        return part(*inputs)
    with torch.autocast(device, enabled=False):
        return part(*(x if x is None else widened(x) for x in inputs))


def as_float(x):
    """Floats as they are; uint8 from 0..255 to float32 in [0, 1]."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x


def widened(x):
    """Values in float32 at least."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def aligned(h):
    """The same values, each row at a multiple of 16 bytes (of four float32).

    Products with few outputs round by the address of a row, which depends on the rows before.
    """
    return F.pad(h, (0, -h.shape[-1] % 4))[..., : h.shape[-1]] if h.shape[-1] % 4 else h


def product(h, weight):
    """h @ weight, in the layout of `torch.nn.Linear`: a row has the same bits at each place."""
    return F.linear(aligned(h), weight.T.contiguous())


def mixture(g, z):
    """Σ_l g_l z_l of each row: (n, L), (n, L, K) -> (n, K).

    A batched product would round by the address of a row.
    """
    return (g.unsqueeze(2) * z).sum(1).to(z.dtype)  # g may be wider under autocast


def laid_out_as(weight, values):
    """A gradient, or moments, in the memory layout of the weight, which fused steps rely on."""
    if values.stride() == weight.stride():
        return values
    return torch.empty_like(weight).copy_(values)


def own_tensors(module):
    """Parameters and buffers by name; a state dict lacks buffers that are not persistent."""
    return dict([*module.named_parameters(), *module.named_buffers()])


def same_shapes(modules):
    """Whether the tensors of all modules have the same shapes."""
    shapes = {tuple(t.shape for t in own_tensors(module).values()) for module in modules}
    return len(shapes) == 1
