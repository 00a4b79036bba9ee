#!lua flags=allow-oom
-- Moves a hold to settled at its actual amount; a repeat changes nothing.
--
-- KEYS  1 generation  2 records  3 taken  4 settled   (shapes: reserve.lua)
-- ARGV  1 reservation id   2 actual nano-USD
-- Returns POSTED | NONE (no such hold: already posted, voided or never held) | STALE_GENERATION
local GENERATION = '@GENERATION@'

if redis.call('GET', KEYS[1]) ~= GENERATION then return {'STALE_GENERATION'} end
local record = redis.call('HGET', KEYS[2], ARGV[1])
if not record then return {'NONE'} end
local amount, accounts = record:match('^(%d+):%d+:(.*)$')
local change = string.format('%.0f', tonumber(ARGV[2]) - tonumber(amount))
local ids = {}
for account in accounts:gmatch('[^,]+') do ids[#ids + 1] = account end
local taken = {}
if #ids > 0 then taken = redis.call('HMGET', KEYS[3], unpack(ids)) end
for position, account in ipairs(ids) do
  if taken[position] then
    redis.call('HINCRBY', KEYS[3], account, change)
    redis.call('HINCRBY', KEYS[4], account, ARGV[2])
  end
end
redis.call('HDEL', KEYS[2], ARGV[1])
return {'POSTED'}
