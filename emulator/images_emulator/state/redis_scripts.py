"""The Lua scripts of the store in Redis. Redis runs each of them whole, so that no other process
comes between its steps.

| container | its class | its keys | its scripts |
|---|---|---|---|
| registers | `RedisRegisters` | `REGISTERS_KEYS` | `REFRESH`, `REPLACE` |
| records | `RedisRecords` | `RECORDS_KEYS` | `PUT_RECORDS`, `GET_VALUE`, `ALL_VALUES` |
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

A script gets all keys of its container, in variables that have the names in these constants. A
script of several containers says in its docstring which keys it gets. The scripts count on the
number of keys that each container has. All keys of an emulator are in one slot of a cluster. Each
script that writes renews the time to live of its keys: those of a container expire together.
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
"""By `v:`, `j:` and `d:` before the name of a register its version, its JSON and its bytes; as
`version` that of all together. Here alone the key is not of one container, but has all that there
are."""

RECORDS_KEYS: Final = ("meta", "order", "info", "json", "data")
"""The sum of the weights, with the number of the newest record; the order of the records by their
numbers; and by the key of a record its weight with its expiry, its JSON and its bytes."""

LOG_KEYS: Final = ("entries", "order", "detachable", "amended")
"""By `w:`, `j:`, `m:` and `d:` before the key of an entry its weight, its JSON, that of its
amendment and its bytes, with the sum of the weights, the number of the entries since the last
clear, the key of the first of these and the number of amendments; the order of the entries by their
numbers; and the orders in which bytes are detached, and in which entries were last amended."""

COUNTERS_KEYS: Final = ("counts", "order", "effects", "recent")
"""Claims and grants by the key of a quota; the order in which the quotas were last claimed; by the
id of one of the last claims its effect, which is whether it was granted (1 or 0) and the keys of
the quotas that counted it, or empty where it is revoked; and these ids, oldest first."""

BUCKETS_KEYS: Final = ("buckets", "order")
"""What each bucket lacks, by its key; and the order in which the buckets were last used."""


def _script(*parts: str, keys: Sequence[str] = ()) -> Script:
    """A script that has the *keys* of its container in variables of these names."""
    names = f"local {', '.join(keys)} = unpack(KEYS)\n" if keys else ""
    text = names + "".join(parts)
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


_LIVE: Final = """
local function live(seconds)
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

TOUCH: Final = _script(_LIVE, "live(tonumber(ARGV[1]))")
"""Arguments: the seconds to live. The keys are those of any containers."""

CLEAR: Final = _script("redis.call('DEL', unpack(KEYS))")
"""Forgets a container. `UNLINK` would give its memory back later, when a full Redis has refused
what follows."""

_VERSIONS: Final = """
local newest = redis.call('HGET', registers, 'version') or string.rep('0', 20)
local function following(version, nonce)
  return string.sub(version, 1, 6)
    .. string.format('%014.0f', tonumber(string.sub(version, 7, 20)) + 1) .. nonce
end
"""
"""A version has 6 digits of its era, 14 of its number within that, and 20 that another write of the
same number does not have. Versions compare as texts."""

SHARE: Final = _script(
    _LIVE,
    _VERSIONS,
    """
local registers_count = tonumber(ARGV[3])
local changed, greatest = false, ''
for at = 4, 3 + 4 * registers_count, 4 do
  local name, version = ARGV[at], ARGV[at + 1]
  local kept = redis.call('HGET', registers, 'v:' .. name)
  if not kept or kept < version then
    changed = true
    if version > greatest then greatest = version end
    if version == '' then
      newest = following(newest, ARGV[2])
      version = newest
    end
    redis.call('HSET', registers, 'v:' .. name, version, 'j:' .. name, ARGV[at + 2],
      'd:' .. name, ARGV[at + 3])
  end
end
if string.sub(greatest, 1, 6) >= string.sub(newest, 1, 6) then
  newest = string.format('%06.0f', tonumber(string.sub(greatest, 1, 6)) + 1)
    .. string.rep('0', 14) .. ARGV[2]
elseif greatest ~= '' then
  newest = following(newest, ARGV[2])
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
      local cut = string.find(text, ' ', 1, true)
      claims = math.max(claims, tonumber(string.sub(text, 1, cut - 1)))
      grants = math.max(grants, tonumber(string.sub(text, cut + 1)))
    else
      turn = turn + 1
      redis.call('ZADD', order, turn, ARGV[each])
    end
    redis.call('HSET', counts, ARGV[each],
      string.format('%.0f', claims) .. ' ' .. string.format('%.0f', grants))
  end
  at = last + 1
end
live(tonumber(ARGV[1]))
return redis.call('HGETALL', registers)
""",
    keys=REGISTERS_KEYS,
)
"""Gives registers their values where they have none, or older ones than the process. The first that
restores what was lost begins another era, so that what is written from then on is newer than all
that other processes restore. Counts that are lower than the process knows them are raised.

The keys are, behind that of the registers, those of counters. Arguments: the seconds to live, 20
digits, the number of registers, and name, version (empty: it has no value yet), JSON and bytes of
each; then for each counters the number of counts, and key, claims and grants of each. Returns all
registers."""

