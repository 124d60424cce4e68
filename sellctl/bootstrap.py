"""Config -> Runtime: the composition root. It connects the core to its adapters and imports them inside functions."""

import hashlib
import importlib.util
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from sellctl import __version__
from sellctl.core.config.secrets import key_fingerprint
from sellctl.core.config_manager import ConfigManager, LoadedConfig, state_dir
from sellctl.core.decision.policy import OwnStrategies, Policy, compile_policy
from sellctl.core.errors import AuthError, BusyError, ConfigError, JournalError, SafetyRefusalError
from sellctl.core.events import EventPublisher
from sellctl.core.leases.fenced_store import FencedEpisodeStore
from sellctl.core.leases.permit import SendPermit, Unleased
from sellctl.core.market_clock import MarketClock
from sellctl.core.model.account_state import RunMode
from sellctl.core.model.event import Event, EventKind, Severity
from sellctl.core.model.view import mode_of
from sellctl.core.order_manager import OrderManager
from sellctl.core.orders.order_book import OrderBook
from sellctl.core.position_manager import PositionManager
from sellctl.core.price_tracker import PriceTracker
from sellctl.core.scheduler import AccountScheduler
from sellctl.core.sell_watcher import SellWatcher, WatcherOptions
from sellctl.core.tick_handler import TickHandler
from sellctl.core.tracking.episodes import Episodes
from sellctl.core.tracking.remembered_facts import RememberedFacts
from sellctl.core.tracking.splits import SplitsOfDay
from sellctl.core.watching.account_observer import AccountObserver
from sellctl.core.watching.fact_refresher import FactRefresher
from sellctl.core.watching.manual_requests import ALL, CommandRequest, ExitTerms, ManualRequests
from sellctl.core.watching.split_reader import SplitReader
from sellctl.core.watching.start_check import StartCheck, start_check
from sellctl.installation import missing_extra
from sellctl.journal.location import PostgresLocation, require_driver
from sellctl.service.config_in_use import in_use
from sellctl.service.descriptors import ensure_descriptors
from sellctl.service.facts_file import FactsFile
from sellctl.service.halt_flag import HaltOrigin
from sellctl.service.host_clock import LeaseClock, RealClock
from sellctl.service.hosts import BesideHosts, require_shared
from sellctl.service.observing import spread
from sellctl.service.person import at_the_command_line
from sellctl.service.state_folder import StateFolder
from sellctl.user_strategies.entries import own_strategies

if TYPE_CHECKING:
    import datetime as dt

    from sellctl.core.config.schema import Config
    from sellctl.core.leases.lease_table import LeaseTable
    from sellctl.core.leases.model import LeaseView
    from sellctl.core.model.intent import IntendedOrder, Intent, OpenOrder
    from sellctl.core.model.plan import CancelOrder, Plan
    from sellctl.core.model.snapshot import AccountFacts, Snapshot
    from sellctl.core.ports import Broker, Clock, EpisodeStore, Journal
    from sellctl.service.leased_accounts import LeasedAccounts
    from sellctl.service.options import Options
    from sellctl.telemetry.telemetry import Telemetry

