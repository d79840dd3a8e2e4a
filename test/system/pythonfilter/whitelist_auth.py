"""A stand-in for pythonfilter's filter of this name."""
import courier.control


def do_filter(body_path, control_paths):
    return '200 Ok' if courier.control.get_auth_user(control_paths) else ''
