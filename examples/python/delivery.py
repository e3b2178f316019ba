"""Delivers events to a processor: every event is reduced once, in order; what is new is acted on; the rest is missed.

The cursor file holds a token (where to read on) and for each stream {streamId, cursor, begun, paused, version,
state}: the state is the one at the cursor, so the file is cursor and snapshot in one. Killed at any moment, it goes on from there.
"""
import itertools
import json
import os
from urllib.parse import quote

from server import Paused

BUILTIN = "https://events.iterate.com/events/stream/"


class Stream:
    """What is known of one stream. `saved` is what is done; the rest is as far as it was read."""

    def __init__(self, processor, saved=None):
        version, initial = processor.VERSION, processor.INITIAL
        empty = {"streamId": "", "cursor": 0, "begun": 0, "paused": False, "version": version, "state": initial}
        self.saved = saved or empty
        self.stream_id = self.saved["streamId"]
        self.is_new_version = self.saved["version"] != version  # then its state is reduced again, from the start
        self.reduced = 0 if self.is_new_version else self.saved["cursor"]
        self.state = initial if self.is_new_version else self.saved["state"]
        self.paused = self.saved["paused"] and not self.is_new_version
        self.last = self.interrupted = None

    def done(self, version):
        """What to save when everything up to here is done."""
        done = {"streamId": self.stream_id, "cursor": self.reduced, "begun": 0}
        return {**done, "paused": self.paused, "version": version, "state": self.state}


