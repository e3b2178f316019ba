"""The server as a processor sees it: a live read that never gives up, and appends that are sent until they stand."""
import http.client
import json
import random
import sys
import time
from urllib.parse import quote, urlencode, urlsplit


class Paused(Exception):
    """The stream takes nothing before somebody appends `resumed`."""


class Server:
    def __init__(self, options):
        self.options = options
        self.headers = {"X-Project-Slug": options.project}
        if options.token:
            self.headers["Authorization"] = f"Bearer {options.token}"

    def follow(self, token):
        """(id, name, data) of each frame, over as many connections as it takes; `away` after a long time without."""
        query = {"live": "true", "markers": "true"}
        if self.options.children:
            query["includeChildren"] = "true"
        failures, contact = 0, time.time()
        while True:
            resume = {"Last-Event-ID": token} if token else {}
            try:
                headers = {"Accept": "text/event-stream", **resume}
                with self.send("GET", f"{self.target(self.options.path)}?{urlencode(query)}", headers) as response:
                    if not response.getheader("Content-Type", "").startswith("text/event-stream"):
                        raise_unless_transient(response.status, response.read(10_000))
                    if time.time() - contact > self.options.away:
                        yield None, "away", ""
                    for frame in frames(response):
                        failures, contact, token = 0, time.time(), frame[0] or token
                        yield frame
                trouble = "the connection ended"
            except (OSError, http.client.HTTPException) as error:
                trouble = error
            failures = self.back_off(failures, trouble)

    def append(self, path, event, headers):
        """Returns when the event stands: None, or what is wrong with it if it never will. Raises Paused."""
        body, failures = json.dumps(event).encode(), 0
        while True:
            try:
                with self.send("POST", self.target(path), {"Content-Type": "application/json", **headers}, body) as response:
                    status, answer = response.status, response.read()
                if status == 200:
                    stored = json.loads(answer)["event"]
                    return stored["payload"]["error"] if stored["type"].endswith("/invalid-event-appended") else None
                if status == 409:  # the key was used with other content: the append of an earlier attempt stands
                    return None
                if status == 423:
                    raise Paused
                if status in (400, 413):
                    return detail_of(status, answer)
                raise_unless_transient(status, answer)
            except (OSError, http.client.HTTPException) as error:
                failures = self.back_off(failures, error)

    def send(self, method, target, headers, body=None):
        parts = urlsplit(self.options.url)
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(parts.hostname, parts.port, timeout=self.options.silence)
        # One connection for each request: closed with its answer.
        all_headers = {**self.headers, **headers, "Connection": "close"}
        connection.request(method, parts.path.rstrip("/") + target, body, all_headers)
        return connection.getresponse()

    def target(self, path):
        return "/api/streams" + quote("/" + path.strip("/"), safe="/")

    def back_off(self, failures, trouble):
        """1 s, doubling up to 30 s; half of it is chance, so that not all come back at once."""
        print(f"waiting for {self.options.url}: {trouble}", file=sys.stderr, flush=True)
        time.sleep(min(30, 2 ** min(failures, 5)) * random.uniform(0.5, 1))
        return failures + 1


def frames(lines):
    """Server-sent events. A frame that the end of the connection cuts off is none; a comment is a nameless one."""
    token, name, data = None, "message", []
    for line in iter(lines.readline, b""):  # not str.splitlines, which also splits at characters inside of an event
        line = line.rstrip(b"\r\n").decode()
        field, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if line == "":
            yield token, name if data else "", "\n".join(data)
            token, name, data = None, "message", []
        elif field == "id":
            token = value
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)


def raise_unless_transient(status, answer):
    detail = detail_of(status, answer)
    if status in (408, 429) or status >= 500:
        raise ConnectionError(detail)
    sys.exit(f"refused: {detail}")


def detail_of(status, answer):
    try:
        return f"{status} {json.loads(answer)['detail']}"[:2000]
    except (ValueError, KeyError, TypeError):
        return f"{status} {answer[:200]!r}"
