"""What happens on the Redis server in one step: changes and messages in their order, and whose turn it is (Lua; Redis 7).

::

    commit   changes -> rows, and entries of the feed with ids that are time tokens (microseconds-tick), each above the last
    acquire  whose turn it is to change what depends on what is there; whoever has to wait stands in line, and is handed the turn by the
             commit that ends the one before, whose entries say so: an empty one where nothing was changed
    beat     this process lives; those that no longer do, and those that said so themselves, each told to one, and their turn is over;
             told again to whoever beats first, if that one hasn't taken on in time what they left behind; and the name of what is kept
             there, another one once all was forgotten

Who commits or gets a turn is told what others wrote since the entry that it knows: at most so many entries, and whether that's all.
"""

from typing import Final

_NEWS: Final = """
local function news(feed, clock, known)
    if clock == known or clock == '' then return {}, 1 end
    local entries = redis.call('XRANGE', feed, '(' .. known, '+', 'COUNT', 200)
    return entries, #entries < 200 and 1 or 0
end
"""

COMMIT: Final = (
    _NEWS
    + """
local feed, clock, lock, batches, weight, line = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local process, batch, fence, release, known = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local age, limit, must_trim = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8] == '1'
local done = redis.call('GET', batches)
if done then
    local number, ids = string.match(done, '^(%d+) (.*)$')
    if number == batch then return {'done', ids, {}, 0} end
end
if fence ~= '' and redis.call('GET', lock) ~= fence then return {'lost', '', {}, 0} end
local last, heir = redis.call('GET', clock) or '', release == '1' and fence ~= '' and redis.call('LPOP', line) or ''
local others, complete = news(feed, last, known)
local time = redis.call('TIME')
local micros, tick = tonumber(time[1]) * 1000000 + tonumber(time[2]), -1
local last_micros, last_tick = string.match(last, '^(%d+)%-(%d+)$')
if last_micros and tonumber(last_micros) >= micros then micros, tick = tonumber(last_micros), tonumber(last_tick) end
local ids, added, id, at = {}, 0, nil, 9
local function write(entry)
    tick = tick + 1
    if tick > 9 then micros, tick = micros + 1, 0 end
    id = string.format('%.0f-%d', micros, tick)
    redis.call('XADD', feed, id, 'o', process, 'c', entry, 't', heir)
    added = added + #entry
end
while at <= #ARGV do
    local what = ARGV[at]
    if what == 'entry' then
        write(ARGV[at + 1])
        ids[#ids + 1], at = id, at + 2
    elseif what == 'put' then
        redis.call('HSET', KEYS[tonumber(ARGV[at + 1])], ARGV[at + 2], ARGV[at + 3])
        at = at + 4
    elseif what == 'drop' then
        redis.call('HDEL', KEYS[tonumber(ARGV[at + 1])], ARGV[at + 2])
        at = at + 3
    else
        local token = string.format('%.0f%d', micros, tick)
        redis.call('HSET', KEYS[tonumber(ARGV[at + 1])], ARGV[at + 2] .. token .. ARGV[at + 3], ARGV[at + 4])
        at = at + 5
    end
end
if heir ~= '' and not id then write('{"r":[]}') end
if id then redis.call('SET', clock, id) end
local total = redis.call('INCRBY', weight, added)
if must_trim or total > limit then
    local oldest, left = micros - age, total
    for round = 1, 16 do
        local entries = redis.call('XRANGE', feed, '-', '+', 'COUNT', 64)
        local gone = 0
        for _, entry in ipairs(entries) do
            if left <= limit and tonumber(string.match(entry[1], '^(%d+)')) >= oldest then break end
            gone, left = gone + 1, left - #entry[2][4]
        end
        if gone > 0 then redis.call('XTRIM', feed, 'MAXLEN', redis.call('XLEN', feed) - gone) end
        if gone < 64 then break end
    end
    redis.call('SET', weight, string.format('%.0f', math.max(left, 0)))
end
local written = table.concat(ids, ' ')
redis.call('SET', batches, batch .. ' ' .. written, 'EX', 86400)
if heir ~= '' then redis.call('SET', lock, heir, 'PX', 300) elseif release == '1' and fence ~= '' then redis.call('DEL', lock) end
return {'done', written, others, complete}
"""
)

ACQUIRE: Final = (
    _NEWS
    + """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
    if not redis.call('LPOS', KEYS[4], ARGV[1]) then redis.call('RPUSH', KEYS[4], ARGV[1]) end
    redis.call('PEXPIRE', KEYS[4], ARGV[2])
    return {0, {}, 0}
end
if not holder then redis.call('LREM', KEYS[4], 0, ARGV[1]) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local others, complete = news(KEYS[3], redis.call('GET', KEYS[2]) or '', ARGV[3])
return {1, others, complete}
"""
)

BEAT_SCRIPT: Final = """
if redis.call('EXISTS', KEYS[3]) == 0 then redis.call('SET', KEYS[3], ARGV[5]) end
local time = redis.call('TIME')
local now, dead, left = tonumber(time[1]) + tonumber(time[2]) / 1000000, {}, {}
local misses = now - tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or now) <= tonumber(ARGV[4])
if ARGV[2] == '0' then redis.call('HSET', KEYS[1], ARGV[1], 0) else redis.call('HSET', KEYS[1], ARGV[1], string.format('%.3f', now)) end
local alive = redis.call('HGETALL', KEYS[1])
for number = 1, #alive, 2 do
    local at = tonumber(alive[number + 1])
    local gone = at == 0 or misses and now - at > tonumber(ARGV[2])
    if alive[number] ~= ARGV[1] and gone and ARGV[2] ~= '0' then
        redis.call('HSET', KEYS[1], alive[number], string.format('%.3f', now + tonumber(ARGV[3]) - tonumber(ARGV[2])))
        local told = at == 0 and left or dead
        told[#told + 1] = alive[number]
        local turn = redis.call('GET', KEYS[2])
        if turn and string.sub(turn, 1, #alive[number] + 1) == alive[number] .. '-' then redis.call('DEL', KEYS[2]) end
    end
end
return {redis.call('GET', KEYS[3]), dead, left}
"""
