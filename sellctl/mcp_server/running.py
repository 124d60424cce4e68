"""Runs the server: this process watches the accounts and serves clients, until a signal or the end of stdin."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sellctl.bootstrap import RunOptions, Runtime, assemble
from sellctl.core.config.hosts import is_loopback
from sellctl.core.config_manager import ConfigManager, LoadedConfig
from sellctl.core.model.account_state import RunMode
from sellctl.mcp_server.accounts import Accounts
from sellctl.mcp_server.places import has_api_secret
from sellctl.mcp_server.proposing import PROPOSING
from sellctl.mcp_server.server import server_of
from sellctl.mcp_server.tools import READING, Caller, ToolBox
from sellctl.mcp_server.watching import Watching
from sellctl.service.logs import configure, log_event, redactor
from sellctl.service.proposals import Proposals
from sellctl.service.reload import reload
from sellctl.service.signals import on_first_signal, on_hangup
from sellctl.service.verbs import Verbs

if TYPE_CHECKING:
    from sellctl.service.options import Options

Serving = Callable[[], Coroutine[Any, Any, None]]


def over_stdio(options: "Options", accounts: Sequence[str], *, may_propose: bool) -> None:
    """Serve the client that started this process."""
    from sellctl.mcp_server.stdio import serve  # noqa: PLC0415  the transport in use

    loaded = _load(options, with_secret=False)

    def serving(box: ToolBox) -> Serving:
        server = server_of(box, lambda name, _request: Caller(name, may_propose=True))
        return lambda: serve(server)

    _run(loaded, options, accounts, serving, may_propose=may_propose)


def over_http(
    options: "Options",
    accounts: Sequence[str],
    address: tuple[str, int],
    listening: Callable[[str], None],
    *,
    may_propose: bool,
) -> None:
    """Serve clients at an address, and call `listening` with its URL. Needs the extra `api`.

    SafetyRefusalError when other machines could reach it without a token or unencrypted.
    """
    from sellctl.api.access import Access  # noqa: PLC0415  the transport in use
    from sellctl.api.server import LimitedServer, Limits, listen, tls_context, url_of  # noqa: PLC0415  likewise
    from sellctl.api.tokens import check_secret  # noqa: PLC0415  likewise
    from sellctl.mcp_server.http import PATH, application, caller_of, gate_of  # noqa: PLC0415  likewise

    host, port = address
    loaded = _load(options, with_secret=False)
    with_tokens = not is_loopback(host) or has_api_secret(loaded.config)
    if with_tokens:
        loaded = _load(options, with_secret=True)
        check_secret(loaded.config.api.secret)
    api = replace(loaded.config.api, host=host, port=port)
    tls = tls_context(loaded)
    with listen(api) as socket:
        listening(f"{url_of(socket, api)}{PATH}")

        def serving(box: ToolBox) -> Serving:
            gate = gate_of(box.accounts.runtime, api) if with_tokens else None
            app = application(server_of(box, caller_of), Access.of(api), gate)
            return lambda: LimitedServer(app, tls, Limits()).serve(sockets=[socket])

        _run(loaded, options, accounts, serving, may_propose=may_propose)


def _load(options: "Options", *, with_secret: bool) -> LoadedConfig:
    configure(options.debug, options.log_file, log_format=options.log_format)
    loaded = ConfigManager(options.config, with_api=with_secret, with_notify=False, with_chat=False).load()
    configure(options.debug, options.log_file, loaded.secrets(), options.log_format)
    return loaded


def _run(
    loaded: LoadedConfig,
    options: "Options",
    accounts: Sequence[str],
    serving: Callable[[ToolBox], Serving],
    *,
    may_propose: bool,
) -> None:
    runtime = assemble(loaded, options, RunOptions("mcp", RunMode.DRY_RUN, accounts), log_event)
    watching = Watching(Accounts(runtime))
    try:
        asyncio.run(_until_the_end(runtime, options, watching, serving(box_of(watching, may_propose=may_propose))))
    finally:
        runtime.close()


def box_of(watching: Watching, *, may_propose: bool) -> ToolBox:
    """The tools on the accounts that are watched."""
    tools = (*READING, *PROPOSING) if may_propose else READING
    runtime = watching.accounts.runtime
    return ToolBox(
        watching.accounts,
        watching.first_read,
        redactor(runtime.loaded.secrets()),
        {tool.name: tool for tool in tools},
        Verbs(runtime),
        Proposals(runtime.state.path),
    )


async def _until_the_end(runtime: Runtime, options: "Options", watching: Watching, serve: Serving) -> None:
    """Watch and serve until a signal, the end of the client, or a failure, which is raised."""
    stop = asyncio.Event()
    on_first_signal(stop.set)

    async def reload_config() -> None:
        await reload(runtime, options.config, log_event, notifies=False)
        watching.spread_reads()

    on_hangup(reload_config)
    watched, served = asyncio.create_task(watching.run(stop)), asyncio.create_task(serve())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({watched, served, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    served.cancel()
    await asyncio.gather(watched, served, stopped, return_exceptions=True)
    for task in (watched, served):
        if not task.cancelled() and (error := task.exception()):
            raise error
