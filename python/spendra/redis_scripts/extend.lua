#!lua
-- Grows a hold on all its accounts, all or none; idempotent by the extension's number.
--
-- KEYS  1 generation  2 frozen  3 records  4 taken  5 settled  6 limits   (shapes: reserve.lua)
-- ARGV  1 reservation id   2 number of the extension (from 1)   3 additional nano-USD
--       then for each account of the reservation: account id, "<version>:<limit nano-USD>"
-- Returns an array that begins with one of
--   HELD, then settled + held of each account after it
--   EXHAUSTED, account position (from 1), its settled + held, settled, limit
--   NONE (no such hold, an extension before this one is missing, or a budget that was made since
--        the hold has no room)
--   STALE_GENERATION | FROZEN
local GENERATION = '@GENERATION@'
local FIXED_ARGUMENTS = 3
-- include room.lua

if redis.call('GET', KEYS[1]) ~= GENERATION then return {'STALE_GENERATION'} end
if redis.call('EXISTS', KEYS[2]) == 1 then return {'FROZEN'} end
local record = redis.call('HGET', KEYS[3], ARGV[1])
if not record then return {'NONE'} end
local held, since, extensions, rest = record:match('^(%d+):(%d+):(%d+):(.*)$')
local number, additional = tonumber(ARGV[2]), tonumber(ARGV[3])
if number > tonumber(extensions) + 1 then return {'NONE'} end

local ids, named = {}, {}
for at = FIXED_ARGUMENTS + 1, #ARGV, 2 do
  ids[#ids + 1] = ARGV[at]
  named[ARGV[at]] = true
end
local joined = {}
for account in rest:match('[^:]*$'):gmatch('[^,]+') do
  local has = not named[account] and redis.call('HGET', KEYS[4], account)
  if has then joined[account] = has end
end
local taken, limits = {}, {}
if #ids > 0 then
  taken = redis.call('HMGET', KEYS[4], unpack(ids))
  limits = redis.call('HMGET', KEYS[6], unpack(ids))
end
if number == tonumber(extensions) + 1 then
  for position, account in ipairs(ids) do
    if not taken[position] then return {'NONE'} end
    local limit = newest(ARGV[FIXED_ARGUMENTS + 2 * position], limits[position])
    if limit ~= '' and room(limit, taken[position]) < additional then
      local settled = redis.call('HGET', KEYS[5], account) or '0'
      return {'EXHAUSTED', position, taken[position], settled, limit}
    end
  end
  for account, has in pairs(joined) do
    local limit = newest('0:', redis.call('HGET', KEYS[6], account))
    if limit ~= '' and room(limit, has) < additional then return {'NONE'} end
  end
  local grown = string.format('%.0f', tonumber(held) + additional)
  redis.call('HSET', KEYS[3], ARGV[1], table.concat({grown, since, ARGV[2], rest}, ':'))
  for _, account in ipairs(ids) do redis.call('HINCRBY', KEYS[4], account, ARGV[3]) end
  for account in pairs(joined) do redis.call('HINCRBY', KEYS[4], account, ARGV[3]) end
  if #ids > 0 then taken = redis.call('HMGET', KEYS[4], unpack(ids)) end
end
return {'HELD', unpack(taken)}
