"""The limit of open files. Every connection, lock and file takes one: 200 accounts use more than the usual 1,024."""

BASE = 256  # the program, its journal and log, and the connections of the control API
PER_ACCOUNT = 8  # connections for requests and streams, and the lock; 5 are used on average


def needed(accounts: int) -> int:
    """How many files may be open at once with so many accounts."""
    return BASE + PER_ACCOUNT * accounts


def ensure_descriptors(accounts: int) -> str:
    """Raise this process's limit of open files to what its accounts need.

    Returns "" or, when the system allows fewer, a warning. Where there is no such limit (Windows), nothing is done.
    """
    try:
        import resource  # noqa: PLC0415  only on POSIX
    except ImportError:
        return ""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    goal = needed(accounts)
    if soft == resource.RLIM_INFINITY or soft >= goal:
        return ""
    allowed = goal if hard == resource.RLIM_INFINITY else min(goal, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (OSError, ValueError):
        allowed = soft
    if allowed >= goal:
        return ""
    counted = "1 account needs" if accounts == 1 else f"{accounts} accounts need"
    return f"{counted} up to {goal} open files, and the limit is {allowed}: raise it (ulimit -n, or LimitNOFILE)."
