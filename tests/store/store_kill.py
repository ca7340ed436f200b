"""Kill a writer at each of the moments at which it changes the file system."""

import os
import signal
import sys
import time

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.link", "os.rmdir", "os.truncate", "shutil.rmtree"}


def run_killed_at(n, action):
    """Run `action` in a forked child that dies just before its n-th change of the file system; True if it lived."""
    pid = os.fork()
    if pid == 0:
        count = 0

        def hook(event, args):
            nonlocal count
            writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
            # a file that is just open for writing is empty; the rename that follows is the next moment
            if event in _CHANGES or writes:
                count += 1
                if count == n:
                    os.kill(os.getpid(), signal.SIGKILL)

        code = 1
        try:
            sys.addaudithook(hook)
            action()
            code = 0
        except BaseException as error:  # the child must never run on into the parent's tests
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)
    end = time.monotonic() + 60
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise AssertionError(f"the writer that was to be killed at change {n} hangs")
        time.sleep(0.005)
    if os.WIFSIGNALED(status):
        return False
    assert os.WEXITSTATUS(status) == 0, f"the writer that was to be killed at change {n} failed"
    return True
