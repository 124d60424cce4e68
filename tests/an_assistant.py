"""An assistant that proposes by the tools of `sellctl mcp`: what it gets is a code for a person."""

import asyncio
from pathlib import Path
from typing import Any

from sellctl.bootstrap import RunOptions, Runtime, assemble, load
from sellctl.core.model.account_state import RunMode
from sellctl.mcp_server.accounts import Accounts
from sellctl.mcp_server.proposing import PROPOSING
from sellctl.mcp_server.tools import Caller, ToolBox
from sellctl.service.options import Options
from sellctl.service.proposals import Proposals
from sellctl.service.verbs import Verbs

ASSISTANT = "an assistant"


async def code_for(runtime: Runtime, tool: str, _proposals: Proposals | None = None, **arguments: Any) -> str:
    """The code of what a tool proposes about the accounts of a runtime, as they were last read."""
    proposals = _proposals or Proposals(runtime.state.path)
    read = asyncio.Event()
    read.set()
    tools = {each.name: each for each in PROPOSING}
    box = ToolBox(Accounts(runtime), read, str, tools, Verbs(runtime), proposals)
    answer = await box.call(tool, arguments, Caller(ASSISTANT, may_propose=True))
    assert not answer.is_error, answer.text
    code: str = answer.document["data"]["code"]
    return code


def code_beside(config: Path, state: Path, tool: str, **arguments: Any) -> str:
    """The same by a process of its own, as `sellctl mcp` is one: with a configuration and a state folder."""

    async def propose() -> str:
        options = Options(config, state, live=False, debug=False, log_file=None)
        runtime = assemble(load(options), options, RunOptions("mcp", RunMode.DRY_RUN), lambda _event: None)
        try:
            await runtime.scheduler.poll()
            return await code_for(runtime, tool, **arguments)
        finally:
            runtime.close()

    return asyncio.run(propose())
