"""The values of a call that steps of the scenario are compared with."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from images_emulator.contract.references import data_of_url, is_data_url
from images_emulator.contract.request import ImageRequest, ParsedCall, Upload
from images_emulator.exchange.call_details import input_image_items, values_in_force
from images_emulator.exchange.exchange import Exchange
from images_emulator.exchange.field_path import FieldPath
from images_emulator.exchange.prompts import prompt_name
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.state.emulator import Emulator
from images_emulator.state.match_keys import FieldTexts, MatchInput
from images_emulator.web.authentication import file_owner
from images_emulator.web.azure_endpoints import model_behind_deployment

MAX_DIGITS: Final = 18
"""The most digits of a number in a form that steps are compared with."""

_NO_FIELDS: Mapping[str, Any] = {}


def input_of_download(exchange: Exchange, emulator: Emulator) -> MatchInput:
    """The values of a download, which has the model and the prompt of its picture."""
    match_input = MatchInput(exchange.path, is_download=True)
    if request := exchange.request:
        match_input = match_input._replace(model=request.model.id, prompt=request.prompt)
    return _with_folded_prompt_and_name(match_input, emulator)


async def make_input_of_call(
    exchange: ServedExchange, call: ParsedCall | None, emulator: Emulator
) -> MatchInput:
    """The values of a call as they were sent. *call* is None if the body cannot be parsed."""
    fields = call.fields if call else _NO_FIELDS

    async def make_values() -> MatchInput:
        match_input = _sent_values(exchange, call, emulator)
        match_input = _with_folded_prompt_and_name(match_input, emulator)
        if match_input.image_count and "image_sha256" in emulator.scenario.expensive_keys:
            # Hashing takes time, and a file that was uploaded earlier is in the store.
            owner = file_owner(exchange, emulator.settings)
            digests = await emulator.renderer.run_in_background(
                partial(_digests, fields, emulator, owner)
            )
            match_input = match_input._replace(image_sha256=digests)
        if emulator.scenario.paths:
            at_paths = await _read_values_at_paths(lambda: fields, exchange, emulator)
            match_input = match_input._replace(fields=at_paths)
        return match_input

    return await _make_for_current_steps(make_values, emulator)


async def _make_for_current_steps(
    make: Callable[[], Awaitable[MatchInput]], emulator: Emulator
) -> MatchInput:
    """Call *make* until no steps have come meanwhile that ask for other values, and return the
    values that it gave last."""
    scenario = emulator.scenario
    while True:
        needs = scenario.expensive_keys, scenario.paths
        match_input = await make()
        if needs == (scenario.expensive_keys, scenario.paths):
            return match_input


def _sent_values(exchange: Exchange, call: ParsedCall | None, emulator: Emulator) -> MatchInput:
    """The values of a call as they were sent, without those that are computed from them. The model
    behind an Azure deployment replaces the one that the call names. The API key of the call is
    accepted, because only such calls are compared with steps."""
    fields = call.fields if call else _NO_FIELDS
    model = model_behind_deployment(exchange, fields.get("model"), emulator) if call else None
    return MatchInput(
        path=exchange.path,
        model=model or _text_field(fields, "model") or "",
        prompt=_text_field(fields, "prompt") or "",
        api_key=exchange.head.api_key,
        retry_count=exchange.head.retry_count,
        asks_for_stream=call is not None and call.asks_for_stream,
        size=_text_field(fields, "size"),
        quality=_text_field(fields, "quality"),
        n=_number(fields.get("n")),
        background=_text_field(fields, "background"),
        has_mask=fields.get("mask") is not None,
        image_count=len(_input_images(fields)),
    )


async def make_input_of_request(
    exchange: ServedExchange, request: ImageRequest, emulator: Emulator
) -> MatchInput:
    """The values of a validated call, which are those in force."""

    def fields() -> Mapping[str, Any]:
        call = exchange.parsed_call
        return values_in_force(request, call.fields if call else _NO_FIELDS)

    async def make_values() -> MatchInput:
        match_input = _values_in_force(exchange, request)
        match_input = _with_folded_prompt_and_name(match_input, emulator)
        if emulator.scenario.paths:
            match_input = match_input._replace(
                fields=await _read_values_at_paths(fields, exchange, emulator)
            )
        return match_input

    return await _make_for_current_steps(make_values, emulator)


def input_of_answered(
    exchange: Exchange, paths: Sequence[FieldPath], emulator: Emulator, *, validated: bool
) -> MatchInput | None:
    """All values of a call that has met a step, with the values at *paths* in its body. If
    *validated*, the values are those in force, and the result is None for a call that was not
    validated. Otherwise the values are as they were sent. It may take as long as
    `Exchange.parsed_call`."""
    call, request = exchange.parsed_call, exchange.request
    fields = call.fields if call else _NO_FIELDS
    if not validated:
        match_input = _sent_values(exchange, call, emulator)
        match_input = match_input._replace(image_sha256=_digests(fields, emulator))
    elif request:
        match_input = _values_in_force(exchange, request)
        fields = values_in_force(request, fields)
    else:
        return None
    return match_input._replace(
        folded_prompt=match_input.prompt.casefold(),
        prompt_name=prompt_name(match_input.prompt),
        fields=tuple((path.text, path.values(fields)) for path in paths),
    )


def _values_in_force(exchange: Exchange, request: ImageRequest) -> MatchInput:
    """The values of a validated call, without the folded prompt, its name and the fields."""
    return MatchInput(
        path=exchange.path,
        model=request.model.id,
        prompt=request.prompt,
        api_key=exchange.head.api_key,
        retry_count=exchange.head.retry_count,
        asks_for_stream=request.stream,
        seeks_answer=True,
        size="{}x{}".format(*request.size),
        quality=request.quality,
        n=request.n,
        background=request.background,
        has_mask=request.mask is not None,
        image_count=len(request.images),
        image_sha256=tuple(each.digest for each in request.images),
    )


async def _read_values_at_paths(
    fields: Callable[[], Mapping[str, Any]], exchange: ServedExchange, emulator: Emulator
) -> FieldTexts:
    """Read the values of *fields* at the paths that steps ask for."""
    paths = emulator.scenario.paths

    def find() -> FieldTexts:
        values = fields()
        return tuple((path.text, path.values(values)) for path in paths)

    return await emulator.renderer.run_in_background(find) if exchange.is_large else find()


def _with_folded_prompt_and_name(match_input: MatchInput, emulator: Emulator) -> MatchInput:
    """*match_input* with the folded prompt and with its name, where steps read them."""
    keys = emulator.scenario.expensive_keys
    if "prompt" in keys:
        match_input = match_input._replace(folded_prompt=match_input.prompt.casefold())
    if "prompt_name" in keys:
        match_input = match_input._replace(prompt_name=prompt_name(match_input.prompt))
    return match_input


def _text_field(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) else None


def _number(value: object) -> int | None:
    """A number, in JSON or as the text of a form."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value) if len(value) <= MAX_DIGITS else None
    return value if type(value) is int else None


def _input_images(fields: Mapping[str, Any]) -> list[Upload | Mapping[str, Any]]:
    """The input images in *fields*, without mask and markup."""
    return [
        item for parameter, _, item in input_image_items(fields) if parameter.startswith("image")
    ]


def _digests(
    fields: Mapping[str, Any], emulator: Emulator, owner: str | None = None
) -> tuple[str, ...]:
    """The digests of the input images in *fields*. Of the files that are named by id, only those of
    *owner* are read; None stands for all owners."""
    files = _files(_input_images(fields), emulator, owner)
    return tuple(hashlib.sha256(data).hexdigest() for data in files)


def _files(
    images: list[Upload | Mapping[str, Any]], emulator: Emulator, owner: str | None
) -> Iterator[bytes]:
    """The files of *images*, without the images at an address."""
    for image in images:
        if isinstance(image, Upload):
            yield image.data
            continue
        url, file_id = image.get("image_url"), image.get("file_id")
        if isinstance(url, str) and is_data_url(url):
            yield data_of_url(url)
        elif isinstance(file_id, str):
            data = emulator.files.data(file_id, owner)
            if data is not None:
                yield data
