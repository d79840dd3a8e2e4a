"""Runs a filter written for pythonfilter: imports it, initialises it, calls it for each message in a thread of its own.

Started by keeper.py with a connection to it as descriptor 3, and both outputs on a pipe that the keeper reads. What the
filter imports as `courier` is answered by this interpreter's own installation of pythonfilter, never by nodefilter.

Source: spec pythonfilter 1.3 (names of modules and functions), 1.5 (what a filter may return).
"""
import importlib
import importlib.machinery
import importlib.util
import json
import os
import signal
import socket
import stat
import sys
import threading
import traceback

MAX_REPLY = 65536
TEXT_CHARS = 400
TRACE_FRAMES = 20


class Unusable(Exception):
    """The filter cannot be loaded; the text says why, and what to do."""


def main(connection):
    keeper = os.getppid()
    end_with_parent(keeper)
    hide_own_folder()
    if hasattr(sys.stdout, 'reconfigure'):
        # What cannot be printed must not become an error of the filter.
        sys.stdout.reconfigure(errors='backslashreplace')
    frames = connection.makefile('rb')
    plan = json.loads(frames.readline().decode('utf-8'))
    sending = threading.Lock()

    def send(frame):
        data = json.dumps(frame).encode('ascii') + b'\n'
        with sending:
            try:
                connection.sendall(data)
            except OSError:
                os._exit(0)

    origin = []
    try:
        name, do_filter = load(plan, origin)
    except BaseException as error:
        told = describe(error, origin)
        text = told['text'] if isinstance(error, Unusable) else '%s: %s' % (told['name'], told['text'])
        send({'type': 'broken', 'text': text, 'place': told['place']})
        os._exit(1)
    send({'type': 'ready', 'text': '%s (%s), Python %s' % (name, origin[0], sys.version.split()[0])})

    running = {}

    def run(number, body, controls):
        try:
            result = call(name, do_filter, native(body), [native(path) for path in controls], origin)
        except BaseException as error:
            result = {'error': describe(error, origin)}
        running.pop(number, None)
        send({'type': 'done', 'number': number, 'result': result})

    for line in frames:
        frame = json.loads(line.decode('utf-8'))
        if 'close' in frame:
            # The end of the program, with what the filter has registered for it.
            return
        if 'where' in frame:
            thread = running.get(frame['where'])
            send({'type': 'place', 'number': frame['where'], 'text': whereabouts(thread, origin)})
            continue
        # A thread for each message, as pythonfilter has it: what a filter keeps in its thread ends with the message.
        arguments = (frame['number'], frame['body'], frame['controls'])
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        running[frame['number']] = thread
        try:
            thread.start()
        except RuntimeError as error:
            running.pop(frame['number'], None)
            send({'type': 'done', 'number': frame['number'], 'result': {'error': describe(error, origin)}})
    # The keeper is gone without a word.
    os._exit(0)


def end_with_parent(keeper):
    """Ends when the keeper does, even while native code holds the interpreter (PR_SET_PDEATHSIG; Linux)."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)
    except Exception:
        pass
    if os.getppid() != keeper:
        os._exit(0)


def hide_own_folder():
    """The filter's imports are not to find our files."""
    if sys.path and os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
        del sys.path[0]


def native(path):
    """A path, sent as UTF-8, in the form in which this interpreter hands the same octets to the system."""
    return os.fsdecode(path.encode('utf-8', 'surrogateescape'))


def load(plan, origin):
    """Imports the module and initialises it. Returns its name and its function; `origin` gets its file."""
    folders = plan['path']
    for folder in folders:
        check_place(folder)
    sys.path[0:0] = folders
    module = import_filter(plan['module'], folders, origin)
    functions = {}
    for now, old in (('init_filter', 'initFilter'), ('do_filter', 'doFilter')):
        given = [each for each in (now, old) if hasattr(module, each)]
        if len(given) > 1:
            text = '%s has both %s and %s: keep %s, it would be unclear which one runs'
            raise Unusable(text % (module.__name__, now, old, now))
        functions[now] = getattr(module, given[0]) if given else None
        if given and not callable(functions[now]):
            raise Unusable('%s in %s is no function' % (given[0], module.__name__))
    if functions['do_filter'] is None:
        raise Unusable('%s has no function do_filter(body_path, control_paths)' % module.__name__)
    if functions['init_filter'] is not None:
        functions['init_filter']()
    return module.__name__, functions['do_filter']


