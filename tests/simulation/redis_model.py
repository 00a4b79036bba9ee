"""A Redis in memory that runs the real scripts: the same Lua text, in a real Lua 5.1."""

import hashlib
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from lupa.lua51 import LuaRuntime

Value = str | dict[str, str]
_lua = LuaRuntime(unpack_returned_tuples=True)
_compile = _lua.eval("function(text) return assert(loadstring(text)) end")
_run = _lua.eval(
    "function(chunk, keys, values, call)"
    " setfenv(chunk, setmetatable({KEYS = keys, ARGV = values, redis = {call = call}},"
    " {__index = _G})) return chunk() end"
)


class ServerError(Exception):
    """An error reply."""


@lru_cache(maxsize=512)
def _chunk(text: str) -> Any:
    first, _, rest = text.partition("\n")
    assert first.startswith("#!lua")
    return _compile(rest)


class RedisModel:
    """One server. `now_ms` is its clock; `scripts` dies with it and no dump or replica has it."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.data: dict[str, Value] = {}
        self.scripts: dict[str, str] = {}
        self.is_full = False
        self.epoch = 0
        """Connections of an earlier epoch are cut."""

    def restart(self, dump: dict[str, Value] | None = None) -> None:
        self.data = dump or {}
        self.scripts = {}
        self.epoch += 1

    def dump(self) -> dict[str, Value]:
        return {k: dict(v) if isinstance(v, dict) else v for k, v in self.data.items()}

    def execute(self, command: list[str]) -> Any:
        """A reply: str, int, None, a list of these, or a ServerError."""
        try:
            return self._execute(command)
        except ServerError as error:
            return error

    def _execute(self, command: list[str]) -> Any:
        name = command[0].upper()
        if name == "EVALSHA":
            return self._evalsha(command[1], int(command[2]), command[3:])
        if name == "SCRIPT":
            sha = hashlib.sha1(command[2].encode(), usedforsecurity=False).hexdigest()
            self.scripts[sha] = command[2]
            return sha
        if self.is_full and name in _GROWING:
            msg = "OOM command not allowed when used memory > 'maxmemory'."
            raise ServerError(msg)
        return self._call(name, command[1:])

    def _evalsha(self, sha: str, keys: int, values: list[str]) -> Any:
        text = self.scripts.get(sha)
        if text is None:
            msg = "NOSCRIPT No matching script."
            raise ServerError(msg)
        if self.is_full and "flags=allow-oom" not in text.partition("\n")[0]:
            msg = "OOM command not allowed when used memory > 'maxmemory'."
            raise ServerError(msg)
        table = _lua.table_from
        answer = _run(_chunk(text), table(values[:keys]), table(values[keys:]), self._from_lua)
        return [_plain(answer[i]) for i in range(1, len(answer) + 1)]

    def _from_lua(self, name: str, *values: Any) -> Any:
        answer = self._call(name, [str(value) for value in values])
        if isinstance(answer, list):
            return _lua.table_from([False if each is None else each for each in answer])
        return False if answer is None else answer

    def _call(self, name: str, values: list[str]) -> Any:
        return _COMMANDS[name](self, *values)

    # Commands

    def _hash(self, key: str) -> dict[str, str]:
        found = self.data.setdefault(key, {})
        assert isinstance(found, dict), key
        return found

    def _get(self, key: str) -> Any:
        return self.data.get(key)

    def _set(self, key: str, value: str, *_: str) -> str:
        self.data[key] = value
        return "OK"

    def _del(self, *keys: str) -> int:
        return sum(self.data.pop(key, None) is not None for key in keys)

    def _exists(self, key: str) -> int:
        return int(key in self.data)

    def _hget(self, key: str, field: str) -> str | None:
        found = self.data.get(key, {})
        assert isinstance(found, dict), key
        return found.get(field)

    def _hmget(self, key: str, *fields: str) -> list[str | None]:
        return [self._hget(key, field) for field in fields]

    def _hset(self, key: str, *pairs: str) -> int:
        self._hash(key).update(zip(pairs[::2], pairs[1::2], strict=True))
        return 1

    def _hsetnx(self, key: str, field: str, value: str) -> int:
        table = self._hash(key)
        if field in table:
            return 0
        table[field] = value
        return 1

    def _hincrby(self, key: str, field: str, by: str) -> int:
        table = self._hash(key)
        table[field] = str(int(table.get(field, "0")) + int(by))
        return int(table[field])

    def _hdel(self, key: str, *fields: str) -> int:
        table = self._hash(key)
        gone = sum(table.pop(field, None) is not None for field in fields)
        if not table:
            del self.data[key]
        return gone

    def _hexists(self, key: str, field: str) -> int:
        return int(self._hget(key, field) is not None)

    def _hgetall(self, key: str) -> list[str]:
        return [each for pair in self._hash(key).items() for each in pair]

    def _time(self) -> list[str]:
        seconds, ms = divmod(self._now_ms(), 1000)
        return [str(seconds), str(ms * 1000)]


_GROWING = {"SET", "HSET", "HSETNX", "HINCRBY"}
_COMMANDS: dict[str, Callable[..., Any]] = {
    "GET": RedisModel._get,
    "SET": RedisModel._set,
    "DEL": RedisModel._del,
    "UNLINK": RedisModel._del,
    "EXISTS": RedisModel._exists,
    "HGET": RedisModel._hget,
    "HMGET": RedisModel._hmget,
    "HSET": RedisModel._hset,
    "HSETNX": RedisModel._hsetnx,
    "HINCRBY": RedisModel._hincrby,
    "HDEL": RedisModel._hdel,
    "HEXISTS": RedisModel._hexists,
    "HGETALL": RedisModel._hgetall,
    "TIME": RedisModel._time,
    "PING": lambda _: "PONG",
}


def _plain(value: Any) -> Any:
    """As Redis turns a script's value into a reply: numbers lose their fraction."""
    return int(value) if isinstance(value, float) else value


def encode(answers: Iterable[Any]) -> bytes:
    """Replies as the protocol has them."""
    return b"".join(map(_encode, answers))


def _encode(answer: Any) -> bytes:
    if isinstance(answer, ServerError):
        return b"-%s\r\n" % str(answer).encode()
    if isinstance(answer, int):
        return b":%d\r\n" % answer
    if isinstance(answer, list):
        return b"*%d\r\n" % len(answer) + encode(answer)
    if answer is None or answer is False:
        return b"$-1\r\n"
    text = answer.encode()
    return b"$%d\r\n%s\r\n" % (len(text), text)
