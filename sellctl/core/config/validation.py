"""Checks of a whole Config beyond the form of each value: one function per rule, all of them in CHECKS."""

import datetime as dt
import ipaddress
import re
from collections.abc import Callable
from decimal import Decimal
from urllib.parse import SplitResult, urlsplit

from sellctl.core.config.findings import Finding, Findings
from sellctl.core.config.hosts import LAST_PORT, host_of, is_address, is_live, is_loopback
from sellctl.core.config.schema import BroadEtfsConfig, Config, EndpointsConfig, ZeroDayConfig
from sellctl.core.config.secrets import is_literal
from sellctl.core.config.strategy_validation import strategies
from sellctl.core.config.structure_validation import structures
from sellctl.core.config.units import RATIO_HINT, duration_text, gain_text, quoted

_SECOND, _MINUTE, _HOUR, _SESSION = (dt.timedelta(seconds=count) for count in (1, 60, 3_600, 23_400))
_LOW_STOP = Decimal("0.5")
_HIGH_TARGET = Decimal(10)
_DAY_MINUTES = 1_440
_MAX_STEPS = 6
_CUTOFF = {
    "zero_day": 45 * _MINUTE,
    "zero_day.broad_etfs": 30 * _MINUTE,
}  # before the close; from then on Alpaca refuses orders
_KEY_KINDS = {"PK": True, "AK": False}  # how Alpaca's key IDs begin: paper, live


def _profit_rate(config: Config) -> Findings:
    key, rate = "sell_module.strategy_one.profit_rate", config.sell_module.strategy_one.profit_rate
    if rate <= 1:
        yield Finding(key, f"profit_rate: {rate} isn't above 1, so it would sell without a profit.", RATIO_HINT)
    elif rate >= _HIGH_TARGET:
        yield Finding(key, f"profit_rate: {rate} sells at +{gain_text(rate - 1)}.", RATIO_HINT, warning=True)


def _stop_loss_rate(config: Config) -> Findings:
    key, rate = "sell_module.strategy_one.stop_loss_rate", config.sell_module.strategy_one.stop_loss_rate
    if not 0 < rate < 1:
        yield Finding(key, f"stop_loss_rate: {rate} isn't between 0 and 1.", RATIO_HINT)
    elif rate < _LOW_STOP:
        sentence = f"stop_loss_rate: {rate} doesn't stop a loss before {gain_text(rate - 1)}."
        yield Finding(key, sentence, RATIO_HINT, warning=True)


def _check_interval(config: Config) -> Findings:
    if not _SECOND <= config.sell_module.check_interval <= _HOUR:
        shown = duration_text(config.sell_module.check_interval)
        yield Finding("sell_module.check_interval", f"check_interval: {shown} isn't between 1s and 1h.", "5s is usual.")


def _max_position_age(config: Config) -> Findings:
    if config.sell_module.max_position_age < _SECOND:
        yield Finding("sell_module.max_position_age", "max_position_age is shorter than 1s.", "15s is usual.")


def _order_cancel_minutes(config: Config) -> Findings:
    minutes = config.sell_module.order_cancel_minutes
    if not 0 < minutes <= _DAY_MINUTES:
        sentence = f"order_cancel_minutes: {minutes} isn't above 0 and at most {_DAY_MINUTES}."
        yield Finding("sell_module.order_cancel_minutes", sentence, "3 is usual; the number is in minutes.")


def _zero_day(config: Config) -> Findings:
    day = config.sell_module.zero_day
    yield from _deadlines("zero_day", day)
    yield from _deadlines("zero_day.broad_etfs", day.broad_etfs)


def _check_interval_against_deadlines(config: Config) -> Findings:
    rules, day = config.sell_module, config.sell_module.zero_day
    spare = min(day.final - _CUTOFF["zero_day"], day.broad_etfs.final - _CUTOFF["zero_day.broad_etfs"])
    if rules.zero_day_handling and _MINUTE <= spare < rules.check_interval <= _HOUR:
        shown = duration_text(rules.check_interval)
        sentence = f"check_interval: {shown} is longer than the time from zero_day.final to Alpaca's cutoff."
        hint = f"Write at most {duration_text(spare)}, or an earlier zero_day.final."
        yield Finding("sell_module.check_interval", sentence, hint)


