"""The accounts of a run as immutable values: what each holds, its plan with all sentences, and its problem."""

from typing import TYPE_CHECKING

from sellctl.core.decision.explain import explained
from sellctl.core.errors import BusyError
from sellctl.core.model.account_state import RunMode
from sellctl.core.model.view import AccountListing, mode_of, only_due
from sellctl.core.watching.shown_structures import shown_structures

if TYPE_CHECKING:
    from sellctl.bootstrap import Runtime
    from sellctl.core.model.plan import Plan
    from sellctl.core.model.snapshot import Snapshot
    from sellctl.core.sell_watcher import SellWatcher


def listing_of(
    runtime: "Runtime", watcher: "SellWatcher", plan: "Plan | None", snapshot: "Snapshot | None" = None
) -> AccountListing:
    """An account with one of its plans, explained, or with why there is none.

    `snapshot` is the one that the plan was made from; None for the watcher's last one.
    """
    state, config = watcher.state, runtime.loaded.config
    problem = state.problem or runtime.scheduler.problem
    seen = snapshot or state.snapshot
    shown = plan if plan is None or seen is None else explained(plan, seen, watcher.policy)
    is_dry = plan is not None and state.mode is RunMode.DRY_RUN
    return AccountListing(
        watcher.name,
        mode=mode_of(paper=config.accounts[watcher.name].paper, simulated=config.simulator),
        plan=shown,
        structures=() if shown is None or seen is None else shown_structures(shown, seen, watcher.policy),
        problem=problem.sentence.removeprefix(f"{watcher.name}: ") if problem else "the broker has not answered",
        in_use=isinstance(problem, BusyError),
        only_due=only_due(plan, state.open_orders) if plan and is_dry else frozenset(),
    )
