"""The process in which the filter runs, as its keeper holds it, and the end of everything that it has started."""
import fcntl
import os
import selectors
import signal
import socket
import sys
import time

from channel import Channel

LINE_OCTETS = 2000
SWEEP_SECONDS = 0.5


class Process:
    """One run of worker.py. `on_frame(channel, frame)` hears what it says, `on_line(text)` what is printed in it."""

    def __init__(self, plan, selector, on_frame, on_line):
        self.selector, self.on_line, self.rest = selector, on_line, b''
        self.began, self.is_ready, self.is_told, self.is_gone = time.monotonic(), False, False, False
        # Messages given up while they run, the moment when it is to be killed, and why.
        self.dropped, self.kill_at, self.why = set(), None, None
        here, there = socket.socketpair()
        read_end, write_end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            become_worker(plan, there.fileno(), write_end)
        there.close()
        os.close(write_end)
        os.set_blocking(read_end, False)
        self.output = open(read_end, 'rb', buffering=0)
        selector.register(self.output, selectors.EVENT_READ, lambda events: self.read_output())
        # Without its connection it is of no use. If that is because it ended, its status stays what it is.
        self.channel = Channel(here, selector, on_frame, lambda channel: self.kill(None))
        self.channel.send({'module': plan['module'], 'path': plan['path']})

    def kill(self, why):
        self.why = self.why or why
        if not self.is_gone:
            os.kill(self.pid, signal.SIGKILL)

    def read_output(self):
        """Passes on what was printed, line by line. True if there may be more."""
        data = self.output.read(65536)
        if data is None:
            return False
        lines = (self.rest + data).split(b'\n')
        self.rest = lines.pop()[:LINE_OCTETS]
        if data == b'':
            lines.append(self.rest)
            self.selector.unregister(self.output)
            self.output.close()
        for line in lines:
            if line.strip():
                self.on_line(line[:LINE_OCTETS].decode('utf-8', 'backslashreplace'))
        return data != b''

    def finish(self):
        """After its end: hears what it still said, and lets go of it."""
        self.is_gone = True
        # Not for ever: something that it started may go on printing.
        for _ in range(64):
            if self.output.closed or not self.read_output():
                break
        if not self.output.closed:
            self.selector.unregister(self.output)
            self.output.close()
        while self.channel.is_open and self.channel.read():
            pass
        self.channel.close()


def become_worker(plan, channel, output):
    try:
        numbers = [os.open(os.devnull, os.O_RDONLY), output, output, channel]
        # Out of the way first: one of them may have a number that another one is to get.
        for number, spare in enumerate([fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in numbers]):
            os.dup2(spare, number)
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'worker.py')
        os.execv(sys.executable, [sys.executable, '-u', script, plan['alias']])
    finally:
        os._exit(127)


def adopt_orphans():
    """What a worker leaves behind becomes the keeper's own child (PR_SET_CHILD_SUBREAPER); not so outside of Linux."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    except Exception:
        pass


def sweep():
    """Ends all that a worker has left behind, and what that leaves behind in its turn."""
    give_up_at = time.monotonic() + SWEEP_SECONDS
    while time.monotonic() < give_up_at:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] != 0:
                continue
        except ChildProcessError:
            return
        for pid in children():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.002)


def children():
    found = []
    for name in os.listdir('/proc') if os.path.isdir('/proc/self') else []:
        try:
            with open('/proc/%d/stat' % int(name)) as file:
                if int(file.read().rpartition(')')[2].split()[1]) == os.getpid():
                    found.append(int(name))
        except (ValueError, OSError):
            pass
    return found
