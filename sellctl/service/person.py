"""Who runs this process, for the journal and for what a person sets by hand."""

import getpass
import os


def person(uid: int | None = None) -> str:
    """The name of a user, by default of this process; its number where the system has no name for it.

    It is that of the user id, because anybody can set LOGNAME and USER.
    """
    try:
        import pwd  # noqa: PLC0415  Windows lacks it
    except ImportError:
        return getpass.getuser()
    uid = os.getuid() if uid is None else uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # as in a container that runs as a user of its own
        return f"user {uid}"


def at_the_command_line(uid: int | None = None) -> str:
    """The same as the author of a command: "ann at the command line"."""
    return f"{person(uid)} at the command line"


def at_the_watch_screen() -> str:
    """This user as the author of what is done with the keys of the screen: "ann at the watch screen"."""
    return f"{person()} at the watch screen"
