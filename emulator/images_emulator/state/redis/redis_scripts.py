"""The Lua scripts of the store in Redis. Redis runs each script whole, so no other process comes
between its steps.

| container | its class | its keys | its scripts |
|---|---|---|---|
| registers | `RedisRegisters` | `REGISTERS_KEYS` | `REFRESH`, `REPLACE` |
| records | `RedisRecords` | `RECORDS_KEYS` | `PUT_RECORDS`, `GET_VALUE`, `ALL_VALUES` |
| | | | `GET_JSON`, `ALL_JSON` |
| | | | `RECORD_TIMES`, `SIZE`, `DELETE_RECORD` |
| log | `RedisLog` | `LOG_KEYS` | `AMEND`, `GET_ENTRY`, `ALL_ENTRIES` |
| | | | `NEWEST_ENTRIES`, `HEADS`, `COUNT_ENTRIES`, `SIZE_OF_LOG`, `CLEAR_LOG` |
| log and registers | | | `APPEND` |
| counters | `RedisCounters` | `COUNTERS_KEYS` | `CLAIM`, `REVOKE`, `COUNTS` |
| registers and counters | | | `CLAIM_IF_FRESH`, `SHARE` |
| buckets and counters | | | `TAKE_AND_CLAIM` |
| buckets | `RedisBuckets` | `BUCKETS_KEYS` | `TAKE` |
| records, counters, buckets | | | `CLEAR` |
| all of a store | `RedisStore` | | `TOUCH` |

A script gets all keys of its container, in variables that have the names in these constants, and
its first arguments in variables, too. A script of several containers says in its docstring which
keys it gets. The scripts count on the number of keys that each container has. All keys of an
emulator are in one slot of a cluster.

The keys of a container expire together. A script that adds something renews their time to
live, `APPEND` no more often than is needed; `AMEND` leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from typing import Final, NamedTuple


class Script(NamedTuple):
    """A script: its *text*, and the *digest* by which Redis knows it."""

    text: str
    digest: str


REGISTERS_KEYS: Final = ("registers",)
"""The hash of all registers, with these fields. Each other key belongs to one container.

- `v:`, `j:` and `d:` before a register's name: its version, its JSON and its bytes.
- `version`: the version of all registers.
"""

RECORDS_KEYS: Final = ("meta", "order", "info", "json", "data")
"""The keys of records:

- `meta`: the sum of the weights, and the number of the newest record.
- `order`: the records in the order of their numbers.
- `info`, `json`, `data`: by a record's key, its weight with its expiry, its JSON, its bytes.
"""

LOG_KEYS: Final = ("entries", "order", "detachable", "amended")
"""The keys of a log:

- `entries`: by `w:`, `j:`, `m:` and `d:` before an entry's key, its weight, its JSON, the JSON of
  its amendment and its bytes. Also `weight`, the sum of the weights; `count`, the number of entries
  since the last clear; `first`, the key of the first of them; and `amendments`, the number of
  amendments.
- `order`: the entries in the order of their numbers.
- `detachable`: the entries in the order in which their bytes are detached.
- `amended`: the entries in the order of their last amendments.
"""

COUNTERS_KEYS: Final = ("counts", "order", "effects", "recent")
"""The keys of counters:

- `counts`: the claims and grants of each quota, by its key.
- `order`: the quotas in the order of their last claims.
- `effects`: the effect of each recent claim, by its id: whether it was granted (1 or 0), and the
  keys of the quotas that counted it. The effect of a revoked claim is empty.
- `recent`: the ids of these claims, oldest first.
"""

BUCKETS_KEYS: Final = ("buckets", "order")
"""The tokens that each bucket lacks, by its key, in the form of `TAKE`; and the buckets in the
order of their last granted takes."""


def _script(*parts: str, keys: Sequence[str] = (), arguments: Sequence[str] = ()) -> Script:
    """A script that has the *keys* of its container, and its first *arguments*, in variables of
    these names. Redis gives both as texts."""
    names = f"local {', '.join(keys)} = unpack(KEYS)\n" if keys else ""
    if arguments:
        names += f"local {', '.join(arguments)} = unpack(ARGV, 1, {len(arguments)})\n"
    text = names + "".join(parts)
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


_RENEW_TTL: Final = """
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

