import unittest

import openai
import shop

import images_emulator


class ShopTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.emulator = cls.enterClassContext(images_emulator.running())

    def setUp(self):
        self.emulator.reset()

    def test_poster_is_edited(self):
        poster = shop.draw_by_night(shop.draw_poster("The Lighthouse"))
        self.assertEqual(images_emulator.read_recipe(poster)["endpoint"], "edits")
        self.emulator.verify(path="*/edits", prompt="By night", times=1)

    def test_server_error_is_tried_again(self):
        self.emulator.inject("server_error", times=1)
        shop.draw_poster("The Lighthouse")
        self.assertEqual([call.status for call in self.emulator.calls()], [500, 200])

    def test_long_title_is_refused(self):
        with self.assertRaises(openai.BadRequestError) as refused:
            shop.draw_poster("x" * 40_000)
        self.assertEqual(refused.exception.param, "prompt")


if __name__ == "__main__":
    unittest.main()
