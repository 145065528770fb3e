-- The store's word on one thing, and tokens to be forgotten.
--
-- KEYS: its table, the set of its taken seats (see try_reserve.lua).
-- ARGV: life of what is told in ms, of stale seats in ms; version and free, both empty when nothing is told; version of the
-- taken seats, empty when they are not told, and their number, seats…; then for each token: checkout, number of seats, seats…
local tab, set, life, stale = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2])
local version, free, named, count = tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])

local function stale_at()
  local clock = redis.call('TIME')
  return clock[1] * 1000 + math.floor(clock[2] / 1000) + stale
end

if version then
  local known = redis.call('HMGET', tab, 'v', 'w', 'r')
  local newest, seats_of = tonumber(known[1] or nil), tonumber(known[2] or nil)
  if not newest or version >= newest then
    redis.call('HSET', tab, 'v', ARGV[3], 'f', free)
    redis.call('PEXPIRE', tab, life)
    newest = version
  end
  if named then
    -- Seats a little older than the level are better than none: a change may overtake the load.
    if not seats_of or named >= seats_of or redis.call('EXISTS', set) == 0 then
      redis.call('DEL', set)
      redis.call('SADD', set, '')
      for i = 7, 6 + count, 1000 do
        redis.call('SADD', set, unpack(ARGV, i, math.min(i + 999, 6 + count)))
      end
      redis.call('PEXPIRE', set, life)
      redis.call('HSET', tab, 'w', ARGV[5])
      if named < newest then redis.call('HSET', tab, 'r', stale_at()) else redis.call('HDEL', tab, 'r') end
    end
  elseif seats_of and newest > seats_of and not known[3] then
    redis.call('HSET', tab, 'r', stale_at())
  end
end

local tokens, arg = {}, 7 + count
while arg <= #ARGV do
  local checkout, seats = ARGV[arg], tonumber(ARGV[arg + 1])
  tokens[#tokens + 1] = 'k' .. checkout
  for i = arg + 2, arg + 1 + seats do
    local field = 's' .. ARGV[i]
    if redis.call('HGET', tab, field) == checkout then redis.call('HDEL', tab, field) end
  end
  arg = arg + 2 + seats
end
if #tokens == 0 then return 0 end
local freed = 0
for i, text in ipairs(redis.call('HMGET', tab, unpack(tokens))) do
  -- The same checkout may stand in the list twice: only what is deleted here is given back.
  if text and redis.call('HDEL', tab, tokens[i]) == 1 then freed = freed + tonumber(string.match(text, '^%d+')) end
end
if freed > 0 then redis.call('HINCRBY', tab, 'h', -freed) end
return freed