TOUCH: Final = _script(_RENEW_TTL, "renew_ttl(seconds)", arguments=("seconds",))
"""Arguments: the seconds to live. The keys are those of any containers. A key that has more than
half of the seconds left keeps what it has: so at least half of them follow the last call."""

CLEAR: Final = _script("redis.call('DEL', unpack(KEYS))")
"""Forgets a container. `DEL` frees the memory at once. With `UNLINK` a full Redis would refuse the
next writes."""

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

SHARE: Final = _script(
    _RENEW_TTL,
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
for place = 2, #KEYS, 4 do
  local counts, order = KEYS[place], KEYS[place + 1]
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
other processes restore. Counts that are lower than the process knows them are raised.

The keys are the key of the registers, then the keys of each counters. Arguments: the seconds to
live; the last 20 digits of a new version; the number of registers; name, version (empty: no value
yet), JSON and bytes of each register; then, for each counters, the number of counts, and key,
claims and grants of each count. Returns all registers.
"""

REFRESH: Final = _script(
    """
if redis.call('HGET', registers, 'version') == version then return 1 end
return redis.call('HGETALL', registers)
""",
    keys=REGISTERS_KEYS,
    arguments=("version",),
)
"""Arguments: the version of all registers that the process has. Returns 1 where that version is
still the newest, else all registers."""

REPLACE: Final = _script(
    _RENEW_TTL,
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

_RECORDS: Final = """
local weight = tonumber(redis.call('HGET', meta, 'weight') or '0')
local function weight_and_expiry(key)
  local text = redis.call('HGET', info, key)
  if not text then return nil end
  local record_weight, record_expiry = string.match(text, '(%S+) (.*)')
  return tonumber(record_weight), record_expiry
end
local function drop(key)
  local record_weight = weight_and_expiry(key)
  if not record_weight then return 0 end
  weight = weight - record_weight
  redis.call('ZREM', order, key)
  redis.call('HDEL', info, key)
  redis.call('HDEL', json, key)
  redis.call('HDEL', data, key)
  return 1
end
"""
"""The sum of the weights; *weight_and_expiry*, the weight and the expiry of a record; *drop*, which
drops a record."""

PUT_RECORDS: Final = _script(
    _RENEW_TTL,
    _RECORDS,
    """
for at = 6, #ARGV, 3 do
  local key = ARGV[at]
  drop(key)
  redis.call('ZADD', order, redis.call('HINCRBY', meta, 'number', 1), key)
  redis.call('HSET', info, key, value_weight .. ' ' .. expiry)
  redis.call('HSET', json, key, ARGV[at + 1])
  if ARGV[at + 2] ~= '' then redis.call('HSET', data, key, ARGV[at + 2]) end
  weight = weight + tonumber(value_weight)
end
while true do
  local oldest = redis.call('ZRANGE', order, 0, 0)[1]
  if not oldest then break end
  local _, oldest_expiry = weight_and_expiry(oldest)
  local is_expired = now ~= '' and oldest_expiry ~= '' and oldest_expiry < now
  if weight <= tonumber(budget) and not is_expired then break end
  drop(oldest)
end
redis.call('HSET', meta, 'weight', weight)
renew_ttl(seconds)
""",
    keys=RECORDS_KEYS,
    arguments=("seconds", "now", "expiry", "value_weight", "budget"),
)
"""Arguments: the seconds to live, the time now and the expiry (empty: none) as texts that compare
as the times do, the weight of each value, the budget, and key, JSON and bytes of each value."""

DELETE_RECORD: Final = _script(
    _RENEW_TTL,
    _RECORDS,
    """
local count = drop(key)
if count > 0 then
  redis.call('HSET', meta, 'weight', weight)
  renew_ttl(seconds)
end
return count
""",
    keys=RECORDS_KEYS,
    arguments=("seconds", "key"),
)
"""Arguments: the seconds to live and the key. Returns the number of deleted records: 0 or 1."""

RECORD_TIMES: Final = _script("return redis.call('HVALS', info)", keys=RECORDS_KEYS)
"""Returns the weight and the expiry of each record, as one text with a space between them."""

GET_VALUE: Final = _script(
    "return {redis.call('HGET', json, key), redis.call('HGET', data, key)}",
    keys=RECORDS_KEYS,
    arguments=("key",),
)
"""Arguments: the key of a record. Returns its JSON and its bytes."""

ALL_VALUES: Final = _script(
    """
local values = {}
for _, key in ipairs(redis.call('ZRANGE', order, 0, -1)) do
  values[#values + 1] = redis.call('HGET', json, key)
  values[#values + 1] = redis.call('HGET', data, key)
end
return values
""",
    keys=RECORDS_KEYS,
)
"""Returns JSON and bytes of each record, oldest first."""

GET_JSON: Final = _script(
    "return redis.call('HGET', json, key)", keys=RECORDS_KEYS, arguments=("key",)
)
"""Arguments: the key of a record. Returns its JSON."""

ALL_JSON: Final = _script(
    """
local texts = {}
for _, key in ipairs(redis.call('ZRANGE', order, 0, -1)) do
  texts[#texts + 1] = redis.call('HGET', json, key)
end
return texts
""",
    keys=RECORDS_KEYS,
)
"""Returns the JSON of each record, oldest first."""

SIZE: Final = _script(
    "return {redis.call('ZCARD', order), redis.call('HGET', meta, 'weight') or '0'}",
    keys=RECORDS_KEYS,
)
"""Returns the number of records, and the sum of their weights as a text."""

_CLAIM: Final = """
local function claim(counts, order, effects, recent, at)
  local max_counts, id, max_claims = tonumber(ARGV[at]), ARGV[at + 1], tonumber(ARGV[at + 2])
  local asked_from, asked_count = at + 4, tonumber(ARGV[at + 3])
  local quotas_from = asked_from + asked_count
  local function asked_counts()
    local found = {}
    for place = asked_from, quotas_from - 1 do
      found[#found + 1] = redis.call('HGET', counts, ARGV[place])
    end
    return found
  end
  local effect = redis.call('HGET', effects, id)
  if effect == '' then return {-1, {}, {}} end
  if effect then
    local last = string.sub(effect, 1, 1) == '1' and string.match(effect, '[^ ]+$')
    local found = {}
    for place = quotas_from, #ARGV, 5 do
      found[#found + 1] = redis.call('HGET', counts, ARGV[place])
      if ARGV[place] == last then return {(place - quotas_from) / 5, found, {}} end
    end
    return {-1, found, asked_counts()}
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
  for place = quotas_from, #ARGV, 5 do
    local key, after, times = ARGV[place], tonumber(ARGV[place + 1]), tonumber(ARGV[place + 2])
    local probability, seed = tonumber(ARGV[place + 3]), ARGV[place + 4]
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
        granted = (place - quotas_from) / 5
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
  return {granted, found, granted < 0 and asked_counts() or {}}
end
"""
"""Makes a claim on the counters with these keys, which then have *seconds* to live. The claim's
arguments begin at the index *at* of `ARGV`. See `CLAIM`."""

CLAIM: Final = _script(
    _RENEW_TTL,
    _CLAIM,
    "return claim(counts, order, effects, recent, 2)",
    keys=COUNTERS_KEYS,
    arguments=("seconds",),
)
"""Makes a claim on one quota after the other, until one grants it. See
`store.ClaimCount.with_claim` and `store.is_lucky`. Arguments: the seconds to live, then the
arguments of the claim:

- the most counts to keep, the id of the claim, the most ids to keep;
- the number of counts that are asked for, and their keys;
- for each quota its key (without spaces), `after`, `times` (-1: any number), probability, seed.

Returns the place of the quota that grants the claim, or -1; the counts of the quotas up to that
one; and, where no quota grants it, the counts that are asked for. Each count is one text or
nothing. A claim that was revoked before is granted nothing. A claim that is sent again counts once,
and has its first outcome.
"""

CLAIM_IF_FRESH: Final = _script(
    _RENEW_TTL,
    _CLAIM,
    """
if redis.call('HGET', registers, 'version') ~= version then return {-2} end
return claim(counts, order, effects, recent, 3)
""",
    keys=(*REGISTERS_KEYS, *COUNTERS_KEYS),
    arguments=("seconds", "version"),
)
"""Does what `CLAIM` does, if the process has the newest version of all registers; else only returns
-2. The keys are the key of the registers, then the keys of counters. Arguments: the seconds to
live, the version that the process has, then the arguments of the claim."""

REVOKE: Final = _script(
    _RENEW_TTL,
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
for at = 3, #ARGV do
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

COUNTS: Final = _script(
    """
local found = {}
for at, key in ipairs(ARGV) do found[at] = redis.call('HGET', counts, key) end
return found
""",
    keys=COUNTERS_KEYS,
)
"""Arguments: the keys of quotas. Returns claims and grants of each as one text."""

_TAKE_ARGUMENTS: Final = ("seconds", "max_buckets", "key", "amount", "limit", "token", "now")

_TAKE: Final = """
max_buckets, amount, limit = tonumber(max_buckets), tonumber(amount), tonumber(limit)
token, now = tonumber(token), tonumber(now)
local function take(buckets, order)
  local fills_from, owed = now, 0
  local text = redis.call('HGET', buckets, key)
  if text then
    fills_from, owed = string.match(text, '(%S+) (%S+)')
    fills_from, owed = tonumber(fills_from), tonumber(owed)
    if (fills_from - now) * 1000 > limit * token then
      fills_from, owed = now, 0
    elseif fills_from < now then
      fills_from, owed = now, math.max(owed - (now - fills_from) * 1000, 0)
    end
    owed = math.min(owed, limit * token)
  end
  local used = math.ceil(owed / token)
  if amount > limit then return {0, used, -1} end
  local late = owed + (amount - limit) * token
  if late > 0 then return {0, used, math.ceil(late / 1000) + fills_from - now} end
  redis.call('HSET', buckets, key,
    string.format('%.0f', fills_from) .. ' ' .. string.format('%.0f', owed + amount * token))
  local newest = redis.call('ZREVRANGE', order, 0, 0, 'WITHSCORES')
  redis.call('ZADD', order, tonumber(newest[2] or '0') + 1, key)
  while redis.call('ZCARD', order) > max_buckets do
    redis.call('HDEL', buckets, redis.call('ZPOPMIN', order)[1])
  end
  renew_ttl(seconds)
  return {1, used + amount, -1}
end
"""
"""Takes tokens from a bucket of the buckets with these keys, by `_TAKE_ARGUMENTS`. See `TAKE`."""

TAKE: Final = _script(
    _RENEW_TTL,
    _TAKE,
    "return take(buckets, order)",
    keys=BUCKETS_KEYS,
    arguments=_TAKE_ARGUMENTS,
)
"""Takes tokens from a bucket. Arguments: the seconds to live, the most buckets, the key, the
amount, the limit, the microseconds in which a token fills, the time in milliseconds. Returns
whether the take is granted, the tokens that are used, and the milliseconds to wait (-1: none). A
bucket is kept as two numbers: the time in milliseconds when it begins to fill, and the microseconds
that it then takes to be full. See `memory_store.MemoryBuckets`."""

TAKE_AND_CLAIM: Final = _script(
    _RENEW_TTL,
    _TAKE,
    _CLAIM,
    """
local taken = take(KEYS[1], KEYS[2])
if taken[1] == 0 then return {taken} end
return {taken, claim(KEYS[3], KEYS[4], KEYS[5], KEYS[6], 8)}
""",
    arguments=_TAKE_ARGUMENTS,
)
"""Takes tokens, and makes a claim if they are granted. The keys are the keys of buckets, then the
keys of counters. Arguments: the arguments of `TAKE`, then the arguments of the claim. Returns the
reply of `TAKE`, and the reply of `CLAIM` if one is made."""

_ENTRY_ARGUMENTS: Final = (
    "seconds",
    "max_entries",
    "budget",
    "key",
    "text",
    "bytes",
    "entry_weight",
)

_LOG: Final = """
seconds, max_entries = tonumber(seconds), tonumber(max_entries)
budget, entry_weight = tonumber(budget), tonumber(entry_weight)
local function tell(change)
  local watchers = redis.pcall('PUBLISH', entries, change)
  return type(watchers) == 'number' and watchers or 0
end
local function shrink(weight, number)
  while weight > budget do
    local oldest = redis.call('ZPOPMIN', detachable)[1]
    if not oldest then break end
    local before = tonumber(redis.call('HGET', entries, 'w:' .. oldest))
    local after = math.max(before - redis.call('HSTRLEN', entries, 'd:' .. oldest), 0)
    redis.call('HDEL', entries, 'd:' .. oldest)
    redis.call('HSET', entries, 'w:' .. oldest, after)
    weight = weight + after - before
  end
  while number > 0 and (weight > budget or number > max_entries) do
    local oldest = redis.call('ZPOPMIN', order)[1]
    weight = weight - tonumber(redis.call('HGET', entries, 'w:' .. oldest))
    redis.call('HDEL', entries, 'w:' .. oldest, 'j:' .. oldest, 'm:' .. oldest, 'd:' .. oldest)
    redis.call('ZREM', detachable, oldest)
    redis.call('ZREM', amended, oldest)
    number = number - 1
  end
  redis.call('HSET', entries, 'weight', weight)
end
"""
"""For scripts with `_ENTRY_ARGUMENTS`: *tell*, which tells the watchers of a change; and *shrink*,
which brings a log of this *weight* and *number* of entries within its bounds. It drops bytes before
entries, and old ones first."""

APPEND: Final = _script(
    _LOG,
    """
local registers = KEYS[5]
local kept = redis.call('HMGET', entries, 'count', 'weight', 'first')
local count, weight = tonumber(kept[1] or '0') + 1 + tonumber(missing), tonumber(kept[2] or '0')
local watchers = 0
if redis.call('ZADD', order, 'NX', count, key) == 1 then
  weight = weight + entry_weight
  redis.call('HSET', entries, 'count', count, 'weight', weight, 'first', kept[3] or key,
    'w:' .. key, entry_weight, 'j:' .. key, text)
  if bytes ~= '' then redis.call('HSET', entries, 'd:' .. key, bytes) end
  local number = redis.call('ZCARD', order)
  if number > max_entries or weight > budget then shrink(weight, number) end
  if number < 2 or redis.call('TTL', entries) < seconds / 2 then
    for place = 1, 4 do redis.call('EXPIRE', KEYS[place], seconds) end
  end
  watchers = tell(change)
else
  count = tonumber(redis.call('ZSCORE', order, key))
end
if redis.call('HGET', registers, 'version') == version then return {count, watchers, 1} end
return {count, watchers, redis.call('HGETALL', registers)}
""",
    keys=LOG_KEYS,
    arguments=(*_ENTRY_ARGUMENTS, "missing", "change", "version"),
)
"""Appends an entry, and does what `REFRESH` does. The keys are the keys of the log, then the key of
the registers. Arguments: the seconds to live; the most entries and bytes; key, JSON, bytes and
weight of the entry; the number of entries before it that Redis never got; the change for the
watchers; the version of all registers that the process has. Returns the entry's number, the number
of watchers, and the reply of `REFRESH`. An entry that is sent again, because the reply of Redis was
late, is not appended again. The watchers subscribe to the first key."""

AMEND: Final = _script(
    _LOG,
    """
local kept = redis.call('HMGET', entries, 'w:' .. key, 'weight', 'amendments')
if not kept[1] then return 0 end
local weight = tonumber(kept[2]) + entry_weight - tonumber(kept[1])
local amendments = tonumber(kept[3] or '0') + 1
if bytes == '' then
  redis.call('HSET', entries, 'weight', weight, 'amendments', amendments,
    'w:' .. key, entry_weight, 'm:' .. key, text)
  redis.call('HDEL', entries, 'd:' .. key)
else
  redis.call('HSET', entries, 'weight', weight, 'amendments', amendments,
    'w:' .. key, entry_weight, 'm:' .. key, text, 'd:' .. key, bytes)
end
redis.call('ZADD', amended, amendments, key)
if redis.call('ZCARD', amended) == 1 then
  redis.call('PEXPIRE', amended, redis.call('PTTL', entries))
end
if is_detachable == '1' then
  redis.call('ZADD', detachable, 'NX', amendments, key)
  if redis.call('ZCARD', detachable) == 1 then
    redis.call('PEXPIRE', detachable, redis.call('PTTL', entries))
  end
end
if weight > budget then shrink(weight, redis.call('ZCARD', order)) end
tell(change)
return 1
""",
    keys=LOG_KEYS,
    arguments=(*_ENTRY_ARGUMENTS, "is_detachable", "change"),
)
"""Amends an entry. The arguments are those of `APPEND` up to the change, with one difference:
whether the bytes are detachable (1) or not (0) takes the place of the number of entries. The JSON
is kept beside the JSON of `APPEND`, and replaces the JSON of an earlier amendment. The bytes
replace the earlier bytes. Returns whether the entry was still there."""

_ENTRY: Final = """
local function text_of(key)
  local both = redis.call('HMGET', entries, 'j:' .. key, 'm:' .. key)
  if both[2] then return both[1] .. '\\n' .. both[2] end
  return both[1]
end
local function list(keys)
  local values = {}
  for _, key in ipairs(keys) do
    values[#values + 1] = text_of(key)
    values[#values + 1] = redis.call('HGET', entries, 'd:' .. key)
  end
  return values
end
"""
"""The JSON of an entry, in two lines where it was amended; and JSON and bytes of several
entries."""

GET_ENTRY: Final = _script(
    _ENTRY,
    "return {text_of(key), redis.call('HGET', entries, 'd:' .. key)}",
    keys=LOG_KEYS,
    arguments=("key",),
)
"""Arguments: the key of an entry. Returns its JSON, in two lines where it was amended, and its
bytes."""

ALL_ENTRIES: Final = _script(
    _ENTRY, "return list(redis.call('ZRANGE', order, 0, -1))", keys=LOG_KEYS
)
"""Returns JSON and bytes of each entry, oldest first."""

NEWEST_ENTRIES: Final = _script(
    _ENTRY,
    "return list(redis.call('ZRANGE', order, -tonumber(number), -1))",
    keys=LOG_KEYS,
    arguments=("number",),
)
"""Arguments: a number. Returns JSON and bytes of that many newest entries, oldest first."""

HEADS: Final = _script(
    _ENTRY,
    """
local kept = redis.call('HMGET', entries, 'first', 'amendments')
local first, last, amendments = kept[1] or '', tonumber(known_last), tonumber(known_amendments)
if first ~= known_first then last, amendments = 0, 0 end
local found = {}
local function add(key, number)
  found[#found + 1] = key
  found[#found + 1] = number
  found[#found + 1] = text_of(key)
end
if last > 0 then
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', amended, '(' .. amendments, '+inf')) do
    local number = redis.call('ZSCORE', order, key)
    if number and tonumber(number) <= last then add(key, number) end
  end
end
local newer = redis.call('ZRANGEBYSCORE', order, '(' .. last, '+inf', 'WITHSCORES')
for at = 1, #newer, 2 do add(newer[at], newer[at + 1]) end
local oldest = redis.call('ZRANGE', order, 0, 0, 'WITHSCORES')[2] or '+inf'
return {first, tonumber(kept[2] or '0'), oldest, found}
""",
    keys=LOG_KEYS,
    arguments=("known_first", "known_last", "known_amendments"),
)
"""Returns the entries that a process does not know yet. Arguments, as the process knows them: the
key of the first entry, the number of the last entry, the number of amendments. Returns the key of
the first entry and the number of amendments as they are now; the number of the oldest entry that is
left (`+inf`: none); and key, number and JSON of each entry that was amended or added since then.
Where the log has another first entry, all entries are returned."""

COUNT_ENTRIES: Final = _script("return redis.call('HGET', entries, 'count')", keys=LOG_KEYS)
"""Returns the number of entries since the last clear, or nothing where there are none."""

SIZE_OF_LOG: Final = _script(
    "return {redis.call('ZCARD', order), redis.call('HGET', entries, 'weight') or '0'}",
    keys=LOG_KEYS,
)
"""Returns the number of entries, and the sum of their weights as a text."""

CLEAR_LOG: Final = _script(
    """
local count = redis.call('ZCARD', order)
redis.call('DEL', unpack(KEYS))
redis.pcall('PUBLISH', entries, change)
return count
""",
    keys=LOG_KEYS,
    arguments=("change",),
)
"""Forgets all entries. Arguments: the change for the watchers. Returns the number of entries."""

FREEING: Final = frozenset({CLEAR, CLEAR_LOG, DELETE_RECORD})
"""The scripts that Redis runs even when it has no more memory."""
