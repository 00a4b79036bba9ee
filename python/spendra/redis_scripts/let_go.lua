#!lua flags=allow-oom
-- Frees the concurrency of a hold whose owner is gone; its money stays held.
--
-- KEYS  1 generation  2 records  3 running   (shapes: reserve.lua)
-- ARGV  1 reservation id
-- Returns FREED | NONE (no such hold, or it counts nowhere) | STALE_GENERATION
local GENERATION = '@GENERATION@'
-- include record.lua

if redis.call('GET', KEYS[1]) ~= GENERATION then return {'STALE_GENERATION'} end
local record = redis.call('HGET', KEYS[2], ARGV[1])
local before, slots, after = (record or ''):match('^(%d+:%d+:%d+:)([^:]+)(:.*)$')
if not slots then return {'NONE'} end
free(KEYS[3], parse(record).slots)
redis.call('HSET', KEYS[2], ARGV[1], before .. after)
return {'FREED'}
