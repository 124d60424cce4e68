"""Finds, reads and checks the configuration, keeps the origin of each value, and masks the secrets.

Only this module reads the file and the environment; the rest of the program gets the frozen Config.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from sellctl.core.config.findings import Finding
from sellctl.core.config.keys import Key, leaves
from sellctl.core.config.profiles import environment_pair, keys_of_profile, kind_text
from sellctl.core.config.reader import ConfigReader
from sellctl.core.config.schema import (
    AccountConfig,
    Config,
    EndpointsConfig,
    ValueFormat,
)
from sellctl.core.config.secrets import (
    Resolved,
    SecretError,
    is_literal,
    key_pair,
    password_in,
    readable_by_others,
    secret,
    with_environment,
)
from sellctl.core.config.summary import summary_lines
from sellctl.core.config.units import value_text
from sellctl.core.config.validation import findings
from sellctl.core.config.yaml_nodes import Location, Problem, Scalar, Table, parse
from sellctl.core.errors import ConfigError
from sellctl.file_content import read_content

FILE_NAME = "config.yml"
# What a running process takes up when it is started again, and not by a reload.
AT_THE_NEXT_START = (
    "accounts.",
    "market_data.",
    "api.",
    "notify",
    "watch.",
    "telegram.",
    "telemetry.",
    "journal.",
)
_PRIVATE = 0o600
_JOURNAL, _URL = "journal", "url"  # the keys of the journal's database
_SIMULATOR = "simulator"  # the key, and the folder inside the state folder
_MAX_BYTES = 1_000_000
_MAX_PROBLEMS = 30
_SHOWN_OF_KEY_ID = 4
_SHORTEST_KEY_ID = 16  # four characters of a shorter text would reveal too much
_NOTHING_HINT = (
    "Try it without keys: sellctl demo. Set up an account: sellctl init. "
    "Or export ALPACA_API_KEY and ALPACA_SECRET_KEY of a paper account."
)


@dataclass(frozen=True, slots=True)
class ShownValue:
    """One line of `config show`; the value is masked where it is secret."""

    key: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A checked configuration, its file (None: the environment), the origin of each key, and warnings about it.

    `locations` say where in the file each key is.
    """

    config: Config
    path: Path | None
    origins: Mapping[str, str]
    warnings: tuple[str, ...]
    locations: Mapping[str, Location] = dataclasses.field(default_factory=dict)

    def error_about(self, found: Iterable[Finding]) -> ConfigError:
        """The error about what only shows when the accounts are read."""
        at = ((finding, _location_of(finding.key, self.locations)) for finding in found)
        return _error_about(self.path, (Problem(each.sentence, each.hint, location) for each, location in at))

    def secrets(self) -> frozenset[str]:
        """Every secret text, for the log's redactor; without references that were never looked up."""
        enabled = {
            text
            for account in self.config.accounts.values()
            if account.enabled
            for text in (account.api_key, account.secret_key)
            if text
        }
        password = password_in(self.config.journal.url or "")
        if password:
            enabled.add(password)  # an error may name it apart from its URL
        return frozenset(enabled | {text for text in _secret_texts(self.config).values() if is_literal(text)})

    def show(self) -> list[ShownValue]:
        """Every key with its value and origin, secrets masked."""
        secrets = self.secrets()
        return [
            ShownValue(dotted, _text(key, value, secrets), self.origins.get(dotted, "default"))
            for dotted, key, value in leaves(self.config)
        ]

    def fingerprint(self, *, of_start: bool) -> str:
        """Equal for configurations of equal values, from whatever file; secrets have no part in it.

        `of_start`: of the keys that a running process takes up when it is started again; else of those that a reload
        takes up.
        """
        values = (
            f"{dotted}={value_text(value, key.none_literal, key.value_format)}"
            for dotted, key, value in leaves(self.config)
            if key.value_format is not ValueFormat.SECRET and dotted.startswith(AT_THE_NEXT_START) is of_start
        )
        return sha256("\n".join(values).encode()).hexdigest()

    def summary(self) -> list[str]:
        """The main settings, in a few lines for `config check`."""
        return summary_lines(self.config)


def _secret_texts(config: Config) -> dict[str, str]:
    """Every secret of the configuration, by its dotted key."""
    return {dotted: text for dotted, key, text in leaves(config) if key.value_format is ValueFormat.SECRET and text}