_NOT_WATCHED = (AuthError, SafetyRefusalError, BusyError)  # the account's key is refused, or it isn't for this process


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a command requires of a runtime.

    `what` is the command; it is recorded with the account's lock, so that another process can name it. `accounts` are
    names, empty for all that are enabled.
    `closing` are symbols to close, and `terms` say how by account, where it isn't all at the usual pace; `panic` closes
    everything managed; `only` limits what is executed to these symbols.
    `requests` are changes to the rules that are set for positions.
    """

    what: str
    mode: RunMode
    accounts: Sequence[str] = ()
    closing: frozenset[str] = frozenset()
    terms: Mapping[str, ExitTerms] = field(default_factory=dict)
    only: frozenset[str] | None = None
    requests: tuple[CommandRequest, ...] = ()
    panic: bool = False
    is_preview: bool = False  # a dry run that shows what is then asked of whoever watches the account
    streams: bool = False  # stream prices and order updates
    yes: bool = False  # --yes was given: don't ask before the first run with real money
    checks_structures: bool = False  # a structure that the user names and that was never held whole ends it
    observed: bool = False  # make traces and metrics, where the configuration wants them
    serves_metrics: bool = False  # `/metrics` can be asked for
    host_id: str = ""  # the name of this host where several share the accounts
    observes: bool = False  # a dry run that records what is asked of it, and passes it to the hosts

    @property
    def acts(self) -> bool:
        """Whether anything may be sent."""
        return self.mode is not RunMode.DRY_RUN


@dataclass(slots=True)
class Runtime:
    """The assembled objects of one run. Call `close` when done."""

    loaded: LoadedConfig
    scheduler: AccountScheduler
    clock: "Clock"
    state: StateFolder
    program: str  # how the user calls sellctl, with --config, for hints
    journal: "Journal"  # for notes; the watchers of a run that sends nothing write none of their own
    observes: bool = False  # what is asked is passed to the hosts that act
    telemetry: "Telemetry | None" = None
    leased: "LeasedAccounts | None" = None  # of a host that shares its accounts: the scheduler begins without any
    _closers: list[Callable[[], None]] = field(default_factory=list)

    @property
    def halted(self) -> str:
        """Why nothing new is sent, by this machine's flag or because all hosts are halted; "" when neither is so."""
        return self.state.halted() or (self.leased.keeper.halted if self.leased else self.state.all_halted)

    @property
    def hosts(self) -> "LeaseView | None":
        """The hosts that share the journal, as of the last look; None where the journal is this machine's own."""
        return self.state.hosts

    @property
    def is_healthy(self) -> bool:
        """Whether an account is watched that may be, or this is one of several hosts and has none to watch now.

        A broker or a database that fails is no reason to call a process unhealthy: a new one would fare no better.
        """
        states = self.scheduler.states
        if self.leased and not states:
            return True
        return any(state.has_polled and not isinstance(state.problem, _NOT_WATCHED) for state in states)

    def take_config(self, loaded: LoadedConfig) -> None:
        """Continue with another configuration: its intervals take effect and every account is polled at once."""
        self.loaded = loaded
        self.state.uses_config(in_use(loaded, self.clock.now()))
        interval = loaded.config.sell_module.check_interval
        self.scheduler.set_interval(spread(interval) if self.observes else interval)
        self.scheduler.prices.set_confirmation_delay(loaded.config.guards.confirm)
        self.scheduler.read_at_once(watcher.name for watcher in self.scheduler.watchers)

    def close(self) -> None:
        """Close connections and files, and release locks."""
        for closer in reversed(self._closers):
            closer()


def load(options: "Options", *, notifies: bool = False, chats: bool = False) -> LoadedConfig:
    """The configuration that the options and the environment name, with the log set up to hide its secrets.

    The secrets of recipients and heartbeat are looked up with `notifies` only: what sends no notification, such as
    `panic`, works without them. So it is with the token of the chat and `chats`.
    """
    from sellctl.service.logs import configure  # noqa: PLC0415  help and completion don't need it

    configure(options.debug, options.log_file, log_format=options.log_format)
    loaded = ConfigManager(options.config, with_notify=notifies, with_chat=chats).load()
    configure(options.debug, options.log_file, loaded.secrets(), options.log_format)
    return loaded


