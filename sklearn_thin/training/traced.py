"""The training step of a stack on a CPU, traced once into a program of torch's own operations.

In a small step torch.vmap and autograd take longer to arrange the operations than these take. The
program holds the operations of the forward and the backward pass alone.
"""

from weakref import WeakMethod

import torch
from torch.fx.experimental.proxy_tensor import make_fx

KNOWN = "torch.nn.", "sklearn_thin."  # modules whose Python code does the same in each step
ENOUGH = 300  # steps; tracing takes as long as about 100 steps save


class TracedStep:
    """A method of (X, y, states) as a program; the owner of the method holds this step.

    The method reads and writes no other tensors. The first call is eager, since weights are laid
    out in memory after it. The second call traces. A method that cannot be traced stays eager, as
    does a batch whose y starts with another `shape`.
    """

    def __init__(self, method, shape, states):
        self.method = WeakMethod(method)
        self.shape = shape
        self.states = states
        self.calls, self.program = 0, None

    def __call__(self, X, y):
        if tuple(y.shape[: len(self.shape)]) != self.shape:
            return self.method()(X, y)
        self.calls += 1
        if self.calls == 2:
            self._trace(X, y)
        if self.program is None:
            return self.method()(X, y)
        with torch.no_grad():
            return self.program(X, y, self.states)

    def _trace(self, X, y):
        method = self.method()

        def step(X, y, states):  # make_fx counts the arguments of a function
            return method(X, y, states)

        try:
            # tensors without values, so that nothing is computed, drawn or counted
            self.program = make_fx(step, tracing_mode="fake")(X, y, self.states)
        except Exception:  # of any operation; the eager step has worked
            self.program = None


def can_be_traced(*modules):
    """Whether no code of users runs in the modules, as it may do another thing in each step."""
    parts = [part for module in modules for part in module.modules()]
    return all(
        type(part).__module__.startswith(KNOWN)
        and not (part._forward_hooks or part._forward_pre_hooks or part._backward_hooks)
        for part in parts
    )
