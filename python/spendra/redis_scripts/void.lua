#!lua flags=allow-oom
-- Releases a hold whole. When it is not there, leaves a tombstone so that a late reserve with the
-- same id cannot land afterwards.
--
-- KEYS  1 generation  2 records  3 taken  4 tombstone  5 rates  6 running   (shapes: reserve.lua)
--       7 claim, when the reservation has an idempotency key
-- ARGV  1 reservation id   2 seconds a tombstone stays   3 decision id, with a claim
-- Returns VOIDED | TOMBSTONE | STALE_GENERATION
local GENERATION = '@GENERATION@'
-- include record.lua

if redis.call('GET', KEYS[1]) ~= GENERATION then return {'STALE_GENERATION'} end
local record = redis.call('HGET', KEYS[2], ARGV[1])
redis.call('SET', KEYS[4], '1', 'EX', ARGV[2])
if KEYS[7] then
  local claimed = redis.call('GET', KEYS[7])
  if claimed and claimed:match('^[^:]*') == ARGV[3] then redis.call('DEL', KEYS[7]) end
end
if not record then return {'TOMBSTONE'} end
local hold = parse(record)
-- Not '-' .. held: '-0' is no integer to Redis.
change(KEYS[3], hold.accounts, string.format('%.0f', 0 - tonumber(hold.held)))
free(KEYS[6], hold.slots)
give_back(KEYS[5], hold, 0)
redis.call('HDEL', KEYS[2], ARGV[1])
return {'VOIDED'}
