#!lua
-- Opens a generation that was written anew, if all of it is still there: whatever flushed the
-- server meanwhile took the mark along.
--
-- KEYS  1 generation, holding the mark under which it was written
-- ARGV  1 the mark
-- Returns OPEN | INTERRUPTED
local GENERATION = '@GENERATION@'

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'INTERRUPTED'} end
redis.call('SET', KEYS[1], GENERATION)
return {'OPEN'}