def _text(key: Key, value: object, secrets: frozenset[str]) -> str:
    """A value as `config show` prints it: a secret is masked, except for the first characters of a key ID."""
    if key.value_format is not ValueFormat.SECRET or value is None:
        return value_text(value, key.none_literal, key.value_format)
    text = str(value)
    if text not in secrets:
        return "not read"
    is_key_id = key.name == "api_key" and len(text) >= _SHORTEST_KEY_ID
    return f"{text[:_SHOWN_OF_KEY_ID]}****" if is_key_id else "****"


def state_dir(
    explicit: Path | None = None, environ: Mapping[str, str] | None = None, *, simulator: bool = False
) -> Path:
    """The folder of journal, locks and halt flag: --state-dir, SELLCTL_STATE_DIR, or the user's; it may not exist.

    Simulated accounts have the folder `simulator` inside it, wherever it is. ConfigError when real accounts would use a
    folder of that name, so that none is ever shared.
    """
    folder = _state_folder(explicit or (os.environ if environ is None else environ).get("SELLCTL_STATE_DIR"))
    is_simulators = _SIMULATOR in {folder.name, folder.resolve().name}  # the folder itself, or a link to it
    if simulator:
        return folder if is_simulators else folder / _SIMULATOR
    if is_simulators:
        raise ConfigError(
            f"{folder} holds the state of simulated accounts, and the configuration doesn't say `simulator: true`.",
            hint="Use another folder for real accounts: --state-dir or SELLCTL_STATE_DIR.",
        )
    return folder


def _state_folder(named: Path | str | None) -> Path:
    if named:
        return _expanded(Path(named)).absolute()
    from platformdirs import user_state_path  # noqa: PLC0415  help and completion don't need it

    return user_state_path("sellctl", appauthor=False)


class ConfigManager:
    """Loads --config, SELLCTL_CONFIG, ./config.yml, the user's config.yml, or a key pair from the environment."""

    def __init__(
        self,
        explicit: Path | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        with_api: bool = False,
        with_notify: bool = True,
        with_chat: bool = True,
    ) -> None:
        self._explicit = explicit
        self._environ = os.environ if environ is None else environ
        self._with_api = with_api  # whether to look up the control API's secret
        self._with_chat = with_chat  # whether to look up the token of the Telegram bot
        self._with_notify = with_notify  # whether to look up the secrets of recipients, heartbeat and telemetry

    def load(self) -> LoadedConfig:
        """The configuration, or a ConfigError that names every problem."""
        path = self.find()
        return self._from_environment() if path is None else self._from_file(path)

    def find(self) -> Path | None:
        """The file to read; None when there is none. A file that was named is returned even when it doesn't exist."""
        named = self._environ.get("SELLCTL_CONFIG")
        if self._explicit or named:
            return _expanded(self._explicit or Path(named or ""))
        from platformdirs import user_config_path  # noqa: PLC0415  help and completion don't need it

        candidates = (Path(FILE_NAME), user_config_path("sellctl", appauthor=False) / FILE_NAME)
        return next((path for path in candidates if _is_file(path)), None)

    def is_simulated(self) -> bool:
        """Whether the file says `simulator: true`; False without a file.

        ConfigError when it can't be read, or says anything but true or false.
        """
        path = self.find()
        text = "" if path is None else _text_of(path)[0]
        if _SIMULATOR not in text and "\\" not in text:  # a key can be written with escape sequences
            return False
        node, problems = parse(text)
        if node is None and problems:
            raise _error_about(path, problems)
        entry = node.entries.get(_SIMULATOR) if isinstance(node, Table) else None
        if entry is None:
            return False
        word = entry.node.text.lower() if isinstance(entry.node, Scalar) else ""
        if word not in {"true", "false"}:
            problem = Problem("simulator is neither true nor false.", "Write simulator: true.", entry.node.location)
            raise _error_about(path, (problem,))
        return word == "true"

    def journal_url(self) -> str:
        """The URL of the journal's database that the file names; "" without one. The rest of the file isn't checked.

        ConfigError when the file can't be read, or when the secret isn't there.
        """
        path = self.find()
        text = "" if path is None else _text_of(path)[0]
        if path is None or (_JOURNAL not in text and "\\" not in text):
            return ""
        node, problems = parse(text)
        if node is None and problems:
            raise _error_about(path, problems)
        section = node.entries.get(_JOURNAL) if isinstance(node, Table) else None
        entry = section.node.entries.get(_URL) if section and isinstance(section.node, Table) else None
        if entry is None or not isinstance(entry.node, Scalar) or entry.node.is_null:
            return ""
        try:
            return secret(entry.node.text, self._environ, path.absolute().parent).value
        except SecretError as error:
            problem = Problem(f"journal.url: {error.sentence}", error.hint, entry.node.location)
            raise _error_about(path, (problem,)) from None

    def unchecked(self) -> Table | None:
        """The keys of the file as they are written, not checked; None when there are none or they can't be read."""
        try:
            path = self.find()
            node = parse(_text_of(path)[0])[0] if path and path.is_file() else None
        except (ConfigError, OSError):
            return None
        return node if isinstance(node, Table) else None

    def _from_environment(self) -> LoadedConfig:
        pair = key_pair(self._environ)
        if pair is None:
            raise ConfigError("There is no configuration and no key in the environment.", hint=_NOTHING_HINT)
        loading = _Loading(None, Path(), self._environ)
        return loading.checked(self._and_others(loading, loading.with_key_pair(Config(accounts={}), pair)))

    def _from_file(self, path: Path) -> LoadedConfig:
        text, mode = _text_of(path)
        return self.load_text(text, path, mode)

    def load_text(self, text: str, path: Path, mode: int = _PRIVATE) -> LoadedConfig:
        """The configuration that a file at `path` with this text and mode would be; or a ConfigError."""
        node, problems = parse(text)
        loading = _Loading(path, path.absolute().parent, self._environ)
        loading.problems += problems
        if node is None or not isinstance(node, Table) or not node.entries:
            raise loading.error_without_keys(empty=node is None)
        config = loading.read(node)
        loading.refuse_open_file(config, mode)
        config = self._and_others(loading, loading.resolved(config))
        return loading.checked(config if "accounts" in node.entries else self._with_accounts(loading, config))

    def _and_others(self, loading: "_Loading", config: Config) -> Config:
        config = loading.with_api_secret(config) if self._with_api else config
        config = loading.with_journal_url(config)
        config = loading.with_chat_token(config) if self._with_chat else config
        return loading.with_notify_secrets(config) if self._with_notify else config

    def _with_accounts(self, loading: "_Loading", config: Config) -> Config:
        pair = key_pair(self._environ)
        if pair:
            return loading.with_key_pair(config, pair)
        hint = "Add accounts: with a name and its keys, or export ALPACA_API_KEY and ALPACA_SECRET_KEY."
        loading.add(None, "There are no accounts.", hint)
        return config


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # no such user
        return path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise ConfigError(f"{path} can't be found: {error.strerror}.", hint="Name a file with --config.") from None


