"""The hot path, in Rust. Times are Unix milliseconds, money is nano-USD, texts are UTF-8."""

from asyncio import AbstractEventLoop, Future
from collections.abc import Sequence
from typing import Final, Self, final

class HotError(ValueError):
    """Input that cannot be used; the message says what is wrong and where."""

# --- keys ---------------------------------------------------------------------------------

def mint_key(environment: str, key_id: str | None = None) -> tuple[str, str]:
    """A fresh key `spd_<environment>_<id>_<secret><checksum>` and its id.

    `key_id` keeps the id of a key whose secret is rotated. HotError unless the environment is
    1 to 16 of a-z and 0-9, and the id one that was minted.
    """

def shard_of_key(key_id: str) -> int:
    """Which of the 256 shards of keys it is in, 0 to 255."""

def hash_key(key: str, pepper: bytes) -> str:
    """HMAC-SHA256 of the whole key text, hex. HotError for a malformed key (bad checksum)."""

@final
class Principal:
    """Who asks: a valid key."""

    key_id: Final[str]
    name: Final[str]
    environment: Final[str]
    projects: Final[list[str]]
    """Those of which each request of the key has to name one; empty where it has no choice."""
    def in_project(self, name: str) -> Self | None:
        """The same, bound to one of its `projects`; None for another."""
    def scope(self) -> dict[str, list[str]]: ...

@final
class KeyShard:
    @staticmethod
    def load(segment: bytes) -> KeyShard:
        """From a `keys/..` segment of the snapshot (`spendra.snapshot.KeysSegment`). HotError if
        it is not one, is empty, or holds a key of another shard."""

@final
class KeyRing:
    def __new__(cls, shards: list[KeyShard], pepper: bytes) -> KeyRing:
        """HotError for a shard that comes twice."""
    def authenticate(self, presented: str, now_ms: int) -> Principal | str:
        """The principal, or why not: `key_malformed`, `key_unknown`, `key_revoked`,
        `key_paused`, `key_expired`."""
    def __len__(self) -> int: ...

# --- inspect ------------------------------------------------------------------------------

@final
class Inspected:
    """What one pass over a request body found. The body itself is not kept."""

    model: Final[str | None]
    stream: Final[bool]
    include_usage: Final[bool]
    output_limit: Final[int | None]
    choices: Final[int]
    tools: Final[list[str]]
    text_only: Final[bool]
    bounded_by_bytes: Final[bool]
    """All input is in the body's texts: no media, stored state or hosted tools."""
    """False when images, audio, files or URLs are in it: bytes do not bound its tokens then."""
    stored_state: Final[bool]
    labels: Final[dict[str, str]]
    service_tier: Final[str | None]
    hosted_tools: Final[bool]
    """A tool runs at the provider and brings input that is not in the body."""
    web_searches: Final[int]
    """That the provider may charge for, at most."""
    billable_characters: Final[int]
    """Of a text that is to be spoken."""
    body_bytes: Final[int]
    text_bytes: Final[int]
    messages: Final[int]

def inspect(body: bytes, dialect: str) -> Inspected:
    """One pass over a JSON body. HotError for what is not one JSON object within bounds
    (depth 128), with duplicate governed keys, or with a governed field of the wrong type."""

def rewrite(
    body: bytes,
    dialect: str,
    *,
    include_usage: bool,
    output_cap: int | None,
    model: str | None,
    limit_tools: bool = False,
) -> bytes:
    """The same body with the asked fields set by splicing; all other bytes stay as they came.

    `limit_tools` writes how often the provider's own tools may run, where the body does not say.
    """

# --- tokens -------------------------------------------------------------------------------

def count_tokens(text: str, model: str) -> int:
    """Exact for OpenAI encodings (o200k_base, cl100k_base); o200k_base for other models."""

def count_chat_tokens(body: bytes, model: str) -> int:
    """Input tokens of a chat completions body, counted: texts exactly, framing by OpenAI's rule."""

def estimate_tokens(text_bytes: int, provider: str, *, has_tools: bool) -> int:
    """The fast estimate of input tokens for so many bytes of text at this provider."""

# --- usage --------------------------------------------------------------------------------

