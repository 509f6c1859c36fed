"""The scripts of counters in Redis; `RedisCounters` runs them. Two also read another container: the
registers, or the buckets of a rate limit."""

from __future__ import annotations

from typing import Final

from images_emulator.state.redis.redis_buckets_scripts import TAKE_ARGUMENTS, TAKE_FUNCTION
from images_emulator.state.redis.redis_registers_scripts import REGISTERS_KEYS
from images_emulator.state.redis.redis_scripts import RENEW_TTL, Script

COUNTERS_KEYS: Final = ("counts", "order", "effects", "recent")
"""The keys of counters:

- `counts`: the claims and grants of each quota, by its key.
- `order`: the quotas in the order of their last claims.
- `effects`: the effect of each recent claim, by its id: whether it was granted (1 or 0), and the
  keys of the quotas that counted it. The effect of a revoked claim is empty.
- `recent`: the ids of these claims, oldest first.
"""

_CLAIM: Final = """
local function claim(counts, order, effects, recent, at)
  local max_counts, id, max_claims = tonumber(ARGV[at]), ARGV[at + 1], tonumber(ARGV[at + 2])
  local asked_from = at + 4
  local quotas_from = asked_from + tonumber(ARGV[at + 3])
  local function read_asked_counts()
    local found = {}
    for index = asked_from, quotas_from - 1 do
      found[#found + 1] = redis.call('HGET', counts, ARGV[index])
    end
    return found
  end
  local effect = redis.call('HGET', effects, id)
  if effect == '' then return {-1, {}, {}} end
  if effect then
    local last = string.sub(effect, 1, 1) == '1' and string.match(effect, '[^ ]+$')
    local found = {}
    for index = quotas_from, #ARGV, 5 do
      found[#found + 1] = redis.call('HGET', counts, ARGV[index])
      if ARGV[index] == last then return {(index - quotas_from) / 5, found, {}} end
    end
    return {-1, found, read_asked_counts()}
  end
  local function lucky(probability, seed, number)
    if probability >= 1 then return true end
    local digest = redis.sha1hex(seed .. ' ' .. string.format('%.0f', number))
    return tonumber(string.sub(digest, 1, 13), 16) / 2 ^ 52 < probability
  end
  local newest = redis.call('ZREVRANGE', order, 0, 0, 'WITHSCORES')
  local turn = tonumber(newest[2] or '0')
  local granted = -1
  local counted, found = {}, {}
  for index = quotas_from, #ARGV, 5 do
    local key, after, times = ARGV[index], tonumber(ARGV[index + 1]), tonumber(ARGV[index + 2])
    local probability, seed = tonumber(ARGV[index + 3]), ARGV[index + 4]
    local claims, grants = 0, 0
    local text = redis.call('HGET', counts, key)
    if text then
      claims, grants = string.match(text, '(%S+) (%S+)')
      claims, grants = tonumber(claims), tonumber(grants)
    end
    if times < 0 or grants < times then
      local number = claims + 1 - after
      claims = claims + 1
      if number > 0 and lucky(probability, seed, number) then
        grants = grants + 1
        granted = (index - quotas_from) / 5
      end
      turn = turn + 1
      counted[#counted + 1] = key
      text = string.format('%.0f', claims) .. ' ' .. string.format('%.0f', grants)
      redis.call('HSET', counts, key, text)
      redis.call('ZADD', order, turn, key)
    end
    found[#found + 1] = text
    if granted >= 0 then break end
  end
  while redis.call('ZCARD', order) > max_counts do
    redis.call('HDEL', counts, redis.call('ZPOPMIN', order)[1])
  end
  if #counted > 0 then
    redis.call('HSET', effects, id, (granted >= 0 and '1 ' or '0 ') .. table.concat(counted, ' '))
    redis.call('RPUSH', recent, id)
    if redis.call('LLEN', recent) > max_claims then
      redis.call('HDEL', effects, redis.call('LPOP', recent))
    end
    renew_ttl(seconds)
  end
  return {granted, found, granted < 0 and read_asked_counts() or {}}
end
"""
"""Makes a claim on the counters with these keys, which then have *seconds* to live. The claim's
arguments begin at the index *at* of `ARGV`. See `CLAIM`."""

