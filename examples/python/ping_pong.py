#!/usr/bin/env python3
"""A Millrace processor with nothing but Python's standard library: it answers each `ping` {n} with a `pong` {n, count}.

This file is the processor itself, all that another one would have to change. `delivery.py` is section 9 of PROTOCOL.md
as a program: what is reduced, acted on and saved. `server.py` talks HTTP. `../rust` is the same in Rust.
"""
import argparse
import os
import sys

from delivery import Delivery
from server import Server

VERSION = 1  # of `reduce`: raise it when it changes its meaning, and the state is reduced again from the start
INITIAL = {"pings": 0, "latest": None, "answered": 0}


def reduce(state, event, is_own):
    """Pure: the next state. Sees every event exactly once, in order; from its own pongs it knows what is answered."""
    if event["type"] == "ping":
        return {**state, "pings": state["pings"] + 1, "latest": {"n": n_of(event), "offset": event["offset"]}}
    if event["type"] == "pong" and is_own:
        answered = event["source"].get("cause", {}).get("offset", 0)
        return {**state, "answered": max(state["answered"], answered)}
    return state


def after_append(state, event, append):
    """Acts on one event, in order; `state` is the one right behind it. May run again for the same event."""
    if event["type"] == "ping":
        append({"type": "pong", "payload": {"n": n_of(event), "count": state["pings"]}})


def after_catch_up(state, append, after, through, interrupted):
    """Decides once for what was missed, (after, through]: one pong for the latest ping, if that is unanswered.

    `interrupted` is the event whose hook had begun. Its own hook runs again, with its own keys: if the pong of the
    first attempt stands, or is on its way, nothing is added.
    """
    answered = max(after, state["answered"])
    if interrupted and interrupted["event"]["offset"] > answered:
        after_append(interrupted["state"], interrupted["event"], interrupted["append"])
        answered = interrupted["event"]["offset"]
    latest = state["latest"]
    if latest and latest["offset"] > answered:
        missed = {"after": answered, "through": through}
        append({"type": "pong", "payload": {"n": latest["n"], "count": state["pings"], "missed": missed}})


def n_of(event):
    return event["payload"].get("n") if isinstance(event["payload"], dict) else None


def main():
    options = parse_options()
    server = Server(options)
    is_over = False
    while not is_over:  # who was away for too long begins again from the file, like after a restart
        is_over = Delivery(sys.modules[__name__], server, options).run()
    print("deleted: the end", flush=True)


def parse_options():
    env = os.environ.get
    parser = argparse.ArgumentParser(description="Answers every ping {n} of a stream with pong {n, count}.")
    parser.add_argument("path", help="the stream, such as /me/pings")
    parser.add_argument("--cursor", metavar="FILE", default="ping-pong.cursor.json", help="remembers how far it is")
    parser.add_argument("--url", default=env("MILLRACE_URL") or "http://127.0.0.1:4040")
    parser.add_argument("--project", default=env("MILLRACE_PROJECT") or "public")
    parser.add_argument("--token", default=env("MILLRACE_TOKEN"))
    parser.add_argument("--slug", default="ping-pong", help="its name in the stream")
    parser.add_argument("--epoch", help="a new word for whoever begins anew without the old cursor file")
    parser.add_argument("--from", dest="start", choices=["head", "start"], default="head", help="where it starts first")
    parser.add_argument("--children", action="store_true", help="the stream and everything below it")
    parser.add_argument("--silence", type=float, default=45, help="seconds after which a silent connection is dead")
    parser.add_argument("--away", type=float, default=60, help="seconds of absence after which events are missed")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