def _deadlines(name: str, day: ZeroDayConfig | BroadEtfsConfig) -> Findings:
    start = day.start or _SESSION
    for longer, shorter, first, second in (
        ("start", "eager", start, day.eager),
        ("eager", "final", day.eager, day.final),
    ):
        if first < second:
            sentence = f"{name}: {longer} ({duration_text(first)}) comes after {shorter} ({duration_text(second)})."
            yield Finding(
                f"sell_module.{name}.{shorter}", sentence, "Counted back from the close: start >= eager >= final."
            )
    if start > _SESSION:
        sentence = f"{name}.start: {duration_text(start)} is longer than a session of 6h30m."
        yield Finding(f"sell_module.{name}.start", sentence, "Write start: open.")
    last = _CUTOFF[name]
    if day.final < last + _MINUTE:
        final, cutoff = duration_text(day.final), duration_text(last)
        sentence = f"{name}.final: {final} is too late: Alpaca's cutoff is {cutoff} before the close."
        yield Finding(f"sell_module.{name}.final", sentence, f"Write at least {duration_text(last + _MINUTE)}.")


def _walks(config: Config) -> Findings:
    for name, walk in (("profit", config.execution.walk.profit), ("time", config.execution.walk.time)):
        key = f"execution.walk.{name}"
        if not 1 <= walk.steps <= _MAX_STEPS:
            sentence = f"{key}.steps: {walk.steps} isn't between 1 and {_MAX_STEPS}."
            yield Finding(f"{key}.steps", sentence, "4 is usual; a symbol gets at most 6 such orders per minute.")
        if not _SECOND <= walk.every <= _MINUTE:
            sentence = f"{key}.every: {duration_text(walk.every)} isn't between 1s and 1m."
            yield Finding(f"{key}.every", sentence, "6s is usual.")
        if not 0 <= walk.final <= 1:
            sentence = f"{key}.final: {walk.final} isn't between 0 (the mid) and 1 (the bid)."
            yield Finding(f"{key}.final", sentence, "1 is usual: it ends at the bid.")


def _accounts(config: Config) -> Findings:
    if config.accounts and not any(account.enabled for account in config.accounts.values()):
        yield Finding("accounts", "No account is enabled.", "Set enabled: true on one.")


def _same_key_twice(config: Config) -> Findings:
    first: dict[str, str] = {}
    for name, account in config.accounts.items():
        if not account.enabled or not account.api_key:
            continue
        other = first.setdefault(account.api_key, name)
        if other != name:
            sentence = f"accounts.{name} has the same api_key as accounts.{other}."
            yield Finding(f"accounts.{name}", sentence, "One entry per Alpaca account; delete one.")


def _key_kinds(config: Config) -> Findings:
    for name, account in config.accounts.items():
        paper = _KEY_KINDS.get(account.api_key[:2])
        if account.enabled and paper is not None and paper != account.paper and account.endpoints == EndpointsConfig():
            kind, setting = ("a paper", "false") if paper else ("a live", "true")
            sentence = f"accounts.{name}: api_key looks like {kind} key, and paper is {setting}."
            yield Finding(f"accounts.{name}.paper", sentence, "Alpaca refuses a key on the wrong side.", warning=True)


def _account_names(config: Config) -> Findings:
    if not config.accounts:
        return
    listed = [("market_data.accounts", name) for name in config.market_data.accounts or ()]
    for index, entry in enumerate(config.sell_module.manage.exclude):
        listed += [(f"sell_module.manage.exclude[{index}].account", name) for name in entry.account]
    for key, name in listed:
        if name not in config.accounts:
            sentence = f"{key} names {quoted(name)}, which isn't in accounts."
            yield Finding(key, sentence, f"Known: {', '.join(config.accounts)}.")
    for name in config.market_data.accounts or ():
        if name in config.accounts and not config.accounts[name].enabled:
            sentence = f"market_data.accounts names {name}, which isn't enabled."
            yield Finding("market_data.accounts", sentence, "Enable it, or leave it out.")


def _endpoints(config: Config) -> Findings:
    for name, account in config.accounts.items():
        for kind, schemes in _SCHEMES.items():
            url = getattr(account.endpoints, kind)
            if account.enabled and url:
                yield from _endpoint(f"accounts.{name}.endpoints.{kind}", url, schemes)
        if account.paper and is_live(account.endpoints.trading or ""):
            sentence = f"account {name} has paper: true, and its endpoints.trading is Alpaca's for real money."
            hint = "Leave endpoints.trading out. Real money needs paper: false, and --live."
            yield Finding(f"accounts.{name}.endpoints.trading", sentence, hint)


