"""Scenarios: reading a YAML file, and building the exchange that it describes. Defines every key of the format."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from importlib import resources
from pathlib import Path as FilePath
from typing import Any

from sellctl.core.errors import ConfigError
from sellctl.core.text import did_you_mean
from sellctl.sim.faults.catalogue import CATALOGUE
from sellctl.sim.market.calendar import NEW_YORK
from sellctl.sim.market.market import Market
from sellctl.sim.market.price_paths import DEFAULT_SIZE, Fixed, Jump, Linear, Path, Segment, TwoSidedQuote, Walk, level
from sellctl.sim.scenario import events
from sellctl.sim.scenario.yaml_reader import Item, read_yaml
from sellctl.sim.settings import Settings
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.orders import SimPosition

DEFAULT = "default"
ENDS = ("flat", "held", "untouched", "canceled", "filled", "open", "refused")
ACCOUNT_KEYS = (
    "key", "secret", "number", "cash", "refused", "options_level", "sip", "opra", "trading_blocked",
    "positions", "orders", "configuration",
)  # fmt: skip
POSITION_KEYS = ("symbol", "qty", "entry", "lastday")
ORDER_KEYS = (
    "symbol", "side", "qty", "notional", "type", "limit_price", "stop_price", "trail_price", "trail_percent",
    "time_in_force", "client_order_id", "position_intent", "order_class", "take_profit", "stop_loss", "legs",
    "extended_hours", "age",
)  # fmt: skip
QUOTE_KEYS = ("bid", "ask", "mid", "spread", "bid_size", "ask_size")
SEGMENT_KEYS = ("at", "fixed", "jump", "linear", "walk")
EVENT_KEYS = ("at", "order", "cancel", "quote", "misbehave", "behave", "halt", "resume", "split", "transfer", "set")
EXPECTATION_KEYS = ("account", "symbol", "order", "ends", "reason", "text")
TOP_KEYS = (
    "name", "description", "start", "speed", "until", "settings", "accounts", "prices", "events", "misbehaviours",
    "promises",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Expectation:
    """An outcome expected at the end of the scenario. `reason` is the exit reason expected in the journal, or ""."""

    account: str
    ends: str
    symbol: str = ""
    order: str = ""
    reason: str = ""
    text: str = ""


@dataclass(slots=True)
class Scenario:
    """A scenario. `speed` is simulated seconds per second, 0 stops the clock; `until` is its end.

    `start_id` is a part of all ids that the exchange makes; "" in every start that is to repeat the last one.
    """

    name: str
    start: dt.datetime
    speed: Decimal = Decimal(1)
    until: dt.datetime | None = None
    description: str = ""
    settings: Settings = field(default_factory=Settings)
    accounts: list[SimAccount] = field(default_factory=list)
    orders: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    prices: dict[str, list[Segment]] = field(default_factory=dict)
    events: list[tuple[dt.datetime, Callable[[Exchange], None]]] = field(default_factory=list)
    expectations: tuple[Expectation, ...] = ()
    start_id: str = ""

    def exchange(self) -> Exchange:
        """The exchange at the scenario's start. Call it once: the exchange works on the scenario's own accounts."""
        market = Market({symbol: Path(list(segments)) for symbol, segments in self.prices.items()})
        exchange = Exchange(self.start, self.accounts, market, self.settings, start_id=self.start_id)
        for name, bodies in self.orders.items():
            exchange.load_orders(exchange.accounts[name], bodies)
        for when, action in self.events:
            if isinstance(action, events.Split):
                action.announce(exchange, when)
            exchange.at(when, action)
        exchange.advance_to(self.start)
        return exchange


def packaged() -> tuple[str, ...]:
    """The names of the scenarios that come with sellctl."""
    folder = resources.files("sellctl.sim.scenario") / "scenarios"
    return tuple(sorted(entry.name.removesuffix(".yml") for entry in folder.iterdir() if entry.name.endswith(".yml")))


def load_scenario(source: str | FilePath = DEFAULT) -> Scenario:
    """A scenario from a file, or by the name of one that comes with sellctl. ConfigError with file and line."""
    path = FilePath(source)
    if str(source) in packaged() and not path.exists():
        return parse_scenario(_packaged_text(str(source)), f"{source}.yml")
    try:
        return parse_scenario(path.read_text(encoding="utf-8"), str(source))
    except (OSError, UnicodeDecodeError) as error:
        near = did_you_mean(str(source), packaged())
        hint = near or f"The scenarios that come with sellctl: {', '.join(packaged())}."
        raise ConfigError(f"{source}: no scenario can be read there ({error}).", hint=hint) from None


def _packaged_text(name: str) -> str:
    return (resources.files("sellctl.sim.scenario") / "scenarios" / f"{name}.yml").read_text(encoding="utf-8")


def parse_scenario(text: str, file: str = "scenario") -> Scenario:
    """A scenario from its text. ConfigError with file and line, and for an unknown key with the most similar one."""
    top = read_yaml(text, file).fields(TOP_KEYS, required=("start",))
    start = top["start"].instant()
    scenario = Scenario(name=top["name"].text() if "name" in top else file, start=start)
    if "description" in top:
        scenario.description = top["description"].text()
    if "speed" in top:
        scenario.speed = _speed(top["speed"])
    if "until" in top:
        scenario.until = top["until"].instant(start)
    if "settings" in top:
        scenario.settings = read_settings(top["settings"])
    for name, item in top["accounts"].entries().items() if "accounts" in top else ():
        _read_account(scenario, name, item)
    for symbol, item in top["prices"].entries().items() if "prices" in top else ():
        scenario.prices[symbol] = read_path(item, start)
    for item in top["events"].items() if "events" in top else ():
        scenario.events.append(_read_event(item, scenario))
    for item in top["misbehaviours"].items() if "misbehaviours" in top else ():
        scenario.events.append((start, events.inject_fault(read_fault(item))))
    scenario.expectations = (
        tuple(_read_expectation(i, scenario) for i in top["promises"].items()) if "promises" in top else ()
    )
    return scenario


def _speed(item: Item) -> Decimal:
    speed = item.number()
    if speed < 0:
        item.fail("speed can't be below 0.")
    return speed


def read_settings(item: Item) -> Settings:
    """The `settings` block: each key is a field of Settings, read by the type of its default."""
    defaults = Settings()
    known = {each.name: getattr(defaults, each.name) for each in dataclasses.fields(Settings)}
    values = {key: _like(known[key], value) for key, value in item.fields(known).items()}
    return Settings(**values)


def _like(default: Any, item: Item) -> Any:
    if isinstance(default, bool):
        return item.flag()
    if isinstance(default, Decimal):
        return item.number()
    if isinstance(default, int):
        return item.whole()
    return float(item.number()) if isinstance(default, float) else item.duration()


def _read_account(scenario: Scenario, name: str, item: Item) -> None:
    fields = item.fields(ACCOUNT_KEYS)
    text = {key: fields[key].text() for key in ("key", "secret", "number") if key in fields}
    account = SimAccount(
        name=name,
        key=text.get("key", f"sim-{name}"),
        secret=text.get("secret", "sim-secret"),
        number=text.get("number", f"PASIM{len(scenario.accounts) + 1:04d}"),
        positions={p.symbol: p for p in map(_read_position, fields["positions"].items())}
        if "positions" in fields
        else {},
        configuration=fields["configuration"].plain() if "configuration" in fields else {},
    )
    readers: dict[str, Callable[[Item], Any]] = {
        "cash": Item.number, "refused": Item.whole, "options_level": Item.whole, "sip": Item.flag, "opra": Item.flag,
        "trading_blocked": Item.flag,
    }  # fmt: skip
    for key, read in readers.items():
        if key in fields:
            setattr(account, key, read(fields[key]))
    scenario.accounts.append(account)
    scenario.orders[name] = [read_order_body(i) for i in fields["orders"].items()] if "orders" in fields else []


def _read_position(item: Item) -> SimPosition:
    fields = item.fields(POSITION_KEYS, required=("symbol", "qty", "entry"))
    qty = fields["qty"].number()
    if qty == 0:
        fields["qty"].fail("qty can't be 0.")
    lastday = fields["lastday"].number() if "lastday" in fields else None
    return SimPosition(fields["symbol"].text(), qty, fields["entry"].number(), lastday)


def read_order_body(item: Item) -> dict[str, Any]:
    """An order as a request body. Defaults: `type` limit with a limit price, else market; `time_in_force` day."""
    fields = item.fields(ORDER_KEYS)
    body: dict[str, Any] = {key: field_item.plain() for key, field_item in fields.items() if key != "age"}
    for key in ("symbol", "side", "type", "time_in_force", "client_order_id", "position_intent", "order_class"):
        if key in fields:
            body[key] = fields[key].text()
    body.setdefault("type", "limit" if "limit_price" in body else "market")
    body.setdefault("time_in_force", "day")
    if "age" in fields:
        body["age"] = fields["age"].duration()
    return body


def read_path(item: Item, start: dt.datetime) -> list[Segment]:
    """A price path: one number (a mid), one quote, or a list of segments."""
    if item.is_scalar:
        return [Fixed(start, level(item.number()))]
    if item.is_mapping:
        return [Fixed(start, read_level(item))]
    segments: list[Segment] = []
    previous: TwoSidedQuote | None = None
    for part in item.items():
        segment = _read_segment(part, start, previous)
        segments.append(segment)
        previous = segment.to if isinstance(segment, (Fixed, Linear)) else previous
    return segments


def _read_segment(item: Item, start: dt.datetime, previous: TwoSidedQuote | None) -> Segment:
    fields = item.fields(SEGMENT_KEYS)
    at = fields["at"].instant(start) if "at" in fields else start
    kinds = [key for key in ("fixed", "jump", "linear", "walk") if key in fields]
    if len(kinds) != 1:
        item.fail("a segment of a path is one of fixed, jump, linear or walk.")
    kind = fields[kinds[0]]
    if kinds[0] == "fixed":
        return Fixed(at, read_level(kind, previous))
    if kinds[0] == "jump":
        return Jump(at, kind.number()) if kind.is_scalar else Fixed(at, read_level(kind, previous))
    if kinds[0] == "linear":
        return _read_linear(kind, at, start, previous)
    return _read_walk(kind, at)


def _read_linear(item: Item, at: dt.datetime, start: dt.datetime, previous: TwoSidedQuote | None) -> Linear:
    until = item.fields((*QUOTE_KEYS, "until"), required=("until",))["until"].instant(start)
    if until <= at:
        item.fail("until must come after at.")
    return Linear(at, until, read_level(item, previous, extra=("until",)))


def _read_walk(item: Item, at: dt.datetime) -> Walk:
    fields = item.fields(("seed", "sigma", "step", "drift"), required=("seed", "sigma"))
    step = fields["step"].duration().total_seconds() if "step" in fields else 1.0
    if step <= 0:
        fields["step"].fail("step must be above 0.")
    drift = float(fields["drift"].number()) if "drift" in fields else 0.0
    return Walk(at, fields["seed"].whole(), float(fields["sigma"].number()), step, drift)


def read_level(item: Item, previous: TwoSidedQuote | None = None, extra: tuple[str, ...] = ()) -> TwoSidedQuote:
    """A quote: one number (the mid), bid and ask (0 or null: no side), or mid and spread. Omitted sizes are kept."""
    spread = previous.spread if previous and previous.spread > 0 else Decimal("0.01")
    if item.is_scalar:
        return level(item.number(), spread)
    fields = item.fields((*QUOTE_KEYS, *extra))
    sizes = {
        key: fields[key].whole() if key in fields else getattr(previous, key, DEFAULT_SIZE)
        for key in ("bid_size", "ask_size")
    }
    if "mid" in fields:
        return level(fields["mid"].number(), fields["spread"].number() if "spread" in fields else spread, **sizes)
    if "bid" not in fields and "ask" not in fields:
        item.fail("a quote needs bid and ask, or mid.")
    return TwoSidedQuote(_side(fields, "bid"), _side(fields, "ask"), **sizes)


def _side(fields: dict[str, Item], key: str) -> Decimal | None:
    if key not in fields or fields[key].is_null:
        return None
    return fields[key].number() or None


def read_fault(item: Item) -> dict[str, Any]:
    """A fault's name and options; a name alone uses the defaults."""
    if item.is_scalar:
        return {"name": item.choice(CATALOGUE)}
    entries = item.entries()
    if "name" not in entries:
        item.fail("name is missing.")
    kind = CATALOGUE[entries["name"].choice(CATALOGUE)]
    common = ("name", "account", "symbol", "path", "method", "times", "rate")
    fields = item.fields((*common, *kind.params))
    options: dict[str, Any] = {key: each.plain() for key, each in fields.items()}
    if "rate" in fields:
        options["rate"] = fields["rate"].number()
    return options


