"""Types, precision and memory layout of tensors."""

import torch


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


def laid_out_as(weight, values):
    """A gradient, or moments, in the memory layout of the weight, which fused steps rely on."""
    return laid_out(values, weight.stride())


def laid_out(values, strides):
    """The values with other strides, as a copy if they differ."""
    if values.stride() == strides:
        return values
    like = {"dtype": values.dtype, "device": values.device}
    return torch.empty_strided(values.shape, strides, **like).copy_(values)


def in_memory(stacked):
    """A view of a stack in the order of its memory, (nets, values); None if its nets have gaps."""
    order = sorted(range(1, stacked.ndim), key=stacked.stride, reverse=True)
    stacked = stacked.permute(0, *order)
    return stacked.view(len(stacked), -1) if stacked.is_contiguous() else None
