-- Shared by the scripts that hold money; put in where a script says `-- include room.lua`.

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

-- Of two "<version>:<limit>", the limit that counts, and whether `named` is news to us.
local function newest(named, known)
  local colon = named:find(':', 1, true)
  if known ~= named then
    local known_version, known_limit = (known or '0:'):match('^(%d+):(.*)$')
    if tonumber(known_version) > tonumber(named:sub(1, colon - 1)) then return known_limit, false end
  end
  return named:sub(colon + 1), known ~= named
end