@final
class Usage:
    """`input_tokens` includes cache reads and writes; `output_tokens` includes reasoning."""

    def __new__(
        cls,
        *,
        input_tokens: int = 0,
        cached_input_tokens: int = 0,
        cache_write_tokens: int = 0,
        cache_write_1h_tokens: int = 0,
        output_tokens: int = 0,
        reasoning_tokens: int = 0,
        input_audio_tokens: int = 0,
        output_audio_tokens: int = 0,
        added_input_audio_tokens: int = 0,
        cached_audio_tokens: int = 0,
        input_image_tokens: int = 0,
        cached_image_tokens: int = 0,
        output_image_tokens: int = 0,
        input_video_tokens: int = 0,
        tool_use_input_tokens: int = 0,
        hidden_output_tokens: int = 0,
        citation_tokens: int = 0,
        web_searches: int = 0,
        file_searches: int = 0,
        search_units: int = 0,
        billable_characters: int = 0,
        audio_ms: int = 0,
        pages: int = 0,
        annotated_pages: int = 0,
    ) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def with_output(self, output_tokens: int) -> Usage:
        """The same but for the output, whose parts are left as they are."""
    def with_web_searches(self, web_searches: int) -> Usage:
        """The same but for the searches."""
    input_tokens: Final[int]
    cached_input_tokens: Final[int]
    cache_write_tokens: Final[int]
    """All cache writes; `cache_write_1h_tokens` is the part kept for an hour."""
    cache_write_1h_tokens: Final[int]
    output_tokens: Final[int]
    reasoning_tokens: Final[int]
    input_audio_tokens: Final[int]
    output_audio_tokens: Final[int]
    added_input_audio_tokens: Final[int]
    """The part of `input_audio_tokens` that is not in `input_tokens` (Mistral)."""
    cached_audio_tokens: Final[int]
    input_image_tokens: Final[int]
    cached_image_tokens: Final[int]
    output_image_tokens: Final[int]
    input_video_tokens: Final[int]
    tool_use_input_tokens: Final[int]
    """Results of the provider's own tools, billed as input besides `input_tokens` (Gemini)."""
    hidden_output_tokens: Final[int]
    """Thinking that shows only in the total, billed besides `output_tokens` (Gemini)."""
    citation_tokens: Final[int]
    """Billed besides `output_tokens` (Perplexity)."""
    web_searches: Final[int]
    file_searches: Final[int]
    search_units: Final[int]
    billable_characters: Final[int]
    audio_ms: Final[int]
    pages: Final[int]
    annotated_pages: Final[int]
    passes: Final[list[tuple[str, str | None, Usage]]]
    """Model passes billed besides: kind (`compaction`, `advisor_message`), own model, counts."""

@final
class Metered:
    """What a meter learnt from an answer, whole or cut."""

    usage: Final[Usage | None]
    model: Final[str | None]
    service_tier: Final[str | None]
    stated_cost_nanousd: Final[int | None]
    finished: Final[bool]
    """The protocol's end was seen: a whole JSON body, or the stream's last event."""
    failed: Final[bool]
    """The body carried the protocol's error object."""
    def delivered_tokens(self, model: str) -> int:
        """Output tokens of the text that was delivered, counted (texts and tool arguments)."""

@final
class Meter:
    """Sans-I/O. Bytes in any split give the same answer; what it cannot read it ignores."""

    def __new__(cls, dialect: str, *, streaming: bool) -> Self: ...
    def feed(self, chunk: bytes) -> None: ...
    def finish(self) -> Metered: ...

# --- price --------------------------------------------------------------------------------

@final
class Cost:
    nanousd: Final[int]
    price_version: Final[str]
    """Catalog version, layer and model entry that priced it."""
    layer: Final[str]
    """`customer_price`, `customer_multiplier` or `catalog`."""
    unpriced: Final[list[str]]
    """Calls and pages that were used and have no price here, such as `web_searches_kcount`."""

@final
class PriceBook:
    @staticmethod
    def load(segment: bytes) -> PriceBook: ...
    @staticmethod
    def units() -> list[str]:
        """Names of the kinds of price: `input_mtok` (USD a million tokens), `audio_hours`, ..."""
    version: Final[str]
    def cost(
        self, provider: str, model: str, usage: Usage, *, service_tier: str | None, at_ms: int
    ) -> Cost | None:
        """Exact cost, rounded up once. None: no price then for the model, at that tier."""
    def __len__(self) -> int: ...

# --- policy -------------------------------------------------------------------------------

@final
class Reason:
    policy_id: Final[str]
    rule: Final[str]
    verdict: Final[str]
    detail: Final[str]