def _read_event(item: Item, scenario: Scenario) -> tuple[dt.datetime, Callable[[Exchange], None]]:
    fields = item.fields(EVENT_KEYS, required=("at",))
    when = fields.pop("at").instant(scenario.start)
    if len(fields) != 1:
        item.fail("an event has at and exactly one of " + ", ".join(EVENT_KEYS[1:]) + ".")
    [(kind, value)] = fields.items()
    return when, _EVENT_READERS[kind](value, scenario)


def _order_event(item: Item, scenario: Scenario) -> events.ScenarioEvent:
    traded = ("legs",) if "legs" in item.entries() else ("symbol", "side")
    fields = item.fields((*ORDER_KEYS, "account"), required=("account", *traded))
    account = _known_account(fields["account"], scenario)
    body = {key: each.plain() for key, each in fields.items() if key not in {"account", "age"}}
    body.setdefault("type", "limit" if "limit_price" in body else "market")
    body.setdefault("time_in_force", "day")
    return events.manual_order(account, body)


def _cancel_event(item: Item, scenario: Scenario) -> events.ScenarioEvent:
    fields = item.fields(("account", "client_order_id", "symbol"), required=("account",))
    account = _known_account(fields["account"], scenario)
    client_id = fields["client_order_id"].text() if "client_order_id" in fields else ""
    return events.manual_cancel(account, client_id, fields["symbol"].text() if "symbol" in fields else "")


