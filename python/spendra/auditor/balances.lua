#!lua flags=no-writes
-- One instant of an organization's live balances.
--
-- KEYS  1 generation  2 records  3 taken  4 settled   (shapes: redis_scripts/reserve.lua)
-- Returns the generation (empty when it is lost), server ms, then each hash as HGETALL gives it
local clock = redis.call('TIME')
return {
  redis.call('GET', KEYS[1]) or '',
  string.format('%.0f', tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)),
  redis.call('HGETALL', KEYS[2]), redis.call('HGETALL', KEYS[3]), redis.call('HGETALL', KEYS[4]),
}