@final
class Decision:
    """The most restrictive rule wins; every rule that spoke is in `reasons`."""

    allowed: Final[bool]
    reason: Final[str]
    """`` when allowed, else the refusing code: `model_not_allowed`, `provider_not_allowed`,
    `model_missing`, `unpriced_model`, `input_too_large`, `request_too_expensive`, ..."""
    message: Final[str]
    reasons: Final[list[Reason]]
    warning: Final[str]
    """What is changed in the request, in words; empty when nothing is."""
    budgets: Final[list[int]]
    """Positions, in the policy segment, of every budget whose selector matches."""
    limits: Final[list[tuple[str, str, int]]]
    """(rule, policy id, most) of every `requests_per_minute`, `tokens_per_minute` and
    `max_concurrency` that applies."""
    output_cap: Final[int | None]
    """Output tokens per choice that were reserved: to be written into the request."""
    write_cap: Final[bool]
    watched: Final[bool]
    """No cap is written: the hold is to grow with the stream, or the stream to end."""
    input_bound_tokens: Final[int]
    most_tokens: Final[int]
    """Input and output of all choices together, at most."""
    estimated_input_tokens: Final[int]
    estimated_nanousd: Final[int]
    reserved_nanousd: Final[int]
    reserved_input_nanousd: Final[int]
    """The part of `reserved_nanousd` that the input alone makes."""
    price_version: Final[str]
    facts: Final[str]
    """JSON object, dimension to values: what selectors were matched against."""

def vendor_of(provider: str, model: str) -> str:
    """Who made a model, whoever serves it; the provider where that is not known."""

@final
class PolicyTree:
    @staticmethod
    def load(segment: bytes) -> PolicyTree: ...
    def decide(
        self,
        principal: Principal,
        inspected: Inspected,
        prices: PriceBook,
        *,
        provider: str,
        facts: dict[str, str],
        now_ms: int,
        body_tokens: int | None = None,
        model: str | None = None,
        service_tier: str | None = None,
        closed: Sequence[str] | None = None,
        granted_nanousd: int | None = None,
        affordable_output: int | None = None,
    ) -> Decision:
        """`facts` are what the request's headers add: dimension to value (`project`, `run`,
        `label:feature`, ...). One that contradicts the key's scope refuses: `scope_conflict`.
        `body_tokens`: tokens of the whole body in the model's vocabulary, a tighter bound than
        its bytes where they were counted. `service_tier`: the only one it may be billed at, where
        that is sure; the dearest counts where the model has no price at it. `affordable_output`:
        output tokens that a budget has room for, where it had none for what was decided before."""

# --- relay --------------------------------------------------------------------------------

class UpstreamError(Exception):
    """The upstream failed. `kind`: `connect`, `first_byte_timeout`, `idle_timeout`, `cut`,
    `protocol`. `may_have_left`: False only when no byte of the request can have been sent."""

    kind: str
    may_have_left: bool

@final
class Exchange:
    """One request on its way. Everything awaits through the futures the caller passes in."""

    status: Final[int]
    """Valid once the head's future is done."""
    headers: Final[list[tuple[str, str]]]
    body: Final[bytes | None]
    """The whole body, when it was not a stream and within `buffer_limit`."""
    def next(self, future: Future[bytes | None]) -> bytes | bool | None:
        """The next bytes: at once (bytes, or None at the end), or False and the future tells."""
    def metered(self) -> Metered:
        """What the answer says, if nothing more of it comes. Asked once, when it ended."""
    def delivered_bytes(self) -> int:
        """Bytes of the text that was delivered so far, escapes as they are written."""
    def cancel(self) -> None:
        """Close the upstream connection; idempotent."""

@final
class Upload:
    """A request body on its way, in pieces. Dropped unfinished, it cuts the request."""

    def push(self, future: Future[bool], piece: bytes) -> bool | None:
        """Whether the provider still takes more. None while there is no room: `future` then says.

        One piece after the other."""
    def finish(self) -> None:
        """The body is whole."""
    def cut(self) -> None:
        """It will never be; nothing happens once it is."""

@final
class Relay:
    """A pool of upstream connections on a thread of its own (HTTP/1.1, HTTP/2, rustls)."""

    def __new__(
        cls,
        *,
        connect_timeout_ms: int = 5000,
        first_byte_timeout_ms: int = 600000,
        idle_timeout_ms: int = 300000,
        max_idle_per_host: int = 256,
    ) -> Self: ...
    def attach(self, loop: AbstractEventLoop) -> None:
        """Deliver completions on this loop (an eventfd it watches)."""
    def send(
        self,
        head: Future[Exchange],
        *,
        method: str,
        url: str,
        headers: list[tuple[str, str]],
        body: bytes | Upload,
        dialect: str,
        hide_usage: bool,
        buffer_limit: int,
        streamed: bool = False,
    ) -> Exchange:
        """Start. `streamed`: the answer is a stream whatever its content type says.

        `head` becomes the exchange once status and headers (and a buffered body) are
        there, or UpstreamError. `hide_usage` takes the usage that we asked for out again."""
    def upload(self, length: int | None = None) -> Upload:
        """A body that is sent in pieces: of `length` bytes, or chunked."""
    def close(self) -> None: ...
