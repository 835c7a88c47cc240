"""What is known of the standard library and of the libraries around FastAPI.

One table a question, so that a reader can see what the analysis believes. Names are the dotted
names under which things are imported, after aliases are resolved.
"""

from __future__ import annotations

VERBS = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "trace"})

#: Decorators after which a function is run again and again: APScheduler, fastapi-utils, schedule.
JOB_DECORATORS = frozenset({"scheduled_job", "repeat_every", "repeat_at", "schedule.repeat"})

#: Decorators `base.NAME(...)` that register the function below them.
ROUTE_DECORATORS = VERBS | {
    "api_route",
    "route",
    "websocket",
    "websocket_route",
    "middleware",
    "exception_handler",
    "on_event",
}

#: Methods of built-in containers that change the receiver.
MUTATORS = frozenset(
    {
        "append",
        "extend",
        "insert",
        "remove",
        "pop",
        "clear",
        "add",
        "discard",
        "update",
        "setdefault",
        "popitem",
        "appendleft",
        "popleft",
        "extendleft",
        "sort",
        "reverse",
        "rotate",
        "difference_update",
        "intersection_update",
        "symmetric_difference_update",
        "subtract",
        "move_to_end",
        "__setitem__",
        "write_text",
        "write_bytes",
    }
)

#: How each mutating method changes its receiver.
INSERTING = frozenset({"append", "extend", "insert", "add", "update", "appendleft", "extendleft", "setdefault"})
REMOVING = frozenset({"remove", "pop", "clear", "discard", "popitem", "popleft", "difference_update"})

#: Functions that change the container that is their first argument, and how.
ON_CONTAINERS: dict[str, str] = {
    "heapq.heappush": "insert",
    "heapq.heappop": "remove",
    "heapq.heapreplace": "mutate",
    "heapq.heappushpop": "mutate",
    "heapq.heapify": "mutate",
    "bisect.insort": "insert",
    "bisect.insort_left": "insert",
    "bisect.insort_right": "insert",
    "random.shuffle": "mutate",
}

#: The ends of a list, by the index that means them.
ENDS = {"0": "first", "-1": "last"}

#: Methods that look at the receiver and change it in one step that nothing can divide.
ATOMIC = frozenset({"setdefault", "pop", "popitem", "popleft"})

#: Methods that only look.
READERS = frozenset(
    {
        "get",
        "keys",
        "values",
        "items",
        "copy",
        "index",
        "count",
        "most_common",
        "elements",
        "isdisjoint",
        "issubset",
        "issuperset",
        "union",
        "intersection",
        "difference",
        "__contains__",
        "__getitem__",
    }
)

#: Constructors of values that are containers.
CONTAINER_TYPES: dict[str, str] = {
    "dict": "dict",
    "list": "list",
    "set": "set",
    "collections.defaultdict": "dict",
    "collections.OrderedDict": "dict",
    "collections.Counter": "dict",
    "collections.deque": "deque",
    "frozenset": "frozen",
    "tuple": "frozen",
    "dict.fromkeys": "dict",
    "sorted": "list",
    "bytearray": "list",
    "collections.ChainMap": "dict",
    "cachetools.TTLCache": "dict",
    "cachetools.LRUCache": "dict",
    "cachetools.LFUCache": "dict",
    "cachetools.Cache": "dict",
    "weakref.WeakValueDictionary": "dict",
    "weakref.WeakKeyDictionary": "dict",
    "weakref.WeakSet": "set",
    "sortedcontainers.SortedDict": "dict",
    "sortedcontainers.SortedSet": "set",
}

#: Annotations that name a container.
CONTAINER_ANNOTATIONS: dict[str, str] = {
    "dict": "dict",
    "Dict": "dict",
    "defaultdict": "dict",
    "DefaultDict": "dict",
    "OrderedDict": "dict",
    "Counter": "dict",
    "MutableMapping": "dict",
    "list": "list",
    "List": "list",
    "set": "set",
    "Set": "set",
    "MutableSet": "set",
    "deque": "deque",
    "Deque": "deque",
    "MutableSequence": "list",
    "Mapping": "dict",
}

