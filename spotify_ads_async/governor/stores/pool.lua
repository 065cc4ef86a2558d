-- The rule of pool.py, for Redis and Valkey: one atomic step over all windows of one message.
-- KEYS are the windows and, last, the index of windows; ARGV is the message and what stands before each window's key.
-- The server's TIME is the only clock, in microseconds. Each value is the ring of return times, then the rest as MessagePack.

local SLOTS = 1024
local NEVER = -1
local RING_FORMAT = '<' .. string.rep('I4', SLOTS)
local RING_BYTES = SLOTS * 4
local OUTLOOK_PARTS = 8
local RECOVERY_CYCLES = {1, 4, 20}
local SLACK_SHARE = 0.01
local FADING_CYCLES = 4
local MEALS = 8
local LIFE_AFTER_USE = 60000000

local function place(slot)
  return slot % SLOTS + 1
end

local function new_pool(report, now, run)
  local ring = {}
  for i = 1, SLOTS do ring[i] = 0 end
  return {
    capacity = report.capacity, cycle = report.cycle, slot = report.slot, born = now, now = now,
    due_to = math.floor(now / report.slot), run = run, out = 0, faded_at = now, paused_until = 0, pause_cause = '',
    smooth = false, closed_until = 0, forgetful = false, sharing = false, strikes = 0, withheld_peak = 0, recovering_from = 0,
    recovering_until = 0, members = {}, ring = ring,
  }
end

local function decode(data)
  local pool = cmsgpack.unpack(string.sub(data, RING_BYTES + 1))
  pool.ring = {struct.unpack(RING_FORMAT, data)}
  return pool
end

local function encode(pool)
  local ring = struct.pack(RING_FORMAT, unpack(pool.ring, 1, SLOTS))
  pool.ring = {}
  return ring .. cmsgpack.pack(pool)
end

local function come_back(pool, at, tokens)
  local slot = math.ceil(at / pool.slot)
  if slot <= pool.due_to then
    pool.out = pool.out - tokens
  else
    local at_place = place(math.min(slot, pool.due_to + SLOTS - 1))
    pool.ring[at_place] = pool.ring[at_place] + tokens
  end
end

local function spend_all(pool, at)
  local free = pool.capacity - pool.out
  if free > 0 then
    pool.out = pool.out + free
    come_back(pool, at, free)
  end
end

local function end_lease(pool, owner, member)
  if member.held > 0 then
    come_back(pool, member.deadline + pool.cycle, member.held)
    member.lapsed = member.held
  end
  member.held, member.in_flight, member.cooling, member.waiting, member.want = 0, 0, 0, 0, 0
  if member.deadline + 2 * pool.cycle <= pool.now then
    pool.members[owner] = nil
  end
end

local function resume_lease(pool, member)
  local slot = math.ceil((member.deadline + pool.cycle) / pool.slot)
  if (member.lapsed or 0) > 0 and slot > pool.due_to then
    local there = math.min(member.lapsed, pool.ring[place(slot)])
    pool.ring[place(slot)] = pool.ring[place(slot)] - there
    member.held = member.held + there
  end
  member.lapsed = 0
end

local function advance(pool, now)
  pool.now = math.max(pool.now, now)
  local due_to = math.floor(pool.now / pool.slot)
  for slot = pool.due_to + 1, math.min(due_to, pool.due_to + SLOTS) do
    pool.out = pool.out - pool.ring[place(slot)]
    pool.ring[place(slot)] = 0
  end
  pool.due_to = math.max(pool.due_to, due_to)
  for owner, member in pairs(pool.members) do
    if member.deadline <= pool.now then
      end_lease(pool, owner, member)
    end
  end
end

local function withheld(pool)
  if pool.now >= pool.recovering_until then return 0 end
  local progress = (pool.now - pool.recovering_from) / (pool.recovering_until - pool.recovering_from)
  return math.ceil(pool.withheld_peak * (1.0 - progress * progress * progress))
end