def assemble(
    loaded: LoadedConfig,
    options: "Options",
    run_options: RunOptions,
    listener: Callable[[Event], None],
    clock: "Clock | None" = None,
) -> Runtime:
    """Build the runtime of the requested accounts. ConfigError or SafetyRefusalError before any request is sent."""
    from sellctl.alpaca.connect import connect  # noqa: PLC0415  the adapter loads aiohttp

    config = _chosen(loaded.config, run_options.accounts)
    _require_live_option(config, options, run_options)
    clock = clock or RealClock()
    telemetry = _telemetry(loaded, run_options, clock)
    listener = telemetry.listening(listener) if telemetry else listener
    state = state_of(options, loaded)
    leases = open_leases(state) if run_options.host_id else None
    state.uses_config(in_use(loaded, clock.now()))
    facts = RememberedFacts(FactsFile(state.facts) if run_options.acts else None)
    observe = telemetry.requested if telemetry else None
    connected = connect(config, monotonic=clock.monotonic, facts=facts, now=clock.now, observe=observe)
    market_clock = MarketClock(tuple(connected.brokers.values()), clock, facts)
    now = _time_of(market_clock, clock)
    prices = PriceTracker(connected.quotes, clock, config.guards.confirm, lambda: market_clock.instant)
    closers: list[Callable[[], None]] = [connected.close, state.release, state.remove_health]
    records = open_records(loaded, state, now, run_options, closers)
    if telemetry:
        telemetry.start(now, market_clock, prices, connected.budgets_left)
        records = replace(records, journal=telemetry.observing(records.journal, listener))
        closers.insert(0, telemetry.close)  # the last to be called: no lock waits for a collector
    closers.append(state.close_shared)
    _look_at_hosts(state, run_options, tuple(connected.brokers))
    if records.alarm:
        listener(Event(clock.now(), records.alarm, severity=Severity.ERROR, kind=EventKind.ALERT))
    if shortage := ensure_descriptors(len(config.accounts)):
        listener(Event(clock.now(), shortage, severity=Severity.WARNING, kind=EventKind.ALERT))
    splits = SplitsOfDay()
    shared = _Shared(
        records,
        prices,
        splits,
        facts,
        clock,
        now,
        listener,
        state,
        run_options,
        own_strategies(loaded),
        options.command(),
    )
    brokers = () if run_options.host_id else connected.brokers.values()
    permits = {name: BesideHosts(state, name) if run_options.acts else Unleased() for name in connected.brokers}
    watchers = [_watcher(config, each, shared, permits[each.name]) for each in brokers]
    publish = EventPublisher("", now, listener, records.journal)
    tick_handler = None
    if run_options.streams:
        from sellctl.alpaca.streams import AlpacaStreams  # noqa: PLC0415  only runs with streams need it

        tick_handler = TickHandler(watchers, AlpacaStreams(config), prices, market_clock, clock, publish)
    scheduler = AccountScheduler(
        watchers,
        market_clock,
        prices,
        clock,
        spread(config.sell_module.check_interval) if run_options.observes else config.sell_module.check_interval,
        publish,
        tick_handler,
        SplitReader(connected.quotes, splits, clock, publish),
        FactRefresher(facts, market_clock, connected.quotes, clock) if run_options.acts else None,
        _start_check(loaded, watchers) if run_options.checks_structures else None,
    )
    leased = _leased(config, connected.brokers, shared, scheduler, leases) if leases else None
    if leased and telemetry:
        leased.count = telemetry.lease_changed
    return Runtime(
        loaded,
        scheduler,
        clock,
        state,
        options.command(),
        records.notes,
        run_options.observes,
        telemetry,
        leased,
        closers,
    )


@dataclass(frozen=True, slots=True)
class Leases:
    """The lease table that hosts share, and a clock that goes on while the host is suspended."""

    table: "LeaseTable"
    clock: "Clock"


def open_leases(state: StateFolder) -> Leases:
    """The leases of the journal that hosts share. ConfigError when the journal is this machine's own."""
    hint = "Give `journal: {url: ...}` a PostgreSQL database, or leave --host-id out on a single machine."
    location = require_shared(state, "--host-id", hint).location
    from sellctl.journal.leases.postgres_table import PostgresLeaseTable  # noqa: PLC0415  loads the driver

    return Leases(PostgresLeaseTable(location.conninfo, location.schema), LeaseClock())


