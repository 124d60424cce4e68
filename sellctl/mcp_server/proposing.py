"""The tools that propose. Each returns a plan and a code; nothing is done until a person confirms the code."""

from sellctl.mcp_server.tools import Tool

PROPOSING: tuple[Tool, ...] = ()
