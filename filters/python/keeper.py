"""Keeps one Python process with a filter written for pythonfilter, for all worker threads of one runner.

Started by start.ts with its plan, one JSON object, on standard input. It runs no code of the filter, so it always
answers: it listens for the threads, hands their messages to the worker (worker.py), and ends the worker, with all that
the worker has started, when a message was given up. It says "serving" on standard output once it listens, or "taken"
where another keeper of the same runner does already.

Ends: at once when the runner is gone; when the last thread has said goodbye, after the worker has closed in peace; and
a while after the last connection was lost without a goodbye, since a thread that died gets a successor.
"""
import sys

# Before our own files are imported: nothing is to be written into the folder of the program.
sys.dont_write_bytecode = True

import collections
import fcntl
import json
import os
import re
import selectors
import signal
import socket
import time

from channel import Channel
from process import Process, adopt_orphans, sweep

MAX_UNREAD_LOG = 256 * 1024
LOOK_SECONDS = 0.5
LINGER_SECONDS = 10
CLOSE_SECONDS = 2
# How long the worker may take to tell where a message is that was given up. The end of the process has to fit into the
# 200 ms of grace after a filter's signal (host/chain/chain.ts).
WHERE_SECONDS = 0.05
# Pauses before a worker that ended by itself is started again, growing while they end young.
PAUSE_FIRST, PAUSE_MAX, YOUNG_SECONDS = 0.1, 10, 10

Message = collections.namedtuple('Message', 'thread id body controls')


