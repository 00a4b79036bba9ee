#!lua
-- Holds one amount on every account, all or none; idempotent by reservation id.
--
-- KEYS  1 generation   string, the id of the rebuild that wrote this data
--       2 min_version  string, smallest policy version still acceptable (may be absent)
--       3 frozen       string, present while the organization is stopped
--       4 tombstone    string, present when this reservation was given up
--       5 records      hash, reservation id -> "<held nano-USD>:<server ms>:<extensions>:<slots>:
--                      <tokens>:<charges>:<account ids>", without spaces; lists by comma. Slots:
--                      policies whose concurrency it counts in; charges: "<policy>=<ms>" of tokens
--       6 taken        hash, account id -> settled + held, nano-USD
--       7 settled      hash, account id -> settled, nano-USD; held is the difference
--       8 limits       hash, account id -> "<version>:<limit nano-USD>"
--       9 rates        hash, policy id, or "tokens:<policy id>" -> theoretical arrival time, ms
--      10 running      hash, policy id -> requests in flight
--      11 claim        string, "<decision id>:<body digest>"; only with an idempotency key
-- ARGV  1 reservation id   2 amount   3 policy version   4 latest window start s
--       5 earliest window end s   6 most tokens of the request   7 number of accounts A
--       8 number of limits L
--       then A times: account id, "<version>:<limit nano-USD>" (no limit for a soft budget)
--       then L times: requests_per_minute | tokens_per_minute | max_concurrency, policy id, most
--       then, with a claim: decision id, body digest, decision that it may replace, seconds it stays
-- Returns an array that begins with one of
--   HELD, server ms, then settled + held of each account before this hold
--   EXHAUSTED, account position (from 1), its settled + held, settled, limit
--   LIMITED, limit position (from 1), ms until the next request may pass
--   CLAIMED, "<decision id>:<body digest>" of the request that has the idempotency key
--   STALE_GENERATION | STALE_POLICY, wanted version | FROZEN | GIVEN_UP
--   PERIOD, server ms | UNSEEDED, positions of accounts without data
local GENERATION = '@GENERATION@'
local FIXED_ARGUMENTS = 8
local BUSY_MS = 1000
-- include room.lua

if redis.call('GET', KEYS[1]) ~= GENERATION then return {'STALE_GENERATION'} end
if redis.call('EXISTS', KEYS[3]) == 1 then return {'FROZEN'} end
if redis.call('EXISTS', KEYS[4]) == 1 then return {'GIVEN_UP'} end
local min_version = redis.call('GET', KEYS[2])
if min_version and tonumber(ARGV[3]) < tonumber(min_version) then
  return {'STALE_POLICY', min_version}
end

local id, amount, accounts = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[7])
local first_limit = FIXED_ARGUMENTS + 2 * accounts + 1
local claim = first_limit + 3 * tonumber(ARGV[8])
if KEYS[11] then
  local claimed = redis.call('GET', KEYS[11])
  local holder = claimed and claimed:match('^[^:]*')
  if holder and holder ~= ARGV[claim] and holder ~= ARGV[claim + 2] then
    return {'CLAIMED', claimed}
  end
end

local clock = redis.call('TIME')
local now_ms = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local now_s = tonumber(clock[1])
if now_s < tonumber(ARGV[4]) or now_s >= tonumber(ARGV[5]) then
  return {'PERIOD', string.format('%.0f', now_ms)}
end

local ids = {}
for position = 1, accounts do ids[position] = ARGV[FIXED_ARGUMENTS + 2 * position - 1] end

local taken, limits = {}, {}
if accounts > 0 then
  taken = redis.call('HMGET', KEYS[6], unpack(ids))
  limits = redis.call('HMGET', KEYS[8], unpack(ids))
end
local unseeded = {'UNSEEDED'}
for position = 1, accounts do
  if not taken[position] then unseeded[#unseeded + 1] = position end
end
if #unseeded > 1 then return unseeded end

local answer = {'HELD', string.format('%.0f', now_ms), unpack(taken)}
if redis.call('HEXISTS', KEYS[5], id) == 1 then return answer end

local newer = {}
for position = 1, accounts do
  local named = ARGV[FIXED_ARGUMENTS + 2 * position]
  local limit, is_news = newest(named, limits[position])
  if is_news then
    newer[#newer + 1] = ids[position]
    newer[#newer + 1] = named
  end
  if limit ~= '' and room(limit, taken[position]) < amount then
    local settled = redis.call('HGET', KEYS[7], ids[position]) or '0'
    return {'EXHAUSTED', position, taken[position], settled, limit}
  end
end

-- Rates by the generic cell rate algorithm, with a burst of one minute's worth.
local rates, charges, slots = {}, {}, {}
for position = 1, tonumber(ARGV[8]) do
  local at = first_limit + 3 * (position - 1)
  local rule, policy, most = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  if rule == 'max_concurrency' then
    if tonumber(redis.call('HGET', KEYS[10], policy) or 0) >= most then
      return {'LIMITED', position, BUSY_MS}
    end
    slots[#slots + 1] = policy
  else
    local field, charge = policy, 60000 / most
    if rule == 'tokens_per_minute' then
      field, charge = 'tokens:' .. policy, charge * tonumber(ARGV[6])
      charges[#charges + 1] = policy .. '=' .. string.format('%.3f', charge)
    end
    local arrival = math.max(tonumber(redis.call('HGET', KEYS[9], field) or 0), now_ms)
    local wait = arrival + charge - now_ms - 60000
    if wait > 0.001 then return {'LIMITED', position, math.ceil(wait)} end
    rates[#rates + 1] = field
    rates[#rates + 1] = string.format('%.3f', arrival + charge)
  end
end

local record = {
  ARGV[2], string.format('%.0f', now_ms), '0', table.concat(slots, ','), ARGV[6],
  table.concat(charges, ','), table.concat(ids, ','),
}
redis.call('HSET', KEYS[5], id, table.concat(record, ':'))
for account = 1, accounts do redis.call('HINCRBY', KEYS[6], ids[account], ARGV[2]) end
if #newer > 0 then redis.call('HSET', KEYS[8], unpack(newer)) end
if #rates > 0 then redis.call('HSET', KEYS[9], unpack(rates)) end
for _, policy in ipairs(slots) do redis.call('HINCRBY', KEYS[10], policy, 1) end
if KEYS[11] then
  redis.call('SET', KEYS[11], ARGV[claim] .. ':' .. ARGV[claim + 1], 'EX', ARGV[claim + 3])
end
return answer
