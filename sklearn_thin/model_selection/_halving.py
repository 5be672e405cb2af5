"""Successive halving whose candidates train together, and go on from rung to rung."""

import warnings
from collections import defaultdict
from contextlib import nullcontext
from dataclasses import dataclass, field
from math import floor, log
from typing import Any

import numpy as np
from sklearn.model_selection._search_successive_halving import HalvingGridSearchCV

from sklearn_thin._sharing import identity
from sklearn_thin.model_selection._members import CONSTRAINTS, epochs_bar, last_step, train_all
from sklearn_thin.model_selection._search import StackedSearch
from sklearn_thin.training.net import tidy
from sklearn_thin.training.rungs import Rungs, stopping
from sklearn_thin.training.stacks import in_stacks, is_out_of_memory, print_stacks


@dataclass
class Running:
    """The stacks of a halving, whose trainings go on in the next rung."""

    resource: str
    last: int  # epochs of the last rung
    folder: Any  # keeps the stacks of each rung, or None
    stacks: list = field(default_factory=list)  # (Rungs, its Members)
    candidates: list = field(default_factory=list)  # keys of the present rung

    def keep(self, candidates):
        """Drop the members of other candidates, and number the others anew."""
        old = defaultdict(list)
        for number, key in enumerate(self.candidates):
            old[key].append(number)
        keys = [{k: v for k, v in c.items() if k != self.resource} for c in candidates]
        self.candidates = [identity(key) for key in keys]
        new = {old[key].pop(): number for number, key in enumerate(self.candidates) if old[key]}
        stacks, self.stacks = self.stacks, []
        for rungs, members in stacks:
            places = [i for i, member in enumerate(members) if member.candidate in new]
            if places:
                rungs.keep(places)
                self.stacks.append((rungs, [members[place] for place in places]))
        for member in self.members:
            member.candidate = new[member.candidate]

    @property
    def members(self):
        """All members that go on."""
        return [member for _, members in self.stacks for member in members]

    def add(self, members, stack_size, verbose):
        """Stack new members that can be stacked; the others."""
        planned = [member for member in members if member.plan is not None]
        plans = [member.plan for member in planned]
        stacks = in_stacks(plans, stack_size)
        if verbose and self.stacks:
            print(f"Training {len(self.members)} fits on, in {len(self.stacks)} stacks")
        if verbose and plans:
            print_stacks(plans, stacks)
        for stack in stacks:
            if plans[stack[0]].why_alone is None:
                rungs = Rungs([plans[index] for index in stack], self.folder)
                self.stacks.append((rungs, [planned[index] for index in stack]))
                for index in stack:
                    planned[index].plan = None
        stacked = {id(member) for member in self.members}
        return [member for member in members if id(member) not in stacked]

    def epochs_until(self, epoch):
        """Epochs of all nets until `epoch`, added up."""
        return sum(len(members) * (epoch - rungs.epoch) for rungs, members in self.stacks)

    def train(self, epoch):
        """Train all stacks until `epoch`, in halves if memory runs out."""
        left, self.stacks = self.stacks, []
        while left:
            rungs, members = left.pop(0)
            try:
                results, seconds = rungs.train(epoch)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                results = None
            if results is None:  # outside of the handler, which would keep the memory
                half = len(members) // 2
                warnings.warn(
                    f"out of memory with a stack of {len(members)} nets; trying two, from the "
                    "start. Set stack_size to avoid the attempt.",
                    RuntimeWarning,
                    stacklevel=2,
                )
                parts = slice(half), slice(half, None)
                left[:0] = [
                    (Rungs(rungs.plans[part], self.folder), members[part]) for part in parts
                ]
                continue
            self.stacks.append((rungs, members))
            for i, member in enumerate(members):
                member.seconds = seconds[i]
                if isinstance(results[i], Exception):
                    member.fail(results[i])
                    continue
                if epoch == self.last:
                    tidy(results[i], rungs.plans[i])
                member.estimator.set_params(**{self.resource: epoch})
                member.thin.keep(results[i])


