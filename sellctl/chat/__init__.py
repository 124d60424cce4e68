"""The chat bot: alerts with buttons, and commands, in the chats that the configuration names (extra `telegram`)."""
