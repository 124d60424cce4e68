"""`sellctl mcp` against a simulated Alpaca, called by the SDK's own client: as a process, or in this one."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jsonschema_rs
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from stage import MAIN, Stage, clean_environment

from sellctl.bootstrap import RunOptions, assemble, load
from sellctl.core.model.account_state import RunMode
from sellctl.mcp_server.accounts import Accounts
from sellctl.mcp_server.running import box_of
from sellctl.mcp_server.server import server_of
from sellctl.mcp_server.tools import OUTPUT_SCHEMA, Caller, ToolBox
from sellctl.mcp_server.watching import Watching
from sellctl.service.logs import log_event
from sellctl.service.options import Options

OUTPUT = jsonschema_rs.validator_for(OUTPUT_SCHEMA)


@asynccontextmanager
async def over_stdio(stage: Stage, *arguments: str, mode: str = "auto") -> AsyncIterator[Client]:
    """A client that has started the server, as an assistant's program does."""
    server = StdioServerParameters(
        command=MAIN[0],
        args=[*MAIN[1:], *stage.arguments("mcp", *arguments)],
        env=clean_environment(stage.folder),
        cwd=stage.folder,
    )
    with (stage.folder / "mcp.log").open("w") as log:
        async with Client(stdio_client(server, log), mode=mode, read_timeout_seconds=30) as client:
            yield client


@asynccontextmanager
async def tools_of(stage: Stage, *, may_propose: bool = False) -> AsyncIterator[ToolBox]:
    """The tools in this process, on accounts that are watched."""
    options = Options(stage.config, stage.state, live=False, debug=False, log_file=None)
    runtime = assemble(load(options), options, RunOptions("mcp", RunMode.DRY_RUN), log_event)
    watching, stop = Watching(Accounts(runtime)), asyncio.Event()
    running = asyncio.create_task(watching.run(stop))
    try:
        yield box_of(watching, may_propose=may_propose)
    finally:
        stop.set()
        await running
        runtime.close()


@asynccontextmanager
async def in_process(stage: Stage, *, may_propose: bool = False) -> AsyncIterator[Client]:
    """A client of a server in this process."""
    async with tools_of(stage, may_propose=may_propose) as box:
        server = server_of(box, lambda name, _request: Caller(name, may_propose=may_propose))
        async with Client(server) as client:
            yield client


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """The data of an answer. AssertionError when the call was refused, or the two forms of the answer differ."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    [text] = result.content
    assert json.loads(text.text) == result.structured_content  # type: ignore[union-attr]
    data: dict[str, Any] = result.structured_content["data"]
    return data


async def refusal(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Why a call was refused: its sentence, hint and exit status."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result.structured_content
    error: dict[str, Any] = result.structured_content["data"]["error"]
    return error