class StackedHalvingSearchCV(StackedSearch, HalvingGridSearchCV):
    """HalvingGridSearchCV whose candidates and folds train together.

    Successive halving trains all candidates with few resources, and the best 1 / `factor` of them
    with `factor` times as many, rung after rung. Candidates of equal shape are stacked as in
    :class:`StackedGridSearchCV`. scikit-learn calls its own class experimental.

    With `resource="max_epochs"` candidates are dropped from the running stack. The others go on
    and are not trained anew. Their learning rate follows the schedule of the last rung from the
    start, so that the last rung has the scores of plain fits with as many epochs. Earlier rungs
    are scored before the rate of "cosine" has come down, and may rank candidates otherwise than
    fits of so few epochs. `lr_schedule="constant"` has no such difference.

    Parameters
    ----------
    estimator : THINClassifier or THINRegressor, or Pipeline that ends in one
        Grids may replace it by other estimators. These, and fits that cannot be stacked, train
        anew in each rung.
    param_grid, factor, max_resources, min_resources, aggressive_elimination, cv, scoring, \
error_score, return_train_score, random_state, n_jobs, verbose
        See :class:`~sklearn.model_selection.HalvingGridSearchCV`. With epochs as the resource
        stacks train one after another, and `n_jobs` is for the other fits.
    resource : "n_samples" or str, default="n_samples"
        Rows, or a parameter of the estimator. Epochs are `"max_epochs"`, in a Pipeline with the
        name of the step, as in `"thin__max_epochs"`; they need a `max_resources`.
    refit : bool, default=True
        Whether to fit the best candidate of the last rung on all rows.
    stack_size : "auto" or int, default="auto"
        See StackedGridSearchCV.
    checkpoint_dir : str, path or None, default=None
        See StackedGridSearchCV. With epochs as the resource it keeps the stacks of each rung.

    Attributes
    ----------
    n_resources_, n_candidates_, n_remaining_candidates_, max_resources_, min_resources_, \
            n_iterations_, n_possible_iterations_, n_required_iterations_, cv_results_, \
            best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, \
            refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        See HalvingGridSearchCV. The fit time of a stack is shared equally among its fits, and
        is that of one rung.

    See Also
    --------
    StackedGridSearchCV : Trains all candidates to the end.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_thin import MLPBackbone, THINClassifier
    >>> from sklearn_thin.model_selection import StackedHalvingSearchCV
    >>> X, y = load_digits(return_X_y=True)
    >>> thin = THINClassifier(backbone=MLPBackbone((32,)), depth=1, random_state=0)
    >>> grid = {"lr": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2], "weight_decay": [0.0, 1e-3]}
    >>> search = StackedHalvingSearchCV(thin, grid, resource="max_epochs", max_resources=9, cv=3)
    >>> search = search.fit(X / 16, y)
    >>> search.n_resources_, search.n_candidates_
    ([1, 3, 9], [12, 4, 2])
    >>> search.best_params_["lr"] > 3e-4
    True
    """

    _parameter_constraints: dict = {
        **HalvingGridSearchCV._parameter_constraints,
        **CONSTRAINTS,
        "refit": ["boolean"],  # scikit-learn's halving would not call a callable
    }

    def __init__(
        self,
        estimator,
        param_grid,
        *,
        factor=3,
        resource="n_samples",
        max_resources="auto",
        min_resources="exhaust",
        aggressive_elimination=False,
        cv=5,
        scoring=None,
        refit=True,
        error_score=np.nan,
        return_train_score=True,
        random_state=None,
        n_jobs=None,
        verbose=0,
        stack_size="auto",
        checkpoint_dir=None,
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            factor=factor,
            resource=resource,
            max_resources=max_resources,
            min_resources=min_resources,
            aggressive_elimination=aggressive_elimination,
            cv=cv,
            scoring=scoring,
            refit=refit,
            error_score=error_score,
            return_train_score=return_train_score,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        self.stack_size = stack_size
        self.checkpoint_dir = checkpoint_dir

    def _train(self, candidates, splits):
        """Fitted members of a rung, in the order of candidates and folds."""
        _, prefix = last_step(self.estimator.estimator)
        if self.resource != f"{prefix}max_epochs":
            return super()._train(candidates, splits)
        if self._run.rungs is None:
            last = self._last_resources(len(candidates))
            self._run.rungs = Running(self.resource, last, self._run.folder)
        running, epoch = self._run.rungs, candidates[0][self.resource]
        running.keep(candidates)
        going = {(member.candidate, member.fold) for member in running.members}
        tasks = [
            (number, {**parameters, self.resource: running.last}, fold, train)
            for number, parameters in enumerate(candidates)
            for fold, (train, _) in enumerate(splits)
            if (number, fold) not in going
        ]
        members = self._run.preparation.members(tasks, self.verbose, self.error_score)
        others = running.add(members, self.stack_size, self.verbose)
        for member in others:
            if member.plan is not None:
                member.plan = stopping(member.plan, epoch)
            if member.error is None:
                member.estimator.set_params(**{self.resource: epoch})
        others = train_all(others, self._run.parallel, stack_size=1, verbose=0)
        bar = epochs_bar(running.epochs_until(epoch)) if self.verbose == 1 else nullcontext()
        with bar:
            running.train(epoch)
        return sorted([*others, *running.members], key=lambda m: (m.candidate, m.fold))

    def _last_resources(self, n_candidates):
        """Resources of the last rung, by scikit-learn's rule."""
        required = 1 + floor(log(n_candidates, self.factor))
        possible = 1 + floor(log(self.max_resources_ // self.min_resources_, self.factor))
        rungs = possible if self.aggressive_elimination else min(possible, required)
        most = int(self.factor ** (rungs - 1) * self.min_resources_)
        return min(most, self.max_resources_)
