"""The configuration compiled for one account: everything besides the snapshot that a decision depends on."""

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType

from msgspec import Struct

from sellctl.core.config.schema import (
    AccountGuardConfig,
    BackstopConfig,
    CancelScope,
    Config,
    ExcludeConfig,
    MatchConfig,
    Preempt,
    PriceBasisConfig,
    PutAction,
    SellModuleConfig,
    ShortAction,
    StrategyConfig,
    StructureConfig,
    Style,
    WalkConfig,
)
from sellctl.core.model.instrument import AssetClass, StructureKind
from sellctl.core.model.plan import Urgency
from sellctl.core.rules.zero_day import ZeroDay
from sellctl.core.sell_strategies.base_strategy import BaseStrategy
from sellctl.core.sell_strategies.declared import Declared, Narrowed, rules_of
from sellctl.core.sell_strategies.matching import ASSET_CLASSES, may_fit
from sellctl.core.sell_strategies.strategy_one import StrategyOne
from sellctl.core.structures.named import NamedStructure
from sellctl.core.structures.recognition import SPREADS

OwnStrategies = Mapping[int, BaseStrategy]
NO_OWN: OwnStrategies = MappingProxyType({})
_PREEMPT_FROM = {Preempt.NEVER: None, Preempt.FORCED: Urgency.FORCED, Preempt.PROTECTIVE: Urgency.PROTECTIVE}


class Policy(Struct, frozen=True):
    """The settings of one account. `zero_day` and `backstop` are None when they are switched off."""

    account: str
    paper: bool
    account_number: str | None
    strategies: tuple[BaseStrategy, ...]
    zero_day: ZeroDay | None
    zero_day_shorts: bool
    short_action: ShortAction
    short_classes: frozenset[AssetClass]
    cash_secured_puts: PutAction
    allow_legging_out: bool
    preempt: Urgency | None  # exits this urgent or more may cancel the user's own order; None: none may
    style: Style
    protective_market: bool
    walks: Mapping[Urgency, WalkConfig]
    backstop: BackstopConfig | None
    backstop_classes: frozenset[AssetClass]
    stale_after: dt.timedelta
    stale_scope: CancelScope
    max_position_age: dt.timedelta
    exclude: tuple[ExcludeConfig, ...]
    account_guard: AccountGuardConfig
    structure_kinds: frozenset[StructureKind]  # the kinds that are looked for; none when no match uses structures
    structure_matches: tuple[MatchConfig, ...]  # the matches that name kinds of structures
    recognises_structures: bool  # whether those of other kinds are shown, and closed by hand, by their names
    named_structures: tuple[NamedStructure, ...]
    needs_underlyings: bool
    price_basis: PriceBasisConfig
    needs_openings: bool  # whether a rule or a match uses the opening orders
    program: str = "sellctl"  # how the user calls it, with --config, for sentences that name a command

    @property
    def guards_the_account(self) -> bool:
        """Whether the day's profit or loss of the whole account has a limit."""
        return self.account_guard.loss is not None or self.account_guard.profit is not None

    def may_match(self, structure: str) -> bool:
        """Whether a match may fit the structure of that name: its kind, and what else of it never changes."""
        return any(may_fit(match, structure) for match in self.structure_matches)

    def excludes(self, symbol: str, underlying: str) -> bool:
        """Whether `manage.exclude` has an entry that matches the symbol in this account."""
        return bool(self.exclude) and any(_fits(entry, self.account, symbol, underlying) for entry in self.exclude)


