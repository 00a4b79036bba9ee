-- Raise the oldest snapshot version that may still decide; never lower it.
-- KEYS[1]  spendra:{<org_id>}:min_version  string, integer
-- ARGV[1]  the version to raise it to      integer
-- Answers the version in force afterwards.
local current = tonumber(redis.call('GET', KEYS[1]) or '0')
local wanted = tonumber(ARGV[1])
if wanted <= current then
  return current
end
redis.call('SET', KEYS[1], ARGV[1])
return wanted
