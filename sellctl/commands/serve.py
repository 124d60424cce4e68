"""`sellctl serve`: the watcher and its control API, with the control page, in one process."""

import importlib.util
from dataclasses import replace
from typing import Annotated

import typer

from sellctl.commands.session import YesOption, confirm_first_live, options_of, print_line, status_of
from sellctl.core.errors import ConfigError
from sellctl.core.exit_codes import ExitCode
from sellctl.installation import missing_extra

_PACKAGES = ("fastapi", "httptools", "jwt", "pydantic", "starlette")  # of the extra


def serve(
    context: typer.Context,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Overrides api.port; 0 uses any free port.", show_default=False)
    ] = None,
    observe: Annotated[
        bool,
        typer.Option("--observe", help="Beside hosts: show what they watch, and pass on to them what is asked."),
    ] = False,
    yes: YesOption = False,
) -> None:
    """Run the watcher with its control API and control page.

    Watches all positions, closes what is due and serves HTTP, until Ctrl-C. With --observe it sends nothing itself:
    hosts do, which `sellctl watch --host-id` starts.
    """
    import asyncio

    require_api()
    from sellctl.api.lifespan import OBSERVING, RUN_OPTIONS, build, load
    from sellctl.api.server import listen, tls_context, url_of
    from sellctl.api.server import serve as served
    from sellctl.bootstrap import state_of
    from sellctl.service.hosts import require_shared

    options = options_of(context)
    loaded = load(options)
    tls = tls_context(loaded)
    run_options = replace(OBSERVING if observe else RUN_OPTIONS, yes=yes)
    if observe:
        require_shared(state_of(options, loaded), "--observe", "On a single machine, leave --observe out.")
    confirm_first_live(loaded, options, run_options)
    with listen(loaded.config.api, port) as listening:
        services = build(loaded, options, run_options)
        print_line(f"sellctl listens on {url_of(listening, loaded.config.api)}. Press Ctrl-C to stop.")
        try:
            asyncio.run(served(services, listening, tls))
        finally:
            services.close()
    status = status_of(services.control.runtime.scheduler, stopped=True)
    raise typer.Exit(ExitCode.FAILED if services.control.fault else status)


def require_api() -> None:
    """Raise ConfigError when the extra `api` isn't installed."""
    if any(importlib.util.find_spec(name) is None for name in _PACKAGES):
        sentence, hint = missing_extra("The control API", "api")
        raise ConfigError(sentence, hint=hint)
