"""Provider routes as requests use them: the record, its row, and which models it serves."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from spendra._hot import Principal
from spendra.providers import COMPATIBLE, Match, Operation, Provider, own_operation, row
from spendra.scopes import globs, selects
from spendra.snapshot import RouteRecord

Matcher = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Route:
    """`provider` is what policies, prices and the ledger call it."""

    name: str
    provider: str
    row: Provider
    record: RouteRecord
    origin: str
    serves: Matcher
    own: Matcher
    """Whether a model is named in its patterns, or is the provider's own, rather than any."""
    ceilings: tuple[tuple[Matcher, int], ...]

    def ceiling(self, path: str) -> int | None:
        """Nano-USD at which a path that is not metered may pass."""
        return next((most for matches, most in self.ceilings if matches(path)), None)

    def asked_as(self, model: str) -> str:
        """The catalog's name of what callers call `model` here."""
        known = self.record.model_names.get(model)
        if known is not None:
            return known
        for prefix in self.row.model_prefixes:
            if model.startswith(prefix):
                return model[len(prefix) :]
        return model

    def path(self, operation: Operation, values: dict[str, str]) -> str | None:
        """The provider's own path; None where a place of it is not known."""
        if "{" not in operation.path:
            return operation.path
        try:
            return operation.path.format_map(self.record.parameters | values)
        except KeyError:
            return None


def compiled(record: RouteRecord) -> Route:
    kind = row(record.kind)
    everything = "*" in record.models
    own = [*kind.models, *record.model_names] if everything else record.models
    return Route(
        name=record.provider,
        provider=record.provider if kind.name == COMPATIBLE else kind.name,
        row=kind,
        record=record,
        origin=_origin(record.base_url, kind),
        serves=_any_of(record.models),
        own=_any_of(own),
        ceilings=tuple((_any_of([path]), most) for path, most in record.ceilings_nanousd.items()),
    )


class Routes:
    """All routes of an organization, in the order in which they were made."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._all = list(routes)
        self._by_name = {route.name: route for route in self._all}
        self._is_scoped = any(route.record.scope for route in self._all)
        self._parts: dict[tuple[str, ...], Routes] = {}

    def open_to(self, principal: Principal) -> "Routes":
        """Those that a caller may use; the ones that are for somebody come before everybody's."""
        if not self._is_scoped:
            return self
        facts = {
            **principal.scope(),
            "key": [principal.key_id],
            "environment": [principal.environment],
        }
        found = [route for route in self._all if selects(route.record.scope, facts)]
        found.sort(key=lambda route: not route.record.scope)
        names = tuple(route.name for route in found)
        part = self._parts.get(names)
        if part is None:
            part = self._parts[names] = Routes(found)
        return part

    def named(self, name: str) -> Route | None:
        return self._by_name.get(name)

    def kind_of(self, name: str) -> str:
        route = self._by_name.get(name)
        return name if route is None else route.record.kind

    def serving(self, match: Match, model: str) -> tuple[Route, Operation] | None:
        """The first that can do this with this model: one that names it before one for any."""
        possible = [
            (route, operation)
            for route in self.candidates(match.route)
            if (operation := self.operation_at(route, match)) is not None
        ]
        if not model:
            return possible[0] if possible else None
        serving = [each for each in possible if each[0].serves(model)]
        named = next((each for each in serving if each[0].own(model)), None)
        return named or (serving[0] if serving else None)

    def candidates(self, name: str | None) -> list[Route]:
        """The route of that name, or those of that provider; all where no name was given."""
        if name is None:
            return self._all
        route = self._by_name.get(name)
        if route is not None:
            return [route]
        kind = row(name).name
        return [] if kind == COMPATIBLE else [r for r in self._all if r.row.name == kind]

    def operation_at(self, route: Route, match: Match) -> Operation | None:
        if match.route is not None and match.operation in route.row.operations:
            return match.operation
        return own_operation(route.row.name, match.operation)


def filled(values: dict[str, str], model: str | None = None) -> dict[str, str]:
    """Values for places of a path, as they must be written there."""
    if model is None or "model" not in values:
        return values
    return values | {"model": quote(model, safe="@.-_~")}


def _origin(base_url: str, kind: Provider) -> str:
    """Without what the provider's own paths begin with: people write either."""
    url = base_url.rstrip("/")
    path = urlsplit(url).path
    starts = sorted(_starts(kind.bases), key=len, reverse=True)
    common = next((start for start in starts if start and path.endswith(start)), "")
    return url[: len(url) - len(common)]


def _starts(bases: Iterable[str]) -> set[str]:
    found = set()
    for base in bases:
        parts = base.split("/")
        found |= {"/".join(parts[:end]) for end in range(2, len(parts) + 1)}
    return found


def _any_of(patterns: Iterable[str]) -> Matcher:
    found = list(patterns)
    if not found:
        return lambda _: None
    if "*" in found:
        return lambda _: True
    return globs(found).fullmatch
