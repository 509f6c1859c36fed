"""The handler of hosted pictures, by the URLs that answers name."""

from __future__ import annotations

from binascii import a2b_base64
from datetime import datetime
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from images_emulator import imaging
from images_emulator.contract.blob_storage import (
    BlobVersion,
    StorageError,
    blob_not_found,
    byte_range,
    unsigned_url,
    unsupported_verb,
)
from images_emulator.contract.dialects import hosted_urls_of
from images_emulator.exchange.served_exchange import exchange_of
from images_emulator.state.emulator import Emulator
from images_emulator.state.hosted_picture import HostedPicture
from images_emulator.state.hosting import LIFE
from images_emulator.state.random_ids import random_uuid
from images_emulator.web.blob_responses import storage_error_response
from images_emulator.web.image_responses import render_for_client


class DownloadsAPI:
    """The handler of the blob storage. A download needs no key but its URL, and can only read."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    async def download(self, request: Request) -> Response:
        """The image, drawn from its request: all of it, a range, or nothing where the client has it
        already."""
        exchange, emulator = exchange_of(request.scope), self.emulator
        try:
            if exchange.method not in ("GET", "HEAD"):
                raise unsupported_verb()
            query = exchange.head.query_string.decode("latin-1")
            known = None
            if exchange.request and exchange.hosted_index is not None:
                known = HostedPicture(exchange.request, exchange.hosted_index)
            hosted = await emulator.hosting.find(
                exchange.path, query, is_expired=exchange.is_expired, content=known
            )
        except StorageError as error:
            return storage_error_response(error, exchange.id, emulator.clock.now())
        parameters = dict(parse_qsl(query))
        life = hosted_urls_of(request.path_params["name"]).life
        version = BlobVersion(exchange.path, datetime.fromisoformat(parameters["se"]) - life)
        headers = {
            "Cache-Control": f"private, max-age={round(LIFE.total_seconds())}",
            "Accept-Ranges": "bytes",
            **version.headers(),
        }
        if disposition := parameters.get("rscd"):
            headers["Content-Disposition"] = disposition
        header = exchange.head.header
        if version.is_known(header(b"if-none-match"), header(b"if-modified-since")):
            return Response(status_code=304, headers=headers)
        encoded = await render_for_client(emulator.renderer, request, hosted.request, hosted.index)
        media_type = imaging.render.media_type(hosted.request, hosted.index)
        data, status = a2b_base64(encoded), 200
        range_header = header(b"x-ms-range") or header(b"range")
        if range_header and exchange.method == "GET":
            try:
                part = byte_range(range_header, len(data))
            except StorageError as error:
                return storage_error_response(error, exchange.id, emulator.clock.now())
            if part:
                first, last = part
                headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
                data, status = data[first : last + 1], 206
        return Response(data, status, headers, media_type)


def download_of_nothing(scope: Scope, now: datetime) -> Response:
    """The answer to the download of *scope* at the time *now*, in a namespace that does not exist.
    No account can check the signature of its URL."""
    is_signed = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("sig")
    error = blob_not_found() if is_signed else unsigned_url()
    return storage_error_response(error, random_uuid(), now)
