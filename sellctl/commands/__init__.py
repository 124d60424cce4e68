"""One file a command: options, one call into the library, one render."""
