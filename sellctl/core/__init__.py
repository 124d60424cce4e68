"""The core: pure decisions, and the code that uses brokers, quotes, clocks and journals only through ports."""
