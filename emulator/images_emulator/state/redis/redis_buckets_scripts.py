"""The scripts of token buckets in Redis; `RedisBuckets` runs them."""

from __future__ import annotations

from typing import Final

from images_emulator.state.redis.redis_scripts import RENEW_TTL, Script

BUCKETS_KEYS: Final = ("buckets", "order")
"""The keys of buckets:

- `buckets`: the two numbers of each bucket, by its key; see `TAKE`.
- `order`: the buckets in the order of their last granted takes.
"""

TAKE_ARGUMENTS: Final = ("seconds", "max_buckets", "key", "amount", "limit", "token_us", "now_ms")
"""The first arguments of the scripts that take tokens; see `TAKE`."""

TAKE_FUNCTION: Final = """
max_buckets, amount, limit = tonumber(max_buckets), tonumber(amount), tonumber(limit)
token_us, now_ms = tonumber(token_us), tonumber(now_ms)
local function take(buckets, order)
  local fills_from_ms, owed_us = now_ms, 0
  local text = redis.call('HGET', buckets, key)
  if text then
    fills_from_ms, owed_us = string.match(text, '(%S+) (%S+)')
    fills_from_ms, owed_us = tonumber(fills_from_ms), tonumber(owed_us)
    if (fills_from_ms - now_ms) * 1000 > limit * token_us then
      fills_from_ms, owed_us = now_ms, 0
    elseif fills_from_ms < now_ms then
      fills_from_ms, owed_us = now_ms, math.max(owed_us - (now_ms - fills_from_ms) * 1000, 0)
    end
    owed_us = math.min(owed_us, limit * token_us)
  end
  local used = math.ceil(owed_us / token_us)
  if amount > limit then return {0, used, -1} end
  local late_us = owed_us + (amount - limit) * token_us
  if late_us > 0 then return {0, used, math.ceil(late_us / 1000) + fills_from_ms - now_ms} end
  owed_us = owed_us + amount * token_us
  redis.call('HSET', buckets, key,
    string.format('%.0f', fills_from_ms) .. ' ' .. string.format('%.0f', owed_us))
  local newest = redis.call('ZREVRANGE', order, 0, 0, 'WITHSCORES')
  redis.call('ZADD', order, tonumber(newest[2] or '0') + 1, key)
  while redis.call('ZCARD', order) > max_buckets do
    redis.call('HDEL', buckets, redis.call('ZPOPMIN', order)[1])
  end
  renew_ttl(seconds)
  return {1, used + amount, -1}
end
"""
"""For scripts with `TAKE_ARGUMENTS`: *take*, which takes tokens from a bucket of the buckets with
these keys. See `TAKE`."""

TAKE: Final = Script.from_parts(
    "take",
    RENEW_TTL,
    TAKE_FUNCTION,
    "return take(buckets, order)",
    keys=BUCKETS_KEYS,
    arguments=TAKE_ARGUMENTS,
)
"""Takes tokens from a bucket. Arguments: the seconds to live, the most buckets, the key, the
amount, the limit, the microseconds in which a token fills, the time in milliseconds. Returns
whether the take is granted, the tokens that are used, and the milliseconds to wait (-1: none). A
bucket is kept as two numbers: the time in milliseconds when it begins to fill, and the microseconds
that it then takes to be full. See `memory_store.MemoryBuckets`."""
