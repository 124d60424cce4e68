"""The MCP server of `sellctl mcp`: an assistant reads the accounts, and proposes what a person confirms."""
