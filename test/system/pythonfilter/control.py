"""A stand-in for `courier.control`: what the private filter asks."""


def get_lines(paths, key):
    found = []
    for path in paths:
        with open(path) as lines:
            found += [line[1:].strip() for line in lines if line.startswith(key)]
    return found


def get_sender(paths):
    senders = get_lines(paths, 's')
    return senders[0] if senders else None


def get_auth_user(paths):
    users = get_lines(paths, 'i')
    return users[0] if users else None
