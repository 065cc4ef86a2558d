-- The shared rule, for Redis and Valkey: one atomic step over all windows of one message. Its twin is ledger.py.
-- KEYS: the namespace's memory, the index of windows, then for each window its tokens (a sorted set: member =
-- process:number, score = when the token is free) and its state. ARGV: the message, and what stands before a window's
-- key. Times are microseconds of the server's TIME.

local DUE_PARTS = 16
local STEP_BACK = 1000000
local KEPT_AFTER_USE, INDEX_KEPT = 60000, 30 * 24 * 3600 * 1000 -- milliseconds

local message, prefix = cmsgpack.unpack(ARGV[1]), ARGV[2]
local lease = message.lease

local function text(number) return string.format('%.0f', number) end

local function surroundings()
  local time, info = redis.call('TIME'), redis.pcall('INFO', 'server')
  info = type(info) == 'string' and info or ''
  local age = tonumber(string.match(info, 'uptime_in_seconds:(%d+)'))
  return time[1] * 1000000 + time[2], string.match(info, 'run_id:(%w+)') or '', age and age * 1000000 or math.huge
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

local now, run, age = surroundings()

-- When a new set may be drawn from. What is missing has expired, was never there, or was lost.
local function opening(report, known)
  local over = report.cycle + lease
  local remembered = redis.call('HMGET', KEYS[1], 'run', 'losses', 'lost')
  local losses, lost = count_losses(), tonumber(remembered[3] or 0)
  local same = remembered[1] == run and losses and remembered[2] == text(losses)
  if not same and (remembered[1] or losses ~= 0) then lost = now end
  if known or report.epoch or redis.call('EXISTS', prefix .. report.key) == 1 then
    return now + over -- somebody knew another set, or an older version of this package has one
  end
  redis.call('HSET', KEYS[1], 'run', run, 'losses', losses and text(losses) or '', 'lost', text(lost))
  redis.call('PEXPIRE', KEYS[1], INDEX_KEPT)
  -- On a server that was started just now, processes whose tokens it may have lost have time to say so.
  return math.max(now, now - age + lease / 2, lost > 0 and lost + over or 0)
end

-- What is kept, or a new set where nothing is, or where it is of another run of the clock.
local function open(window)
  local report, data = window.report, redis.call('GET', window.key)
  local known = data and cmsgpack.unpack(data)
  if known and known.run == run and now >= known.now - STEP_BACK then
    if report.epoch and report.epoch ~= known.epoch then
      known.closed = math.max(known.closed, now + report.cycle + lease)
    end
    return known
  end
  redis.call('DEL', window.tokens)
  local fresh = {epoch = message.owner .. text(now), run = run, now = now, closed = opening(report, known)}
  fresh.paused, fresh.asked, fresh.cause, fresh.smooth, fresh.lifts = 0, 0, '', false, 0
  if known then
    local passed = now - known.now
    fresh.paused, fresh.asked, fresh.cause = known.paused + passed, known.asked + passed, known.cause
    fresh.smooth, fresh.lifts = known.smooth, known.lifts
  end
  return fresh
end

local function put(window, number, due)
  redis.call('ZADD', window.tokens, text(due), message.owner .. ':' .. text(number))
end

-- Write down what the process says of its tokens, of pauses and of itself.
local function settle(window)
  local report, state, at, mine = window.report, window.state, window.now, message.owner
  for _, entry in ipairs(report.tokens or {}) do put(window, entry[1], at + entry[2]) end
  redis.call('ZREMRANGEBYSCORE', window.tokens, '-inf', text(at))
  if report.lift then state.paused, state.asked, state.cause, state.lifts = 0, 0, '', state.lifts + 1 end
  if report.pause and at + report.pause[1] > state.paused then
    state.paused, state.asked, state.cause = at + report.pause[1], at + report.pause[2], report.pause[3]
  end
  state.smooth = state.smooth or report.smooth or false
  local before = state.owners[mine] or report.owner
  state.owners[mine] = nil
  for owner, other in pairs(state.owners) do
    if other.heard + report.cycle + lease < at then state.owners[owner] = nil end
  end
  if not message.leaving then
    state.owners[mine], report.owner.heard, report.owner.asked = report.owner, at, before.asked
  end
end

