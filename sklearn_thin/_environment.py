"""What surrounds a public call: its arguments, torch's state, seeds, devices, memory, Ctrl-C."""

import os
import re
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, update_wrapper, wraps
from inspect import currentframe, signature
from types import FunctionType
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from sklearn.base import MetaEstimatorMixin
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel
from skorch import NeuralNet
from torch.overrides import TorchFunctionMode

from sklearn_thin._compat import Method

CASTS = {"bf16": torch.bfloat16}  # mixed precision by name
try:
    MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")  # bytes of this machine
except (AttributeError, ValueError):  # Windows
    MEMORY = 2**40
_GENERATORS = threading.RLock()  # guards torch's global generators


def _do_without_threads():
    """Let a forked process work without the threads that it lacks.

    One of them may hold the lock. OpenMP waits for the others as soon as torch uses two.
    """
    global _GENERATORS
    _GENERATORS = threading.RLock()
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_do_without_threads)


# ------------------------------------------------------------------ a public call


def public(method: Method) -> Method:
    """Decorate a method of a public class: torch's own state, and words for wrong arguments.

    The words name the public class, where Python's TypeError names a private one.
    """
    arguments = signature(method)
    takes_one = sum(p.default is p.empty for p in arguments.parameters.values()) <= 2

    @wraps(method)
    def call(self, *args, **named):
        if not (takes_one and len(args) == 1 and not named):
            try:
                arguments.bind(self, *args, **named)
            except TypeError as error:
                raise TypeError(_usage(type(self), method.__name__, error)) from error
        with own_torch_state():
            return method(self, *args, **named)

    return call


def _usage(owner, name, error):
    """Words for wrong arguments: those that the method of the class shows, and the way out."""
    shown = signature(getattr(owner, name))
    parameters = list(shown.parameters.values())[1:]
    shown = shown.replace(parameters=parameters, return_annotation=shown.empty)
    by_name = [p.name for p in shown.parameters.values() if p.kind == p.KEYWORD_ONLY]
    hint = f". Pass all but X and y by name, such as {by_name[0]}=..." if by_name else ""
    return f"{owner.__name__}.{name}{shown}: {error}{hint}"


def shown_without(method: Method, argument) -> Method:
    """A copy of a public method, for a class that cannot use the argument.

    Neither its signature nor its docstring has the argument, and scikit-learn does not route it.
    """
    copied = FunctionType(method.__code__, method.__globals__, closure=method.__closure__)
    update_wrapper(copied, method)
    shown = signature(method)
    parameters = [p for name, p in shown.parameters.items() if name != argument]
    copied.__signature__ = shown.replace(parameters=parameters)
    # its line, and the lines below that are further to the right
    copied.__doc__ = re.sub(rf"(?m)^( *){argument} : .*\n(?:\1 +.*\n)*", "", method.__doc__)
    return copied


# ------------------------------------------------------------------ seeds and torch's state


class Seeds(NamedTuple):
    """One seed for each source of randomness; none shifts when another draws more."""

    exogenous: int  # fitting the exogenous and endogenous transformers
    split: int  # the held-out part of early stopping
    module: int  # initialisation
    batches: int  # order of the rows, dropout, augmentation


def draw_seeds(random_state):
    """Seeds of one fit from scikit-learn's `random_state`; None draws from NumPy's generator."""
    rng = check_random_state(random_state)
    return Seeds(*rng.randint(2**31 - 1, size=len(Seeds._fields)).tolist())


@contextmanager
def torch_seed(seed, device):
    """Seed torch's generators of the CPU and of `device` inside the block alone.

    `torch.manual_seed` would seed all GPUs, of which only `device` gets its state back. A
    process has one set of generators, so that blocks in its threads wait for one another.
    """
    forked = [] if device.type == "cpu" else [device]
    with _GENERATORS, torch.random.fork_rng(forked, device_type=device.type if forked else "cuda"):
        torch.default_generator.manual_seed(seed)
        if forked:
            with torch.get_device_module(device).device(device):
                torch.get_device_module(device).manual_seed(seed)
        yield


