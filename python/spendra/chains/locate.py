"""Which row of a seal is not what it was."""

from collections.abc import Sequence

from spendra.chains.merkle import leaf_hash

_HEX = 16


def first_difference(marks: str, keys: Sequence[str], lines: Sequence[bytes]) -> str | None:
    """A phrase that names the first row that was changed, removed, added or moved.

    None when every row fits its mark. `keys` and `lines` run in step.
    """
    wanted = [marks[at : at + _HEX] for at in range(0, len(marks), _HEX)]
    found = [leaf_hash(line).hex()[:_HEX] for line in lines]
    for at, (want, have) in enumerate(zip(wanted, found, strict=False)):
        if want != have:
            return _phrase(wanted[at:], found[at:], keys[at])
    if len(found) < len(wanted):
        return f"a row is missing after {keys[-1]}" if keys else "all its rows are missing"
    return f"row {keys[len(wanted)]} was added" if len(found) > len(wanted) else None


def _phrase(wanted: Sequence[str], found: Sequence[str], key: str) -> str:
    here_is_elsewhere, wanted_is_here = found[0] in wanted, wanted[0] in found
    if here_is_elsewhere and wanted_is_here:
        return f"row {key} was moved"
    if here_is_elsewhere:
        return f"a row is missing before {key}"
    return f"row {key} was {'added' if wanted_is_here else 'changed'}"