class Keeper:
    def __init__(self, plan, listener):
        self.plan, self.listener = plan, listener
        self.selector = selectors.DefaultSelector()
        self.threads, self.waiting, self.running = [], collections.deque(), {}
        self.worker, self.last_number, self.was_ready, self.is_ending = None, 0, False, False
        # Why it cannot serve: the frame "broken", as the threads hear it.
        self.problem = None
        self.start_at, self.pause, self.lines_lost = 0, 0, 0
        self.alone_until = time.monotonic() + LINGER_SECONDS
        waker, wakened = socket.socketpair()
        waker.setblocking(False)
        self.waker = waker
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(waker.fileno())
        self.selector.register(wakened, selectors.EVENT_READ, lambda events: wakened.recv(4096))
        self.selector.register(listener, selectors.EVENT_READ, lambda events: self.on_connection())

    def serve(self):
        while os.getppid() == self.plan['runner'] and not (self.is_ending and self.worker is None):
            now = time.monotonic()
            if not self.threads and now >= self.alone_until:
                break
            self.tend(now)
            dues = [self.alone_until, self.start_at, self.worker.kill_at if self.worker else None]
            wait = min([due - now for due in dues if due is not None and due > now] + [LOOK_SECONDS])
            for key, events in self.selector.select(wait):
                # What was ready may have been let go of by what was ready before it.
                if is_open(key.fileobj):
                    key.data(events)
            self.reap()
        if self.worker:
            self.worker.kill('nobody needs it any more')
        sweep()

    def tend(self, now):
        """Does what is due: starts the worker, kills it, hands it messages."""
        worker = self.worker
        if worker is None:
            if self.threads and not self.is_ending and now >= self.start_at:
                worker = self.worker = Process(
                    self.plan, self.selector, self.on_worker_frame, lambda text: self.log('info', text)
                )
                worker.kill_at = now + self.plan['startSeconds']
            return
        if worker.kill_at is not None and now >= worker.kill_at:
            worker.kill_at = None
            late = 'it was not ready within %g s; its import or its init_filter hangs' % self.plan['startSeconds']
            worker.kill('it did not close' if self.is_ending else 'a message was given up' if worker.is_ready else late)
        while self.waiting and worker.is_ready and not worker.dropped and len(self.running) < self.plan['threads']:
            message = self.waiting.popleft()
            self.last_number += 1
            self.running[self.last_number] = message
            worker.channel.send({'number': self.last_number, 'body': message.body, 'controls': message.controls})

    def log(self, level, text):
        if not self.threads or len(self.threads[0].unsent) > MAX_UNREAD_LOG:
            self.lines_lost += 1
            return
        if self.lines_lost > 0:
            self.threads[0].send({'type': 'log', 'level': 'warn', 'text': '%d lines were lost' % self.lines_lost})
            self.lines_lost = 0
        self.threads[0].send({'type': 'log', 'level': level, 'text': text})

    def on_connection(self):
        try:
            sock = self.listener.accept()[0]
        except OSError:
            return
        thread = Channel(sock, self.selector, self.on_thread_frame, self.on_thread_lost)
        self.threads.append(thread)
        if self.worker and self.worker.is_ready:
            thread.send({'type': 'ready', 'pid': self.worker.pid})
        elif self.problem:
            thread.send(self.problem)

    def on_thread_frame(self, thread, frame):
        if frame['type'] == 'run':
            if self.problem:
                thread.send({'type': 'gone', 'id': frame['id'], 'text': self.problem['text']})
            else:
                self.waiting.append(Message(thread, frame['id'], frame['body'], frame['controls']))
        elif frame['type'] == 'drop':
            self.drop(thread, frame['id'], 'its time limit was over')
        elif len(self.threads) > 1:
            self.threads.remove(thread)
            thread.close()
        else:
            # The last one hears the end of its connection when the filter has closed in peace.
            self.listen_no_more()
            self.is_ending = True
            if self.worker:
                self.worker.kill_at = time.monotonic() + CLOSE_SECONDS
                self.worker.channel.send({'close': True})

    def on_thread_lost(self, thread):
        self.threads.remove(thread)
        self.drop(thread, None, 'the thread that waited for it was ended')
        self.alone_until = time.monotonic() + (LINGER_SECONDS if self.was_ready else 0)

    def drop(self, thread, wanted, why):
        """Gives up messages of a thread, all or one: what waits is not begun, what runs is ended with its process."""
        for message in [each for each in self.waiting if each.thread is thread and wanted in (None, each.id)]:
            self.waiting.remove(message)
            thread.send({'type': 'gone', 'id': message.id, 'text': 'it waited for the Python process until %s' % why})
        worker = self.worker
        for number, message in self.running.items():
            if message.thread is thread and wanted in (None, message.id) and number not in worker.dropped:
                worker.dropped.add(number)
                worker.why = 'a message was given up, %s' % why
                worker.kill_at = worker.kill_at or time.monotonic() + WHERE_SECONDS
                worker.channel.send({'where': number})

    def on_worker_frame(self, channel, frame):
        worker = self.worker
        if frame['type'] == 'ready':
            worker.is_ready, self.was_ready, self.problem = True, True, None
            if not self.is_ending:
                worker.kill_at = None
            self.log('info', 'Python process %d runs %s' % (worker.pid, frame['text']))
            for thread in self.threads:
                thread.send({'type': 'ready', 'pid': worker.pid})
        elif frame['type'] == 'broken':
            worker.is_told = True
            self.break_down(frame)
        elif frame['type'] == 'place':
            if frame['number'] in worker.dropped:
                self.log('warn', 'Python process %d is ended: %s; it was %s' % (worker.pid, worker.why, frame['text']))
                worker.kill(None)
        elif frame['type'] == 'done' and frame['number'] in self.running:
            message = self.running.pop(frame['number'])
            message.thread.send({'type': 'done', 'id': message.id, 'result': frame['result']})
            # Its code has ended by itself at the last moment, and what runs beside it is spared.
            if frame['number'] in worker.dropped:
                worker.dropped.remove(frame['number'])
                if not worker.dropped and not self.is_ending:
                    worker.kill_at = worker.why = None

    def break_down(self, problem):
        self.problem = problem
        if self.was_ready:
            self.log('error', 'cannot be started again: %s' % problem['text'])
        for message in self.waiting:
            message.thread.send({'type': 'gone', 'id': message.id, 'text': problem['text']})
        self.waiting.clear()
        for thread in self.threads:
            thread.send(problem)

    def reap(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self.worker and pid == self.worker.pid:
                self.on_worker_end(status)

    def on_worker_end(self, status):
        worker = self.worker
        worker.finish()
        self.worker = None
        sweep()
        ended = end_of(status)
        cause = worker.why or 'it %s' % ended
        if self.is_ending:
            pass
        elif not worker.is_ready:
            if not worker.is_told:
                text = 'the Python process was given up before it was ready: %s' % cause
                self.break_down({'type': 'broken', 'text': text, 'place': None})
            self.back_off(worker)
        elif worker.why is None:
            text = 'Python process %d %s, with %d messages in hand' % (worker.pid, ended, len(self.running))
            self.log('error', text)
            self.back_off(worker)
        for message in self.running.values():
            text = 'its Python process is gone: %s' % cause
            message.thread.send({'type': 'gone', 'id': message.id, 'text': text})
        self.running.clear()

    def back_off(self, worker):
        now = time.monotonic()
        is_young = now - worker.began < YOUNG_SECONDS
        self.pause = min(PAUSE_MAX, max(PAUSE_FIRST, self.pause * 2)) if is_young else PAUSE_FIRST
        self.start_at = now + self.pause

    def listen_no_more(self):
        if self.listener.fileno() == -1:
            return
        self.selector.unregister(self.listener)
        self.listener.close()
        remove(self.plan['socket'])


def is_open(handle):
    return not handle.closed if hasattr(handle, 'closed') else handle.fileno() != -1


def end_of(status):
    if not os.WIFSIGNALED(status):
        return 'ended with status %d' % os.WEXITSTATUS(status)
    try:
        return 'was ended by %s' % signal.Signals(os.WTERMSIG(status)).name
    except ValueError:
        return 'was ended by signal %d' % os.WTERMSIG(status)


def remove(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def remove_leftovers(plan):
    """Removes the sockets and locks of runners that are gone."""
    folder = os.path.dirname(plan['socket'])
    for name in os.listdir(folder):
        match = re.match(r'([0-9]+)\.(sock|lock)$', name)
        if match is None or int(match.group(1)) == plan['runner']:
            continue
        try:
            os.kill(int(match.group(1)), 0)
        except ProcessLookupError:
            remove(os.path.join(folder, name))
        except OSError:
            pass


def take_lock(plan):
    """One keeper a runner. The lock, which is held as long as this process lives; `None` if another one has it."""
    lock = os.open(re.sub(r'sock$', 'lock', plan['socket']), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    return lock


def listen(plan):
    remove(plan['socket'])
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(plan['socket'])
    finally:
        os.umask(mask)
    listener.listen(256)
    listener.setblocking(False)
    return listener


def main():
    plan = json.loads(sys.stdin.read())
    lock = take_lock(plan)
    if lock is None:
        print('taken')
        return
    adopt_orphans()
    remove_leftovers(plan)
    keeper = Keeper(plan, listen(plan))
    try:
        print('serving')
        sys.stdout.flush()
    except OSError:
        # The thread that started us is gone already; there are others.
        pass
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    try:
        keeper.serve()
    finally:
        keeper.listen_no_more()


if __name__ == '__main__':
    main()