REFRESH: Final = _script(
    """
if redis.call('HGET', registers, 'version') == ARGV[1] then return 1 end
return redis.call('HGETALL', registers)
""",
    keys=REGISTERS_KEYS,
)
"""Arguments: the version of all registers that the process has. Returns 1 where it is still the
newest, else all registers."""

REPLACE: Final = _script(
    _LIVE,
    _VERSIONS,
    """
local name = ARGV[3]
local kept = redis.call('HGET', registers, 'v:' .. name)
if kept and string.sub(kept, 21) == ARGV[2] then return kept end
if kept ~= ARGV[4] then
  return redis.call('HGETALL', registers)
end
local version = following(newest, ARGV[2])
redis.call('HSET', registers, 'version', version, 'v:' .. name, version, 'j:' .. name, ARGV[5],
  'd:' .. name, ARGV[6])
live(tonumber(ARGV[1]))
return version
""",
    keys=REGISTERS_KEYS,
)
"""Replaces the value of one register if it has the version that the process knows. Arguments: the
seconds to live, 20 digits, the name, the known version, the new JSON and bytes. Returns the new
version, also where this is sent again; or all registers where another process came first or Redis
has lost that version."""

_RECORDS: Final = """
local weight = tonumber(redis.call('HGET', meta, 'weight') or '0')
local function about(key)
  local text = redis.call('HGET', info, key)
  if not text then return nil end
  local cut = string.find(text, ' ', 1, true)
  return tonumber(string.sub(text, 1, cut - 1)), string.sub(text, cut + 1)
end
local function drop(key)
  local heavy = about(key)
  if not heavy then return 0 end
  weight = weight - heavy
  redis.call('ZREM', order, key)
  redis.call('HDEL', info, key)
  redis.call('HDEL', json, key)
  redis.call('HDEL', data, key)
  return 1
end
"""
"""The sum of the weights, the weight and the expiry of a record, and how one is dropped."""

PUT_RECORDS: Final = _script(
    _LIVE,
    _RECORDS,
    """
local now, expiry, heavy, budget = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
for at = 6, #ARGV, 3 do
  local key = ARGV[at]
  drop(key)
  redis.call('ZADD', order, redis.call('HINCRBY', meta, 'number', 1), key)
  redis.call('HSET', info, key, ARGV[4] .. ' ' .. expiry)
  redis.call('HSET', json, key, ARGV[at + 1])
  if ARGV[at + 2] ~= '' then redis.call('HSET', data, key, ARGV[at + 2]) end
  weight = weight + heavy
end
while true do
  local oldest = redis.call('ZRANGE', order, 0, 0)[1]
  if not oldest then break end
  local _, ends = about(oldest)
  if weight <= budget and not (now ~= '' and ends ~= '' and ends < now) then break end
  drop(oldest)
end
redis.call('HSET', meta, 'weight', weight)
live(tonumber(ARGV[1]))
""",
    keys=RECORDS_KEYS,
)
"""Arguments: the seconds to live, the time and the expiry as texts that compare as the times do
(empty: none), the weight of each value, the budget, and key, JSON and bytes of each value."""

DELETE_RECORD: Final = _script(
    _LIVE,
    _RECORDS,
    """
local count = drop(ARGV[2])
if count > 0 then
  redis.call('HSET', meta, 'weight', weight)
  live(tonumber(ARGV[1]))
end
return count
""",
    keys=RECORDS_KEYS,
)
"""Arguments: the seconds to live and the key. Returns the number of records that there were with
it."""

