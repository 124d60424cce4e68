"""Real hosts: processes of `watch --host-id` on a real PostgreSQL, one or two of which are struck around an exit."""
