"""The MCP server of `sellctl mcp`: tools with which an assistant reads the accounts, and proposes what a person confirms."""
