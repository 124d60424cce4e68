"""`sellctl sim`: serve a simulated Alpaca on loopback and write a configuration that points at it."""

import secrets
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from sellctl.commands.session import options_of

_BUILT_IN = "PASIM"  # the account numbers of the scenarios that come with sellctl


def sim(
    context: typer.Context,
    scenario: Annotated[
        str, typer.Option("--scenario", help="A scenario file, or the name of one that comes with sellctl.")
    ] = "default",
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
    tried.
    """
    from sellctl.sim.config_file import config_text, write_config
    from sellctl.sim.scenario.reader import load_scenario, summary

    if schema:
        import json

        from sellctl.sim.scenario.schema import scenario_schema

        typer.echo(json.dumps(scenario_schema(), indent=2))
        return
    loaded = load_scenario(scenario)
    if speed is not None:
        loaded.speed = Decimal(str(speed))
    if check:
        typer.echo(f"{scenario}: ok. {summary(loaded)}")
        return
    from sellctl.core.config_manager import state_dir
    from sellctl.service.descriptors import ensure_descriptors
    from sellctl.sim.server import SimServer, opened

    if shortage := ensure_descriptors(len(loaded.accounts)):
        typer.echo(f"sellctl: {shortage}", err=True)
    for account in loaded.accounts:
        account.number = _number_of_this_start(account.number)
    folder = state_dir(options_of(context).state_dir, simulator=True)
    with opened(lambda: SimServer(loaded, port=port), port) as server:
        write_config(config_out, config_text(loaded.accounts, server.url, server.stream_url))
        message = "\n".join(
            (
                f"A simulated Alpaca listens on {server.url}: sellctl keeps journal and halt for it in {folder}",
                summary(loaded),
                f"Its configuration is {config_out}. Try: sellctl --config {config_out} positions",
                f"Its market is at {server.url}/sim/state. Ctrl-C ends it.",
            )
        )
        typer.echo(message, err=True)
        server.serve_here()


def _number_of_this_start(number: str) -> str:
    """An account's number for this start; one that the scenario's author chose stays.

    Order ids are derived from it. Under the same number, the orders of this start would get the ids of the last start's
    orders, whose fills the journal has already.
    """
    return f"{number}{secrets.token_hex(4).upper()}" if number.startswith(_BUILT_IN) else number