def _look_at_hosts(state: StateFolder, run_options: RunOptions, accounts: Sequence[str]) -> None:
    """Know, before anything is sent, which hosts share the journal, their halt and what is exempt.

    JournalError when a run that acts can't know it; one that sends nothing goes on without.
    """
    try:
        state.look_at_shared(accounts=() if run_options.host_id else accounts, acts=run_options.acts)
    except JournalError:
        if run_options.acts:
            raise
        return
    leads_to_orders = run_options.acts or run_options.is_preview
    if state.hosts and leads_to_orders and not run_options.host_id and not state.hosts.halted:
        state.lift_told_halt(state.hosts.halt_number)  # it was resumed on another machine


def _leased(
    config: "Config",
    brokers: "Mapping[str, Broker]",
    shared: "_Shared",
    scheduler: AccountScheduler,
    leases: Leases,
) -> "LeasedAccounts":
    """What lets the accounts join and leave the scheduler with their leases."""
    from sellctl.service.leased_accounts import LeasedAccounts  # noqa: PLC0415  only here

    def make_watcher(account: str, permit: SendPermit) -> SellWatcher:
        return _watcher(config, brokers[account], shared, permit, lambda: leased.keeper.halted)

    leased = LeasedAccounts(scheduler, make_watcher, shared.state, scheduler.publish)
    host = shared.run_options.host_id
    leased.share_by(leases.table, leases.clock, host, uuid.uuid4().hex, frozenset(brokers))
    return leased


@dataclass(frozen=True, slots=True)
class Records:
    """The journal and the store of episodes. `alarm` is what is wrong with the journal; "" when nothing is.

    `set_account_number` is called for each account before anything recorded of it is applied (ports.Journal). `notes`
    is the journal for what is asked of the run; that of its watchers may write nothing.
    """

    journal: "Journal"
    notes: "Journal"
    episode_store: "EpisodeStore"
    set_account_number: Callable[[str, str], str]
    alarm: str = ""


@dataclass(frozen=True, slots=True)
class _Shared:
    """The objects that all watchers share."""

    records: Records
    prices: PriceTracker
    splits: SplitsOfDay
    facts: RememberedFacts
    clock: "Clock"
    now: "Callable[[], dt.datetime]"
    listener: Callable[[Event], None]
    state: StateFolder
    run_options: RunOptions
    own: OwnStrategies
    program: str


def state_of(options: "Options", loaded: LoadedConfig | None = None) -> StateFolder:
    """The state folder that the options, the environment and the configuration name; simulated accounts have another.

    Without a loaded configuration, only `simulator` is looked for in its file. ConfigError when the file is named and
    missing, or mentions `simulator` and can't be parsed: what is meant for simulated accounts never reaches real ones.
    """
    manager = ConfigManager(options.config)
    simulator = loaded.config.simulator if loaded else manager.is_simulated()
    url = partial(str, loaded.config.journal.url or "") if loaded else cache(manager.journal_url)
    return StateFolder(state_dir(options.state_dir, simulator=simulator), journal_url=url, simulated=simulator)


def state_to_halt(options: "Options") -> tuple[StateFolder, str]:
    """The state folder for a halt, which needs no valid configuration; and what is wrong with it, or "".

    With a configuration that can't be read, it is the folder of real accounts.
    """
    try:
        return state_of(options), ""
    except ConfigError as error:
        return StateFolder(state_dir(options.state_dir)), str(error)


def policies(loaded: LoadedConfig, options: "Options", accounts: Sequence[str]) -> list[Policy]:
    """The policy of each account; no request is sent."""
    own = own_strategies(loaded)
    program = options.command()
    return [compile_policy(loaded.config, name, own, program) for name in _chosen(loaded.config, accounts).accounts]


