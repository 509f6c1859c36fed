"""The bytes of the images that came with a call, as far as the journal has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from images_emulator import imaging
from images_emulator.contract.references import data_of_url, is_data_url
from images_emulator.contract.request import Upload
from images_emulator.exchange.call_details import UploadDetails, input_image_items
from images_emulator.exchange.exchange import Exchange


def keeps_upload(exchange: Exchange, upload: UploadDetails) -> bool:
    """Whether `upload_data` has the bytes of *upload*. True for a file that was sent by its id,
    though that file may have been deleted."""
    match upload.source:
        case "form" | "data_url":
            return bool(exchange.chunks)
        case "file_id":
            return True
        case "address":
            return bool(_opened_files(exchange))


def upload_data(
    exchange: Exchange, index: int, read_file: Callable[[str], bytes | None]
) -> bytes | None:
    """The bytes of upload *index* (from 0) of `uploads`, or None; see `all_upload_data`."""
    numbered = enumerate(all_upload_data(exchange, read_file))
    return next((data for number, data in numbered if number == index), None)


def all_upload_data(
    exchange: Exchange, read_file: Callable[[str], bytes | None]
) -> Iterator[bytes | None]:
    """The bytes of each of `uploads`, None where they are not known. *read_file* gives the content
    of a file by its id. The body may be parsed again, which takes a second for 200 MB."""
    if opened := _opened_files(exchange):
        yield from opened
        return
    call = exchange.parsed_call
    for _, _, item in input_image_items(call.fields) if call else ():
        if isinstance(item, Upload):
            yield item.data
            continue
        file_id, url = item.get("file_id"), item.get("image_url")
        if isinstance(file_id, str):
            yield read_file(file_id)
        else:
            yield data_of_url(url) if isinstance(url, str) and is_data_url(url) else None


def _opened_files(exchange: Exchange) -> Sequence[bytes]:
    """The files that validation opened, in the order of `uploads`. Empty where some of them may
    replace files that validation forgave."""
    request = exchange.request
    if request is None or request.forgiven or exchange.is_download:
        return ()
    return imaging.decoder.upload_files_of(request) if request.images else ()
