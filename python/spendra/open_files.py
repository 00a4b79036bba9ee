"""How many files and connections a process may have open."""

import resource


def allow_most() -> None:
    """As many as the system lets this process have: each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
