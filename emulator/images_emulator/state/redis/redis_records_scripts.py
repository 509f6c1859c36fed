"""The scripts of records in Redis; `RedisRecords` runs them."""

from __future__ import annotations

from typing import Final

from images_emulator.state.redis.redis_scripts import RENEW_TTL, Script

RECORDS_KEYS: Final = ("meta", "order", "info", "json", "data")
"""The keys of records:

- `meta`: the sum of the weights, and the number of the newest record.
- `order`: the records in the order of their numbers.
- `info`, `json`, `data`: by a record's key, its weight with its expiry, its JSON, its bytes.
"""

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

PUT_RECORDS: Final = Script.from_parts(
    "put_records",
    RENEW_TTL,
    _RECORDS,
    """
for at = rest_at, #ARGV, 3 do
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

DELETE_RECORD: Final = Script.from_parts(
    "delete_record",
    RENEW_TTL,
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
    frees_memory=True,
)
"""Arguments: the seconds to live and the key. Returns the number of deleted records: 0 or 1."""

RECORD_TIMES: Final = Script.from_parts(
    "record_times", "return redis.call('HVALS', info)", keys=RECORDS_KEYS
)
"""Returns the weight and the expiry of each record, as one text with a space between them."""

GET_VALUE: Final = Script.from_parts(
    "get_value",
    "return {redis.call('HGET', json, key), redis.call('HGET', data, key)}",
    keys=RECORDS_KEYS,
    arguments=("key",),
)
"""Arguments: the key of a record. Returns its JSON and its bytes."""

ALL_VALUES: Final = Script.from_parts(
    "all_values",
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

GET_JSON: Final = Script.from_parts(
    "get_json", "return redis.call('HGET', json, key)", keys=RECORDS_KEYS, arguments=("key",)
)
"""Arguments: the key of a record. Returns its JSON."""

ALL_JSON: Final = Script.from_parts(
    "all_json",
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

SIZE: Final = Script.from_parts(
    "size",
    "return {redis.call('ZCARD', order), redis.call('HGET', meta, 'weight') or '0'}",
    keys=RECORDS_KEYS,
)
"""Returns the number of records, and the sum of their weights as a text."""
