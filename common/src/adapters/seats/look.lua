-- What is believed of one thing, at one moment, for the audit. Answers {} not there, {1} not to be read, else {0, version, free,
-- held, sum of its tokens, 1 when all of it ends by itself, version of its taken seats or '', seats…}.
--
-- KEYS: its table, the set of its taken seats (see try_reserve.lua).
local tab, set = KEYS[1], KEYS[2]
local kind = redis.call('TYPE', tab).ok
if kind == 'none' then return {} end
if kind ~= 'hash' then return {1} end

local fields, row, tokens = redis.call('HGETALL', tab), {}, 0
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 1) == 'k' then
    local amount = string.match(fields[i + 1], '^(%d+):%d+$')
    if not amount then return {1} end
    tokens = tokens + amount
  else
    row[fields[i]] = fields[i + 1]
  end
end
if not (row.v and row.f) then return {1} end

local ends, answer = redis.call('PTTL', tab) >= 0, {}
local named = redis.call('TYPE', set).ok
if named ~= 'none' and named ~= 'set' then return {1} end
if row.w and named == 'set' then
  answer = redis.call('SMEMBERS', set)
  ends = ends and redis.call('PTTL', set) >= 0
else
  row.w = ''
end
for i, value in ipairs({'0', row.v, row.f, row.h or '0', tostring(tokens), ends and '1' or '0', row.w}) do
  table.insert(answer, i, value)
end
return answer