class Delivery:
    def __init__(self, processor, server, options):
        self.processor, self.server, self.options = processor, server, options
        saved = load(options.cursor)
        self.is_first_start = saved is None
        saved = saved or {"token": None, "streams": {}}
        self.streams = {path: Stream(processor, stream) for path, stream in saved["streams"].items()}
        is_new_version = any(stream.is_new_version for stream in self.streams.values())
        self.token = self.origin = None if is_new_version else saved["token"]
        self.work = []  # what is to be acted on, in the order in which it came
        self.is_live = False

    def run(self):
        """True when the stream was deleted; False after an absence so long that what happened counts as missed."""
        for token, name, data in self.server.follow(self.token):
            if name == "deleted":
                return True
            if name == "away" and self.is_live:
                return False
            before, self.token = self.token, token or self.token
            if name == "message":
                self.take(json.loads(data), before)
            elif name == "caught-up" and not self.is_live:
                self.catch_up()
            self.act()

    def take(self, event, before):
        stream = self.streams.setdefault(event["streamPath"], Stream(self.processor))
        if event["offset"] <= stream.reduced:  # the token lies before what this stream has done
            return
        self.reduce(stream, event)
        if event["offset"] <= stream.saved["cursor"]:  # a new version reduces again what is done
            return
        if self.is_live:
            self.work.append(self.work_on(stream, before, event=event))
        elif event["offset"] == stream.saved["begun"]:
            stream.interrupted = {"event": event, "state": stream.state}

    def reduce(self, stream, event):
        kind, payload = event["type"].removeprefix(BUILTIN), event["payload"]
        if kind == "initialized":  # a birth, perhaps another one at the same path: the life before it is over
            self.forget(event["streamPath"])
            stream.stream_id, stream.paused, stream.interrupted = payload["streamId"], False, None
            stream.state = self.processor.INITIAL
        elif kind in ("paused", "resumed"):
            stream.paused = kind == "paused"
        elif kind == "child-stream-deleted":
            child = self.streams.get(payload["childPath"])
            if child and child.reduced <= payload["head"]:
                self.forget(payload["childPath"])
                del self.streams[payload["childPath"]]
        stream.reduced, stream.last = event["offset"], event
        stream.state = self.processor.reduce(stream.state, event, self.is_own(event))

    def forget(self, path):
        self.work = [work for work in self.work if work["path"] != path]

    def catch_up(self):
        """History ends here. What lies between cursor and head was missed, and is decided on once for each stream."""
        self.is_live = True
        for path, stream in list(self.streams.items()):
            if self.is_first_start and self.options.start == "head":
                stream.saved = stream.done(self.processor.VERSION)
            is_missing = stream.reduced > stream.saved["cursor"]
            if stream.last and (is_missing or self.is_first_start or stream.is_new_version):
                self.work.append(self.work_on(stream, self.origin))
            elif stream.is_new_version:  # it is no more
                del self.streams[path]
        self.act()
        self.save()
        print(f"caught up at {self.token}", flush=True)

    def work_on(self, stream, before, event=None):
        """A hook that is to run (without an event: the decision), the token before it, and what to save behind it."""
        done = stream.done(self.processor.VERSION)
        return {"path": stream.last["streamPath"], "event": event, "last": stream.last, "before": before, "done": done}

    def act(self):
        """Acts in order. A paused stream waits for its `resumed`, and holds up no other."""
        while work := next((work for work in self.work if not self.streams[work["path"]].paused), None):
            stream, event, done = self.streams[work["path"]], work["event"], work["done"]
            try:
                if event is None:
                    self.decide(stream, work)
                elif not self.is_own(event) and not self.names_us(event):
                    stream.saved["begun"] = event["offset"]
                    self.save()
                    self.processor.after_append(done["state"], event, self.appender(done["streamId"], event))
            except Paused:
                print(f"paused: waiting for resumed in {work['path']}", flush=True)
                stream.paused = True
                continue
            self.work.remove(work)
            stream.saved = done
            self.save()

    def decide(self, stream, work):
        done, interrupted = work["done"], stream.interrupted
        if interrupted:
            interrupted = {**interrupted, "append": self.appender(done["streamId"], interrupted["event"])}
        append = self.appender(done["streamId"], work["last"])
        self.processor.after_catch_up(done["state"], append, stream.saved["cursor"], done["cursor"], interrupted)

    def appender(self, stream_id, event):
        """The `append` of one run of a hook. Its keys say which append of which event it is, in which life."""
        numbers = itertools.count()
        place = [self.options.slug, stream_id, self.options.epoch, str(event["offset"])]
        key = "/".join(part for part in place if part)
        headers = {
            "Millrace-Processor": self.options.slug,
            "Millrace-Cause": f"{quote(event['streamPath'], safe='')}@{event['offset']}",
            "Millrace-Depth": str(event.get("source", {}).get("depth", 0)),
        }

        def append(wanted):
            headers["Idempotency-Key"] = f"{key}/{next(numbers)}"
            trouble = self.server.append(event["streamPath"], wanted, headers)
            if trouble:  # it will never be accepted: that is said once, in the stream, and life goes on
                about = {"kind": "processor", "slug": self.options.slug, "offset": event["offset"]}
                said = {"type": BUILTIN + "error-occurred", "payload": {"message": trouble, "about": about}}
                self.server.append(event["streamPath"], said, {**headers, "Idempotency-Key": f"{key}/error"})

        return append

    def is_own(self, event):
        return event.get("source", {}).get("slug") == self.options.slug

    def names_us(self, event):
        if event["type"] != BUILTIN + "error-occurred":
            return False
        return event["payload"].get("about", {}).get("slug") == self.options.slug

    def save(self):
        """The token lies before whatever is not done; the cursor of each stream says what behind it is done."""
        token = self.work[0]["before"] if self.work else self.token
        streams = {path: stream.saved for path, stream in self.streams.items()}
        store(self.options.cursor, {"token": token, "streams": streams})


def load(file):
    try:
        with open(file, encoding="utf-8") as text:
            return json.load(text)
    except FileNotFoundError:
        return None


def store(file, value):
    """At any moment there is the old file or the new one, whole."""
    with open(file + ".new", "w", encoding="utf-8") as text:
        json.dump(value, text)
        text.flush()
        os.fsync(text.fileno())
    os.replace(file + ".new", file)
