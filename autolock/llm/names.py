"""What is known of the libraries that talk to language models, and of how projects name such things."""

from __future__ import annotations

import re
from functools import lru_cache

#: Packages whose objects are clients, models, chains or agents.
PACKAGES = frozenset(
    {
        *("openai", "anthropic", "mistralai", "cohere", "ollama", "litellm", "instructor", "vllm", "groq", "together"),
        *("pydantic_ai", "langgraph", "llama_index", "agents", "replicate", "dashscope", "zhipuai", "fireworks"),
        *("crewai", "dspy", "semantic_kernel", "huggingface_hub", "vertexai", "volcenginesdkarkruntime", "xai_sdk"),
    }
)
#: Dotted names that packages of models begin with, where the first part says too little.
PREFIXES = ("langchain", "google.genai", "google.generativeai", "azure.ai.inference", "autogen")

#: Methods and functions of those packages that have a model work.
VERBS = frozenset(
    {
        *("create", "acreate", "parse", "create_with_completion", "create_partial", "create_iterable"),
        *("generate", "agenerate", "agenerate_prompt", "generate_content", "generate_content_async"),
        *("generate_content_stream", "generate_text", "generate_stream", "agenerate_stream", "text_generation"),
        *("invoke", "ainvoke", "batch", "abatch", "stream", "astream", "astream_events", "astream_log"),
        *("predict", "apredict", "run", "arun", "run_sync", "run_stream", "run_streamed", "acall", "kickoff"),
        *("complete", "acomplete", "complete_async", "stream_complete", "astream_complete", "stream_async"),
        *("chat", "achat", "stream_chat", "astream_chat", "chat_stream", "chat_completion", "chat_async"),
        *("query", "aquery", "completion", "acompletion", "text_completion", "atext_completion", "responses"),
        *("aresponses", "send_message", "send_message_async", "send_message_stream", "kickoff_async"),
    }
)
#: Those of them by which nothing else than a model is asked.
TALKING = frozenset(v for v in VERBS if any(part in v for part in ("generat", "complet", "chat")))
#: Verbs that project wrappers round a model use beside those.
WRAPPER_VERBS = VERBS | {"ask", "aask", "answer", "respond", "reply", "infer", "prompt", "summarize", "call"}
#: Verbs that nothing else than chains, graphs and models have.
OF_CHAINS = frozenset({"ainvoke", "abatch", "astream", "astream_events", "astream_log", "agenerate", "acompletion"})

#: How calls of the well-known interfaces end, whoever their receiver is.
ENDINGS = (
    ("completions", "create"),
    ("completions", "parse"),
    ("completions", "stream"),
    ("responses", "create"),
    ("responses", "parse"),
    ("responses", "stream"),
    ("messages", "stream"),
    ("ChatCompletion", "create"),
    ("ChatCompletion", "acreate"),
    ("chat", "complete_async"),
    ("chat", "stream_async"),
    ("generate_content",),
    ("generate_content_async",),
    ("generate_content_stream",),
)
#: Parts of the paths and hosts at which models are served.
PLACES = (
    *("/chat/completions", "/v1/completions", "/v1/messages", "/v1/responses", "/v1/generate", "/api/generate"),
    *("/api/chat", "/generate_stream", ":generateContent", ":streamGenerateContent", "/v1/chat", "/v1/complete"),
    *("api.openai.com/v1/chat", "api.anthropic.com/v1/complete", "/converse"),
)
#: Methods by which HTTP clients send something.
SENDING = frozenset({"post", "stream", "request", "send", "fetch", "urlopen"})

_MODEL = re.compile(
    r"(?:^|_)(?:a?llms?|openai|anthropic|claude|gpt\d*|chatgpt|gemini|mistral|cohere|ollama|litellm|genai|"
    r"(?:chat|language)_?model|ai_client|model_client|chatbot|chat_client|completion_client)(?:_|$|\d)"
)
_CHAIN = re.compile(
    r"(?:^|_)(?:chains?|agents?|graphs?|workflow|runnable|model|llms?|crew|executor|pipeline)(?:_|$|\d)"
)
_ASIDE = re.compile(
    r"retriev|prompt|pars|split|vector|embed|token|templat|loader|tool|cache|config|setting|store|index"
)
_LIMIT = re.compile(
    r"rate_?limit|limiter|throttl|quota|semaphore|concurren|max_?in_?flight|inflight|back_?pressure|slots?$|bulkhead"
)
#: Packages that limit how often or how much at once.
LIMITING = frozenset({"aiolimiter", "fastapi_limiter", "limits", "pyrate_limiter", "ratelimit", "throttled"})


@lru_cache(maxsize=4096)
def words_of(name: str) -> str:
    """A name in lower case, its words parted: `LLMClient` -> `llm_client`."""
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name))
    return parted.replace("OpenAI", "openai").lower().replace("open_ai", "openai")


def is_package(name: str) -> bool:
    """Whether a dotted name is of a package that talks to models."""
    return name.partition(".")[0] in PACKAGES or name.startswith(PREFIXES)


@lru_cache(maxsize=4096)
def names_model(name: str) -> bool:
    """Whether what is called so is a client of a model, going by its name."""
    words = words_of(name)
    return _MODEL.search(words) is not None and _ASIDE.search(words) is None


@lru_cache(maxsize=4096)
def names_chain(name: str) -> bool:
    """Whether what is called so can be a chain, an agent or a model."""
    words = words_of(name)
    return (_CHAIN.search(words) is not None or _MODEL.search(words) is not None) and _ASIDE.search(words) is None


@lru_cache(maxsize=4096)
def is_aside(name: str) -> bool:
    """Whether what is called so only prepares what a model is given, or works on what it gave."""
    return _ASIDE.search(words_of(name)) is not None


@lru_cache(maxsize=4096)
def limits(text: str) -> bool:
    """Whether a name, or the source of a short expression, says that it limits a rate or what is in flight."""
    return _LIMIT.search(words_of(text)) is not None
