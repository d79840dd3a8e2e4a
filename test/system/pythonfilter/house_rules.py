"""A site's own filter, as an administrator would have written it for pythonfilter."""
import os
import sys

import courier.config
import courier.control

word = 'unset'


def init_filter():
    global word
    word = courier.config.get_module_config('house_rules.py').get('word', word)
    sys.stderr.write('Initialized the house_rules python filter\n')


def do_filter(body_path, control_paths):
    with open(body_path, errors='replace') as message:
        subject = next((line for line in message if line.startswith('Subject: ')), '')
    if word not in subject:
        return ''
    # Above it stand whoever calls it: pythonfilter's stand-in, or a process of nodefilter.
    caller = 'pythonfilter' if os.path.basename(sys.argv[0]) == 'pythonfilter' else 'nodefilter'
    return '554-5.7.1 No %s here\n554 5.7.1 from <%s>, says %s' % (word, courier.control.get_sender(control_paths), caller)
