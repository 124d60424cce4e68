"""Parts of a watcher: observing an account, manual requests, announcing a plan, the schedule of polls."""