def _quote_event(item: Item, _scenario: Scenario) -> events.ScenarioEvent:
    fields = item.fields((*QUOTE_KEYS, "symbol"), required=("symbol",))
    return events.put_quote(fields["symbol"].text(), read_level(item, extra=("symbol",)))


def _split_event(item: Item, _scenario: Scenario) -> events.ScenarioEvent:
    fields = item.fields(("symbol", "ratio", "booked"), required=("symbol", "ratio"))
    booked = fields["booked"].flag() if "booked" in fields else True
    return events.Split(fields["symbol"].text(), fields["ratio"].number(), booked)


def _transfer_event(item: Item, scenario: Scenario) -> events.ScenarioEvent:
    fields = item.fields(("account", "amount"), required=("account", "amount"))
    return events.transfer(_known_account(fields["account"], scenario), fields["amount"].number())


def _set_event(item: Item, scenario: Scenario) -> events.ScenarioEvent:
    fields = item.fields(("account", "refused", "trading_blocked"), required=("account",))
    account = _known_account(fields["account"], scenario)
    values: dict[str, Any] = {}
    if "refused" in fields:
        values["refused"] = fields["refused"].whole()
    if "trading_blocked" in fields:
        values["trading_blocked"] = fields["trading_blocked"].flag()
    return events.set_account(account, values)


