-- Counts tries to pay by card.
--
-- KEYS: the network's refusals (ids by when), its tries under way (ids by when), its tenant's counts: a hash of s when this window began,
-- d and p refused and paid in it, x and y the same of the one before, n when it is somebody's turn again; the network's sales (ids by when).
-- ARGV: begin | declined | paid | neither | turn, window in ms, how long a try is under way in ms, the most refusals kept, the most under
-- way kept, id, gap in ms.
--
-- begin answers {under way, refused and paid of the tenant, the age of each refusal in ms, newest first}; turn answers {ms to wait}.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local what, window, open_for = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local kept, most_open, id, gap = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local refused, open, tenant, sold = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local row = redis.call('HMGET', tenant, 's', 'd', 'p', 'x', 'y', 'n')
local began, d, p = tonumber(row[1] or now), tonumber(row[2] or 0), tonumber(row[3] or 0)
local x, y, next_turn = tonumber(row[4] or 0), tonumber(row[5] or 0), tonumber(row[6] or 0)
if now - began >= 2 * window then
  began, d, p, x, y = now, 0, 0, 0, 0
elseif now - began >= window then
  began, d, p, x, y = began + window, 0, 0, d, p
end
local function keep_tenant()
  redis.call('HSET', tenant, 's', began, 'd', d, 'p', p, 'x', x, 'y', y, 'n', next_turn)
  redis.call('PEXPIRE', tenant, 2 * window + gap)
end
-- Whether this try is not in the list yet: the same one told twice counts once.
local function is_new_in(list)
  if redis.call('ZADD', list, 'NX', now, id) == 0 then return false end
  redis.call('ZREMRANGEBYRANK', list, 0, -(kept + 1))
  redis.call('PEXPIRE', list, window)
  return true
end

if what == 'turn' then
  if now < next_turn then return {next_turn - now} end
  next_turn = now + gap
  keep_tenant()
  return {0}
end

redis.call('ZREMRANGEBYSCORE', refused, '-inf', now - window)
redis.call('ZREMRANGEBYSCORE', open, '-inf', now - open_for)
redis.call('ZREM', open, id)

if what == 'begin' then
  local under_way = redis.call('ZCARD', open)
  if under_way < most_open then
    redis.call('ZADD', open, now, id)
    redis.call('PEXPIRE', open, open_for)
  end
  local left = math.max(0, window - (now - began)) / window
  local answer = {under_way, math.floor(x * left) + d, math.floor(y * left) + p}
  local found = redis.call('ZREVRANGE', refused, 0, kept - 1, 'WITHSCORES')
  for at = 2, #found, 2 do answer[#answer + 1] = now - tonumber(found[at]) end
  return answer
elseif what == 'declined' and is_new_in(refused) then
  d = d + 1
  keep_tenant()
elseif what == 'paid' and is_new_in(sold) then
  redis.call('ZPOPMIN', refused)
  p = p + 1
  keep_tenant()
end
return {}
