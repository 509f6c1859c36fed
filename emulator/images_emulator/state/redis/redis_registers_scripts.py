"""The scripts of the registers in Redis; `RedisRegisters` runs them."""

from __future__ import annotations

from typing import Final

from images_emulator.state.redis.redis_scripts import RENEW_TTL, Script

REGISTERS_KEYS: Final = ("registers",)
"""The hash of all registers, with these fields. Each other key belongs to one container.

- `v:`, `j:` and `d:` before a register's name: its version, its JSON and its bytes.
- `version`: the version of all registers.
"""

_VERSIONS: Final = """
local newest = redis.call('HGET', registers, 'version') or string.rep('0', 20)
local function following(version, nonce)
  return string.sub(version, 1, 6)
    .. string.format('%014.0f', tonumber(string.sub(version, 7, 20)) + 1) .. nonce
end
"""
"""The version of all registers, and *following*, which makes the version after another one. A
version has 6 digits of its era, 14 of its number within the era, and 20 that no other write with
this number has. Versions compare as texts."""

SHARE: Final = Script.from_parts(
    "share",
    RENEW_TTL,
    _VERSIONS,
    """
local changed, greatest = false, ''
for at = 4, 3 + 4 * registers_count, 4 do
  local name, version = ARGV[at], ARGV[at + 1]
  local kept = redis.call('HGET', registers, 'v:' .. name)
  if not kept or kept < version then
    changed = true
    if version > greatest then greatest = version end
    if version == '' then
      newest = following(newest, nonce)
      version = newest
    end
    redis.call('HSET', registers, 'v:' .. name, version, 'j:' .. name, ARGV[at + 2],
      'd:' .. name, ARGV[at + 3])
  end
end
if string.sub(greatest, 1, 6) >= string.sub(newest, 1, 6) then
  newest = string.format('%06.0f', tonumber(string.sub(greatest, 1, 6)) + 1)
    .. string.rep('0', 14) .. nonce
elseif greatest ~= '' then
  newest = following(newest, nonce)
end
if changed then redis.call('HSET', registers, 'version', newest) end
local at = 4 + 4 * registers_count
for index = 2, #KEYS, 4 do
  local counts, order = KEYS[index], KEYS[index + 1]
  local turn = tonumber(redis.call('ZREVRANGE', order, 0, 0, 'WITHSCORES')[2] or '0')
  local last = at + 3 * tonumber(ARGV[at])
  for each = at + 1, last, 3 do
    local claims, grants = tonumber(ARGV[each + 1]), tonumber(ARGV[each + 2])
    local text = redis.call('HGET', counts, ARGV[each])
    if text then
      local kept_claims, kept_grants = string.match(text, '(%S+) (%S+)')
      claims = math.max(claims, tonumber(kept_claims))
      grants = math.max(grants, tonumber(kept_grants))
    else
      turn = turn + 1
      redis.call('ZADD', order, turn, ARGV[each])
    end
    redis.call('HSET', counts, ARGV[each],
      string.format('%.0f', claims) .. ' ' .. string.format('%.0f', grants))
  end
  at = last + 1
end
renew_ttl(seconds)
return redis.call('HGETALL', registers)
""",
    keys=REGISTERS_KEYS,
    arguments=("seconds", "nonce", "registers_count"),
)
"""Gives Redis the registers of a process, where Redis has no value or an older one. The first
process that restores a lost value begins a new era: later writes are then newer than any value that
other processes restore. A count is raised where the process knows a higher one.

The keys are the key of the registers, then the keys of each `Counters`. Arguments: the seconds to
live; the last 20 digits of a new version; the number of registers; name, version (empty: no value
yet), JSON and bytes of each register; then, for each `Counters`, the number of counts, and key,
claims and grants of each count. Returns all registers.
"""

REFRESH: Final = Script.from_parts(
    "refresh",
    """
if redis.call('HGET', registers, 'version') == version then return 1 end
return redis.call('HGETALL', registers)
""",
    keys=REGISTERS_KEYS,
    arguments=("version",),
)
"""Arguments: the version of all registers that the process has. Returns 1 where that version is
still the newest, else all registers."""

REPLACE: Final = Script.from_parts(
    "replace",
    RENEW_TTL,
    _VERSIONS,
    """
local kept = redis.call('HGET', registers, 'v:' .. name)
if kept and string.sub(kept, 21) == nonce then return kept end
if kept ~= known_version then
  return redis.call('HGETALL', registers)
end
local version = following(newest, nonce)
redis.call('HSET', registers, 'version', version, 'v:' .. name, version, 'j:' .. name, json,
  'd:' .. name, bytes)
renew_ttl(seconds)
return version
""",
    keys=REGISTERS_KEYS,
    arguments=("seconds", "nonce", "name", "known_version", "json", "bytes"),
)
"""Replaces the value of one register, if the register has the version that the process knows.
Arguments: the seconds to live, the last 20 digits of the new version, the name, the known version,
the new JSON and bytes. Returns the new version, also to the same call sent again. Returns all
registers where another process came first, or where Redis has lost the known version."""