def _text_of(path: Path) -> tuple[str, int]:
    try:
        mode, content = read_content(path, _MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"There is no file {path}.", hint=f"Write one: sellctl init --out {path}") from None
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}.", hint="Make it readable for your user.") from None
    if len(content) > _MAX_BYTES:
        raise ConfigError(f"{path} is larger than a megabyte.", hint="Name a configuration file.")
    try:
        return content.decode("utf-8-sig"), mode
    except UnicodeDecodeError:
        raise ConfigError(f"{path} isn't UTF-8 text.", hint="Save it as UTF-8.") from None


class _Loading:
    """One load: collects problems, warnings and origins, and raises one error about all problems at the end."""

    def __init__(self, path: Path | None, folder: Path, environ: Mapping[str, str]) -> None:
        self._path = path
        self._folder = folder
        self._environ = environ
        self._locations: dict[str, Location] = {}
        self._origins: dict[str, str] = {}
        self._warnings: list[str] = []
        self._shares_pair = False  # the environment's pair would replace several profiles
        self.problems: list[Problem] = []

    def add(self, key: str | None, sentence: str, hint: str) -> None:
        """Add a problem at a dotted key."""
        self.problems.append(Problem(sentence, hint, None if key is None else _location_of(key, self._locations)))

    def read(self, table: Table) -> Config:
        """The file's tree as a Config, with defaults where there are problems."""
        reader = ConfigReader()
        config = reader.read(table)
        self.problems += reader.problems
        self._locations = reader.locations
        self._origins = {key: f"{self._path}:{location.line}" for key, location in reader.locations.items()}
        return config

    def with_key_pair(self, config: Config, names: tuple[str, str]) -> Config:
        """The configuration with one paper account whose keys are in the environment."""
        values: dict[str, Any] = {}
        for field, name in zip(("api_key", "secret_key"), names, strict=True):
            values[field] = self._secret(f"accounts.main.{field}", f"${{{name}}}")
            self._origins[f"accounts.main.{field}"] = f"environment {name}"
        return dataclasses.replace(config, accounts={"main": AccountConfig(**values)})

    def refuse_open_file(self, config: Config, mode: int) -> None:
        """Add a problem when the file has a literal secret and others than its owner can read it."""
        without_password = "" if password_in(config.journal.url or "") else f"{_JOURNAL}.{_URL}"
        literal = [key for key, text in _secret_texts(config).items() if is_literal(text) and key != without_password]
        if literal and readable_by_others(mode):
            sentence = "Others can read this file, and it holds a secret."
            self.add(literal[0], sentence, f"Run: chmod 600 {self._path}. Or write ${{ENV}} instead of the secret.")

    def resolved(self, config: Config) -> Config:
        """The configuration with every reference of its enabled accounts looked up."""
        self._refuse_shared_pair(config)
        accounts = {
            name: self._account(f"accounts.{name}", account) if account.enabled else account
            for name, account in config.accounts.items()
        }
        return dataclasses.replace(config, accounts=accounts)

    def with_notify_secrets(self, config: Config) -> Config:
        """The configuration with the URLs of recipients and heartbeat and the collector's token looked up."""
        notify = tuple(
            dataclasses.replace(entry, url=self._secret(f"notify[{index}].url", entry.url))
            for index, entry in enumerate(config.notify)
        )
        heartbeat = config.watch.heartbeat and self._secret("watch.heartbeat", config.watch.heartbeat)
        watch = dataclasses.replace(config.watch, heartbeat=heartbeat)
        token = config.telemetry.token and self._secret("telemetry.token", config.telemetry.token)
        telemetry = dataclasses.replace(config.telemetry, token=token)
        return dataclasses.replace(config, notify=notify, watch=watch, telemetry=telemetry)

    def with_chat_token(self, config: Config) -> Config:
        """The configuration with the token of the Telegram bot looked up."""
        token = config.telegram.token and self._secret("telegram.token", config.telegram.token)
        return dataclasses.replace(config, telegram=dataclasses.replace(config.telegram, token=token))

    def with_journal_url(self, config: Config) -> Config:
        """The configuration with the URL of the journal's database looked up."""
        url = config.journal.url and self._secret("journal.url", config.journal.url)
        return dataclasses.replace(config, journal=dataclasses.replace(config.journal, url=url))

    def with_api_secret(self, config: Config) -> Config:
        """The configuration with the control API's secret looked up."""
        found = self._secret("api.secret", config.api.secret)
        return dataclasses.replace(config, api=dataclasses.replace(config.api, secret=found))

    def _account(self, path: str, account: AccountConfig) -> AccountConfig:
        profile = self._optional(f"{path}.profile", account.profile)
        keys: dict[str, Any] = {
            field: self._secret(f"{path}.{field}", getattr(account, field)) for field in ("api_key", "secret_key")
        }
        if account.profile is not None:
            keys = self._keys_of_profile(path, account, profile or "")
        number = self._optional(f"{path}.account_number", account.account_number)
        endpoints = EndpointsConfig(
            **{
                field.name: self._optional(f"{path}.endpoints.{field.name}", getattr(account.endpoints, field.name))
                for field in dataclasses.fields(EndpointsConfig)
            }
        )
        return dataclasses.replace(account, **keys, account_number=number, endpoints=endpoints)

    def _keys_of_profile(self, path: str, account: AccountConfig, profile: str) -> dict[str, Any]:
        """The fields of an account that its profile, or the environment's pair in its place, provides."""
        nothing = {"api_key": "", "secret_key": ""}
        if self._refuse_two_sources(path, nothing) or not profile:
            return nothing
        key = f"{path}.profile"
        try:
            found = keys_of_profile(profile, self._environ)
        except SecretError as error:
            self.add(key, f"{key}: {error.sentence}", error.hint)
            return nothing
        if found.paper not in {None, account.paper}:
            hint = "Write paper: true." if found.paper else "Real money needs paper: false here, and --live."
            kind, setting = kind_text(paper=not account.paper), value_text(account.paper)
            self.add(f"{path}.paper", f"{path}: {found.kind_source} says {kind}, and paper is {setting}.", hint)
        if found.warning:
            self._add_finding(Finding(key, f"{key}: {found.warning}", "That key is used.", warning=True))
        self._origins |= {f"{path}.{field}": found.source for field in nothing}
        return {"api_key": found.api_key, "secret_key": found.secret_key}

    def _refuse_two_sources(self, path: str, fields: Iterable[str]) -> bool:
        """Whether the keys of an account with a profile also come from elsewhere, which is then a problem."""
        written = [field for field in fields if f"{path}.{field}" in self._locations]
        if written:
            self.add(f"{path}.profile", f"{path} has both profile and {written[0]}.", "Delete one of them.")
        return bool(written) or self._shares_pair

    def _refuse_shared_pair(self, config: Config) -> None:
        """Add a problem when the environment's pair would replace the profiles of several accounts."""
        named = [name for name, account in config.accounts.items() if account.enabled and account.profile]
        try:
            pair = environment_pair(self._environ)
        except SecretError:
            return  # every account with a profile says so
        if pair and len(named) > 1:
            self._shares_pair = True
            sentence = f"{pair[0]} is one account's key, and would replace the profiles of {' and '.join(named)}."
            self.add(f"accounts.{named[1]}.profile", sentence, f"Unset {' and '.join(pair)}.")

    def _optional(self, key: str, text: str | None) -> str | None:
        return None if text is None else self._attempt(key, lambda: with_environment(text, self._environ))

    def _secret(self, key: str, text: str) -> str:
        """The secret that a text refers to; "" for "", which replaces a value whose problem was added before."""
        return self._attempt(key, lambda: secret(text, self._environ, self._folder)) if text else ""

    def _attempt(self, key: str, resolve: Callable[[], Resolved]) -> str:
        try:
            found = resolve()
        except SecretError as error:
            self.add(key, f"{key}: {error.sentence}", error.hint)
            return ""
        if found.source and key in self._origins:
            self._origins[key] += f", {found.source}"
        return found.value

    def checked(self, config: Config) -> LoadedConfig:
        """The configuration, validated as a whole; or one ConfigError about every problem."""
        for finding in findings(config, whole=not self.problems):
            self._add_finding(finding)
        if self.problems:
            raise self._error()
        config, warnings = self._with_position_age(config), tuple(self._warnings)
        return LoadedConfig(config, self._path, self._origins, warnings, self._locations)

    def _add_finding(self, finding: Finding) -> None:
        if not finding.warning:
            self.add(finding.key, finding.sentence, finding.hint)
            return
        location = _location_of(finding.key, self._locations)
        self._warnings.append(f"{_prefix(self._path, location)}{finding.sentence} {finding.hint}")

    def _with_position_age(self, config: Config) -> Config:
        rules = config.sell_module
        least = 2 * rules.check_interval
        if rules.max_position_age >= least:
            return config
        self._origins["sell_module.max_position_age"] = "2 x check_interval"
        return dataclasses.replace(config, sell_module=dataclasses.replace(rules, max_position_age=least))

    def error_without_keys(self, *, empty: bool) -> ConfigError:
        """The error about a file that can't be parsed or has no keys at all."""
        if empty and not self.problems:
            self.add(None, "This file is empty.", "Write one: sellctl init")
        elif not self.problems:
            self.add(None, "This file has no keys.", "Write accounts: and sell_module: with their keys below them.")
        return self._error()

    def _error(self) -> ConfigError:
        return _error_about(self._path, self.problems)


def _error_about(path: Path | None, found: Iterable[Problem]) -> ConfigError:
    """One error about all of these problems, in the order of the file."""
    problems = sorted(dict.fromkeys(found), key=lambda problem: problem.location or Location(0, 0))
    if len(problems) == 1:
        return ConfigError(_prefix(path, problems[0].location) + problems[0].sentence, hint=problems[0].hint)
    lines = [f"{_prefix(path, problem.location)}{problem.sentence} {problem.hint}" for problem in problems]
    more = [f"... and {len(lines) - _MAX_PROBLEMS} more"] if len(lines) > _MAX_PROBLEMS else []
    head = f"{path or 'The environment'} has {len(problems)} problems:"
    return ConfigError("\n  ".join([head, *lines[:_MAX_PROBLEMS], *more]))


def _prefix(path: Path | None, location: Location | None) -> str:
    if path is None:
        return ""
    return f"{path}:{location.line}:{location.column}: " if location else f"{path}: "


def _location_of(key: str, locations: Mapping[str, Location]) -> Location | None:
    """Where a dotted key is in the file, or the nearest one above it."""
    while key and key not in locations:
        key = key.rpartition(".")[0]
    return locations.get(key)
