"""Run as a script in the child: tie it to its parent's life, then become the real program.

`leash.py SIGNAL PARENT USER PROGRAM...`: the kernel sends SIGNAL when the process PARENT dies,
also by `kill -9`; USER is a name to run as, or empty. On Linux only: elsewhere there is no such
call, and a parent that is killed outright leaves its children to the next `spendra up`.
"""

import ctypes
import os
import pwd
import sys

_PR_SET_PDEATHSIG = 1


def main(death_signal: int, parent: int, user: str, program: list[str]) -> None:
    if user:
        _become(pwd.getpwnam(user))
    # After the change of user, which clears it.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent died before its child began")
    os.execv(program[0], program)  # noqa: S606 (the program is ours, no shell is wanted)


def _become(user: pwd.struct_passwd) -> None:
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
