#!lua
-- Opens accounts with the totals Postgres knows; an account that is open already stays as it is.
--
-- KEYS  1 generation  2 taken  3 settled   (shapes: reserve.lua)
-- ARGV  any number of: account id, settled + held nano-USD, settled nano-USD
-- Returns SEEDED | STALE_GENERATION
local GENERATION = '@GENERATION@'

if redis.call('GET', KEYS[1]) ~= GENERATION then return {'STALE_GENERATION'} end
for at = 1, #ARGV, 3 do
  if redis.call('HSETNX', KEYS[2], ARGV[at], ARGV[at + 1]) == 1 then
    redis.call('HSET', KEYS[3], ARGV[at], ARGV[at + 2])
  end
end
return {'SEEDED'}
