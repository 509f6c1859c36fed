from django.test import SimpleTestCase

import images_emulator


class PosterTest(SimpleTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.emulator = cls.enterClassContext(images_emulator.running())

    def setUp(self):
        self.emulator.reset()

    def test_poster_is_a_picture_of_the_title(self):
        answer = self.client.get("/poster", {"title": "The Lighthouse"})
        self.assertEqual(answer.headers["content-type"], "image/webp")
        recipe = images_emulator.read_recipe(answer.content)
        self.assertEqual(recipe["prompt"], "A poster for The Lighthouse")

    def test_blocked_title_is_told(self):
        self.emulator.inject("moderation_blocked")
        answer = self.client.get("/poster", {"title": "The Lighthouse"})
        self.assertEqual(answer.status_code, 422)
        self.assertEqual(answer.json(), {"error": "moderation_blocked"})
