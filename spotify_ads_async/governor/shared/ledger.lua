-- The shared rule, for Redis and Valkey: one atomic step over all windows of one message. Its twin is ledger.py; names agree.
-- KEYS: the namespace's memory, the index of windows, then for each window its tokens (a sorted set: member = process:number, score = when
-- the token is free) and its state. ARGV: the message, and what stands before a window's key. Times are microseconds of the server's TIME.

local DUE_PARTS = 16
local LIFE = 60000000
local STEP_BACK = 1000000

local function text(number) return string.format('%.0f', number) end

local function server_state()
  local time = redis.call('TIME')
  local info = redis.pcall('INFO', 'server')
  info = type(info) == 'string' and info or ''
  local age = tonumber(string.match(info, 'uptime_in_seconds:(%d+)'))
  return tonumber(time[1]) * 1000000 + tonumber(time[2]), string.match(info, 'run_id:(%w+)') or '', age and age * 1000000 or math.huge
end

-- How often this server may have dropped keys that had not expired, or nil where it does not say.
local function count_losses()
  local stats, commands = redis.pcall('INFO', 'stats'), redis.pcall('INFO', 'commandstats')
  if type(stats) ~= 'string' or type(commands) ~= 'string' then return nil end
  local losses = tonumber(string.match(stats, 'evicted_keys:(%d+)') or 0)
  for _, command in ipairs({'flushall', 'flushdb', 'swapdb'}) do
    losses = losses + tonumber(string.match(commands, 'cmdstat_' .. command .. ':calls=(%d+)') or 0)
  end
  return losses
end

local message = cmsgpack.unpack(ARGV[1])
local prefix = ARGV[2]
local now, run, age = server_state()
local lease = message.lease

-- When a set that was not there may be drawn from. What is missing has expired, was never there, or was lost.
local function opening(report, known)
  local remembered = redis.call('HMGET', KEYS[1], 'run', 'losses', 'lost')
  local losses, lost = count_losses(), tonumber(remembered[3] or 0)
  if not losses or (remembered[1] and (remembered[1] ~= run or remembered[2] ~= text(losses))) or (not remembered[1] and losses > 0) then
    lost = now
  end
  if known or (report.epoch or '') ~= '' or redis.call('EXISTS', prefix .. report.key) == 1 then
    return now + report.cycle + lease -- somebody knew another set, or an older version of this package has one
  end
  redis.call('HSET', KEYS[1], 'run', run, 'losses', losses and text(losses) or '', 'lost', text(lost))
  redis.call('PEXPIRE', KEYS[1], 30 * 24 * 3600 * 1000)
  -- On a server that was started just now, processes whose tokens it may have lost have time to say so.
  return math.max(now, now - age + lease / 2, lost > 0 and lost + report.cycle + lease or 0)
end

local function open(number, report)
  local window = {report = report, tokens = KEYS[2 * number + 1], key = KEYS[2 * number + 2]}
  local data = redis.call('GET', window.key)
  local state = data and cmsgpack.unpack(data)
  if not state or state.run ~= run or now < state.now - STEP_BACK then
    redis.call('DEL', window.tokens)
    local fresh = {epoch = message.owner .. text(now), run = run, now = now, paused = 0, asked = 0, cause = '', lifts = 0, smooth = false}
    fresh.closed = opening(report, state)
    if state then
      fresh.smooth, fresh.lifts = state.smooth, state.lifts
      if state.paused > state.now then
        local passed = now - state.now
        fresh.paused, fresh.asked, fresh.cause = state.paused + passed, state.asked + passed, state.cause
      end
    end
    state = fresh
  elseif (report.epoch or '') ~= '' and report.epoch ~= state.epoch then
    state.closed = math.max(state.closed, now + report.cycle + lease)
  end
  window.state, window.now = state, math.max(now, state.now)
  state.now, state.owners = window.now, state.owners or {}
  state.capacity, state.cycle = report.capacity, report.cycle
  return window
end

-- Write down what the process says of its requests, of pauses and of itself.
local function settle(window)
  local report, state, at = window.report, window.state, window.now
  local mine = message.owner .. ':'
  local function put(number, due) redis.call('ZADD', window.tokens, text(due), mine .. text(number)) end
  for _, number in ipairs(report.unused or {}) do redis.call('ZREM', window.tokens, mine .. text(number)) end
  for _, entry in ipairs(report.settled or {}) do put(entry[1], at - entry[2] + report.cycle) end
  for _, number in ipairs(report.extended or {}) do put(number, at + lease + report.cycle) end
  redis.call('ZREMRANGEBYSCORE', window.tokens, '-inf', text(at))
  if report.lift then state.paused, state.asked, state.cause, state.lifts = 0, 0, '', state.lifts + 1 end
  if report.pause and at + report.pause[1] > state.paused then
    state.paused, state.asked, state.cause = at + report.pause[1], at + report.pause[2], report.pause[3]
  end
  state.smooth = state.smooth or report.smooth or false
  local before = state.owners[message.owner] or {asked = 0}
  for owner, other in pairs(state.owners) do
    if other.heard + report.cycle + lease < at then state.owners[owner] = nil end
  end
  state.owners[message.owner] = not message.leaving and {
    heard = at, asked = before.asked, held = report.held or 0, in_flight = report.in_flight or 0, waiting = report.waiting or 0,
    interactive = report.interactive or 0, withheld = report.withheld or 0, label = message.label,
  } or nil
