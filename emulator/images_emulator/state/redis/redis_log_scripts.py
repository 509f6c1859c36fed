"""The scripts of a log in Redis; `RedisLog` runs them."""

from __future__ import annotations

from typing import Final

from images_emulator.state.redis.redis_scripts import Script

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

APPEND: Final = Script.from_parts(
    "append",
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
    for index = 1, 4 do redis.call('EXPIRE', KEYS[index], seconds) end
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

AMEND: Final = Script.from_parts(
    "amend",
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

GET_ENTRY: Final = Script.from_parts(
    "get_entry",
    _ENTRY,
    "return {text_of(key), redis.call('HGET', entries, 'd:' .. key)}",
    keys=LOG_KEYS,
    arguments=("key",),
)
"""Arguments: the key of an entry. Returns its JSON, in two lines where it was amended, and its
bytes."""

ALL_ENTRIES: Final = Script.from_parts(
    "all_entries", _ENTRY, "return list(redis.call('ZRANGE', order, 0, -1))", keys=LOG_KEYS
)
"""Returns JSON and bytes of each entry, oldest first."""

NEWEST_ENTRIES: Final = Script.from_parts(
    "newest_entries",
    _ENTRY,
    "return list(redis.call('ZRANGE', order, -tonumber(number), -1))",
    keys=LOG_KEYS,
    arguments=("number",),
)
"""Arguments: a number. Returns JSON and bytes of that many newest entries, oldest first."""

HEADS: Final = Script.from_parts(
    "heads",
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

COUNT_ENTRIES: Final = Script.from_parts(
    "count_entries", "return redis.call('HGET', entries, 'count')", keys=LOG_KEYS
)
"""Returns the number of entries since the last clear, or nothing where there are none."""

SIZE_OF_LOG: Final = Script.from_parts(
    "size_of_log",
    "return {redis.call('ZCARD', order), redis.call('HGET', entries, 'weight') or '0'}",
    keys=LOG_KEYS,
)
"""Returns the number of entries, and the sum of their weights as a text."""

CLEAR_LOG: Final = Script.from_parts(
    "clear_log",
    """
local count = redis.call('ZCARD', order)
redis.call('DEL', unpack(KEYS))
redis.pcall('PUBLISH', entries, change)
return count
""",
    keys=LOG_KEYS,
    arguments=("change",),
    frees_memory=True,
)
"""Removes all entries. Arguments: the change for the watchers. Returns the number of entries."""
