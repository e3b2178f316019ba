"""What Schemathesis cannot know from the document: how NDJSON is written, and which parameters of a read go together."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(ctx, value):
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "surrogatepass")


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Makes reads that are meant to be good ones so: a subtree has no offsets, the read of a stream no tokens, and
    nothing lies beyond the head. Cursors are those of one runtime on a stream that the test has made. And secrets have a
    host, which no pattern can describe. Without this most would be refused. What is meant to be wrong stays as it is."""
    operation = case.operation.definition.raw.get("operationId", "")
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if operation in ("cursor", "putCursor", "deleteCursor"):
        case.path_parameters.update(slug="greeter", path="kept")
        case.headers["X-Project-Slug"] = "cursors"
    if operation == "putCursor":
        case.body.update(offset=0, runtimeId="one", replaces=None if case.body["replaces"] is None else 0)
    if operation == "setSecret":
        case.body["hosts"] = ["api.example.com"]
    if not operation.startswith("read"):
        return
    query = case.query
    subtree = query.get("includeChildren") in (True, 1)
    for name in ("order", "afterOffset", "beforeOffset", "offset") if subtree else ("after",):
        query.pop(name, None)
    for name in ("afterOffset", "offset"):
        if isinstance(query.get(name), int):
            query[name] = 0
    case.headers.pop("Last-Event-ID", None)