def unconfirmed_live(loaded: LoadedConfig, options: "Options", run_options: RunOptions) -> dict[str, str]:
    """Live accounts whose use hasn't been confirmed yet: a hash of the API key by account name.

    Empty without --live.
    """
    accounts = _chosen(loaded.config, run_options.accounts).accounts
    fingerprints = {name: key_fingerprint(account.api_key) for name, account in accounts.items() if not account.paper}
    confirmed = state_of(options, loaded).confirmed_live()
    return {name: known for name, known in fingerprints.items() if known not in confirmed and options.live}


def note(state: StateFolder, kind: str, detail: Mapping[str, object], account: str = "") -> None:
    """Write one note outside a run. JournalError when it can't be written."""
    from sellctl.journal.opening import open_journal  # noqa: PLC0415  SQLAlchemy loads only when something is written

    state.make()
    journal = open_journal(state.journal, RealClock().now)
    try:
        journal.note(account, kind, detail)
    finally:
        journal.close()


def _telemetry(loaded: LoadedConfig, run_options: RunOptions, clock: "Clock") -> "Telemetry | None":
    """What makes traces and metrics of a run; None when it isn't configured. ConfigError without the extra."""
    wanted = loaded.config.telemetry
    with_page = wanted.prometheus and run_options.serves_metrics
    if not (run_options.observed and run_options.acts and (wanted.endpoint is not None or with_page)):
        return None
    if importlib.util.find_spec("opentelemetry.sdk") is None or importlib.util.find_spec("prometheus_client") is None:
        sentence, hint = missing_extra("telemetry", "telemetry")
        raise ConfigError(sentence, hint=hint)
    from sellctl.service.logs import redactor  # noqa: PLC0415  loads loguru
    from sellctl.telemetry.sdk import sdk_of  # noqa: PLC0415  OpenTelemetry loads only where it is used
    from sellctl.telemetry.telemetry import Telemetry  # noqa: PLC0415  likewise

    news: deque[str] = deque()  # of other threads, for the listener on the event loop
    sdk = sdk_of(wanted, news.append, with_page=with_page)
    return Telemetry(sdk, clock, redactor(loaded.secrets()), news)


def _watcher(
    config: "Config",
    broker: "Broker",
    shared: _Shared,
    permit: SendPermit,
    all_halted: Callable[[], str] | None = None,
) -> SellWatcher:
    """An account's watcher, with its permit; a host says itself why all of them are halted."""
    name, clock, state, run_options = broker.name, shared.clock, shared.state, shared.run_options
    journal = shared.records.journal
    policy = compile_policy(config, name, shared.own, shared.program)
    basis = config.sell_module.price_basis.loss
    store = shared.records.episode_store
    episodes = Episodes(name, FencedEpisodeStore(store, permit))
    book = OrderBook()
    positions = PositionManager(
        shared.prices,
        clock,
        episodes,
        book,
        basis,
        kinds=policy.structure_kinds,
        may_match=policy.may_match,
        splits=shared.splits,
        facts=shared.facts,
    )
    publish = EventPublisher(name, shared.now, shared.listener, journal)

    def halted() -> str:
        return state.halted() or (all_halted() if all_halted else state.all_halted)

    orders = OrderManager(name, broker, journal, book, positions, clock, publish, halted, permit)
    admit = _admission(policy, shared, publish, permit, changes_number=config.simulator)
    return SellWatcher(
        name=name,
        policy=policy,
        journal=journal,
        positions=positions,
        orders=orders,
        observer=AccountObserver(broker, positions, orders, clock, publish, admit),
        clock=clock,
        publish=publish,
        options=WatcherOptions(
            mode=run_options.mode,
            only=run_options.only,
            exempt=state.exemptions,
            resumed=partial(state.take_rules_to_resume, name) if run_options.acts else frozenset,
            halt=lambda why: state.halt(why, "sellctl", HaltOrigin.GUARD),
        ),
        requests=ManualRequests.of(
            run_options.closing,
            run_options.terms.get(name, ALL),
            panic=run_options.panic,
            changes=run_options.requests,
        ),
    )


