"""The core: decides purely, and drives brokers, quotes, clocks and journals through ports only."""
