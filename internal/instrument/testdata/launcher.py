"""Runs the function of this folder as OpenWhisk's runtime for Python does: loaded once, with the environment set before each run."""

import json
import os
import sys

from main__ import main

answers = os.fdopen(3, "w")


def answer(value):
    answers.write(json.dumps(value) + "\n")
    answers.flush()


if os.environ.get("__OW_WAIT_FOR_ACK"):
    answer({"ok": True})
for line in sys.stdin:
    request = json.loads(line)
    value = request.pop("value", {})
    for key, text in request.items():
        os.environ["__OW_" + key.upper()] = text
    try:
        answer(main(value))
    except Exception as error:
        answer({"error": str(error)})
# A container is killed while exports may still go on.
os._exit(0)