CLAIM: Final = Script.from_parts(
    "claim",
    RENEW_TTL,
    _CLAIM,
    "return claim(counts, order, effects, recent, rest_at)",
    keys=COUNTERS_KEYS,
    arguments=("seconds",),
)
"""Makes a claim on one quota after the other, until one grants it. See
`store.ClaimCount.with_claim` and `store.is_lucky`. Arguments: the seconds to live, then the
arguments of the claim:

- the most counts to keep, the id of the claim, the most ids to keep;
- the number of keys whose counts are asked for, and these keys;
- for each quota its key (without spaces), `after`, `times` (-1: any number), probability, seed.

Returns the index of the quota that grants the claim, or -1; the counts of the quotas up to that
one; and, where no quota grants it, the counts of the asked keys. Each count is one text or
nothing. A claim that was revoked before is granted nothing. A claim that is sent again counts once,
and has its first outcome.
"""

STALE: Final = -2
"""What `CLAIM_IF_FRESH` returns first, in place of a quota, where the process has not the newest
version of all registers."""

CLAIM_IF_FRESH: Final = Script.from_parts(
    "claim_if_fresh",
    RENEW_TTL,
    _CLAIM,
    f"local stale = {STALE}",
    """
if redis.call('HGET', registers, 'version') ~= version then return {stale} end
return claim(counts, order, effects, recent, rest_at)
""",
    keys=(*REGISTERS_KEYS, *COUNTERS_KEYS),
    arguments=("seconds", "version"),
)
"""Does what `CLAIM` does, if the process has the newest version of all registers; else only returns
`STALE`. The keys are the key of the registers, then the keys of counters. Arguments: the seconds to
live, the version that the process has, then the arguments of the claim."""

TAKE_AND_CLAIM: Final = Script.from_parts(
    "take_and_claim",
    RENEW_TTL,
    TAKE_FUNCTION,
    _CLAIM,
    """
local taken = take(buckets, buckets_order)
if taken[1] == 0 then return {taken} end
return {taken, claim(counts, order, effects, recent, rest_at)}
""",
    # Not `BUCKETS_KEYS`: both containers have a key of the name `order`.
    keys=("buckets", "buckets_order", *COUNTERS_KEYS),
    arguments=TAKE_ARGUMENTS,
)
"""Takes tokens, and makes a claim if they are granted. The keys are the keys of buckets, then the
keys of counters. Arguments: the arguments of `TAKE`, then the arguments of the claim. Returns the
reply of `TAKE`, and the reply of `CLAIM` if one is made."""

REVOKE: Final = Script.from_parts(
    "revoke",
    RENEW_TTL,
    """
local function lower(key, by_claims, by_grants)
  local text = redis.call('HGET', counts, key)
  if not text then return end
  local claims, grants = string.match(text, '(%S+) (%S+)')
  claims = math.max(tonumber(claims) - by_claims, 0)
  grants = math.max(tonumber(grants) - by_grants, 0)
  redis.call('HSET', counts, key,
    string.format('%.0f', claims) .. ' ' .. string.format('%.0f', grants))
end
local ungranted = {}
for at = rest_at, #ARGV do
  local id = ARGV[at]
  local effect = redis.call('HGET', effects, id)
  if not effect then
    redis.call('RPUSH', recent, id)
    if redis.call('LLEN', recent) > tonumber(max_claims) then
      redis.call('HDEL', effects, redis.call('LPOP', recent))
    end
  end
  redis.call('HSET', effects, id, '')
  local last
  for key in string.gmatch(string.sub(effect or '', 3), '[^ ]+') do
    lower(key, 1, 0)
    last = key
  end
  if last and string.sub(effect, 1, 1) == '1' then
    lower(last, 0, 1)
    ungranted[#ungranted + 1] = last
  end
end
renew_ttl(seconds)
return ungranted
""",
    keys=COUNTERS_KEYS,
    arguments=("seconds", "max_claims"),
)
"""Revokes claims, also claims that reach Redis later. A count that was dropped meanwhile is not
lowered below zero. Arguments: the seconds to live, the most ids, and the ids of the claims. Returns
the keys of the quotas whose grant is revoked."""

COUNTS: Final = Script.from_parts(
    "counts",
    """
local found = {}
for at, key in ipairs(ARGV) do found[at] = redis.call('HGET', counts, key) end
return found
""",
    keys=COUNTERS_KEYS,
)
"""Arguments: the keys of quotas. Returns claims and grants of each as one text."""
