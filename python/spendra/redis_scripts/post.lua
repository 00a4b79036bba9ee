#!lua flags=allow-oom
-- Moves a hold to settled at its actual amount; a repeat changes nothing.
--
-- KEYS  1 generation  2 records  3 taken  4 settled  5 rates  6 running   (shapes: reserve.lua)
-- ARGV  1 reservation id   2 actual nano-USD   3 tokens used (empty: count the most it could be)
-- Returns POSTED | NONE (no such hold: already posted, voided or never held) | STALE_GENERATION
local GENERATION = '@GENERATION@'
-- include record.lua

if redis.call('GET', KEYS[1]) ~= GENERATION then return {'STALE_GENERATION'} end
local record = redis.call('HGET', KEYS[2], ARGV[1])
if not record then return {'NONE'} end
local hold = parse(record)
change(KEYS[3], hold.accounts, string.format('%.0f', tonumber(ARGV[2]) - tonumber(hold.held)))
change(KEYS[4], hold.accounts, ARGV[2])
free(KEYS[6], hold.slots)
if ARGV[3] ~= '' then give_back(KEYS[5], hold, tonumber(ARGV[3])) end
redis.call('HDEL', KEYS[2], ARGV[1])
return {'POSTED'}
