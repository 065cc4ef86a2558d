-- The shared rule, for Redis and Valkey: one atomic step over all windows of one message. Its twin is ledger.py.
-- KEYS: the namespace's memory, the index of windows, then for each window its tokens (a sorted set: member =
-- process:number, score = when the token is free) and its state. ARGV: the message, and what stands before a window's
-- key. Times are microseconds of the server's TIME.

local BULK_TURN, DUE_PARTS = 4, 32
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
local function opening(report, over, known)
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

-- What is kept, or a new set where nothing or half of it is, or where it is of another run of the clock.
local function open(window)
  local report, data = window.report, redis.call('GET', window.key)
  local over = report.cycle + math.max(lease, report.late or 0) -- what was forgotten is
  local state = data and cmsgpack.unpack(data)
  local whole = state and (state.out == 0 or redis.call('EXISTS', window.tokens) == 1)
  if whole and state.run == run and now >= state.now - STEP_BACK then
    if report.epoch and report.epoch ~= state.epoch then state.closed = math.max(state.closed, now + over) end
    return state
  end
  redis.call('DEL', window.tokens)
  local closed = opening(report, over, state)
  return {
    epoch = message.owner .. text(now), run = run, now = now, closed = closed, paused = 0, asked = 0, cause = '',
    smooth = false, overtaken = 0, owners = {},
  }
end

local function put(window, number, due)
  redis.call('ZADD', window.tokens, text(due), message.owner .. ':' .. text(number))
end

-- Write down what the process says of its tokens, of pauses and of itself.
local function settle(window)
  local report, state, at, mine = window.report, window.state, window.now, message.owner
  for _, entry in ipairs(report.tokens or {}) do put(window, entry[1], at + entry[2]) end
  redis.call('ZREMRANGEBYSCORE', window.tokens, '-inf', text(at))
  if report.lift then state.paused, state.asked, state.cause = 0, 0, '' end
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
    state.owners[mine], report.owner.heard, report.owner.short = report.owner, at, before.short
  end
end

