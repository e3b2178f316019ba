"""What Schemathesis cannot know from the document: how NDJSON is written, and which parameters do not go together."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(ctx, value):
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "surrogatepass")


@schemathesis.hook
def map_query(ctx, query):
    """A read of a subtree has no offsets, that of a stream no tokens: without this, most reads would be refused."""
    if not query or not ctx.operation.definition.raw.get("operationId", "").startswith("read"):
        return query
    if query.get("includeChildren") in (True, 1):
        apart = ("order", "afterOffset", "beforeOffset", "offset")
    else:
        apart = ("after",) if "-" in str(query.get("after")) else ()
    return {name: value for name, value in query.items() if name not in apart}
