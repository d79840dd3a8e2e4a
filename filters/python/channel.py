"""Frames on a socket of the keeper: one JSON value a line, and nobody ever waits for the other side."""
import json
import selectors

MAX_FRAME = 4 * 1024 * 1024


class Channel:
    """`on_frame(channel, frame)` for each frame; `on_end(channel)` once, unless it was closed from this side."""

    def __init__(self, sock, selector, on_frame, on_end):
        sock.setblocking(False)
        self.sock, self.selector, self.on_frame, self.on_end = sock, selector, on_frame, on_end
        self.rest, self.unsent, self.is_open = b'', bytearray(), True
        selector.register(sock, selectors.EVENT_READ, self.turn)

    def send(self, frame):
        if self.is_open:
            self.unsent += json.dumps(frame).encode('ascii') + b'\n'
            self.flush()

    def flush(self):
        try:
            del self.unsent[: self.sock.send(self.unsent)]
        except BlockingIOError:
            pass
        except OSError:
            # The other side is gone, which the next read tells in its place.
            self.unsent.clear()
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.unsent else 0)
        self.selector.modify(self.sock, events, self.turn)

    def turn(self, events):
        if events & selectors.EVENT_WRITE:
            self.flush()
        if events & selectors.EVENT_READ:
            self.read()

    def read(self):
        """Reads once. True if there may be more."""
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            data = b''
        is_over = data == b''
        lines = (self.rest + data).split(b'\n')
        self.rest = lines.pop()
        try:
            for frame in [json.loads(line.decode('utf-8')) for line in lines]:
                if self.is_open:
                    self.on_frame(self, frame)
        except ValueError:
            is_over = True
        if self.is_open and (is_over or len(self.rest) > MAX_FRAME):
            self.close()
            self.on_end(self)
        return self.is_open

    def close(self):
        if self.is_open:
            self.is_open = False
            self.selector.unregister(self.sock)
            self.sock.close()
