import base64

import openai
import pytest
import shop

from images_emulator import read_recipe


def test_poster_is_drawn_of_the_title(images_emulator):
    poster = base64.b64decode(shop.draw_poster("The Lighthouse"))
    assert read_recipe(poster)["prompt"] == "A poster for The Lighthouse"
    images_emulator.verify(size="1024x1536", output_format="webp", times=1)


def test_blocked_title_gets_a_plain_poster(images_emulator):
    images_emulator.inject("moderation_blocked", match={"prompt": "Lighthouse"})
    shop.draw_poster("The Lighthouse")
    assert [call.prompt for call in images_emulator.calls(status=200)] == ["A poster"]


def test_two_rate_limits_are_survived(images_emulator):
    images_emulator.inject("rate_limit_exceeded", retry_after_ms=1, times=2)
    shop.draw_poster("The Lighthouse")
    assert [call.status for call in images_emulator.calls()] == [429, 429, 200]


@pytest.mark.images_emulator(scenario="outage")
def test_outage_is_told():
    with pytest.raises(openai.InternalServerError):
        shop.draw_poster("The Lighthouse")
