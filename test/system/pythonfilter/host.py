"""A stand-in for pythonfilter's program: as little of it as Courier and the list need. Started by Courier."""
import importlib
import os
import select
import socket
import sys
import threading

NAME = '/var/lib/courier/allfilters/pythonfilter'
HIDDEN = '/var/lib/courier/allfilters/.pythonfilter'


def listed():
    filters = []
    with open('/etc/pythonfilter.conf') as lines:
        for line in lines:
            words = line.split()
            if not words or line.startswith('#'):
                continue
            module = importlib.import_module('pythonfilter.' + words[0])
            getattr(module, 'init_filter', lambda: None)()
            skips = set(words[2:]) if words[1:2] == ['for'] else set()
            filters.append((words[0], module.do_filter, skips))
    return filters


def decide(filters, body, controls):
    skipped = set()
    for name, do_filter, skips in filters:
        if name in skipped:
            continue
        reply = do_filter(body, controls)
        if reply.startswith('2') and skips:
            skipped |= skips
        elif reply:
            return reply
    return '200 Ok'


def serve(filters, connection):
    with connection, connection.makefile('r') as lines:
        paths = []
        for line in lines:
            if line == '\n':
                break
            paths.append(line.strip())
        connection.sendall(decide(filters, paths[0], paths[1:]).encode())


def main():
    filters = listed()
    for path in (NAME, HIDDEN):
        if os.path.exists(path):
            os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(HIDDEN)
    listener.listen(64)
    os.chmod(HIDDEN, 0o660)
    os.rename(HIDDEN, NAME)
    os.close(3)
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            break
        threading.Thread(target=serve, args=(filters, listener.accept()[0])).start()
    os.unlink(NAME)


main()