local function refused(pool, count)
  if pool.now < pool.recovering_from + math.floor(pool.cycle / 2) and withheld(pool) > 0 then return end
  pool.strikes = pool.now < pool.recovering_until + 2 * pool.cycle and pool.strikes + 1 or 1
  local held, ours = 0, 0
  for _, member in pairs(pool.members) do
    held = held + member.held
    ours = ours + member.in_flight + (member.cooling or 0)
  end
  local others = pool.capacity - (pool.out - held) - ours + count
  local slack = math.max(1, math.ceil(pool.capacity * SLACK_SHARE))
  pool.withheld_peak = math.max(0, math.min(others + slack, pool.capacity - 1))
  pool.recovering_from = pool.now
  pool.recovering_until = pool.now + pool.cycle * RECOVERY_CYCLES[math.min(pool.strikes, #RECOVERY_CYCLES)]
end

local function fade(pool)
  local kept = math.max(0.0, 1.0 - (pool.now - pool.faded_at) / (FADING_CYCLES * pool.cycle))
  for _, member in pairs(pool.members) do
    member.granted = member.granted * kept
  end
  pool.faded_at = pool.now
end

local function is_closed(pool)
  return pool.now < pool.closed_until
end

local function close(pool, message)
  pool.closed_until = math.max(pool.closed_until, pool.now + math.floor(message.lease / 2))
end

local function come_to_itself(pool, message, report, run)
  local born = report.born or 0
  if born ~= 0 and born ~= pool.born and not pool.forgetful then
    pool.forgetful = true
    spend_all(pool, pool.now + pool.cycle)
  end
  if message.fresh and run ~= pool.run then
    pool.run = run
    close(pool, message)
  end
  if message.alone then
    close(pool, message)
  end
  pool.sharing = pool.sharing or message.sharing or false
end

local function settle(pool, message, report, run)
  pool.capacity = report.capacity
  come_to_itself(pool, message, report, run)
  local member = pool.members[message.owner]
  if not member then
    member = {held = 0, want = 0, appetite = 0, hungry_at = 0, granted = 0, lent_until = 0, lapsed = 0, deadline = 0, sequence = 0}
    pool.members[message.owner] = member
  end
  resume_lease(pool, member)
  local resend_after = NEVER
  if report.born == pool.born and (report.acknowledged or 0) > member.sequence then
    resend_after = member.sequence
  end
  if report.held >= member.held then
    pool.out = pool.out + report.held - member.held
  else
    local at = resend_after == NEVER and member.lent_until or pool.now + report.cycle
    come_back(pool, at, member.held - report.held)
  end
  member.held = report.held
  for _, pair in ipairs(report.settled or {}) do
    member.held = member.held - pair[2]
    come_back(pool, pool.now - pair[1] + report.cycle, pair[2])
  end
  for _, pair in ipairs(report.unused or {}) do
    member.held = member.held - pair[2]
    come_back(pool, pair[1] > 0 and pool.now + pair[1] or 0, pair[2])
  end
  member.label = message.label
  member.in_flight = report.in_flight or 0
  member.cooling = report.cooling or 0
  member.waiting = report.waiting or 0
  member.sequence = report.sequence
  member.seen = pool.now
  member.deadline = pool.now + message.lease
  local pause = report.pause or 0
  if pause > 0 and pool.now + pause > pool.paused_until then
    pool.paused_until = pool.now + pause
    pool.pause_cause = report.pause_cause or ''
  end
  pool.smooth = pool.smooth or report.smooth or false
  if (report.refused or 0) > 0 then
    refused(pool, report.refused)
  end
  fade(pool)
  return resend_after
end

local function balance(pool, report)
  return report.capacity - pool.out - withheld(pool) - (report.held_back or 0)
end

local function last_slot_ahead(pool, ahead)
  return math.min(math.floor((pool.now + ahead) / pool.slot), pool.due_to + SLOTS - 1)
end

local function within_reach(pool, report)
  local ahead = report.ahead or 0
  if is_closed(pool) or pool.paused_until > pool.now + ahead then return 0 end
  local soon = 0
  for slot = pool.due_to + 1, last_slot_ahead(pool, ahead) do
    soon = soon + pool.ring[place(slot)]
  end
  return math.max(0, balance(pool, report) + soon)
end

local function rivals(pool, owner, lease)
  local found = {}
  for name, member in pairs(pool.members) do
    if name ~= owner and member.seen > pool.now - math.floor(lease / 2) then
      local want = member.want
      if member.hungry_at > pool.now - math.floor(lease / 12) then
        want = math.max(want, member.appetite * MEALS)
      end
      if want > 0 then found[#found + 1] = {granted = member.granted, want = want} end
    end
  end
  return found
end

local function catch_up(pool, member, others, lease)
  if member.hungry_at <= pool.now - math.floor(lease / 2) then
    local least = others[1].granted
    for _, rival in ipairs(others) do least = math.min(least, rival.granted) end
    member.granted = math.max(member.granted, least - pool.capacity / (#others + 1))
  end
end

local function grant(pool, member, report, tokens)
  local granted = {}
  local free_now = balance(pool, report)
  local left = tokens
  if free_now > 0 and left > 0 then
    local free = math.min(free_now, left)
    granted[#granted + 1] = {0, free}
    pool.out = pool.out + free
    left = left - free
  end
  local owed = math.max(0, -free_now)
  for slot = pool.due_to + 1, last_slot_ahead(pool, report.ahead or 0) do
    if left <= 0 then break end
    local there = pool.ring[place(slot)]
    local passed = math.min(owed, there)
    owed = owed - passed
    local taken = math.min(there - passed, left)
    if taken > 0 then
      pool.ring[place(slot)] = there - taken
      left = left - taken
      granted[#granted + 1] = {slot * pool.slot - pool.now, taken}
      member.lent_until = math.max(member.lent_until, slot * pool.slot)
    end
  end
  member.held = member.held + tokens - left
  member.granted = member.granted + tokens - left
  return granted, tokens - left
end

local function reserve(pool, message, report)
  local member = pool.members[message.owner]
  for _, other in pairs(pool.members) do
    if other ~= member and (other.want > 0 or other.hungry_at > pool.now - message.lease) then return 0 end
  end
  if message.leaving or is_closed(pool) then return 0 end
  local tokens = math.max(0, math.min(report.reserve or 0, balance(pool, report)))
  pool.out = pool.out + tokens
  member.held = member.held + tokens
  return tokens
end

local function outlook(pool)
  local counts = {}
  for part = 1, OUTLOOK_PARTS do counts[part] = 0 end
  for step = 1, SLOTS - 1 do
    local tokens = pool.ring[place(pool.due_to + step)]
    if tokens > 0 then
      local part = math.min(OUTLOOK_PARTS - 1, math.floor(step * pool.slot * OUTLOOK_PARTS / pool.cycle)) + 1
      counts[part] = counts[part] + tokens
    end
  end
  local total = 0
  for part = 1, OUTLOOK_PARTS do
    total = total + counts[part]
    counts[part] = total
  end
  return counts
end

local function next_return(pool)
  for step = 1, SLOTS - 1 do
    if pool.ring[place(pool.due_to + step)] > 0 then
      return (pool.due_to + step) * pool.slot - pool.now
    end
  end
  return NEVER
end

local function fair_share(reach, granted, want, others)
  local wanted, low, high = want, granted, granted + want
  for _, rival in ipairs(others) do
    wanted = wanted + rival.want
    low = math.min(low, rival.granted)
    high = math.max(high, rival.granted + rival.want)
  end
  if wanted <= reach then return want end
  for _ = 1, 40 do
    local level = (low + high) / 2
    local poured = math.min(math.max(level - granted, 0), want)
    for _, rival in ipairs(others) do
      poured = poured + math.min(math.max(level - rival.granted, 0), rival.want)
    end
    if poured < reach then low = level else high = level end
  end
  return math.max(0, math.min(want, reach, math.ceil(high - granted - 1e-6)))
end

local function hand_out(pools, message, answers)
  local reports, lanes = message.windows, message.lanes or {}
  local wanted, reaches, used, asked = {}, {}, {}, {}
  for window in ipairs(reports) do
    wanted[window], used[window], asked[window] = 0, 0, 0
  end
  for _, lane in ipairs(lanes) do
    for _, index in ipairs(lane[1]) do
      wanted[index + 1] = wanted[index + 1] + lane[2]
    end
  end
  for window, pool in ipairs(pools) do
    local report, answer = reports[window], answers[window]
    local spare = report.spare or 0
    local want = math.max(0, wanted[window] - spare)
    local others = rivals(pool, message.owner, message.lease)
    answer.active = #others + 1
    if want > 0 and #others > 0 then
      catch_up(pool, pool.members[message.owner], others, message.lease)
    end
    local reach = 0
    if not answer.stale and answer.resend_after == NEVER then reach = within_reach(pool, report) end
    reaches[window] = spare + fair_share(reach, pool.members[message.owner].granted, want, others)
  end
  for _, lane in ipairs(lanes) do
    local windows, waiting, left = lane[1], lane[2], {}
    for position, index in ipairs(windows) do
      left[position] = reaches[index + 1] - used[index + 1]
    end
    for position, index in ipairs(windows) do
      local elsewhere, everywhere = waiting, waiting
      for other, tokens in ipairs(left) do
        everywhere = math.min(everywhere, tokens)
        if other ~= position and not is_closed(pools[windows[other] + 1]) then elsewhere = math.min(elsewhere, tokens) end
      end
      asked[index + 1] = asked[index + 1] + elsewhere
      used[index + 1] = used[index + 1] + everywhere
    end
  end
  for window, pool in ipairs(pools) do
    local report, answer, member = reports[window], answers[window], pool.members[message.owner]
    local spare, got = report.spare or 0, 0
    answer.granted, got = grant(pool, member, report, math.max(0, used[window] - spare))
    local want = math.max(0, asked[window] - spare)
    if not answer.stale then
      member.want = math.max(0, want - got)
      if want > 0 then member.appetite, member.hungry_at = want, pool.now end
    end
  end
end

local function complete(pool, message, report, answer)
  local member = pool.members[message.owner]
  if message.leaving and member.held <= 0 and not answer.stale then
    pool.members[message.owner] = nil
    pool.sharing = pool.sharing and next(pool.members) ~= nil
  elseif not answer.stale and answer.resend_after == NEVER then
    local reserved = reserve(pool, message, report)
    if reserved > 0 then answer.granted[#answer.granted + 1] = {0, reserved} end
  end
  answer.pause = math.max(0, pool.paused_until - pool.now)
  answer.pause_cause = pool.pause_cause
  answer.smooth = pool.smooth
  answer.waiting = 0
  for _, other in pairs(pool.members) do
    answer.waiting = answer.waiting + other.waiting
  end
  answer.free = balance(pool, report)
  answer.closed_for = math.max(0, pool.closed_until - pool.now)
  answer.withheld = withheld(pool)
  if member.want > 0 then
    answer.outlook = outlook(pool)
    answer.next_return = next_return(pool)
  end
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local message = cmsgpack.unpack(ARGV[1])
local prefix = ARGV[2]
local run, up_for = '', math.huge
if message.fresh then
  -- Who may not run INFO counts every new connection as a restart: grants stop for a moment, and nothing is exceeded.
  local info = redis.pcall('INFO', 'server')
  info = type(info) == 'string' and info or ''
  run = string.match(info, 'run_id:(%w+)') or tostring(now)
  up_for = (tonumber(string.match(info, 'uptime_in_seconds:(%d+)')) or math.huge) * 1000000
end

local pools, answers = {}, {}
for window, report in ipairs(message.windows) do
  local data = redis.call('GET', KEYS[window])
  local pool = data and decode(data) or new_pool(report, now, run)
  local unheard_for = now - pool.now
  advance(pool, now)
  if pool.sharing and unheard_for > pool.cycle then -- the store was away, and others may have carried on
    close(pool, message)
  end
  if not data and up_for < pool.cycle + message.lease then -- the store may have had data before, and lost it
    close(pool, message)
  end
  local known = pool.members[message.owner]
  local stale = known and report.sequence <= known.sequence or false
  local resend_after = NEVER
  if not stale then resend_after = settle(pool, message, report, run) end
  pools[window] = pool
  answers[window] = {stale = stale, born = pool.born, resend_after = resend_after, granted = {}, active = 0}
end
if not message.leaving then
  hand_out(pools, message, answers)
end
for window, pool in ipairs(pools) do
  local report = message.windows[window]
  complete(pool, message, report, answers[window])
  local life = math.ceil((2 * pool.cycle + message.lease + LIFE_AFTER_USE) / 1000)
  redis.call('SET', KEYS[window], encode(pool), 'PX', life)
  redis.call('HSET', KEYS[#KEYS], string.sub(KEYS[window], #prefix + 1), now)
  redis.call('PEXPIRE', KEYS[#KEYS], 7 * 24 * 3600 * 1000)
end
return cmsgpack.pack(answers)
