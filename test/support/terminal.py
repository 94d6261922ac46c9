"""Runs a command in a terminal of 80 columns: `terminal.py '[["until", "text"], ["send", "\\u0003"]]' command ...`.

Each step waits until the terminal has shown a text since the step before, or types. What was shown goes to
standard output, and the exit code of the command is ours.
"""
import fcntl, json, os, pty, struct, sys, termios

steps = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.execvp(sys.argv[2], sys.argv[2:])

shown = b""
since = 0


def go_on():
    """Takes the steps that can be taken now."""
    global since
    while steps:
        kind, text = steps[0]
        if kind == "send":
            os.write(terminal, text.encode())
        else:
            at = shown.find(text.encode(), since)
            if at < 0:
                return
            since = at + len(text.encode())
        steps.pop(0)


while True:
    go_on()
    try:
        read = os.read(terminal, 65536)
    except OSError:
        break
    if not read:
        break
    shown += read
    sys.stdout.buffer.write(read)
    sys.stdout.buffer.flush()
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