end

-- How much of the window this process may have: an even part of it first, then half of what is left, but always something for the others.
local function share(window)
  local report, state, at = window.report, window.state, window.now
  local withheld, wanted, active = report.withheld or 0, 0, 1
  for owner, other in pairs(state.owners) do
    withheld, wanted = math.max(withheld, other.withheld or 0), wanted + other.interactive
    if owner ~= message.owner and other.asked + lease / 2 > at then active = active + 1 end
  end
  local capacity = report.capacity - withheld
  window.active = active
  window.opens = math.max(at, state.closed, state.paused)
  window.free = capacity - redis.call('ZCARD', window.tokens)
  window.soon = {}
  local soon = redis.call('ZRANGEBYSCORE', window.tokens, '-inf', text(at + message.horizon), 'WITHSCORES')
  for i = 1, #soon, 2 do window.soon[#window.soon + 1] = {soon[i], tonumber(soon[i + 1])} end
  -- What bulk requests leave to interactive ones: Window.reserve() in window.py.
  wanted = math.min(math.floor(report.capacity / 4), wanted)
  window.reserve = math.max(0, math.min(capacity - 1, math.max(math.ceil(report.capacity * 0.002), wanted)))
  local total = math.max(0, window.free + #window.soon)
  local part = math.min(total, math.max(0, math.floor(capacity / active) - (report.held or 0)))
  local rest = total - part
  local lead = math.ceil(report.capacity * math.min(0.05, 0.02 * (active - 1)))
  window.allowed = active == 1 and total or part + math.max(0, math.min(math.floor(rest / 2), rest - lead))
  if window.opens > at + message.horizon then window.allowed = 0 end
end

-- How many requests of a class may be granted now; bulk ones leave the reserve.
local function left(window, kept)
  return math.max(0, math.min(window.allowed, window.free - kept + #window.soon))
end

-- Take one token; answers from when it may be used.
local function draw(window, kept, member)
  local at = window.opens
  if window.free - kept > 0 then
    window.free = window.free - 1
  else
    local back = table.remove(window.soon, 1 + kept - window.free)
    redis.call('ZREM', window.tokens, back[1])
    at = math.max(at, back[2])
  end
  window.allowed = window.allowed - 1
  redis.call('ZADD', window.tokens, text(window.now + lease + window.report.cycle), member)
  return at
end

local function grant(windows, claim, first, wanted, bulk)
  local found, granted, usable = {}, wanted, {}
  for _, place in ipairs(claim[1]) do
    local window = windows[place + 1]
    window.kept = bulk and window.reserve or 0
    found[#found + 1] = window
    granted = math.min(granted, left(window, window.kept))
  end
  for number = first, first + granted - 1 do
    local at = now
    for _, window in ipairs(found) do at = math.max(at, draw(window, window.kept, message.owner .. ':' .. text(number))) end
    usable[#usable + 1] = math.max(0, at - now)
  end
  for _, window in ipairs(found) do
    window.claimed = true
    window.starved = window.starved or granted < wanted
    window.bound = window.bound or (granted < wanted and left(window, window.kept) == 0)
  end
  return usable
end

local function answer(window)
  local state, at = window.state, window.now
  local me = state.owners[message.owner]
  if me and (window.claimed or me.waiting == 0) then me.asked = window.bound and at or 0 end
  local out = redis.call('ZCARD', window.tokens)
  local reply = {
    epoch = state.epoch, time = now, opens = math.max(0, state.closed - at), free = math.max(0, window.free), out = out, due = {},
    active = window.active, waiting = 0, lifts = state.lifts, smooth = state.smooth,
  }
  for owner, other in pairs(state.owners) do reply.waiting = reply.waiting + (owner == message.owner and 0 or other.waiting) end
  if state.paused > at then reply.pause = {state.paused - at, state.asked - at, state.cause} end
  local parts = window.starved and math.min(out, DUE_PARTS) or 0
  for part = 1, parts do
    local rank = math.floor((part - 1) * out / parts)
    local found = redis.call('ZRANGE', window.tokens, rank, rank, 'WITHSCORES')
    reply.due[part] = math.max(0, math.min(tonumber(found[2]) - at, state.cycle))
  end
  return reply
end

local windows, reply = {}, {windows = {}, grants = {}}
for number, report in ipairs(message.windows) do
  windows[number] = open(number, report)
  settle(windows[number])
  share(windows[number])
end
for place, claim in ipairs(message.claims or {}) do reply.grants[place] = {grant(windows, claim, claim[2], claim[3], false), {}} end
for place, claim in ipairs(message.claims or {}) do
  reply.grants[place][2] = grant(windows, claim, claim[2] + claim[3], claim[4], true)
end
for number, window in ipairs(windows) do
  reply.windows[number] = answer(window)
  local life = math.ceil((2 * window.report.cycle + lease + LIFE) / 1000 + math.max(0, window.state.paused - now) / 1000)
  if next(window.state.owners) == nil then window.state.owners = nil end
  redis.call('SET', window.key, cmsgpack.pack(window.state), 'PX', life)
  redis.call('PEXPIRE', window.tokens, life)
  redis.call('HSET', KEYS[2], window.report.key, now)
end
redis.call('PEXPIRE', KEYS[2], 30 * 24 * 3600 * 1000)
return cmsgpack.pack(reply)
