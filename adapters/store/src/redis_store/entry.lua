-- What all scripts begin with: the entry of KEYS[1], as far as it can be read.
-- Numbers are below 2^53 - 1, since Lua calculates in doubles, and the fence after the greatest one must be greater.

-- Redis before version 7 replicates what a script does, not the script, only if it is told so.
if redis.replicate_commands then redis.replicate_commands() end

local key = KEYS[1]
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local KEPT_LONGER = 3600000
local LONGEST_RECORD = 1052672
local NONE, TOO_LARGE, UNREADABLE = 0, 1, 2

local kind = redis.call('TYPE', key).ok
local exists = kind ~= 'none'
local loss = NONE
if exists and kind ~= 'hash' then loss = UNREADABLE end

local function text(field, longest)
  if loss ~= NONE or not exists then return nil end
  if redis.call('HSTRLEN', key, field) > longest then
    loss = UNREADABLE
    return nil
  end
  return redis.call('HGET', key, field) or nil
end

local function number(field)
  local digits = text(field, 16)
  if not digits then return nil end
  local value = string.match(digits, '^%d+$') and tonumber(digits)
  if not value or value >= 9007199254740991 then
    loss = UNREADABLE
    return nil
  end
  return value
end

local function whole(value) return string.format('%.0f', value) end

if exists and text('version', 16) ~= '1' then loss = UNREADABLE end
local given, marked = number('given'), number('marked')
local owner, lease, ends, length = text('owner', 32), number('lease'), number('ends'), number('length')
local fence, written = number('fence'), number('written')
local has_record = exists and loss == NONE and redis.call('HEXISTS', key, 'record') == 1
if has_record ~= (fence ~= nil and written ~= nil) then loss = UNREADABLE end
if (owner ~= nil) ~= (lease ~= nil and ends ~= nil and length ~= nil) then loss = UNREADABLE end
if loss ~= NONE then
  given, marked, owner, lease, ends, length, fence, written = nil, nil, nil, nil, nil, nil, nil, nil
  has_record = false
end
given, marked = given or 0, marked or 0
local readable = loss == NONE
if has_record and redis.call('HSTRLEN', key, 'record') > LONGEST_RECORD then
  loss, has_record = TOO_LARGE, false
end

-- The loss, and the record: its fence, its age, whether it is marked, its bytes.
local function found(answer)
  answer[#answer + 1] = loss
  if has_record then
    answer[#answer + 1] = fence
    answer[#answer + 1] = math.max(now - written, 0)
    answer[#answer + 1] = fence <= marked and 1 or 0
    answer[#answer + 1] = redis.call('HGET', key, 'record')
  end
  return answer
end

local function write(...)
  if exists and not readable then redis.call('DEL', key) end
  redis.call('HSET', key, 'version', '1', ...)
end

-- At least for so long from now, and somewhat longer, so that fences and marks stay.
local function keep(millis)
  local wanted = millis + KEPT_LONGER
  if redis.call('PTTL', key) < wanted then redis.call('PEXPIRE', key, whole(wanted)) end
end

-- A hint is nothing that an operation may fail for.
local function hint() redis.pcall('PUBLISH', key, '') end
