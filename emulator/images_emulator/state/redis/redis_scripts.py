"""What a Lua script of the store in Redis is, and the scripts of any container. Redis runs each
script whole, so no other process comes between its steps.

The scripts of a container are in the module of its name: `redis_log_scripts` has those of
`RedisLog`. A script gets all keys of its container, in variables that have the names in the
constant `…_KEYS` there, and its first arguments in variables, too; `rest_at` is the index in `ARGV`
of the argument after these. A script of several containers says in its docstring which keys it
gets. The scripts count on the number of keys that each container has. All keys of an emulator are
in one slot of a cluster.

The keys of a container expire together. A script that adds something renews their time to live,
`APPEND` no more often than is needed; `AMEND` leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from typing import Final, NamedTuple


class Script(NamedTuple):
    """A script: its *name*, which metrics and spans have, and which therefore stays; its *text*;
    the *digest* by which Redis knows it. A Redis that has no more memory still runs a script that
    *frees_memory*."""

    name: str
    text: str
    digest: str
    frees_memory: bool

    @classmethod
    def from_parts(
        cls,
        name: str,
        *parts: str,
        keys: Sequence[str] = (),
        arguments: Sequence[str] = (),
        frees_memory: bool = False,
    ) -> Script:
        """The script of these *parts* of Lua. It has the *keys* of its container, and its first
        *arguments*, in variables of these names, and where it has any, the index in `ARGV` of the
        argument after them in `rest_at`. Redis gives keys and arguments as texts."""
        names = f"local {', '.join(keys)} = unpack(KEYS)\n" if keys else ""
        if arguments:
            names += f"local {', '.join(arguments)} = unpack(ARGV, 1, {len(arguments)})\n"
            names += f"local rest_at = {len(arguments) + 1}\n"
        text = names + "".join(parts)
        digest = sha1(text.encode(), usedforsecurity=False).hexdigest()
        return cls(name, text, digest, frees_memory)


RENEW_TTL: Final = """
local function renew_ttl(seconds)
  local is_due = false
  for _, key in ipairs(KEYS) do
    local rest = redis.call('TTL', key)
    is_due = is_due or rest ~= -2 and rest < seconds / 2
  end
  if not is_due then return end
  for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, seconds) end
end
"""
"""Gives the keys *seconds* to live, where one of them is new or has less than half of that."""

TOUCH: Final = Script.from_parts("touch", RENEW_TTL, "renew_ttl(seconds)", arguments=("seconds",))
"""Arguments: the seconds to live. The keys are those of any containers. A key that has more than
half of the seconds left keeps what it has: so at least half of them follow the last call."""

CLEAR: Final = Script.from_parts("clear", "redis.call('DEL', unpack(KEYS))", frees_memory=True)
"""Empties a container. `DEL` frees the memory at once. With `UNLINK` a full Redis would refuse the
next writes."""
