"""A stand-in for `courier.config`: settings from the one file."""
import ast
import configparser


def get_module_config(section):
    parser = configparser.RawConfigParser()
    parser.optionxform = str
    parser.read('/etc/pythonfilter-modules.conf')
    return {key: ast.literal_eval(value) for key, value in parser[section].items()} if parser.has_section(section) else {}
