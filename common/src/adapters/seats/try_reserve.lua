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
local checkout, life, grain, load_again = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local token = 'k' .. checkout

local function parse(text)
  local quantity, expiry = string.match(text, '^(%d+):(%d+)$')
  return tonumber(quantity), tonumber(expiry)
end

-- Drops expired tokens and the seats that they held. Rare: at most once in `grain`, in a quiet table once in `life`.
local function sweep(tab)
  local fields = redis.call('HGETALL', tab)
  local held, first, live, dead = 0, nil, {}, {}
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 1) == 'k' then
      local quantity, expiry = parse(fields[i + 1])
      if expiry > now then
        held = held + quantity
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
  local again = first and math.max(first, now + grain)
  redis.call('HSET', tab, 'h', held)
  if again then redis.call('HSET', tab, 'e', again) else redis.call('HDEL', tab, 'e') end
  return held, again
end

local function is_live(tab, holder)
  local text = redis.call('HGET', tab, 'k' .. holder)
  if not text then return false end
  local _, expiry = parse(text)
  return expiry > now
end

-- nil when all seats can be had, 0 when they are not known, else the place of the first that is taken.
local function taken_seat(tab, set, reload, from, to)
  local told = redis.call('SMISMEMBER', set, '', unpack(ARGV, from, to))
  if told[1] == 0 then return 0 end
  if reload and now >= tonumber(reload) then
    redis.call('HSET', tab, 'r', now + load_again)
    return 0
  end
  local fields = {}
  for i = from, to do fields[#fields + 1] = 's' .. ARGV[i] end
  local holders = redis.call('HMGET', tab, unpack(fields))
  for i = 1, #fields do
    if told[i + 1] == 1 then return i end
    local holder = holders[i]
    if holder and holder ~= checkout and is_live(tab, holder) then return i end
  end
end

local things, missing = {}, {2}
local key, arg = 1, 5
while arg <= #ARGV do
  local tab, quantity, seats = KEYS[key], tonumber(ARGV[arg]), tonumber(ARGV[arg + 1])
  local from, to = arg + 2, arg + 1 + seats
  local row = redis.call('HMGET', tab, 'f', 'h', 'e', 'r', token)
  local n = #things + 1
  local thing = {tab, quantity, 0, nil, from, to}
  things[n] = thing
  if not row[1] then
    missing[#missing + 1] = n
  else
    local held, sweep_at, own, own_live = tonumber(row[2] or 0), tonumber(row[3] or nil), 0, false
    if sweep_at and now >= sweep_at then
      held, sweep_at = sweep(tab)
      row[5] = redis.call('HGET', tab, token)
    end
    if row[5] then
      local expiry
      own, expiry = parse(row[5])
      own_live = expiry > now
    end
    -- Whoever holds a token already gets the same answer again, whatever was told since.
    if not (own_live and own >= quantity) then
      local free = row[1] - held + own
      if quantity > free then return {1, n, math.max(free, 0)} end
      if seats > 0 then
        local place = taken_seat(tab, KEYS[key + 1], row[4], from, to)
        if place == 0 then missing[#missing + 1] = n elseif place then return {1, n, -place} end
      end
    end
    thing[3], thing[4] = held - own + quantity, sweep_at
  end
  key = key + (seats > 0 and 2 or 1)
  arg = to + 1
end
if #missing > 1 then return missing end

local expiry = now + life
for _, thing in ipairs(things) do
  local sweep_at = thing[4]
  if not sweep_at or sweep_at > expiry then sweep_at = expiry end
  redis.call('HSET', thing[1], token, thing[2] .. ':' .. expiry, 'h', thing[3], 'e', sweep_at)
  for i = thing[5], thing[6] do redis.call('HSET', thing[1], 's' .. ARGV[i], checkout) end
end
return {0}
