"""Claims the own answer of a validated call, and makes the replacement that the call is sent."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from images_emulator.contract import emulator_errors
from images_emulator.contract.answer_replacement import NO_REPLACEMENT, AnswerReplacement
from images_emulator.contract.own_picture import OwnPicture
from images_emulator.contract.request import ImageRequest
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.own_answers.own_answer import OwnAnswer
from images_emulator.own_answers.picture_files import ReadingContext, base_name, read_files
from images_emulator.state.emulator import Emulator
from images_emulator.state.rate_limits import Admission
from images_emulator.web.match_input import make_input_of_request

logger = logging.getLogger("images_emulator")


async def claim_own_answer(
    exchange: ServedExchange,
    request: ImageRequest,
    emulator: Emulator,
    admission: Admission | None = None,
) -> AnswerReplacement:
    """Claim the own answer of the call, whose validated request is *request*, and set its label;
    where the call meets no step with an answer, add the near misses. Return the replacement for the
    call, `NO_REPLACEMENT` in the latter case. With *admission*, take its tokens first. Raises
    APIError where the rate limit refuses them, and where the store is away."""
    match_input = await make_input_of_request(exchange, request, emulator)
    scenario = emulator.scenario
    if admission:
        finding = await scenario.admit_and_claim(admission, match_input)
    else:
        finding = await scenario.claim(match_input)
    step = finding.step
    if step is None:
        exchange.near_misses = (*exchange.near_misses, *finding.near_misses)
        return NO_REPLACEMENT
    own_answer = step.own_answer
    assert own_answer, "a validated call matches no other step"
    replacement = own_answer.replacement(finding.met_count)
    exchange.answer.own_answer_label = replacement.label
    if own_answer.function:
        try:
            # It is not the emulator's code, and may take its time.
            pictures = await asyncio.to_thread(_make_pictures, own_answer, request)
        except Exception as error:
            logger.exception("the function of the answer '%s' failed", step.title)
            sentence = _sentence(error)
            reason = f"{type(error).__name__}: {sentence}" if sentence else type(error).__name__
            failure = emulator_errors.failed_answer(name=step.title, reason=reason)
            return AnswerReplacement(replacement.label, error=failure, is_for_one_call=True)
        return own_answer.replacement_with(pictures)
    return replacement


def _sentence(error: Exception) -> str:
    """The message of *error* for the client. A file in it has only its name, without the folder."""
    if isinstance(error, OSError) and error.strerror:
        names = [base_name(os.fsdecode(name)) for name in _file_names(error)]
        return ": ".join([error.strerror, *names])
    return str(error)


def _file_names(error: OSError) -> Iterator[str | bytes]:
    return (name for name in (error.filename, error.filename2) if isinstance(name, str | bytes))


def _make_pictures(own_answer: OwnAnswer, request: ImageRequest) -> tuple[OwnPicture, ...]:
    """The pictures that the function of *own_answer* makes for *request*. Raises what the function
    raises, and ValueError for a value that is no picture."""
    return tuple(_make_picture(own_answer, request, index) for index in range(request.n))


def _make_picture(own_answer: OwnAnswer, request: ImageRequest, index: int) -> OwnPicture:
    assert own_answer.function, "`claim_own_answer` has looked"
    value = own_answer.function(request, index)
    try:
        files = read_files(value, ReadingContext(Path()))
        if len(files) != 1:
            raise ValueError(f"{value} stands for {len(files)} files")
    except ValueError as error:
        type_name, sentence = type(value).__name__, str(error)
        if isinstance(value, str | os.PathLike):
            path = os.fsdecode(value)
            sentence = sentence.replace(path, base_name(path))
        raise ValueError(f"it returned {type_name} for image {index}: {sentence}") from None
    (file,) = files
    if file.mistake and not own_answer.verbatim:
        raise ValueError(f"what it returned for image {index} {file.mistake}")
    return own_answer.picture(file)