def _start_check(loaded: LoadedConfig, watchers: Sequence[SellWatcher]) -> StartCheck | None:
    """The check of the structures that the user names; None without any, or where not every account is read."""
    named = next((watcher.policy.named_structures for watcher in watchers), ())
    return start_check(named, loaded.error_about) if named and len(watchers) == len(loaded.config.accounts) else None


def _admission(
    policy: Policy, shared: _Shared, publish: EventPublisher, permit: SendPermit, *, changes_number: bool
) -> "Callable[[AccountFacts], None]":
    """A check of an account's facts before anything of the account is used.

    It refuses an account whose number isn't the configured one or has changed since the first check, that another
    process has locked, or that a host watches. The first check says whether what was remembered is about this account,
    unless it is one that changes its number at each start, as a simulated one does.
    """
    admitted = ""

    def admit(facts: "AccountFacts") -> None:
        nonlocal admitted
        if policy.account_number not in {None, facts.number}:
            raise SafetyRefusalError(
                f"The key of account {facts.name} belongs to {facts.number}, not to {policy.account_number}.",
                hint="Correct account_number or the key.",
            )
        if admitted not in {"", facts.number}:
            raise SafetyRefusalError(
                f"The key of account {facts.name} belongs to {facts.number} now, and did to {admitted}.",
                hint="Start sellctl again to manage the new account.",
            )
        if shared.run_options.acts:
            permit.require()
            shared.state.lock(facts.number, shared.run_options.what)
        if not admitted:
            before = shared.records.set_account_number(facts.name, facts.number)
            if before and not changes_number:
                publish("", EventKind.ALERT, _another_account(before, facts.number), failed=True, critical=True)
        admitted = facts.number

    return admit


def _another_account(before: str, now: str) -> str:
    return (
        f"the key of this account belongs to {now} now, and did to {before} until now: nothing that was remembered of "
        f"{before} is applied to {now}, and orders that work in {before} are not followed"
    )


def _time_of(market_clock: MarketClock, clock: "Clock") -> "Callable[[], dt.datetime]":
    """A function that returns the broker's time, or the host's while the broker's is unknown."""

    def now() -> "dt.datetime":
        return market_clock.instant or clock.now()

    return now


def _chosen(config: "Config", names: Sequence[str]) -> "Config":
    """The configuration with only the accounts named; all that are enabled when none is."""
    unknown = [name for name in names if name not in config.accounts]
    if unknown:
        raise ConfigError(f"No account is called {unknown[0]}.", hint=f"There are: {', '.join(config.accounts)}.")
    off = [name for name in names if not config.accounts[name].enabled]
    if off:
        raise ConfigError(f"Account {off[0]} has enabled: false.", hint="Set it to true to use it.")
    wanted = {n: a for n, a in config.accounts.items() if a.enabled and (not names or n in names)}
    return replace(config, accounts=wanted)


def check_live(loaded: LoadedConfig, options: "Options", run_options: RunOptions) -> None:
    """What `assemble` checks before any request: SafetyRefusalError when real money would be traded without --live."""
    _require_live_option(_chosen(loaded.config, run_options.accounts), options, run_options)


def _require_live_option(config: "Config", options: "Options", run_options: RunOptions) -> None:
    """Raise SafetyRefusalError when a live account would be traded without --live or SELLCTL_LIVE=1."""
    live = [name for name, account in config.accounts.items() if not account.paper]
    if live and not options.live and run_options.acts:
        raise SafetyRefusalError(
            f"Account {live[0]} trades real money, and --live was not given.",
            hint="Add --live (or SELLCTL_LIVE=1), try --dry-run first, or name paper accounts with --account.",
        )


