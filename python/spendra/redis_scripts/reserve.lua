#!lua
-- Holds one amount on every account, all or none; idempotent by reservation id.
--
-- KEYS  1 generation   string, the id of the rebuild that wrote this data
--       2 min_version  string, smallest policy version still acceptable (may be absent)
--       3 frozen       string, present while the organization is stopped
--       4 tombstone    string, present when this reservation was given up
--       5 records      hash, reservation id -> "<held nano-USD>:<server ms>:<account ids, by comma>"
--       6 taken        hash, account id -> settled + held, nano-USD
--       7 settled      hash, account id -> settled, nano-USD; held is the difference
--       8 limits       hash, account id -> "<version>:<limit nano-USD>"
--       9 rates        hash, rate limit id -> theoretical arrival time, ms
-- ARGV  1 reservation id   2 amount   3 policy version   4 latest window start s
--       5 earliest window end s   6 number of accounts A
--       then A times: account id, "<version>:<limit nano-USD>" (no limit for a soft budget)
--       then any number of: rate limit id, requests per minute
-- Returns an array that begins with one of
--   HELD, then settled + held of each account before this hold
--   EXHAUSTED, account position (from 1), its settled + held, settled, limit
--   RATE, rate limit position (from 1), ms until the next request would pass
--   STALE_GENERATION | STALE_POLICY, wanted version | FROZEN | GIVEN_UP
--   PERIOD, server ms | UNSEEDED, positions of accounts without data
local GENERATION = '@GENERATION@'
local FIXED_ARGUMENTS = 6

-- limit - taken, exact wherever it is below 2^53: doubles cannot hold every 64-bit amount.
local function room(limit, taken)
  if #limit < 16 and #taken < 16 then return tonumber(limit) - tonumber(taken) end
  local function split(text)
    local sign = 1
    if text:sub(1, 1) == '-' then sign, text = -1, text:sub(2) end
    return sign * (tonumber(text:sub(1, -10)) or 0), sign * (tonumber(text:sub(-9)) or 0)
  end
  local limit_high, limit_low = split(limit)
  local taken_high, taken_low = split(taken)
  return (limit_high - taken_high) * 1e9 + (limit_low - taken_low)
end

if redis.call('GET', KEYS[1]) ~= GENERATION then return {'STALE_GENERATION'} end
if redis.call('EXISTS', KEYS[3]) == 1 then return {'FROZEN'} end
if redis.call('EXISTS', KEYS[4]) == 1 then return {'GIVEN_UP'} end
local min_version = redis.call('GET', KEYS[2])
if min_version and tonumber(ARGV[3]) < tonumber(min_version) then
  return {'STALE_POLICY', min_version}
end

local id, amount, accounts = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[6])
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

local answer = {'HELD'}
for position = 1, accounts do answer[position + 1] = taken[position] end
if redis.call('HEXISTS', KEYS[5], id) == 1 then return answer end

local newer = {}
for position = 1, accounts do
  local named, known = ARGV[FIXED_ARGUMENTS + 2 * position], limits[position]
  local colon = named:find(':', 1, true)
  local limit = named:sub(colon + 1)
  if known ~= named then
    local known_version, known_limit = (known or '0:'):match('^(%d+):(.*)$')
    if tonumber(known_version) > tonumber(named:sub(1, colon - 1)) then
      limit = known_limit
    else
      newer[#newer + 1] = ids[position]
      newer[#newer + 1] = named
    end
  end
  if limit ~= '' and room(limit, taken[position]) < amount then
    local settled = redis.call('HGET', KEYS[7], ids[position]) or '0'
    return {'EXHAUSTED', position, taken[position], settled, limit}
  end
end

-- Rate limits by the generic cell rate algorithm, with a burst of one minute's requests.
local rates, position = {}, 0
for at = FIXED_ARGUMENTS + 2 * accounts + 1, #ARGV, 2 do
  position = position + 1
  local interval = 60000 / tonumber(ARGV[at + 1])
  local arrival = math.max(tonumber(redis.call('HGET', KEYS[9], ARGV[at]) or 0), now_ms)
  local wait = arrival + interval - now_ms - 60000
  if wait > 0.001 then return {'RATE', position, math.ceil(wait)} end
  rates[#rates + 1] = ARGV[at]
  rates[#rates + 1] = string.format('%.3f', arrival + interval)
end

local record = ARGV[2] .. ':' .. string.format('%.0f', now_ms) .. ':' .. table.concat(ids, ',')
redis.call('HSET', KEYS[5], id, record)
for account = 1, accounts do redis.call('HINCRBY', KEYS[6], ids[account], ARGV[2]) end
if #newer > 0 then redis.call('HSET', KEYS[8], unpack(newer)) end
if #rates > 0 then redis.call('HSET', KEYS[9], unpack(rates)) end
return answer
