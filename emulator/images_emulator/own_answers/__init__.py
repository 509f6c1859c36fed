"""Answers of one's own in place of drawings (mocked, or stubbed, answers): their documents, and the
files in them.

An `AnswerDocument` is the document. It makes an `OwnAnswer`, which gives each call its pictures
(`OwnPicture`) and values in place of the emulator's (`AnswerOverrides`), or else a `RawAnswer`.
"""