def import_filter(name, folders, origin):
    full = 'pythonfilter.' + name
    *parents, last = name.split('.')
    inner = [os.path.join(folder, *parents) for folder in folders]
    spec = importlib.machinery.PathFinder.find_spec(last, inner) if inner else None
    if spec is not None and spec.origin is not None and spec.loader is not None:
        # Under the name that pythonfilter would give it: it may be called like a module of the standard library.
        spec = importlib.util.spec_from_file_location(
            full, spec.origin, submodule_search_locations=spec.submodule_search_locations
        )
    else:
        spec = find_installed(full, name)
    origin.append(spec.origin)
    check_place(os.path.dirname(spec.origin))
    check_place(spec.origin)
    if full in sys.modules:
        return sys.modules[full]
    module = importlib.util.module_from_spec(spec)
    sys.modules[full] = module
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        missing = getattr(error, 'name', None) or ''
        if not isinstance(error, ModuleNotFoundError) or missing == '':
            raise
        cure = 'install courier-pythonfilter' if missing.split('.')[0] in ('courier', 'pythonfilter') else 'install it'
        text = '%s imports %s, which is not there: %s for %s, or name its folder with path'
        error.msg = text % (full, missing, cure, sys.executable)
        raise
    return module


def find_installed(full, name):
    cure = 'name the folder of %s.py with path, or install the filter for %s' % (name, sys.executable)
    try:
        spec = importlib.util.find_spec(full)
    except ModuleNotFoundError as error:
        if error.name is None or not (full + '.').startswith(error.name + '.'):
            raise
        raise Unusable('there is no module %s, since there is no %s: %s' % (full, error.name, cure))
    if spec is None or spec.origin is None or spec.loader is None:
        raise Unusable('there is no module %s: %s' % (full, cure))
    return spec


def check_place(path):
    """Whoever can write where code is loaded from runs code as the mail server's user."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise Unusable('%s: %s' % (path, error.strerror))
    if found.st_uid not in (0, os.getuid()):
        raise Unusable('%s belongs to user %d, not to root or user %d: chown it' % (path, found.st_uid, os.getuid()))
    if stat.S_IMODE(found.st_mode) & 0o002:
        raise Unusable('%s may be written by everybody: chmod o-w it' % path)


def call(name, do_filter, body, controls, origin):
    reply = do_filter(body, controls)
    if not isinstance(reply, str):
        return {'malformed': '%s returned %s, not a string' % (name, type(reply).__name__)}
    if len(reply) > MAX_REPLY:
        return {'malformed': '%s returned %d characters of text' % (name, len(reply))}
    return {'reply': reply}


def describe(error, origin):
    """What was raised, where in the filter's own file (else where at all), and by which way it came there."""
    try:
        text = str(error)
    except Exception:
        text = 'an exception that cannot be shown'
    steps = [
        (step.filename, step.lineno, step.name)
        for step in traceback.extract_tb(error.__traceback__)
        if step.filename != __file__ and not step.filename.startswith('<frozen')
    ]
    if isinstance(error, SyntaxError) and error.filename:
        steps.append((error.filename, error.lineno or 1, 'import'))
    place = ([each for each in steps if each[0] in origin] or steps or [None])[-1]
    return {
        'name': type(error).__name__,
        'text': text[:TEXT_CHARS],
        'place': None if place is None or isinstance(error, Unusable) else list(place[:2]),
        'trace': ['%s:%d in %s' % step for step in steps[-TRACE_FRAMES:]],
    }


def whereabouts(thread, origin):
    """Where a thread is at this moment."""
    frame = sys._current_frames().get(thread.ident) if thread is not None else None
    steps = []
    while frame is not None and frame.f_code.co_filename not in (__file__, threading.__file__):
        steps.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        frame = frame.f_back
    if not steps:
        return 'at its end'
    told = [each for each in steps if each[0] in origin][:1]
    if steps[0] not in told:
        told.append(steps[0])
    return 'at ' + ', then '.join('%s:%d in %s' % step for step in told)


if __name__ == '__main__':
    os.set_inheritable(3, False)
    # Held to the very end: when the keeper loses it, it kills, and what is registered for the exit would not run.
    keeper_connection = socket.socket(fileno=3)
    main(keeper_connection)