-- How much this process may have: an even part, then half of what is left, always something for the others.
local function share(window)
  local report, at = window.report, window.now
  local withheld, wanted, active = report.owner.withheld, 0, 1
  for owner, other in pairs(window.state.owners) do
    withheld, wanted = math.max(withheld, other.withheld), wanted + other.interactive
    if owner ~= message.owner and other.asked + lease / 2 > at then active = active + 1 end
  end
  local capacity = report.capacity - withheld
  window.active, window.opens = active, math.max(at, window.state.closed, window.state.paused)
  window.free = capacity - redis.call('ZCARD', window.tokens)
  window.soon = {}
  local soon = redis.call('ZRANGEBYSCORE', window.tokens, '-inf', text(at + message.horizon), 'WITHSCORES')
  for i = 1, #soon, 2 do table.insert(window.soon, {soon[i], tonumber(soon[i + 1])}) end
  -- What bulk requests leave to interactive ones: Window.reserve().
  wanted = math.min(math.floor(report.capacity / 4), wanted)
  window.reserve = math.max(0, math.min(capacity - 1, math.max(math.ceil(report.capacity * 0.002), wanted)))
  local total = math.max(0, window.free + #window.soon)
  local part = math.min(total, math.max(0, math.floor(capacity / active) - report.owner.held))
  local rest = total - part
  local lead = math.ceil(report.capacity * math.min(0.05, 0.02 * (active - 1)))
  window.allowed = active == 1 and total or part + math.max(0, math.min(math.floor(rest / 2), rest - lead))
  if window.opens > at + message.horizon then window.allowed = 0 end
end

-- How many requests may be granted a token while so many ones are left to others.
local function left(window, kept)
  return math.max(0, math.min(window.allowed, window.free - kept + #window.soon))
end

-- Take one token; answers from when it may be used.
local function draw(window, kept, number)
  local at = window.opens
  if window.free - kept > 0 then
    window.free = window.free - 1
  else
    local back = table.remove(window.soon, 1 + kept - window.free)
    redis.call('ZREM', window.tokens, back[1])
    at = math.max(at, back[2])
  end
  window.allowed = window.allowed - 1
  put(window, number, window.now + lease + window.report.cycle)
  return at
end

-- All tokens of a request or none, for as many of the claim's requests as there are tokens for.
local function grant(windows, claim)
  local places, first, count, bulk = unpack(claim)
  local function kept(window) return bulk and window.reserve or 0 end
  local found, granted, usable = {}, count, {}
  for i, place in ipairs(places) do
    found[i] = windows[place + 1]
    granted = math.min(granted, left(found[i], kept(found[i])))
  end
  for number = first, first + granted - 1 do
    local at = now
    for _, window in ipairs(found) do at = math.max(at, draw(window, kept(window), number)) end
    table.insert(usable, at - now)
  end
  for _, window in ipairs(found) do
    window.starved = window.starved or granted < count
    window.bound = window.bound or (granted < count and left(window, 0) == 0)
  end
  return usable
end

-- What to tell the process; and the state goes back to where it is kept.
local function answer(window)
  local state, at, mine = window.state, window.now, message.owner
  local me, out, due, waiting = state.owners[mine], redis.call('ZCARD', window.tokens), {}, 0
  if me and (window.bound ~= nil or me.waiting == 0) then me.asked = window.bound and at or 0 end
  local parts = window.starved and math.min(out, DUE_PARTS) or 0
  for part = 1, parts do
    local rank = math.floor((part - 1) * out / parts)
    local found = redis.call('ZRANGE', window.tokens, rank, rank, 'WITHSCORES')
    due[part] = math.max(0, math.min(tonumber(found[2]) - at, state.cycle))
  end
  for owner, other in pairs(state.owners) do waiting = waiting + (owner == mine and 0 or other.waiting) end
  if next(state.owners) == nil then state.owners = nil end -- an empty table would be packed as a list
  local life = KEPT_AFTER_USE + math.ceil((2 * state.cycle + lease + math.max(0, state.paused - now)) / 1000)
  redis.call('SET', window.key, cmsgpack.pack(state), 'PX', life)
  redis.call('PEXPIRE', window.tokens, life)
  redis.call('HSET', KEYS[2], window.report.key, now)
  return {
    epoch = state.epoch, opens = math.max(0, state.closed - at), free = math.max(0, window.free), out = out, due = due,
    active = window.active, waiting = waiting, lifts = state.lifts, smooth = state.smooth,
    pause = state.paused > at and {state.paused - at, state.asked - at, state.cause} or nil,
  }
end

local windows, reply = {}, {time = now, windows = {}, grants = {}}
for place, report in ipairs(message.windows) do
  local window = {report = report, tokens = KEYS[2 * place + 1], key = KEYS[2 * place + 2]}
  window.state = open(window)
  local state = window.state
  window.now = math.max(now, state.now)
  state.now, state.owners, state.capacity, state.cycle = window.now, state.owners or {}, report.capacity, report.cycle
  settle(window)
  share(window)
  windows[place] = window
end
for place, claim in ipairs(message.claims or {}) do reply.grants[place] = grant(windows, claim) end
for place, window in ipairs(windows) do reply.windows[place] = answer(window) end
redis.call('PEXPIRE', KEYS[2], INDEX_KEPT)
return cmsgpack.pack(reply)