def compile_policy(config: Config, account: str, own: OwnStrategies = NO_OWN, program: str = "sellctl") -> Policy:
    """The policy of one account of the configuration. `own` are user-defined strategies by their index."""
    sell = config.sell_module
    strategies = _strategies(config, account, own)
    entries = [entry for entry in sell.strategies if not entry.match.account or account in entry.match.account]
    return Policy(
        account=account,
        paper=config.accounts[account].paper,
        account_number=config.accounts[account].account_number,
        strategies=strategies,
        zero_day=ZeroDay(sell.zero_day) if sell.zero_day_handling else None,
        zero_day_shorts=sell.zero_day.shorts,
        short_action=sell.short_positions.action,
        short_classes=frozenset(ASSET_CLASSES[kind] for kind in sell.short_positions.assets),
        cash_secured_puts=sell.short_positions.cash_secured_puts,
        allow_legging_out=sell.allow_legging_out,
        preempt=_PREEMPT_FROM[sell.take_over],
        style=config.execution.style,
        protective_market=config.execution.protective_market,
        walks={Urgency.TIME: config.execution.walk.time, Urgency.PROFIT: config.execution.walk.profit},
        backstop=_backstop(config.execution.backstop),
        backstop_classes=frozenset(ASSET_CLASSES[kind] for kind in config.execution.backstop.assets),
        stale_after=dt.timedelta(seconds=float(sell.order_cancel_minutes * Decimal(60))),
        stale_scope=sell.order_cancel_scope,
        max_position_age=max(sell.max_position_age, 2 * sell.check_interval),
        exclude=sell.manage.exclude,
        account_guard=sell.account_guard,
        structure_kinds=_structure_kinds(entries, recognised=sell.structures is not None),
        structure_matches=tuple(entry.match for entry in entries if entry.match.structure),
        recognises_structures=sell.structures is not None,
        named_structures=named_structures(sell),
        needs_underlyings=any(strategy.needs_underlying for strategy in strategies),
        price_basis=sell.price_basis,
        needs_openings=any(_needs_openings(entry) for entry in entries),
        program=program,
    )


def _structure_kinds(entries: Iterable[StrategyConfig], *, recognised: bool) -> frozenset[StructureKind]:
    """The kinds that a match names, and with any of them the spreads: what is in one is no single leg."""
    named = frozenset(kind for entry in entries for kind in entry.match.structure)
    if not named:
        return named
    return named | SPREADS if recognised else frozenset({StructureKind.SINGLE})


def named_structures(sell: SellModuleConfig) -> tuple[NamedStructure, ...]:
    """The structures that the user names, in the order of the configuration."""
    return tuple(_named(entry) for entry in sell.structures or ())


def _named(entry: StructureConfig) -> NamedStructure:
    legs = tuple((leg.symbol, leg.ratio) for leg in entry.legs)
    return NamedStructure(entry.name or "", legs, entry.order or "")


def _backstop(wanted: BackstopConfig) -> BackstopConfig | None:
    return None if wanted.stop is None and wanted.trail is None else wanted


def _strategies(config: Config, account: str, own: OwnStrategies) -> tuple[BaseStrategy, ...]:
    """The strategies of this account, strategy one last. The first that matches a position manages it."""
    sell = config.sell_module
    declared = (
        own_or_declared(index, entry, sell.price_basis, own)
        for index, entry in enumerate(sell.strategies)
        if not entry.match.account or account in entry.match.account
    )
    return (*declared, *_strategy_one(config))


def _needs_openings(entry: StrategyConfig) -> bool:
    """Whether a rule or a match depends on the order that opened a position, or on its time."""
    rules = entry.rules
    rest = (rules.max_hold, rules.roi_table, rules.trailing_stop, rules.breakeven, rules.profit_lock)
    return bool(entry.use or entry.match.tag or rules.scale_out or any(rest))


def own_or_declared(index: int, entry: StrategyConfig, basis: PriceBasisConfig, own: OwnStrategies) -> BaseStrategy:
    """The strategy of one entry of `sell_module.strategies`. KeyError when its class was not loaded."""
    name = entry.name or entry.use or f"strategy {index + 1}"
    if entry.use:
        return Narrowed(name=name, match=entry.match, inner=own[index])
    return Declared(name=name, match=entry.match, compiled=rules_of(entry.rules, basis))


def _strategy_one(config: Config) -> tuple[BaseStrategy, ...]:
    one = config.sell_module.strategy_one
    basis = config.sell_module.price_basis
    if not one.enabled:
        return ()
    return (
        StrategyOne(
            profit_rate=one.profit_rate,
            stop_loss_rate=one.stop_loss_rate,
            applies_to=one.applies_to,
            profit_basis=basis.profit,
            loss_basis=basis.loss,
        ),
    )


def _fits(entry: ExcludeConfig, account: str, symbol: str, underlying: str) -> bool:
    pairs = ((entry.symbol, symbol), (entry.underlying, underlying), (entry.account, account))
    given = [(wanted, actual) for wanted, actual in pairs if wanted]
    return bool(given) and all(actual in wanted for wanted, actual in given)