@contextmanager
def own_torch_state() -> Iterator[None]:
    """torch's defaults inside the block, whatever state surrounds it; as a decorator too.

    Default dtype and device, autocast, `no_grad` and inference mode would reach every network. Only
    the state of this thread changes. The default dtype belongs to all threads, so that it stays.
    """
    with ExitStack() as states:
        if torch.is_inference_mode_enabled():
            states.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            states.enter_context(torch.enable_grad())
        for device in _AUTOCAST:
            if torch.is_autocast_enabled(device):
                states.enter_context(torch.autocast(device, enabled=False))
        ambient = torch.empty(0)
        if ambient.device.type != "cpu":
            states.enter_context(torch.device("cpu"))
        if ambient.dtype != torch.float32:
            states.enter_context(_Float32())
        yield


_AUTOCAST = [
    kind for kind in ("cpu", "cuda", "mps", "xpu") if torch.amp.is_autocast_available(kind)
]
_FLOATS = {torch.empty, torch.empty_strided, torch.eye, torch.linspace, torch.logspace}
_FLOATS |= {torch.ones, torch.rand, torch.randn, torch.zeros}
_MAYBE_FLOATS = {torch.arange, torch.as_tensor, torch.asarray, torch.full, torch.scalar_tensor}
_MAYBE_FLOATS |= {torch.tensor}


