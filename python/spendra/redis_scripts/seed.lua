#!lua
-- Opens accounts with the totals Postgres knows; an account that is open already stays as it is.
-- Holds that count in one from now on learn of it; one that is gone by now was ended meanwhile.
--
-- KEYS  1 generation  2 taken  3 settled  4 records   (shapes: reserve.lua)
-- ARGV  any number of: account id, settled + held nano-USD, settled nano-USD, n, n reservation ids
-- Returns SEEDED | STALE_GENERATION
local GENERATION = '@GENERATION@'

if redis.call('GET', KEYS[1]) ~= GENERATION then return {'STALE_GENERATION'} end
local at = 1
while at <= #ARGV do
  local account, holds = ARGV[at], tonumber(ARGV[at + 3])
  if redis.call('HSETNX', KEYS[2], account, ARGV[at + 1]) == 1 then
    redis.call('HSET', KEYS[3], account, ARGV[at + 2])
    for hold = at + 4, at + 3 + holds do
      local record = redis.call('HGET', KEYS[4], ARGV[hold])
      if record then redis.call('HSET', KEYS[4], ARGV[hold], record .. ',' .. account) end
    end
  end
  at = at + 4 + holds
end
return {'SEEDED'}
