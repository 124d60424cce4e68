"""What a watcher consists of: observing an account, requests by hand, announcing a plan, the schedule of polls."""