class _Float32(TorchFunctionMode):
    """New tensors are float32 where the default dtype would be theirs."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        made = function in _FLOATS
        if not made and function in _MAYBE_FLOATS:
            flat = [v for a in args for v in (a if isinstance(a, (list, tuple)) else [a])]
            made = any(type(value) is float for value in flat)
        if made and kwargs.get("dtype") is None and kwargs.get("out") is None:
            kwargs = {**kwargs, "dtype": torch.float32}
        return function(*args, **kwargs)


def set_missing_random_states(estimator, seed):
    """Give every `random_state` of `estimator` that is None a seed of its own."""
    rng = check_random_state(seed)
    params = estimator.get_params(deep=True)
    unset = sorted(
        name
        for name, value in params.items()
        if value is None and name.rpartition("__")[2] == "random_state"
    )
    if unset:
        estimator.set_params(**{name: rng.randint(2**31 - 1) for name in unset})
    return estimator


def fit_seeded(estimator, seed, *args):
    """Fit an estimator with seeds where it has none; the global generators stay as they are.

    Nets of skorch draw from torch's generators.
    """
    set_missing_random_states(estimator, seed)
    nets = [v for v in (estimator, *estimator.get_params().values()) if isinstance(v, NeuralNet)]
    if not nets:
        return estimator.fit(*args)
    with torch_seed(seed, torch.device(nets[0].device or "cpu")):
        return estimator.fit(*args)


# ------------------------------------------------------------------ warnings

_WARNED = WeakKeyDictionary()  # searches and loops -> messages that they have had


def warn_once(message):
    """Warn, and in a search, a cross-validation or another meta-estimator for its first fit alone.

    Each fit in scikit-learn's loops resets Python's memory of warnings.
    """
    searches = surrounding_searches()
    if any(message in _WARNED.get(search, ()) for search in searches):
        return
    for search in searches:
        _WARNED.setdefault(search, set()).add(message)
    warnings.warn(message, UserWarning, stacklevel=3)


def surrounding_searches():
    """Searches and other meta-estimators whose `fit` runs, and loops such as `cross_validate`."""
    frame, searches = currentframe(), []
    while frame is not None:
        runs = frame.f_code.co_name in ("fit", "__call__")
        owner = frame.f_locals.get("self") if runs else None
        searches += [owner] if isinstance(owner, (MetaEstimatorMixin, Parallel)) else []
        frame = frame.f_back
    return searches


# ------------------------------------------------------------------ all or nothing


@contextmanager
def all_or_nothing(estimator, errors=BaseException):
    """A fit that fails restores the fitted attributes of before, except for a marked new net."""
    before = vars(estimator).copy()
    try:
        yield
    except errors:
        net = vars(estimator).get("net_")
        if net is before.get("net_") or not net.interrupted_:
            for name in fitted_attributes(estimator):
                delattr(estimator, name)
            vars(estimator).update(fitted_attributes(before))
        raise


def fitted_attributes(estimator):
    """Fitted attributes of an estimator, or of its attributes in a dict, by name."""
    values = estimator if isinstance(estimator, dict) else vars(estimator)
    return {k: value for k, value in values.items() if k.endswith("_") and k[0] != "_"}


# ------------------------------------------------------------------ devices


def check_device(device, precision=None, *, compiled=False):
    """The torch.device; ValueError where it, its mixed precision or its compiler is missing.

    "auto" is the GPU if torch sees one, else the CPU.
    """
    if isinstance(device, str) and device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device).item()  # "meta" has no values
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # torch has all three
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device={str(device)!r} is not available: {reason}. Use 'auto', 'cpu' or a "
            "device that torch sees on this machine."
        ) from error
    device = torch.device(device)
    able = precision is None or torch.amp.is_autocast_available(device.type)
    if able and precision == "bf16" and device.type == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    if not able:
        raise ValueError(
            f"mixed_precision={precision!r} needs a CPU, or a GPU that computes in bfloat16 "
            f"(NVIDIA's do since Ampere), and device={str(device)!r} does not; set it to None"
        )
    if compiled and device.type != "cuda":  # CUDA captures a graph instead
        check_compiler(device.type)
    return device


@cache
def check_compiler(device):
    """Raise ValueError where torch.compile fails on this type of device."""
    try:
        torch.compile(lambda x: x + 1)(torch.ones(2, device=device))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"compile=True needs a C++ compiler, such as g++, on device={device!r}, and "
            f"torch.compile failed: {reason}. Install it, or set compile=False"
        ) from error


# ------------------------------------------------------------------ memory


def check_memory(n_weights, parts):
    """Raise ValueError where `parts` have more weights than the memory of this machine holds.

    A training holds four float32 for each weight: itself, its gradient and two moments.
    """
    if 16 * n_weights > MEMORY:
        n_weights = min(n_weights, 10**99)  # which a float can show
        raise ValueError(
            f"{parts} make {n_weights / 1e9:.3g} billion weights. Their training needs "
            f"{16 * n_weights / 1e9:.3g} GB, but this machine has {MEMORY / 1e9:.3g} GB: use "
            "smaller numbers"
        )


def is_out_of_memory(error):
    """Whether torch or Python ran out of memory."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    # torch's CPU allocator and CUDA graphs raise plain RuntimeErrors
    texts = ("can't allocate memory", "CUDA error: out of memory")
    return any(text in str(error) for text in texts)


def out_of_memory(error, advice):
    """An error of a lack of memory with advice, without the tensors that its traceback keeps."""
    reason = (str(error) or type(error).__name__).splitlines()[0]
    error.with_traceback(None)
    kind = MemoryError if isinstance(error, MemoryError) else torch.OutOfMemoryError
    return kind(f"{advice}: {reason}")


# ------------------------------------------------------------------ Ctrl-C


@contextmanager
def noting_ctrl_c():
    """Yield a list that is empty until Ctrl-C.

    It separates Ctrl-C from the KeyboardInterrupt by which skorch's callbacks end a training.
    """
    came, handler = [], signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield came  # this thread gets no Ctrl-C
        return

    def note(*args):
        try:
            return handler(*args)
        except BaseException:  # a handler of the user may let the training go on
            came.append(True)
            raise

    signal.signal(signal.SIGINT, note)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, handler)
