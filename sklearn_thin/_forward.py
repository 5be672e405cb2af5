"""The forward pass: how rows become floats, what it computes in, and in which blocks of rows."""

from contextlib import nullcontext
from functools import cache

import numpy as np
import torch

CASTS = {"bf16": torch.bfloat16}  # mixed precision by name


def in_precision(name, device):
    """Context of a training step's forward pass: automatic casts to bfloat16 for "bf16"."""
    return nullcontext() if name is None else torch.autocast(torch.device(device).type, CASTS[name])


def check_precision(name, device):
    """Raise ValueError where the device does not compute in this precision itself."""
    able = name is None or torch.amp.is_autocast_available(device.type)
    if able and name == "bf16" and device.type == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    if not able:
        raise ValueError(
            f"mixed_precision={name!r} needs a CPU, or a GPU that computes in bfloat16 (NVIDIA's "
            f"do since Ampere), and device={str(device)!r} does not; set it to None"
        )


@cache
def check_compiler(device):
    """Raise ValueError where torch.compile does not work on this type of device."""
    try:
        torch.compile(lambda x: x + 1)(torch.ones(2, device=device))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"compile=True needs a C++ compiler, such as g++, on device={device!r}, and "
            f"torch.compile failed: {reason}. Install it, or set compile=False"
        ) from error


def as_float(x):
    """Floats as they are; uint8 from 0..255 to float32 in [0, 1]."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x


@torch.inference_mode()
def infer_rows(function, tensors, device):
    """`function` over blocks of rows, so that memory is bounded by the block.

    Parameters
    ----------
    function : callable
        Takes one block of every tensor, as keywords, and returns a tensor.
    tensors : dict of Tensor with the same number of rows
    device : torch.device

    Returns
    -------
    ndarray
    """
    first = next(iter(tensors.values()))
    values = 2**18 if torch.device(device).type == "cpu" else 2**20  # what the caches hold
    size = max(1, values // max(1, first[:1].numel()))
    whole = None
    for start in range(0, len(first), size):
        # a copy, as a module may write into its input, which is the user's
        block = {n: rows[start : start + size].to(device, copy=True) for n, rows in tensors.items()}
        part = _padded(function, block).cpu().numpy()
        if whole is None:
            whole = np.empty((len(first), *part.shape[1:]), part.dtype)
        whole[start : start + len(part)] = part
    return whole


def _padded(function, block, least=8):
    """Output of a block; a short one is padded with its first row and cut again.

    Matrix products of one to three rows take another path through the libraries, and
    round otherwise: a row's prediction would depend on how many come with it.
    """
    n_rows = len(next(iter(block.values())))
    if n_rows >= least:
        return function(**block)
    index = torch.arange(least).where(torch.arange(least) < n_rows, 0)
    return function(**{name: rows[index] for name, rows in block.items()})[:n_rows]