RECORD_TIMES: Final = _script("return redis.call('HVALS', info)", keys=RECORDS_KEYS)
"""Returns the weight and the expiry of each record, as one text with a space between them."""

GET_VALUE: Final = _script(
    "return {redis.call('HGET', json, ARGV[1]), redis.call('HGET', data, ARGV[1])}",
    keys=RECORDS_KEYS,
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

SIZE: Final = _script(
    "return {redis.call('ZCARD', order), redis.call('HGET', meta, 'weight') or '0'}",
    keys=RECORDS_KEYS,
)
"""Returns the number of records, and the sum of their weights as a text."""

_CLAIM: Final = """
local function claim(counts, order, effects, recent, at)
  local most, id, most_claims = tonumber(ARGV[at]), ARGV[at + 1], tonumber(ARGV[at + 2])
  local asked_from = at + 4
  local first = asked_from + tonumber(ARGV[at + 3])
  local function asked()
    local found = {}
    for place = asked_from, first - 1 do
      found[#found + 1] = redis.call('HGET', counts, ARGV[place])
    end
    return found
  end
  local effect = redis.call('HGET', effects, id)
  if effect == '' then return {-1, {}, {}} end
  if effect then
    local last = string.sub(effect, 1, 1) == '1' and string.match(effect, '[^ ]+$')
    local found = {}
    for place = first, #ARGV, 5 do
      found[#found + 1] = redis.call('HGET', counts, ARGV[place])
      if ARGV[place] == last then return {(place - first) / 5, found, {}} end
    end
    return {-1, found, asked()}
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
  for place = first, #ARGV, 5 do
    local key, after, times = ARGV[place], tonumber(ARGV[place + 1]), tonumber(ARGV[place + 2])
    local claims, grants = 0, 0
    local text = redis.call('HGET', counts, key)
    if text then
      local cut = string.find(text, ' ', 1, true)
      claims, grants = tonumber(string.sub(text, 1, cut - 1)), tonumber(string.sub(text, cut + 1))
    end
    if times < 0 or grants < times then
      local number = claims + 1 - after
      claims = claims + 1
      if number > 0 and lucky(tonumber(ARGV[place + 3]), ARGV[place + 4], number) then
        grants = grants + 1
        granted = (place - first) / 5
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
  while redis.call('ZCARD', order) > most do
    redis.call('HDEL', counts, redis.call('ZPOPMIN', order)[1])
  end
  if #counted > 0 then
    redis.call('HSET', effects, id, (granted >= 0 and '1 ' or '0 ') .. table.concat(counted, ' '))
    redis.call('RPUSH', recent, id)
    if redis.call('LLEN', recent) > most_claims then
      redis.call('HDEL', effects, redis.call('LPOP', recent))
    end
    live(tonumber(ARGV[1]))
  end
  return {granted, found, granted < 0 and asked() or {}}
end
"""
"""A claim on counters with these keys, whose arguments begin *at* an index. See `CLAIM`."""

CLAIM: Final = _script(
    _LIVE, _CLAIM, "return claim(counts, order, effects, recent, 2)", keys=COUNTERS_KEYS
)
"""Arguments: the seconds to live, and those of the claim: the most counts, the id of the claim, the
most ids, the number of the keys whose counts are asked for and these keys, and of each quota its
key (without spaces), `after`, `times` (-1: any number), probability and seed. Returns the place of
the quota that grants the claim, or -1; the counts of the quotas up to that one, and where there is
none those that are asked for, each as one text or nothing. A claim that was revoked before is
granted nothing. One that is sent again counts once, and has the outcome that it had. See
`store.Count.claim` and `store.is_lucky`."""

CLAIM_IF_FRESH: Final = _script(
    _LIVE,
    _CLAIM,
    """
if redis.call('HGET', registers, 'version') ~= ARGV[2] then return {-2} end
return claim(counts, order, effects, recent, 3)
""",
    keys=(*REGISTERS_KEYS, *COUNTERS_KEYS),
)
"""The keys are that of the registers and those of counters. As `CLAIM`, but does nothing and
returns -2 where the version of all registers, which is an argument before those of the claim, is
not the newest."""

REVOKE: Final = _script(
    _LIVE,
    """
local function lower(key, claims, grants)
  local text = redis.call('HGET', counts, key)
  if not text then return end
  local cut = string.find(text, ' ', 1, true)
  claims = math.max(tonumber(string.sub(text, 1, cut - 1)) - claims, 0)
  grants = math.max(tonumber(string.sub(text, cut + 1)) - grants, 0)
  redis.call('HSET', counts, key,
    string.format('%.0f', claims) .. ' ' .. string.format('%.0f', grants))
end
local ungranted = {}
for at = 3, #ARGV do
  local id = ARGV[at]
  local effect = redis.call('HGET', effects, id)
  if not effect then
    redis.call('RPUSH', recent, id)
    if redis.call('LLEN', recent) > tonumber(ARGV[2]) then
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
live(tonumber(ARGV[1]))
return ungranted
""",
    keys=COUNTERS_KEYS,
)
"""Revokes claims, also those that are still on their way. A count that was dropped meanwhile is not
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

_TAKE: Final = """
local function take(buckets, order)
  local most, key, amount = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
  local limit, token, now = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
  local fills_from, owed = now, 0
  local text = redis.call('HGET', buckets, key)
  if text then
    local cut = string.find(text, ' ', 1, true)
    fills_from, owed = tonumber(string.sub(text, 1, cut - 1)), tonumber(string.sub(text, cut + 1))
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
  while redis.call('ZCARD', order) > most do
    redis.call('HDEL', buckets, redis.call('ZPOPMIN', order)[1])
  end
  live(tonumber(ARGV[1]))
  return {1, used + amount, -1}
end
"""
"""A take from buckets with these keys. See `TAKE`."""

TAKE: Final = _script(_LIVE, _TAKE, "return take(buckets, order)", keys=BUCKETS_KEYS)
"""Arguments: the seconds to live, the most buckets, the key, the amount, the limit, the
microseconds of a token, the time in milliseconds. Returns whether it is granted, the tokens that
are used, and the milliseconds to wait (-1: none). A bucket is kept as the time in milliseconds from
which on it fills, and the microseconds after which it is full then. See
`memory_store.MemoryBuckets`."""

TAKE_AND_CLAIM: Final = _script(
    _LIVE,
    _TAKE,
    _CLAIM,
    """
local taken = take(KEYS[1], KEYS[2])
if taken[1] == 0 then return {taken} end
return {taken, claim(KEYS[3], KEYS[4], KEYS[5], KEYS[6], 8)}
""",
)
"""The keys are those of buckets and of counters. Arguments: those of `TAKE`, then those of the
claim. Returns the reply of `TAKE`, and where that is granted the reply of `CLAIM`."""

_LOG: Final = """
local function tell(change)
  local watchers = redis.pcall('PUBLISH', entries, change)
  return type(watchers) == 'number' and watchers or 0
end
local seconds, most, budget = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local key, text, bytes, heavy = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
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
  while number > 0 and (weight > budget or number > most) do
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
"""The arguments of `APPEND` and `AMEND`, how the watchers are told, and how a log of this *weight*
and *number* of entries is brought into its bounds: bytes go before entries, old ones first."""

APPEND: Final = _script(
    _LOG,
    """
local registers = KEYS[5]
local kept = redis.call('HMGET', entries, 'count', 'weight', 'first')
local count, weight = tonumber(kept[1] or '0') + 1 + tonumber(ARGV[8]), tonumber(kept[2] or '0')
local watchers = 0
if redis.call('ZADD', order, 'NX', count, key) == 1 then
  weight = weight + heavy
  redis.call('HSET', entries, 'count', count, 'weight', weight, 'first', kept[3] or key,
    'w:' .. key, heavy, 'j:' .. key, text)
  if bytes ~= '' then redis.call('HSET', entries, 'd:' .. key, bytes) end
  local number = redis.call('ZCARD', order)
  if number > most or weight > budget then shrink(weight, number) end
  if number < 2 or redis.call('TTL', entries) < seconds / 2 then
    for place = 1, 4 do redis.call('EXPIRE', KEYS[place], seconds) end
  end
  watchers = tell(ARGV[9])
else
  count = tonumber(redis.call('ZSCORE', order, key))
end
local version = redis.call('HGET', registers, 'version')
if version == ARGV[10] then return {count, watchers, 1} end
return {count, watchers, redis.call('HGETALL', registers)}
""",
    keys=LOG_KEYS,
)
"""Appends an entry, and does what `REFRESH` does. The keys are those of the log and of the
registers. Arguments: the seconds to live, the most entries and bytes, key, JSON, bytes and weight
of the entry, the number of entries before it that Redis never got, the change for the watchers, and
the version of all registers that the process has. Returns the entry's number, that of the watchers,
and the reply of `REFRESH`. An entry may be sent again, where the reply of Redis was late: then it
is not appended. The watchers subscribe to the first key."""

AMEND: Final = _script(
    _LOG,
    """
local kept = redis.call('HMGET', entries, 'w:' .. key, 'weight', 'amendments')
if not kept[1] then return 0 end
local weight = tonumber(kept[2]) + heavy - tonumber(kept[1])
local amendments = tonumber(kept[3] or '0') + 1
if bytes == '' then
  redis.call('HSET', entries, 'weight', weight, 'amendments', amendments,
    'w:' .. key, heavy, 'm:' .. key, text)
  redis.call('HDEL', entries, 'd:' .. key)
else
  redis.call('HSET', entries, 'weight', weight, 'amendments', amendments,
    'w:' .. key, heavy, 'm:' .. key, text, 'd:' .. key, bytes)
end
redis.call('ZADD', amended, amendments, key)
if redis.call('ZCARD', amended) == 1 then
  redis.call('PEXPIRE', amended, redis.call('PTTL', entries))
end
if ARGV[8] == '1' then
  redis.call('ZADD', detachable, 'NX', amendments, key)
  if redis.call('ZCARD', detachable) == 1 then
    redis.call('PEXPIRE', detachable, redis.call('PTTL', entries))
  end
end
if weight > budget then shrink(weight, redis.call('ZCARD', order)) end
tell(ARGV[9])
return 1
""",
    keys=LOG_KEYS,
)
"""Arguments: those of `APPEND` up to the change, but in place of the number of entries whether the
bytes are detachable (1) or not (0). The JSON is added to that of `APPEND`, in place of that of an
earlier amendment; the bytes are instead of those before. Returns whether the entry was still there.
"""

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
"""The JSON of an entry, in two lines where it was amended; JSON and bytes of several."""

GET_ENTRY: Final = _script(
    _ENTRY,
    "return {text_of(ARGV[1]), redis.call('HGET', entries, 'd:' .. ARGV[1])}",
    keys=LOG_KEYS,
)
"""Arguments: the key of an entry. Returns its JSON, where it was amended in two lines, and its
bytes."""

ALL_ENTRIES: Final = _script(
    _ENTRY, "return list(redis.call('ZRANGE', order, 0, -1))", keys=LOG_KEYS
)
"""Returns JSON and bytes of each entry, oldest first."""

NEWEST_ENTRIES: Final = _script(
    _ENTRY, "return list(redis.call('ZRANGE', order, -tonumber(ARGV[1]), -1))", keys=LOG_KEYS
)
"""Arguments: a number. Returns JSON and bytes of so many of the newest entries, oldest first."""

HEADS: Final = _script(
    _ENTRY,
    """
local kept = redis.call('HMGET', entries, 'first', 'amendments')
local first, last, amendments = kept[1] or '', tonumber(ARGV[2]), tonumber(ARGV[3])
if first ~= ARGV[1] then last, amendments = 0, 0 end
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
)
"""Arguments: the key of the first entry, the number of the last one and the number of amendments
that the process knows. Returns the first and the last of these as they are now, the number of the
oldest entry that is left, and key, number and JSON of each entry that was amended or added since
then: of all, where the log has another first entry."""

COUNT_ENTRIES: Final = _script("return redis.call('HGET', entries, 'count')", keys=LOG_KEYS)
"""Returns the number of entries since the last clear; nothing for none."""

SIZE_OF_LOG: Final = _script(
    "return {redis.call('ZCARD', order), redis.call('HGET', entries, 'weight') or '0'}",
    keys=LOG_KEYS,
)
"""Returns the number of entries, and the sum of their weights as a text."""

CLEAR_LOG: Final = _script(
    """
local count = redis.call('ZCARD', order)
redis.call('DEL', unpack(KEYS))
redis.pcall('PUBLISH', entries, ARGV[1])
return count
""",
    keys=LOG_KEYS,
)
"""Forgets all entries. Arguments: the change for the watchers. Returns the number of entries."""

FREEING: Final = frozenset({CLEAR, CLEAR_LOG, DELETE_RECORD})
"""The scripts that a Redis runs, too, which has no more memory."""
