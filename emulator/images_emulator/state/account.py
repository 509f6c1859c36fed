"""The emulated account: its names on the wire, and the key that signs its URLs."""

from __future__ import annotations

import base64
import secrets
from dataclasses import asdict
from typing import Final

from images_emulator.immutable import Immutable
from images_emulator.state.random_ids import random_id, random_uuid
from images_emulator.state.store import Codec, Packed


class Account(Immutable):
    """One OpenAI account. All processes of one emulator have the same account."""

    organization: str
    """Value of the header `openai-organization`."""
    project: str
    """Value of the header `openai-project`."""
    organization_id: str
    """The organization in the messages of rate limits."""
    blob_folder: str
    """First two folders of a hosted picture's path."""
    signer_id: str
    """The query parameter `skoid` of a hosted picture's URL."""
    secret: bytes
    """Key of the signatures of hosted pictures' URLs."""


def random_account() -> Account:
    """A new account with names in the recorded forms."""
    return Account(
        organization=f"user-{random_id().lower()}",
        project=f"proj_{random_id()}",
        organization_id=f"org-{random_id()}",
        blob_folder=f"org-{random_id()}/user-{random_id()}",
        signer_id=random_uuid(),
        secret=secrets.token_bytes(32),
    )


def _pack(account: Account) -> Packed:
    return Packed(asdict(account) | {"secret": base64.b64encode(account.secret).decode()})


def _unpack(packed: Packed) -> Account:
    secret = base64.b64decode(packed.document["secret"])
    return Account(**{**packed.document, "secret": secret})


CODEC: Final = Codec(_pack, _unpack)
"""Packs the account for its register in the store."""
