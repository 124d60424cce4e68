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
    yes: YesOption = False,
) -> None:
    """Run the watcher with its control API and control page.

    Watches all positions, closes what is due and serves HTTP, until Ctrl-C.
    """
    import asyncio

    require_api()
    from sellctl.api.lifespan import RUN_OPTIONS, build, load
    from sellctl.api.server import listen, tls_context, url_of
    from sellctl.api.server import serve as served

    options = options_of(context)
    loaded = load(options)
    tls = tls_context(loaded)
    confirm_first_live(loaded, options, replace(RUN_OPTIONS, yes=yes))
    with listen(loaded.config.api, port) as listening:
        services = build(loaded, options)
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
