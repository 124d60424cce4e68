"""`sellctl init`: set up an account in a short dialogue, of which every answer is an option too. Sends no order."""

import os
import sys
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.completion import preset_names
from sellctl.commands.session import YesOption, ask_yes_no, options_of, run, say, show_plans, status_of
from sellctl.core.errors import BrokerError, ConfigError, SafetyRefusalError
from sellctl.core.exit_codes import ExitCode
from sellctl.core.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sellctl.core.model.snapshot import AccountFacts
    from sellctl.service.options import Options
    from sellctl.setup.config_file import Account
    from sellctl.setup.key_sources import KeySource
    from sellctl.setup.presets import Preset
    from sellctl.setup.preview import Preview


class Store(StrEnum):
    """Where an entered key pair is stored."""

    AUTO = "auto"
    KEYRING = "keyring"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class _Answers:
    """What was given as options, so that it isn't asked."""

    profile: str | None
    preset: str
    account: str
    yes: bool
    real_money: bool
    store: Store

    def must_not_ask(self, what: str, option: str) -> None:
        """ConfigError when there is no terminal to ask for something on."""
        if not sys.stdin.isatty():
            raise ConfigError(f"There is no terminal to ask {what}.", hint=f"Add {option}.")


def init(
    context: typer.Context,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Use this profile of Alpaca's own command line.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            metavar="<preset>",
            autocompletion=preset_names,
            help="The rules, by style of trading: long-options, day-trader, premium-seller or stock-swing.",
        ),
    ] = None,
    account: Annotated[str, typer.Option("--account", "-a", help="The account's name in the configuration.")] = "main",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Where to write it. Default: the file in use, else config.yml in your configuration folder."
        ),
    ] = None,
    simulator: Annotated[
        str | None, typer.Option("--simulator", metavar="<url>", help="Use a running sellctl sim at this address.")
    ] = None,
    real_money: Annotated[
        bool, typer.Option("--real-money", help="Accept a live account; sending still needs --live.")
    ] = False,
    store: Annotated[
        Store, typer.Option("--store", help="Where to keep keys that you type in: the keyring, or private files.")
    ] = Store.AUTO,
    yes: YesOption = False,
) -> None:
    """Set up an account: find its keys, choose rules, dry run.

    Finds keys in the environment or in a profile of Alpaca's own command line, or asks for them. Reads the account and
    its positions, shows what four presets would do with them, writes a commented configuration and ends in a dry run.
    Sends no order. An existing file is replaced only after asking (or with --yes), and a backup of it is kept.
    """
    answers = _Answers(profile, _preset_called(preset), account, yes, real_money, store)
    options = options_of(context)
    path = _target(out, options)
    written: list[Path] = []
    try:
        _init(path, answers, options, simulator, written)
    except (KeyboardInterrupt, typer.Abort):
        outcome = f"{written[0]} is written" if written else "Nothing was written"
        say(f"\nsellctl: interrupted. {outcome}.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def _preset_called(text: str | None) -> str:
    """The name of a preset as it was given, "" when none was. ConfigError when none is called so."""
    from sellctl.setup.presets import PRESET_NAMES

    if text and text not in PRESET_NAMES:
        hint = did_you_mean(text, PRESET_NAMES) or f"There are: {', '.join(PRESET_NAMES)}."
        raise ConfigError(f"No preset is called {ascii(text[:40])[1:-1]}.", hint=hint)
    return text or ""


def _target(out: Path | None, options: "Options") -> Path:
    """The file to write: the one named, else the one that sellctl reads, else the user's."""
    from platformdirs import user_config_path

    from sellctl.core.config_manager import FILE_NAME, ConfigManager

    return out or ConfigManager(options.config).find() or user_config_path("sellctl", appauthor=False) / FILE_NAME


def _init(path: Path, answers: _Answers, options: "Options", simulator: str | None, written: list[Path]) -> None:
    from sellctl.core.config.reader import ACCOUNT_NAME_HINT, is_account_name
    from sellctl.core.config.schema import EndpointsConfig
    from sellctl.setup.account_probe import read_account
    from sellctl.setup.config_file import Account, check_writable, simulator_endpoints

    if not is_account_name(answers.account):
        raise ConfigError(f"{answers.account!r} can't be the name of an account.", hint=ACCOUNT_NAME_HINT)
    endpoints = simulator_endpoints(simulator) if simulator else EndpointsConfig()
    check_writable(path)
    _confirm_replacing(path, answers)
    source = _key_source(answers)
    say(f"Keys: {source.text}.")
    facts = read_account(answers.account, source, endpoints)
    _confirm_real_money(facts, answers, simulated=simulator is not None)
    account = Account(answers.account, source.lines, facts.paper, facts.number, endpoints)
    preset = _chosen_preset(path, account, source, answers, options)
    _write(path, account, source, preset, answers.store, written)
    _dry_run(path, account, options)


def _confirm_replacing(path: Path, answers: _Answers) -> None:
    if not path.exists() or answers.yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError(f"{path} already exists.", hint="Add --yes to replace it (a backup is kept), or --out FILE.")
    if not ask_yes_no(f"{path} already exists. A backup is kept. Replace it?", done="written"):
        raise SafetyRefusalError("Nothing was written.", hint="Choose another path with --out.")


# --- keys


def _key_source(answers: _Answers) -> "KeySource":
    from sellctl.core.config.profiles import profile_names
    from sellctl.setup.key_sources import of_environment, of_profile, profile_to_use

    if answers.profile:
        return of_profile(answers.profile, os.environ)
    source = of_environment(os.environ)
    if source:
        return source
    names = profile_names(os.environ)
    name = profile_to_use(os.environ) or (_asked_profile(names, answers) if names else None)
    return of_profile(name, os.environ) if name else _entered()


def _asked_profile(names: tuple[str, ...], answers: _Answers) -> str:
    listed = ", ".join(names)
    answers.must_not_ask(f"which profile to use ({listed})", "--profile NAME")
    for number, name in enumerate(names, 1):
        typer.echo(f"{number}  {name}", err=True)
    return _asked("Which profile of Alpaca's command line", names, names[0])


def _asked(question: str, names: tuple[str, ...], default: str) -> str:
    """One of the names, by itself or by its number."""
    while True:
        answer = str(typer.prompt(question, default=default, err=True)).strip()
        if answer in names:
            return answer
        if answer.isdecimal() and 1 <= int(answer) <= len(names):
            return names[int(answer) - 1]
        say(f"Answer with a number or a name: {', '.join(names)}.")


def _entered() -> "KeySource":
    """A key pair that is typed in, without showing it."""
    from sellctl.core.config.secrets import SecretError, usable_secret
    from sellctl.setup.key_sources import KeySource

    if not sys.stdin.isatty():
        raise ConfigError(
            "There is no key in the environment, no profile of Alpaca's command line, and no terminal to ask for keys.",
            hint="Export ALPACA_API_KEY and ALPACA_SECRET_KEY.",
        )
    say("Alpaca's dashboard shows the keys of a paper account on its right side (API Keys).")
    texts = [
        str(typer.prompt(question, hide_input=True, err=True)) for question in ("Key ID (hidden)", "Secret (hidden)")
    ]
    try:
        api_key, secret_key = map(usable_secret, texts)
    except SecretError as error:
        raise ConfigError(error.sentence, hint=error.hint) from None
    return KeySource("typed in", api_key, secret_key)


# --- the account and the rules


def _confirm_real_money(facts: "AccountFacts", answers: _Answers, *, simulated: bool) -> None:
    """Print the account. A live one is set up only when that is confirmed; sending needs --live besides."""
    kind = "SIMULATED" if simulated else "PAPER" if facts.paper else "REAL MONEY"
    blocked = f" Trading is blocked: {facts.blocked}." if facts.blocked else ""
    say(f"Account: {facts.number}, {kind}.{blocked}")
    if facts.paper or answers.real_money:
        return
    if answers.yes or not sys.stdin.isatty():
        raise SafetyRefusalError(f"Account {facts.number} trades real money.", hint="Add --real-money to set it up.")
    if not ask_yes_no("Nothing is sent without --live. Set it up with real money?", done="written"):
        raise SafetyRefusalError("Nothing was written.", hint="Use the keys of a paper account.")


def _chosen_preset(
    path: Path, account: "Account", source: "KeySource", answers: _Answers, options: "Options"
) -> "Preset":
    """The preset that was named or is chosen, after showing what each would do with today's positions."""
    from sellctl.setup.presets import PRESETS
    from sellctl.setup.preview import suggested, why_suggested

    previews = _previews(path, account, source, options)
    _show(previews)
    by_name = {preset.name: preset for preset in PRESETS}
    suggestion = suggested(previews)
    if answers.preset:
        return by_name[answers.preset]
    say(f"Suggested: {suggestion.name} ({why_suggested(previews)}).")
    if answers.yes:
        say(f"Preset: {suggestion.name}.")
        return suggestion
    answers.must_not_ask("which preset to use", f"--preset ({', '.join(by_name)}) or --yes for {suggestion.name}")
    return by_name[_asked("Preset", tuple(by_name), suggestion.name)]


def _previews(path: Path, account: "Account", source: "KeySource", options: "Options") -> "Mapping[str, Preview]":
    """What the defaults and each preset would do with today's positions, by one read of the account."""
    import asyncio
    import json

    from sellctl.bootstrap import RunOptions, assemble
    from sellctl.core.config_manager import ConfigManager
    from sellctl.core.model.account_state import RunMode
    from sellctl.service.logs import configure
    from sellctl.setup.config_file import accounts_text, config_text
    from sellctl.setup.presets import PRESETS
    from sellctl.setup.preview import DEFAULTS, preview

    literal = (f"api_key: {json.dumps(source.api_key)}", f"secret_key: {json.dumps(source.secret_key)}")
    account, manager = replace(account, key_lines=literal), ConfigManager(path)
    loaded = manager.load_text(accounts_text(account), path)
    configure(options.debug, options.log_file, loaded.secrets(), options.log_format)
    runtime = assemble(loaded, options, RunOptions("init", RunMode.DRY_RUN), lambda _event: None)
    try:
        asyncio.run(runtime.scheduler.poll())
        watcher, market = runtime.scheduler.watchers[0], runtime.scheduler.market
        problem = watcher.state.problem or runtime.scheduler.problem
        if problem is not None or market is None:
            raise problem or BrokerError("The broker's clock can't be read.", hint="Try again in a minute.")
        texts = {preset.name: config_text(account, preset) for preset in PRESETS}
        configs = {DEFAULTS: loaded} | {name: manager.load_text(text, path) for name, text in texts.items()}
        return {name: preview(watcher, each.config, market) for name, each in configs.items()}
    finally:
        runtime.close()


def _show(previews: "Mapping[str, Preview]") -> None:
    from sellctl.core.config.schema import StrategyOneConfig
    from sellctl.core.config.summary import strategy_one_text
    from sellctl.setup.presets import PRESET_NAMES, PRESETS
    from sellctl.setup.preview import (
        CLOSED_COLUMNS,
        DEFAULTS,
        LAST_DAY_COLUMNS,
        UNPROTECTED_COLUMNS,
        closed_rows,
        last_day_rows,
        preset_rows,
        unprotected_rows,
    )
    from sellctl.ui.formatting import counted
    from sellctl.ui.render import emit_before_question

    held, unprotected = len(previews[DEFAULTS]), unprotected_rows(previews)
    defaults = f"the default rules ({strategy_one_text(StrategyOneConfig())})"
    say(f"\nIt holds {counted(held, 'position')} now.")
    if unprotected:
        emit_before_question(UNPROTECTED_COLUMNS, unprotected, f"Without a stop under {defaults}")
    elif held:
        say(f"{defaults.capitalize()} have a stop for each of them.")
    if held:
        typer.echo("", err=True)
        emit_before_question(("position", *PRESET_NAMES), preset_rows(previews), "What each preset would do now")
    closed = closed_rows(previews)
    if closed:
        typer.echo("", err=True)
        emit_before_question(CLOSED_COLUMNS, closed, "Closed as soon as a watcher runs")
    last_day = last_day_rows(previews)
    if last_day:
        typer.echo("", err=True)
        emit_before_question(LAST_DAY_COLUMNS, last_day, "Closed later today, whatever the preset")
    typer.echo("", err=True)
    for number, preset in enumerate(PRESETS, 1):
        typer.echo(f"{number}  {preset.name:<14}  {preset.summary}", err=True)


# --- the file


def _write(
    path: Path, account: "Account", source: "KeySource", preset: "Preset", store: Store, written: list[Path]
) -> None:
    """Write the configuration, and before it the keys that were typed in; all of it or nothing."""
    from sellctl.core.config_manager import ConfigManager
    from sellctl.setup.config_file import config_text, interrupts_held_back, make_folder, write_config
    from sellctl.setup.key_sources import KeyStore, StoredKeys

    stored = StoredKeys(account.name, path.absolute().parent)
    if source.lines:
        ConfigManager(path).load_text(config_text(account, preset), path)
    make_folder(path)
    try:
        lines = source.lines or stored.store(source.api_key, source.secret_key, KeyStore(store.value))
        text = config_text(replace(account, key_lines=lines), preset)
        ConfigManager(path).load_text(text, path)
        with interrupts_held_back():
            backup = write_config(path, text)
            written.append(path)
    except BaseException:  # Ctrl-C too: the keys are of no use without the file
        if not written:
            stored.undo()
        raise
    say(f"\nWrote {path}{f', and kept the old one as {backup}' if backup else ''}.")


def _dry_run(path: Path, account: "Account", options: "Options") -> None:
    from sellctl.bootstrap import RunOptions
    from sellctl.core.model.account_state import RunMode

    options = replace(options, config=path)
    run_options = RunOptions("init", RunMode.DRY_RUN)
    runtime = run(options, run_options)
    show_plans(runtime, run_options, None, "Dry run: what would be done now")
    if runtime.scheduler.market is not None and not runtime.scheduler.market.is_open:
        say("The market is closed: nothing is sold.")
    live = "" if account.paper else " --live"
    typer.echo(f"Nothing was sent. Check: sellctl{_named(path)} doctor")
    typer.echo(f"Start: sellctl{_named(path)}{live} watch")
    raise typer.Exit(status_of(runtime.scheduler))


def _named(path: Path) -> str:
    """The option that names this file; "" where sellctl reads it without."""
    from sellctl.core.config_manager import ConfigManager

    found = ConfigManager().find()
    return "" if found and found.resolve() == path.resolve() else f" --config {path}"
