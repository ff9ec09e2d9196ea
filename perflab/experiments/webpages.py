"""More pages for the shop's web API: a list of products, compressed as its path says.

    GET /list/{encoding}/{level}   100 kB of JSON; «plain» is no encoding
    GET /declared                  behind the guide's middleware, a handler that says its length

For `webapp(routes="perflab.experiments.webpages:routes")`.
"""

import json
import random
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from perflab.guide.compression import compression_middleware
from perflab.systems.compression import ENCODERS

ROUTES = "perflab.experiments.webpages:routes"
SIZE = 100_000  # bytes, about
WORDS = ("light", "sturdy", "classic", "modern", "compact", "travel", "kitchen", "garden", "office",
         "winter", "summer", "cotton", "steel", "wooden", "silent", "folding", "bright", "large",
         "small", "pocket", "family", "outdoor")  # fmt: skip


def products(size: int = SIZE) -> list[dict[str, Any]]:
    """Products whose JSON has about so many bytes; always the same ones."""
    rng, length = random.Random(7), 2
    out: list[dict[str, Any]] = []
    while length < size:
        number = len(out) + 1
        words = rng.choices(WORDS, k=14)
        out.append(
            {
                "id": number,
                "name": f"{words[0]} {words[1]} no. {rng.randrange(10_000)}",
                "price": round(rng.uniform(1, 500), 2),
                "sold": rng.randrange(100_000),
                "rating": round(rng.uniform(1, 5), 3),
                "description": " ".join(words[2:]),
            }
        )
        length += len(json.dumps(out[-1])) + 2
    return out


def listed(size: int = SIZE) -> bytes:
    """The list as JSON."""
    return json.dumps(products(size)).encode()


def routes(settings: Any) -> list[BaseRoute]:
    body = listed()

    async def page(request: Request) -> Response:
        encoding = request.path_params["encoding"]
        if encoding == "plain":
            return Response(body, media_type="application/json")
        encoder = ENCODERS[encoding](request.path_params["level"])
        headers = {"content-encoding": encoding}
        return Response(encoder.end(body), headers=headers, media_type="application/json")

    async def declared(scope: Any, receive: Any, send: Any) -> None:
        text = b"0123456789" * 1_000
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(text))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    return [
        Route("/list/{encoding}/{level:int}", page),
        Mount("/declared", compression_middleware(declared)),
    ]
