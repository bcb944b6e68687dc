//! What has to be one step on the server. Each has its keys in one slot.

use redis::Script;

/// The scripts, made once.
pub(super) struct Scripts {
    pub(super) replace: Script,
    pub(super) remove: Script,
    pub(super) purge: Script,
    pub(super) put: Script,
    pub(super) remove_client: Script,
    pub(super) put_user: Script,
    pub(super) user: Script,
    pub(super) remove_user: Script,
    pub(super) replace_value: Script,
}

/// Answers 1, 0 if the record is at another revision or gone, or the header of one that is newer.
const REPLACE: &str = r"
local head = redis.call('GETRANGE', KEYS[1], 0, 39)
if head ~= '' and string.sub(head, 17, 24) > ARGV[2] then return head end
if string.sub(head, 1, 16) ~= ARGV[1] then return 0 end
if ARGV[4] == '' then redis.call('SET', KEYS[1], ARGV[3])
else redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4]) end
return 1
";

/// Answers the record that is gone, 0 if there was none, 1 if it is at another revision, or {header}
/// of one that is newer.
const REMOVE: &str = r"
local value = redis.call('GET', KEYS[1])
if not value then return 0 end
if string.sub(value, 17, 24) > ARGV[2] then return {string.sub(value, 1, 40)} end
if ARGV[1] ~= '' and string.sub(value, 1, 16) ~= ARGV[1] then return 1 end
redis.call('DEL', KEYS[1])
return value
";

/// Answers 1 if the record had expired and is gone, 0 if it is not there, -1 if it stays.
const PURGE: &str = r"
local head = redis.call('GETRANGE', KEYS[1], 0, 39)
if head == '' then return 0 end
if string.sub(head, 17, 24) > ARGV[1] or string.sub(head, 25, 40) > ARGV[2] then return -1 end
redis.call('DEL', KEYS[1])
return 1
";

/// A value in a hash, and its name in a set: 0 if there is a newer one.
const PUT: &str = r"
local old = redis.call('HGET', KEYS[1], ARGV[1])
if old and string.sub(old, 1, 8) > string.sub(ARGV[2], 1, 8) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
return 1
";

/// Answers 1, 0 if there is none, -1 if it is newer.
const REMOVE_CLIENT: &str = r"
local old = redis.call('HGET', KEYS[1], ARGV[1])
if not old then return 0 end
if string.sub(old, 1, 8) > ARGV[2] then return -1 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
";

/// The keys: users by subject, their names in order, subjects by username, usernames by subject.
const PUT_USER: &str = r"
local own = string.sub(ARGV[3], 1, 8)
local old = redis.call('HGET', KEYS[1], ARGV[1])
if old and string.sub(old, 1, 8) > own then return 0 end
local holder = redis.call('HGET', KEYS[3], ARGV[2])
if holder and holder ~= ARGV[1] then
    local other = redis.call('HGET', KEYS[1], holder)
    if other and string.sub(other, 1, 8) > own then return 0 end
    redis.call('HDEL', KEYS[4], holder)
end
local before = redis.call('HGET', KEYS[4], ARGV[1])
if before then redis.call('HDEL', KEYS[3], before) end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('HSET', KEYS[3], ARGV[2], ARGV[1])
redis.call('HSET', KEYS[4], ARGV[1], ARGV[2])
return 1
";

const USER: &str = r"
local subject = redis.call('HGET', KEYS[3], ARGV[1])
if not subject then return false end
return redis.call('HGET', KEYS[1], subject)
";

const REMOVE_USER: &str = r"
local old = redis.call('HGET', KEYS[1], ARGV[1])
if not old then return 0 end
if string.sub(old, 1, 8) > ARGV[2] then return -1 end
local before = redis.call('HGET', KEYS[4], ARGV[1])
if before then redis.call('HDEL', KEYS[3], before) end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
return 1
";

const REPLACE_VALUE: &str = r"
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
";

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            replace: Script::new(REPLACE),
            remove: Script::new(REMOVE),
            purge: Script::new(PURGE),
            put: Script::new(PUT),
            remove_client: Script::new(REMOVE_CLIENT),
            put_user: Script::new(PUT_USER),
            user: Script::new(USER),
            remove_user: Script::new(REMOVE_USER),
            replace_value: Script::new(REPLACE_VALUE),
        }
    }
}
