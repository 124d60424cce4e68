"""The tools as a server of the Model Context Protocol, on its official SDK."""

from collections.abc import Callable
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp_types import Tool as ListedTool

from sellctl import __version__
from sellctl.mcp_server.tools import NOTICE, OUTPUT_SCHEMA, Caller, Tool, ToolBox
from sellctl.ui.formatting import sanitize

Context = ServerRequestContext[Any, Any]
_LONGEST_NAME = 40  # characters of a client's name in the journal
_READS = "sellctl watches positions at Alpaca and closes each one when a rule says so. The tools read only."
_PROPOSES = (
    "sellctl watches positions at Alpaca and closes each one when a rule says so. The tools read, and propose: close, "
    "set, exempt and halt do nothing by themselves, but return a plan with a code that a person confirms at a terminal "
    "with `sellctl confirm CODE`, or where else the answer says. Show the person the plan and these ways. You can't "
    "confirm it yourself."
)


def server_of(box: ToolBox, caller_of: Callable[[str, Any], Caller]) -> Server[Any]:
    """The server. `caller_of` is called with the name of the client and the HTTP request, over stdio None."""
    listed = [_listed(tool) for tool in box.tools.values()]

    async def list_tools(_context: Context, _params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=listed)

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        caller = caller_of(_name_of(context), context.request)
        answer = await box.call(params.name, params.arguments, caller)
        text = TextContent(type="text", text=answer.text)
        return CallToolResult(content=[text], structured_content=answer.document, is_error=answer.is_error)

    proposes = any(tool.proposes for tool in box.tools.values())
    return Server(
        "sellctl",
        version=__version__,
        title="sellctl, the exit manager",
        instructions=f"{_PROPOSES if proposes else _READS} {NOTICE}",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _listed(tool: Tool) -> ListedTool:
    hints = ToolAnnotations(
        title=tool.title,
        read_only_hint=not tool.proposes,
        destructive_hint=tool.destructive,
        idempotent_hint=not tool.proposes,
        open_world_hint=False,
    )
    return ListedTool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=OUTPUT_SCHEMA,
        annotations=hints,
    )


def _name_of(context: Context) -> str:
    """The name by which the client calls itself. Nobody has checked it."""
    params = context.session.client_params
    name = sanitize(params.client_info.name)[:_LONGEST_NAME].strip() if params else ""
    return name or "an MCP client"