-- How much this process may have: what it lacks of an even part, and what those who are short do not lack of theirs.
local function share(window)
  local report, state, at, mine = window.report, window.state, window.now, message.owner
  local capacity, wanted, bulk, others, back = report.owner.usable, 0, 0, {}, {}
  window.active, window.opens = 1, math.max(at, state.closed, state.paused)
  for name, owner in pairs(state.owners) do
    capacity, wanted = math.min(capacity, owner.usable), wanted + owner.interactive
    if owner.heard + lease / 2 > at then
      bulk = bulk + owner.bulk
      if owner.short and name ~= mine then others[name], window.active = owner, window.active + 1 end
    end
  end
  if bulk == 0 then
    state.overtaken = 0
  elseif at > (state.bulk_left or 0) + report.cycle then -- one in each window at least
    state.overtaken = math.max(state.overtaken, BULK_TURN)
  end
  window.free, window.soon = capacity - redis.call('ZCARD', window.tokens), {}
  local soon = redis.call('ZRANGEBYSCORE', window.tokens, '-inf', text(at + message.horizon), 'WITHSCORES')
  for i = 1, #soon, 2 do
    local name = string.match(soon[i], '^[^:]*')
    back[name] = (back[name] or 0) + 1
    table.insert(window.soon, {soon[i], tonumber(soon[i + 1])})
  end
  -- What bulk requests leave to interactive ones: reserve() in window.py.
  wanted = math.min(math.floor(report.capacity / 4), wanted)
  window.reserve = math.max(0, math.min(capacity - 1, math.max(math.ceil(report.capacity * 0.002), wanted)))
  -- What is soon back is held by nobody any more. Bulk requests lack nothing of what they leave but for their turn.
  local even, total = math.floor(capacity / window.active), math.max(0, window.free + #window.soon)
  local lacked = {[false] = 0, [true] = 0}
  for name, owner in pairs(others) do
    local is_bulk = owner.bulk == owner.waiting
    lacked[is_bulk] = lacked[is_bulk] + math.max(0, even - owner.held + (back[name] or 0))
  end
  local for_bulk = math.min(lacked[true], math.max(math.floor(state.overtaken / BULK_TURN), total - window.reserve))
  local mine_lacks = even - report.owner.held + (back[mine] or 0)
  window.allowed = math.min(total, math.max(mine_lacks, total - lacked[false] - for_bulk))
  if window.opens > at + message.horizon then window.allowed = 0 end
end

-- What bulk leaves to interactive requests, but for its turn.
local function kept(window, bulk) return bulk and window.state.overtaken < BULK_TURN and window.reserve or 0 end

-- How many requests of a class may be granted a token.
local function left(window, bulk)
  return math.max(0, math.min(window.allowed, window.free - kept(window, bulk) + #window.soon))
end

-- Take one token; answers from when it may be used.
local function draw(window, number, bulk)
  local at, left_free, state = window.opens, kept(window, bulk), window.state
  if window.free > left_free then
    window.free = window.free - 1
  else
    local back = table.remove(window.soon, 1 + left_free - window.free)
    redis.call('ZREM', window.tokens, back[1])
    at = math.max(at, back[2])
    if not bulk then state.overtaken = state.overtaken + 1 end
  end
  if bulk then state.overtaken, state.bulk_left = math.max(0, state.overtaken - BULK_TURN), window.now end
  window.allowed = window.allowed - 1
  put(window, number, window.now + lease + window.report.cycle)
  return at
end

-- All tokens of a request or none, for as many of the claim's requests as there are tokens for.
local function grant(windows, claim)
  local places, first, count, bulk = unpack(claim)
  local usable = {}
  local function is_left()
    for _, place in ipairs(places) do
      if left(windows[place + 1], bulk) == 0 then return false end
    end
    return true
  end
  while #usable < count and is_left() do
    local at, number = now, first + #usable
    for _, place in ipairs(places) do at = math.max(at, draw(windows[place + 1], number, bulk)) end
    table.insert(usable, at - now)
  end
  for _, place in ipairs(places) do
    local window = windows[place + 1]
    window.bound = window.bound or (#usable < count and left(window, bulk) == 0)
  end
  return usable
end

-- What to tell the process; and the state goes back to where it is kept.
local function answer(window)
  local state, at, mine = window.state, window.now, message.owner
  local me, out, due, waiting = state.owners[mine], redis.call('ZCARD', window.tokens), {}, 0
  state.out = out
  if me and (window.bound ~= nil or me.waiting == 0) then me.short = window.bound or false end
  for _, owner in pairs(state.owners) do waiting = waiting + owner.waiting end
  local rank, part = 0, math.floor(state.cycle / DUE_PARTS)
  while waiting > window.free - window.reserve and rank < out and #due < DUE_PARTS do
    local first = redis.call('ZRANGE', window.tokens, rank, rank, 'WITHSCORES')[2]
    local count = redis.call('ZCOUNT', window.tokens, first, text(first + part))
    table.insert(due, {math.max(0, math.min(first - at, state.cycle)), count})
    rank = rank + count
  end
  if next(state.owners) == nil then state.owners = nil end -- an empty table would be packed as a list
  local life = KEPT_AFTER_USE + math.ceil((2 * state.cycle + lease + math.max(0, state.paused - now)) / 1000)
  redis.call('SET', window.key, cmsgpack.pack(state), 'PX', life)
  redis.call('PEXPIRE', window.tokens, life)
  redis.call('HSET', KEYS[2], window.report.key, now)
  return {
    epoch = state.epoch, opens = math.max(0, state.closed - at), free = math.max(0, window.free), out = out, due = due,
    active = window.active, waiting = waiting - (me and me.waiting or 0), reserve = window.reserve, smooth = state.smooth,
    pause = state.paused > at and {state.paused - at, state.asked - at, state.cause} or nil,
  }
end

local windows, reply = {}, {time = now, windows = {}, grants = {}}
for place, report in ipairs(message.windows) do
  local window = {report = report, tokens = KEYS[2 * place + 1], key = KEYS[2 * place + 2]}
  local state = open(window)
  window.state, window.now, windows[place] = state, math.max(now, state.now), window
  state.now, state.owners, state.capacity, state.cycle = window.now, state.owners or {}, report.capacity, report.cycle
  settle(window)
  share(window)
end
for place, claim in ipairs(message.claims or {}) do reply.grants[place] = grant(windows, claim) end
for place, window in ipairs(windows) do reply.windows[place] = answer(window) end
redis.call('PEXPIRE', KEYS[2], INDEX_KEPT)
return cmsgpack.pack(reply)
