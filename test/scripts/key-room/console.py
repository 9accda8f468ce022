# A person at a console: runs a command under a pseudo-terminal, waits for texts, types, and watches whether the terminal
# echoes. Reads {"command": [...], "steps": [[wait, type], ...]} and writes {"screen": ..., "echoed": [...], "status": ...}.
import json, os, pty, select, sys, termios, time

task = json.load(sys.stdin)
pid, console = pty.fork()
if pid == 0:
    os.execvp(task["command"][0], task["command"])
screen, at, echoed = b"", 0, []
end = time.monotonic() + task["seconds"]


def read():
    """One piece of what is shown; False at the end of it."""
    global screen
    if time.monotonic() > end:
        os.kill(pid, 9)
        return False
    if not select.select([console], [], [], 1)[0]:
        return True
    try:
        piece = os.read(console, 4096)
    except OSError:
        return False
    screen += piece
    return piece != b""


for wait, typed in task["steps"]:
    found = -1
    while (found := screen.find(wait.encode(), at)) < 0 and read():
        pass
    if found < 0:
        break
    at = found + len(wait.encode())
    # lflag of the terminal: does the console itself show what is typed?
    echoed.append(bool(termios.tcgetattr(console)[3] & termios.ECHO))
    os.write(console, typed.encode())
while read():
    pass
_, status = os.waitpid(pid, 0)
json.dump({"screen": screen.decode("utf-8", "replace"), "echoed": echoed, "status": os.waitstatus_to_exitcode(status)}, sys.stdout)
