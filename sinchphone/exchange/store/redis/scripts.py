"""What happens on the Redis server in one step: changes and messages in their order, and whose turn it is (Lua; Redis 7).

::

    commit   changes -> rows, and entries of the feed with ids that are time tokens (microseconds-tick), each above the last
    acquire  whose turn it is to change what depends on what is there
    beat     this process lives; those that no longer do, each told to one
"""

from typing import Final

COMMIT: Final = """
local feed, clock, lock, batches, weight = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local process, batch, fence, age, limit, release = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local done = redis.call('GET', batches)
if done then
    local number, ids = string.match(done, '^(%d+) (.*)$')
    if number == batch then return {'done', ids} end
end
if fence ~= '' and redis.call('GET', lock) ~= fence then return {'lost', ''} end
local time = redis.call('TIME')
local micros, tick = tonumber(time[1]) * 1000000 + tonumber(time[2]), -1
local last_micros, last_tick = string.match(redis.call('GET', clock) or '', '^(%d+)%-(%d+)$')
if last_micros and tonumber(last_micros) >= micros then micros, tick = tonumber(last_micros), tonumber(last_tick) end
local ids, total, id = {}, tonumber(redis.call('GET', weight) or '0'), nil
for number = 7, #ARGV do
    local change = cjson.decode(ARGV[number])
    tick = tick + 1
    if tick > 9 then micros, tick = micros + 1, 0 end
    id = string.format('%.0f-%d', micros, tick)
    if change.put then redis.call('HSET', KEYS[change.at], change.put, change.row) end
    if change.drop then redis.call('HDEL', KEYS[change.at], change.drop) end
    if change.keep then
        local token = string.format('%.0f%d', micros, tick)
        redis.call('HSET', KEYS[change.at], change.keep[1] .. token .. change.keep[2], change.row)
    end
    redis.call('XADD', feed, id, 'o', process, 'c', ARGV[number])
    total = total + #ARGV[number]
    ids[#ids + 1] = id
end
if id then redis.call('SET', clock, id) end
local oldest, first = micros - age, nil
for round = 1, 16 do
    local entries = redis.call('XRANGE', feed, '-', '+', 'COUNT', 64)
    local gone = 0
    for _, entry in ipairs(entries) do
        if total <= limit and tonumber(string.match(entry[1], '^(%d+)')) >= oldest then break end
        gone, total = gone + 1, total - #entry[2][4]
    end
    if gone > 0 then redis.call('XTRIM', feed, 'MAXLEN', redis.call('XLEN', feed) - gone) end
    if gone < 64 then break end
end
redis.call('SET', weight, string.format('%.0f', math.max(total, 0)))
local written = table.concat(ids, ' ')
redis.call('SET', batches, batch .. ' ' .. written, 'EX', 86400)
if release == '1' and fence ~= '' then redis.call('DEL', lock) end
return {'done', written}
"""

ACQUIRE: Final = """
local taken = redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
return {taken and 1 or 0, redis.call('GET', KEYS[2]) or ''}
"""

BEAT: Final = """
local time = redis.call('TIME')
local now, dead = tonumber(time[1]) + tonumber(time[2]) / 1000000, {}
if ARGV[2] == '0' then redis.call('HSET', KEYS[1], ARGV[1], 0) else redis.call('HSET', KEYS[1], ARGV[1], string.format('%.3f', now)) end
local alive = redis.call('HGETALL', KEYS[1])
for number = 1, #alive, 2 do
    if alive[number] ~= ARGV[1] and now - tonumber(alive[number + 1]) > tonumber(ARGV[2]) and ARGV[2] ~= '0' then
        redis.call('HDEL', KEYS[1], alive[number])
        dead[#dead + 1] = alive[number]
    end
end
return dead
"""