_EVENT_READERS: dict[str, Callable[[Item, Scenario], events.ScenarioEvent]] = {
    "order": _order_event,
    "cancel": _cancel_event,
    "quote": _quote_event,
    "misbehave": lambda item, _scenario: events.inject_fault(read_fault(item)),
    "behave": lambda item, _scenario: events.clear_fault(item.choice((*CATALOGUE, "all"))),
    "halt": lambda item, _scenario: events.halt(item.text()),
    "resume": lambda item, _scenario: events.resume(item.text()),
    "split": _split_event,
    "transfer": _transfer_event,
    "set": _set_event,
}


def _known_account(item: Item, scenario: Scenario) -> str:
    return item.choice([account.name for account in scenario.accounts])


def _read_expectation(item: Item, scenario: Scenario) -> Expectation:
    fields = item.fields(EXPECTATION_KEYS, required=("account", "ends"))
    return Expectation(
        account=_known_account(fields["account"], scenario),
        ends=fields["ends"].choice(ENDS),
        **{key: fields[key].text() for key in ("symbol", "order", "reason", "text") if key in fields},
    )


def summary(scenario: Scenario) -> str:
    """One sentence that describes a scenario."""
    local = scenario.start.astimezone(NEW_YORK)
    pace = {Decimal(0): "clock stopped", Decimal(1): "in real time"}.get(
        scenario.speed, f"at {scenario.speed:f} x real time"
    )
    counts = ((scenario.accounts, "account"), (scenario.prices, "price"), (scenario.events, "event"))
    content = ", ".join(f"{len(each)} {what}" + "s" * (len(each) != 1) for each, what in counts if each)
    return f"{scenario.name}: {local:%Y-%m-%d %H:%M} ET, {pace}; {content or 'empty'}."
