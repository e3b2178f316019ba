"""What Schemathesis cannot know from the document: how NDJSON is written, and which parameters of a read go together."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(ctx, value):
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "surrogatepass")


@schemathesis.hook
def map_query(ctx, query):
    """A read of a subtree has no offsets, that of a stream no tokens, and nothing lies beyond the head: without this
    most reads would be refused."""
    if not query or not is_read(ctx):
        return query
    apart = ("order", "afterOffset", "beforeOffset", "offset") if query.get("includeChildren") in (True, 1) else ("after",)
    kept = {name: value for name, value in query.items() if name not in apart}
    for name in ("afterOffset", "offset"):
        if isinstance(kept.get(name), int) and kept[name] > 0:
            kept[name] = 0
    return kept


@schemathesis.hook
def map_headers(ctx, headers):
    """Resuming is tried by what follows from a read, not by a number that is nowhere."""
    if not headers or not is_read(ctx):
        return headers
    return {name: value for name, value in headers.items() if name.lower() != "last-event-id"}


def is_read(ctx):
    return ctx.operation.definition.raw.get("operationId", "").startswith("read")
