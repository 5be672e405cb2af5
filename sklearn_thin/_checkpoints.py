"""The folder of `checkpoint_dir`, checked before long work, and the plans that it keeps."""

import os
import secrets
import warnings
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path

PLACE = [str, os.PathLike, None]  # types of checkpoint_dir
FOLDER = ContextVar("folder", default=None)  # of the fit around this one


def made_folder(place):
    """The folder, made if it is missing; OSError where no file can be written into it."""
    if not str(place):
        raise ValueError("checkpoint_dir must name a folder, got an empty text")
    folder = Path(place)
    probe = folder / f".{secrets.token_hex(8)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = f"checkpoint_dir must be a folder that can be written to: {error.strerror}"
        raise type(error)(error.errno, reason, str(folder)) from None
    return folder.resolve()


def kept_plan(estimator, make_plan):
    """The plan of a training that is kept, as are the fits that the plan needs."""
    folder = FOLDER.get()
    if estimator.checkpoint_dir is not None:
        folder = made_folder(estimator.checkpoint_dir)
        if estimator.random_state is None:
            warn_of_unset(["the estimator"], "fit")
    token = FOLDER.set(folder)
    try:
        return replace(make_plan(), folder=folder)
    finally:
        FOLDER.reset(token)


def warn_of_unset(owners, work):
    """Warn of random states that no other process repeats."""
    warnings.warn(
        f"random_state of {' and '.join(owners)} is None, so that each run draws other numbers. A "
        f"{work} that is killed cannot go on from checkpoint_dir: set random_state to an int.",
        UserWarning,
        stacklevel=3,
    )
