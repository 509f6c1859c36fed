"""The images that have left whole in an answer, and what the API would have charged for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from images_emulator import imaging
from images_emulator.contract.model import Model
from images_emulator.contract.prices import ImagePrices, TokenPrices
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.rules import Pixels
from images_emulator.contract.usage import WRITTEN_FORMAT, Usage
from images_emulator.exchange.sent_file import SentFile


@dataclass(frozen=True, slots=True)
class SentImage:
    """An image that has left whole."""

    index: int
    width: int
    height: int
    format: str
    """The value of `output_format`."""
    bytes: int | None
    """The length of its file; None where it is not known, as for an image by URL."""


class ImageParameters(NamedTuple):
    """The parameters that decide size and price of the images of an answer."""

    size: Pixels
    quality: str | None
    output_format: str
    partial_images: int

    @classmethod
    def from_request(cls, request: ImageRequest) -> Self:
        """The parameters of a *request*."""
        return cls(request.size, request.quality, request.output_format, request.partial_images)

    @classmethod
    def from_details(cls, parameters: Mapping[str, Any]) -> Self:
        """The parameters among all *parameters* of the `CallDetails` of an answered call."""
        width, height = map(int, parameters["size"].split("x"))
        return cls(
            (width, height),
            parameters.get("quality"),
            parameters.get("output_format", "png"),
            parameters.get("partial_images", 0),
        )


def sent_images(
    files: Mapping[int, SentFile | None],
    parameters: ImageParameters,
    request: ImageRequest | None,
) -> Sequence[SentImage]:
    """The images with these *files* by their indexes; a file is None where it is not known. An own
    picture that the *request* sends as it is has its own size and format."""
    images = []
    for index, file in files.items():
        (width, height), word = parameters.size, parameters.output_format
        facts = request and imaging.fitting.verbatim_facts(request, index)
        if facts:
            (width, height), word = facts.size or (width, height), facts.output_format or word
        images.append(SentImage(index, width, height, word, file and file.file_bytes))
    return tuple(images)


def price_of(
    model: Model | None, count: int, parameters: ImageParameters | None, usage: Usage | None
) -> float | None:
    """The price of an answer of *model*, in US dollars. A model that counts tokens charges for the
    *usage*, any other for *count* images with these *parameters*. None where no source tells it."""
    if model is None or (parameters and parameters.output_format == WRITTEN_FORMAT):
        return None
    if isinstance(model.prices, ImagePrices) and parameters:
        return model.prices.price(parameters.size, parameters.quality, count)
    if isinstance(model.prices, TokenPrices) and usage:
        return usage.price(model.prices)
    return None
