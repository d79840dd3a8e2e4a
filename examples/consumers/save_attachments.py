"""Saves the attachments of the messages of a queue: python3 save_attachments.py QUEUE FOLDER [--store DEPOT] [--once]

Python's own library, and the command "postoffice" for the queue. Another language does the same: receive, work, ack.
POSTOFFICE names the command where it is not in the PATH.
"""
import argparse
import email
import email.policy
import json
import os
import subprocess
import sys
import tempfile
import time

NOTHING_CAME = 75  # also: try again


def postoffice(*words):
    command = os.environ.get("POSTOFFICE", "postoffice").split()
    return subprocess.run(command + list(words), stdout=subprocess.PIPE, text=True)


def save(message, number, folder):
    """Saves each attachment under a name of ours: the sender's own may be anything."""
    for index, part in enumerate(message.iter_attachments()):
        content = part.get_payload(decode=True)
        if content is None:
            continue
        with open(os.path.join(folder, f"{number}-{index}"), "wb") as file:
            file.write(content)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("queue")
    parser.add_argument("folder")
    parser.add_argument("--store")
    parser.add_argument("--once", action="store_true", help="end when no message is left")
    order = parser.parse_args()
    store = [] if order.store is None else ["--store", order.store]
    wait = "0" if order.once else "60"
    with tempfile.TemporaryDirectory() as place:
        path = os.path.join(place, "message")
        while True:
            received = postoffice("receive", order.queue, "--json", "--lease", "300", "--wait", wait, "--out", path, *store)
            if received.returncode == NOTHING_CAME:
                if order.once:
                    return 0
                time.sleep(1)
                continue
            if received.returncode != 0:
                return received.returncode
            delivery = json.loads(received.stdout)
            receipt = [order.queue, delivery["id"], str(delivery["token"])]
            try:
                with open(path, "rb") as file:
                    message = email.message_from_binary_file(file, policy=email.policy.default)
                save(message, delivery["id"], order.folder)
            except Exception as error:
                # Delivered again, later; after its last delivery it is a dead letter.
                postoffice("nack", *receipt, f"--reason={error}", *store)
            else:
                postoffice("ack", *receipt, *store)


if __name__ == "__main__":
    sys.exit(main())
