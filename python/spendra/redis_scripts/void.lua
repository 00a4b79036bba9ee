#!lua flags=allow-oom
-- Releases a hold whole. When it is not there, leaves a tombstone so that a late reserve with the
-- same id cannot land afterwards.
--
-- KEYS  1 generation  2 records  3 taken  4 tombstone   (shapes: reserve.lua)
-- ARGV  1 reservation id   2 seconds a tombstone stays
-- Returns VOIDED | TOMBSTONE | STALE_GENERATION
local GENERATION = '@GENERATION@'

if redis.call('GET', KEYS[1]) ~= GENERATION then return {'STALE_GENERATION'} end
local record = redis.call('HGET', KEYS[2], ARGV[1])
redis.call('SET', KEYS[4], '1', 'EX', ARGV[2])
if not record then return {'TOMBSTONE'} end
local amount, accounts = record:match('^(%d+):%d+:(.*)$')
local ids = {}
for account in accounts:gmatch('[^,]+') do ids[#ids + 1] = account end
local taken = {}
if #ids > 0 then taken = redis.call('HMGET', KEYS[3], unpack(ids)) end
for position, account in ipairs(ids) do
  if taken[position] then redis.call('HINCRBY', KEYS[3], account, '-' .. amount) end
end
redis.call('HDEL', KEYS[2], ARGV[1])
return {'VOIDED'}
