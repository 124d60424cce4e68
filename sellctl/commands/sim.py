"""`sellctl sim`: serve a simulated Alpaca on loopback and write a configuration that points at it."""

import secrets
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.session import options_of, print_line
from sellctl.core.errors import ConfigError
from sellctl.service.options import Options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sellctl.sim.scenario.reader import Scenario
    from sellctl.sim.server import SimServer

_BUILT_IN = "PASIM"  # the account numbers of the scenarios that come with sellctl


def sim(
    context: typer.Context,
    scenario: Annotated[
        str | None,
        typer.Option(
            "--scenario",
            help="A scenario file, or the name of one that comes with sellctl. Default: a market that moves.",
            show_default=False,
        ),
    ] = None,
    still: Annotated[bool, typer.Option("--still", help="A quiet morning instead, in which nothing is due.")] = False,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0 picks a free one.")
    ] = 9001,
    speed: Annotated[
        float | None, typer.Option("--speed", min=0, help="Simulated seconds per second; 0 stops the clock.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Check the scenario and exit.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the scenarios' JSON schema and exit.")] = False,
    config_out: Annotated[
        Path, typer.Option("--config-out", help="Where to write the configuration that points at it.")
    ] = Path("sellctl-sim.yml"),
) -> None:
    """Serve a simulated Alpaca, for any Alpaca client.

    Serves REST and streams on loopback, and writes a configuration that points there, so that every command can be
    tried. By default its market moves: within a minute a target, a stop and a zero-day exit are due.
    """
    from sellctl.sim.config_file import config_text, write_config
    from sellctl.sim.scenario.reader import load_scenario, summary

    if schema:
        import json

        from sellctl.sim.scenario.schema import scenario_schema

        typer.echo(json.dumps(scenario_schema(), indent=2))
        return
    name = _scenario_name(scenario, still=still)
    loaded = load_scenario(name)
    if speed is not None:
        loaded.speed = Decimal(str(speed))
    if check:
        typer.echo(f"{name}: ok. {summary(loaded)}")
        return
    from sellctl.service.descriptors import ensure_descriptors
    from sellctl.sim.server import SimServer, opened

    if shortage := ensure_descriptors(len(loaded.accounts)):
        print_line(f"sellctl: {shortage}")
    _give_ids_of_this_start(loaded)
    options = options_of(context)
    folder = options.state_dir and options.state_dir.absolute()
    options = replace(options, config=config_out.absolute(), state_dir=folder)  # for a terminal in any folder
    with opened(lambda: SimServer(loaded, port=port), port) as server:
        write_config(config_out, config_text(loaded.accounts, server.url, server.stream_url))
        print_line("\n".join(_lines(server, options)))
        server.serve_here()


def _scenario_name(scenario: str | None, *, still: bool) -> str:
    if still and scenario:
        raise ConfigError("--still is a scenario too.", hint="Give either --still or --scenario.")
    return scenario or ("still" if still else "default")


def _lines(server: "SimServer", options: Options) -> "Iterator[str]":
    """What is said at the start. `options` name the configuration that was written."""
    from sellctl.core.config_manager import state_dir
    from sellctl.sim.price_moves import example_of
    from sellctl.sim.scenario.reader import summary

    accounts = server.scenario.accounts
    yield f"Simulator: state in {state_dir(options.state_dir, simulator=True)}"
    yield f"A simulated Alpaca listens on {server.url}: no real money."
    yield summary(server.scenario)
    if server.scenario.description:
        yield server.scenario.description
    yield f"Its configuration: {options.config}"
    yield from (f"Keys of {each.name}, for `sellctl init`: {each.key} and {each.secret}" for each in accounts[:1])
    yield "Press Ctrl-C to stop it. In another terminal, try:"
    yield from (f"  {options.command(*words)}" for words in (("watch",), ("positions",), ("run-once", "--dry-run")))
    move = example_of(server.exchange)
    if move:
        yield f"Move a price, here of {move.symbol} up by a fifth:"
        yield f"  {move.command(server.url)}"


def _give_ids_of_this_start(scenario: "Scenario") -> None:
    """Give accounts and orders ids that no earlier start had; a number that the scenario's author chose stays.

    sellctl derives its client order ids from the account's number, and the broker has ids of its own. Under the same
    ids, the fills of this start would be those of the last start, which the journal has already.
    """
    scenario.start_id = secrets.token_hex(8)
    for account in scenario.accounts:
        if account.number.startswith(_BUILT_IN):
            account.number += secrets.token_hex(4).upper()
