"""Days with several hosts: they share accounts, a journal and a lease table, and all of it fails at some time."""