_SCHEMES = {
    "trading": ("http", "https"),
    "data": ("http", "https"),
    "trading_stream": ("ws", "wss"),
    "stock_stream": ("ws", "wss"),
    "option_stream": ("ws", "wss"),
}


def _endpoint(key: str, url: str, schemes: tuple[str, str]) -> Findings:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = SplitResult("", "", "", "", ""), None
    if parts.scheme not in schemes or not host or not host_of(parts.netloc.rpartition("@")[2]):
        yield Finding(key, f"{key} isn't a full address.", f"Write it like {schemes[1]}://host:port.")
    elif parts.username or parts.password or parts.query or parts.fragment:
        yield Finding(key, f"{key} is more than an address.", "Leave out user, password, ? and #.")
    elif schemes[0] == "http" and parts.path.strip("/").startswith("v"):
        yield Finding(key, f"{key} ends in a version, which sellctl adds itself.", "Leave out the path.")
    elif parts.scheme == schemes[0] and not is_loopback(host):
        sentence = f"{key}: keys and orders go to {host} unencrypted."
        yield Finding(key, sentence, f"Use {schemes[1]}:// beyond this machine.", warning=True)


def _api(config: Config) -> Findings:
    api = config.api
    if not is_address(api.host) and api.host != "localhost":
        yield Finding("api.host", f"api.host: {quoted(api.host)} isn't an address.", "Write 127.0.0.1, 0.0.0.0 or ::.")
    for name in api.names:
        if host_of(name) != name.lower().removesuffix("."):
            hint = "Write it like exits.example.org, without a port."
            yield Finding("api.names", f"api.names: {quoted(name)} isn't a host name.", hint)
    if not 1 <= api.port <= LAST_PORT:
        yield Finding("api.port", f"api.port: {api.port} isn't a port.", "8090 is usual.")
    if not 1 <= api.requests_a_second <= _MAX_REQUESTS:
        sentence = f"api.requests_a_second: {api.requests_a_second} isn't between 1 and {_MAX_REQUESTS}."
        yield Finding("api.requests_a_second", sentence, "30 is usual.")
    for key, networks in (("api.allow", api.allow), ("api.proxies", api.proxies)):
        for text in networks:
            if not is_network(text):
                hint = "Write it like 192.0.2.7 or 192.0.2.0/24."
                yield Finding(key, f"{key}: {quoted(text)} is neither an address nor a network.", hint)
    if (api.tls_cert is None) != (api.tls_key is None):
        missing = "tls_key" if api.tls_key is None else "tls_cert"
        yield Finding("api", f"api has no {missing}.", "TLS needs both files.")


_MAX_REQUESTS = 10_000


def is_network(text: str) -> bool:
    """Whether a text is an IP address, or a network in CIDR notation without host bits."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _telegram(config: Config) -> Findings:
    bot = config.telegram
    if bot.token is None:
        if bot.chats:
            yield Finding("telegram.chats", "telegram has chats and no token.", "Add the token from @BotFather.")
        return
    if is_literal(bot.token) and bot.token and not _TELEGRAM_TOKEN.fullmatch(bot.token):
        hint = "@BotFather shows it like 123456789:AAE..., in one piece."
        yield Finding("telegram.token", "telegram.token isn't the token of a Telegram bot.", hint)
    if not bot.chats:
        hint = "Write to the bot while sellctl runs: the log names your chat."
        yield Finding("telegram", "telegram.chats is empty: the bot answers nobody.", hint, warning=True)
    yield from _api_url("telegram.api_url", bot.api_url)


_TELEGRAM_TOKEN = re.compile(r"\d{3,20}:[A-Za-z0-9_-]{10,100}", re.ASCII)


def _api_url(key: str, url: str) -> Findings:
    """The token is a part of each request's address, so that beyond this machine it has to be encrypted."""
    for finding in _endpoint(key, url, ("http", "https")):
        if not finding.warning:
            yield finding
            return
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        yield Finding(key, f"{key}: the token would go to {parts.hostname} unencrypted.", "Use https://.")


def _telemetry(config: Config) -> Findings:
    telemetry = config.telemetry
    if not _SECOND <= telemetry.interval <= _LONGEST_PUSH:
        shown = duration_text(telemetry.interval)
        yield Finding("telemetry.interval", f"telemetry.interval: {shown} isn't between 1s and 10m.", "15s is usual.")
    if telemetry.endpoint is not None:
        yield from _collector(telemetry.endpoint, with_token=telemetry.token is not None)
    elif telemetry.token is not None:
        sentence = "telemetry has a token and no endpoint."
        yield Finding("telemetry.token", sentence, "Add the collector's endpoint.")


