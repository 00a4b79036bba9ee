-- Shared by the scripts that end a hold; put in where a script says `-- include record.lua`.

-- A record of reserve.lua, taken apart.
local function parse(record)
  local held, since, slots, tokens, charges, accounts =
    record:match('^(%d+):(%d+):%d+:([^:]*):(%d*):([^:]*):(.*)$')
  local function list(text)
    local items = {}
    for item in text:gmatch('[^,]+') do items[#items + 1] = item end
    return items
  end
  return {
    held = held, since = tonumber(since), slots = list(slots), tokens = tonumber(tokens) or 0,
    charges = list(charges), accounts = list(accounts),
  }
end

-- Adds to each account that is still open: a closed window's may be gone.
local function change(key, accounts, amount)
  if #accounts == 0 then return end
  local known = redis.call('HMGET', key, unpack(accounts))
  for position, account in ipairs(accounts) do
    if known[position] then redis.call('HINCRBY', key, account, amount) end
  end
end

local function free(key, slots)
  for _, policy in ipairs(slots) do
    if redis.call('HINCRBY', key, policy, -1) <= 0 then redis.call('HDEL', key, policy) end
  end
end

-- Returns what was charged for tokens that were not used, less what time has given back already.
local function give_back(key, hold, used)
  if #hold.charges == 0 or hold.tokens == 0 or used >= hold.tokens then return end
  local clock = redis.call('TIME')
  local elapsed = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000) - hold.since
  for _, charge in ipairs(hold.charges) do
    local policy, ms = charge:match('^(.*)=(.*)$')
    local back = tonumber(ms) * (1 - used / hold.tokens) - math.max(elapsed, 0)
    local arrival = tonumber(redis.call('HGET', key, 'tokens:' .. policy))
    if back > 0 and arrival then
      redis.call('HSET', key, 'tokens:' .. policy, string.format('%.3f', arrival - back))
    end
  end
end
