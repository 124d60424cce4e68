"""What `sellctl init` works with: where keys come from, presets, their preview, and the configuration file."""