_LONGEST_PUSH = 10 * _MINUTE


def _collector(url: str, *, with_token: bool) -> Findings:
    """The address of a collector, to which /v1/traces and /v1/metrics are added."""
    key, parts = "telemetry.endpoint", urlsplit(url)
    for finding in _endpoint(key, url, ("http", "https")):
        if not finding.warning:
            yield finding
            return
    if parts.path.rstrip("/").endswith(("/v1/traces", "/v1/metrics")):
        yield Finding(key, f"{key} ends in a path that sellctl adds itself.", "Leave out /v1/traces and /v1/metrics.")
    elif parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        if with_token:
            sentence = f"{key}: the token would go to {parts.hostname} unencrypted."
            yield Finding(key, sentence, "Use https://.")
        else:
            sentence = f"{key}: traces with symbols and prices go to {parts.hostname} unencrypted."
            yield Finding(key, sentence, "Use https:// beyond this machine.", warning=True)


def _journal(config: Config) -> Findings:
    """No sentence repeats the URL, which has the password in it."""
    url = config.journal.url
    if not url or not is_literal(url):
        return
    hint = "Write postgresql+psycopg://user:password@host/database, special characters of the password as %40."
    try:
        parts = urlsplit(url)
        # With two @, the driver would take what follows the first one as the host, and name it in its errors.
        is_url, _ = bool(parts.path.strip("/")) and parts.netloc.count("@") <= 1, parts.port
    except ValueError:
        is_url = False
    scheme = url.partition(":")[0]
    if scheme.startswith("sqlite"):
        yield Finding("journal.url", "journal.url names an SQLite file.", "Leave it out: that is the default.")
    elif scheme not in _JOURNAL_SCHEMES or not is_url:
        yield Finding("journal.url", "journal.url isn't the URL of a PostgreSQL database.", hint)
    elif "password=" in parts.query:
        yield Finding("journal.url", "journal.url has its password behind the ?.", hint)


_JOURNAL_SCHEMES = ("postgresql+psycopg", "postgresql")


def _simulator(config: Config) -> Findings:
    """A real account must not lose its journal and its halt to the simulator's folder."""
    for name, account in config.accounts.items() if config.simulator else ():
        if not account.paper:
            sentence = f"simulator is true, but account {name} has paper: false."
            yield Finding(f"accounts.{name}.paper", sentence, "A simulated account has no real money: leave paper out.")
        if not is_loopback(urlsplit(account.endpoints.trading or "").hostname or ""):
            sentence = f"simulator is true, but account {name} has no endpoints.trading on this machine."
            yield Finding("simulator", sentence, "Leave simulator out for an account at Alpaca.")


def _nothing_to_do(config: Config) -> Findings:
    rules = config.sell_module
    if not rules.enabled:
        sentence = "sell_module.enabled is false: watch and run-once do nothing."
        yield Finding("sell_module.enabled", sentence, "Set it to true to sell.", warning=True)
    elif not rules.strategy_one.enabled and not rules.strategies:
        sentence = "strategy_one.enabled is false: there is no profit or stop rule."
        yield Finding("sell_module.strategy_one.enabled", sentence, "Set it to true.", warning=True)


def _real_money(config: Config) -> Findings:
    for name, account in config.accounts.items():
        if account.enabled and not account.paper:
            sentence = f"accounts.{name} trades real money."
            yield Finding(f"accounts.{name}.paper", sentence, "Sending orders also needs --live.", warning=True)


CHECKS: tuple[Callable[[Config], Findings], ...] = (
    _profit_rate,
    _stop_loss_rate,
    _check_interval,
    _max_position_age,
    _order_cancel_minutes,
    _zero_day,
    _check_interval_against_deadlines,
    _walks,
    _accounts,
    _same_key_twice,
    _key_kinds,
    _account_names,
    _endpoints,
    _api,
    _telegram,
    _telemetry,
    _journal,
    _simulator,
    structures,
    strategies,
    _nothing_to_do,
    _real_money,
)


def findings(config: Config, *, whole: bool = True) -> list[Finding]:
    """Every problem. Structures and strategies are checked only in a `whole` configuration: every key could be read."""
    checks = [check for check in CHECKS if whole or check not in {structures, strategies}]
    return [finding for check in checks for finding in check(config)]