def open_records(
    loaded: LoadedConfig,
    state: StateFolder,
    now: "Callable[[], dt.datetime]",
    run_options: RunOptions,
    closers: list[Callable[[], None]],
) -> Records:
    """The journal and the store of episodes. A dry run reads the episodes and writes nothing itself."""
    from sellctl.journal.episode_store import DryRunEpisodeStore, SqlEpisodeStore  # noqa: PLC0415  loads SQLAlchemy
    from sellctl.journal.opening import open_journal  # noqa: PLC0415  loads SQLAlchemy
    from sellctl.service.logs import redactor  # noqa: PLC0415  loads loguru

    episode_store = DryRunEpisodeStore(state.journal)
    nothing = Records(NoJournal(), NoJournal(), episode_store, episode_store.set_account_number)
    if not run_options.acts and not run_options.observes:
        return nothing
    state.make()
    fencing: dict[str, Any] = {}
    if run_options.host_id:
        from sellctl.journal.leases.postgres_table import check_intent  # noqa: PLC0415  loads the driver

        fencing["intent_check"] = check_intent
    elif isinstance(state.journal, PostgresLocation):
        require_driver()
        from sellctl.journal.leases.postgres_table import check_unleased_intent  # noqa: PLC0415  loads the driver

        fencing["intent_check"] = check_unleased_intent
    journal = open_journal(state.journal, now, redact=redactor(loaded.secrets()), **fencing)
    closers.append(journal.close)
    config = loaded.config
    modes = {
        name: mode_of(paper=account.paper, simulated=config.simulator).value
        for name, account in config.accounts.items()
    }
    journal.run_started(
        __version__, _fingerprint(loaded), modes, {"command": run_options.what, "by": at_the_command_line()}
    )
    if run_options.observes:
        return replace(nothing, notes=journal, alarm=journal.alarm)
    return Records(journal, journal, SqlEpisodeStore(journal.database), journal.set_account_number, journal.alarm)


def _fingerprint(loaded: LoadedConfig) -> str:
    """A hash of the configuration as `config show` prints it, with secrets masked."""
    text = "\n".join(f"{row.key}={row.value}" for row in loaded.show())
    return hashlib.sha256(text.encode()).hexdigest()


class NoJournal:
    """The journal of a dry run: nothing is sent, so nothing is written."""

    def set_account_number(self, _account: str, _number: str) -> str:
        """Always "": nothing is recorded."""
        return ""

    async def plan_made(self, snapshot: "Snapshot", plan: "Plan") -> None:
        """Do nothing."""

    async def intend(
        self,
        account: str,
        orders: "Sequence[IntendedOrder]",
        cancels: "Sequence[CancelOrder]",
        *,
        fence: int | None = None,  # noqa: ARG002  a dry run has no lease
    ) -> None:
        """Raise AssertionError: a dry run sends and cancels nothing, so this must never be called."""
        raise AssertionError(f"a dry run of {account} tried to send {orders} and to cancel {cancels}")

    def intent_of(self, _account: str, _client_order_id: str) -> "Intent | None":
        """Always None: nothing is recorded."""
        return None

    async def accepted(self, account: str, client_order_id: str, detail: Mapping[str, object]) -> None:
        """Do nothing."""

    def outcome(self, account: str, client_order_id: str, kind: str, detail: Mapping[str, object]) -> None:
        """Do nothing."""

    def record_fill(self, _account: str, _client_order_id: str, _detail: Mapping[str, object]) -> Decimal:
        """Always 0: nothing is recorded."""
        return Decimal(0)

    def note(self, account: str, kind: str, detail: Mapping[str, object]) -> None:
        """Do nothing."""

    def noted_today(self, _account: str, _kind: str) -> Sequence[str]:
        """Always empty: nothing is recorded."""
        return ()

    def filled_since(self, _account: str, _start: "dt.datetime") -> "Mapping[str, dt.datetime]":
        """Always empty: nothing is recorded."""
        return {}

    def open_orders(self, _account: str) -> Sequence["OpenOrder"]:
        """Always empty: nothing is recorded."""
        return ()

    def realised(self, _account: str) -> Decimal | None:
        """Always None: a dry run doesn't open the journal."""
        return None
