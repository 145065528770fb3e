-- Lets one checkout try for all that it wants, or for nothing. Answers {0} reserved; {1, thing, n} gone: n left, or, when n is
-- negative, its -n-th seat is taken; {2, thing, …} missing.
--
-- KEYS: for each thing its table, followed by the set of its taken seats when it is wanted by seat.
-- ARGV: checkout, a token's life in ms, the sweep's grain in ms, wait for a load in ms; for each thing: quantity, number of
-- seats, seats…
--
-- A table is a hash: f free as told, v its version, w version of the taken seats, r when to ask for them again, h sum of the
-- tokens, e when to sweep them, k<checkout> a token "quantity:expiry", s<seat> the checkout whose token holds it.
-- The set of taken seats has the empty name in it, so that it exists when no seat is taken.
--
-- The hottest script there is: what is rare stands inline, because making functions costs each call a tenth of its time.
local checkout, args = ARGV[1], #ARGV
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local token = 'k' .. checkout

-- First look at everything; of each thing keep its table, its sum of tokens to be, its place in ARGV, its next sweep, and
-- what its token counts for.
local n, things, missing = 0, {}, nil
local key, arg = 1, 5
while arg <= args do
  local tab, quantity, seats = KEYS[key], tonumber(ARGV[arg]), tonumber(ARGV[arg + 1])
  local row = redis.call('HMGET', tab, 'f', 'h', 'e', 'r', token)
  local free, held, sweep_at = row[1], tonumber(row[2] or 0), tonumber(row[3] or nil)
  local gap = not free
  -- Named seats exclude each other one by one; their tokens count for nothing against the level.
  local counted = seats > 0 and '0' or ARGV[arg]
  n = n + 1

  -- Drop expired tokens and the seats that they held: at most once in the grain, in a quiet table once in a token's life.
  if free and sweep_at and now >= sweep_at then
    local fields, live, dead, first = redis.call('HGETALL', tab), {}, {}, nil
    held = 0
    for i = 1, #fields, 2 do
      if string.sub(fields[i], 1, 1) == 'k' then
        local amount, expiry = string.match(fields[i + 1], '^(%d+):(%d+)$')
        expiry = tonumber(expiry)
        if expiry > now then
          held = held + amount
          live[string.sub(fields[i], 2)] = true
          if not first or expiry < first then first = expiry end
        else
          dead[#dead + 1] = fields[i]
        end
      end
    end
    for i = 1, #fields, 2 do
      if string.sub(fields[i], 1, 1) == 's' and not live[fields[i + 1]] then dead[#dead + 1] = fields[i] end
    end
    for i = 1, #dead, 1000 do
      redis.call('HDEL', tab, unpack(dead, i, math.min(i + 999, #dead)))
    end
    sweep_at = first and math.max(first, now + ARGV[3])
    redis.call('HSET', tab, 'h', held)
    if sweep_at then redis.call('HSET', tab, 'e', sweep_at) else redis.call('HDEL', tab, 'e') end
    row[5] = redis.call('HGET', tab, token)
  end

  -- Whoever holds a token already gets the same answer again, whatever was told since.
  local own, again = 0, false
  if row[5] then
    local amount, expiry = string.match(row[5], '^(%d+):(%d+)$')
    own = tonumber(amount)
    again = tonumber(expiry) > now and own >= tonumber(counted)
  end
  if free and not again then
    local left = seats > 0 and tonumber(free) or free - held + own
    if quantity > left then return {1, n, math.max(left, 0)} end
    if seats > 0 then
      local from, to = arg + 2, arg + 1 + seats
      local told = redis.call('SMISMEMBER', KEYS[key + 1], '', unpack(ARGV, from, to))
      if told[1] == 0 then
        gap = true
      elseif row[4] and now >= tonumber(row[4]) then
        -- One try loads; the others go on with what is there.
        redis.call('HSET', tab, 'r', now + ARGV[4])
        gap = true
      else
        local fields = {}
        for i = from, to do fields[#fields + 1] = 's' .. ARGV[i] end
        local holders = redis.call('HMGET', tab, unpack(fields))
        for i = 1, seats do
          local holder = holders[i]
          local taken = told[i + 1] == 1
          if not taken and holder and holder ~= checkout then
            local theirs = redis.call('HGET', tab, 'k' .. holder)
            taken = theirs and tonumber(string.match(theirs, '%d+$')) > now
          end
          if taken then return {1, n, -i} end
        end
      end
    end
  end

  if gap then
    missing = missing or {2}
    missing[#missing + 1] = n
  end
  things[n] = {tab, held - own + counted, arg, sweep_at, counted}
  key = key + (seats > 0 and 2 or 1)
  arg = arg + 2 + seats
end
if missing then return missing end

-- All of it can be had: set the tokens.
local expiry = now + ARGV[2]
for i = 1, n do
  local thing = things[i]
  local tab, place, sweep_at = thing[1], thing[3], thing[4]
  if sweep_at and sweep_at <= expiry then
    redis.call('HSET', tab, token, thing[5] .. ':' .. expiry, 'h', thing[2])
  else
    redis.call('HSET', tab, token, thing[5] .. ':' .. expiry, 'h', thing[2], 'e', expiry)
  end
  for seat = place + 2, place + 1 + ARGV[place + 1] do
    redis.call('HSET', tab, 's' .. ARGV[seat], checkout)
  end
end
return {0}
