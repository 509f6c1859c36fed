"""Random names: their forms, and the names of the account that has them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict

import pytest

from images_emulator.state.account import random_account
from images_emulator.state.random_ids import random_digits, random_id, random_uuid

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@pytest.mark.parametrize(
    ("make", "form"),
    [
        (random_id, r"[A-Za-z0-9]{24}"),
        (lambda: random_id(8), r"[A-Za-z0-9]{8}"),
        (random_digits, r"[0-9a-f]{32}"),
        (random_uuid, UUID),
    ],
)
def test_a_random_name_has_its_form_and_is_another_each_time(
    make: Callable[[], str], form: str
) -> None:
    names = {make() for _ in range(100)}
    assert len(names) == 100
    assert [name for name in names if not re.fullmatch(form, name)] == []


def test_names_of_an_account_have_the_recorded_forms() -> None:
    forms = {
        "organization": r"user-[a-z0-9]{24}",
        "project": r"proj_\w{24}",
        "organization_id": r"org-\w{24}",
        "blob_folder": r"org-\w{24}/user-\w{24}",
        "signer_id": UUID,
    }
    account = asdict(random_account())
    assert len(account.pop("secret")) == 32
    assert account.keys() == forms.keys()
    for name, form in forms.items():
        assert re.fullmatch(form, account[name]), name


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_a_process_that_was_forked_has_other_ids() -> None:
    program = """
import os
from images_emulator.state.random_ids import random_digits
child = os.fork()
os.write(1, f"{random_digits()} ".encode())
if child:
    os.waitpid(child, 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    one, other = done.stdout.split()
    assert one != other