#: Lock constructors: dotted name -> (family, re-entrant).
LOCKS: dict[str, tuple[str, bool]] = {
    "asyncio.Lock": ("asyncio", False),
    "asyncio.Condition": ("asyncio", False),
    "asyncio.locks.Lock": ("asyncio", False),
    "anyio.Lock": ("asyncio", False),
    "anyio.Condition": ("asyncio", False),
    "trio.Lock": ("asyncio", False),
    "threading.Lock": ("threading", False),
    "threading.RLock": ("threading", True),
    "threading.Condition": ("threading", True),
    "multiprocessing.Lock": ("threading", False),
    "multiprocessing.RLock": ("threading", True),
    "_thread.allocate_lock": ("threading", False),
    "filelock.FileLock": ("threading", True),
    "filelock.AsyncFileLock": ("asyncio", True),
    "filelock.SoftFileLock": ("threading", True),
    "fasteners.InterProcessLock": ("threading", False),
    "portalocker.Lock": ("threading", False),
    "aiologic.Lock": ("both", False),
    "aiologic.RLock": ("both", True),
}

#: Locks that exclude others by a path or name, however often they are made.
BY_PATH = frozenset({n for n in LOCKS if n.startswith(("filelock.", "fasteners.", "portalocker."))})

#: Semaphores are locks only when they admit one.
SEMAPHORES: dict[str, str] = {
    "asyncio.Semaphore": "asyncio",
    "asyncio.BoundedSemaphore": "asyncio",
    "anyio.Semaphore": "asyncio",
    "anyio.CapacityLimiter": "asyncio",
    "threading.Semaphore": "threading",
    "threading.BoundedSemaphore": "threading",
}

#: Callables that run their argument on a worker thread: dotted name -> position of the function.
TO_THREAD: dict[str, int] = {
    "asyncio.to_thread": 0,
    "starlette.concurrency.run_in_threadpool": 0,
    "fastapi.concurrency.run_in_threadpool": 0,
    "anyio.to_thread.run_sync": 0,
    "anyio.run_sync_in_worker_thread": 0,
    "asgiref.sync.sync_to_async": 0,
}

#: Methods that run their argument on a worker thread: name -> position of the function.
TO_THREAD_METHODS: dict[str, int] = {"run_in_executor": 1, "submit": 0, "map": 0}

#: Callables that start their coroutine argument as a task of its own.
SPAWN = frozenset({"asyncio.create_task", "asyncio.ensure_future", "asyncio.run_coroutine_threadsafe"})
SPAWN_METHODS = frozenset({"create_task", "start_soon", "ensure_future"})

#: Callables that await the coroutines they are given.
AWAITING = frozenset({"asyncio.wait_for", "asyncio.shield", "asyncio.gather", "asyncio.wait", "anyio.wait_all"})

#: Decorators after which a function runs once for each set of arguments.
CACHES = frozenset(
    {
        "functools.lru_cache",
        "functools.cache",
        "lru_cache",
        "cache",
        "async_lru.alru_cache",
        "cachetools.cached",
        "aiocache.cached",
        "cached_property",
        "functools.cached_property",
    }
)

#: Built-in calls after which nothing of the argument is kept or changed.
PURE_BUILTINS = frozenset(
    {
        "len",
        "str",
        "int",
        "float",
        "bool",
        "repr",
        "sum",
        "min",
        "max",
        "any",
        "all",
        "sorted",
        "list",
        "dict",
        "set",
        "tuple",
        "frozenset",
        "round",
        "abs",
        "isinstance",
        "hash",
        "id",
        "print",
        "type",
        "enumerate",
        "zip",
        "reversed",
        "map",
        "filter",
        "range",
        "iter",
        "next",
        "format",
        "bytes",
        "hasattr",
        "callable",
        "getattr",
        "divmod",
        "ord",
        "chr",
    }
)

#: Keywords by which something is told how to ask, or where to begin: what it answers is not computed from them.
MANNERS = frozenset(
    {"headers", "cookies", "auth", "timeout", "proxy", "proxies", "verify", "initialdir", "initialfile"}
)
