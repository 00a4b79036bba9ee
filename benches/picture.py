"""One picture of a run, as SVG text: added latency and throughput, both on log scales."""

import math
from typing import Any

_WIDTH, _ROW, _LEFT, _BAR = 960, 26, 90, 290
_COLOURS = {"spendra": "#0a7f5a"}
_FONT = 'font-family="system-ui, sans-serif" font-size="13"'


def picture(told: dict[str, Any]) -> str:
    gateways = [each for each in told["gateways"] if each["name"] != "direct"]
    latency = [(each["name"], each["callers"]["1"]["added_p50_us"] / 1000) for each in gateways]
    rate = [(each["name"], each["callers"]["64"]["requests_per_s"]) for each in gateways]
    height = 70 + _ROW * len(gateways)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {_FONT}>',
            f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
            *_panel(0, "Added latency, one caller, p50 in ms (less is better)", latency),
            *_panel(480, "Requests/s of one core, 64 callers (more is better)", rate),
            f'<text x="10" y="{height - 8}" fill="#666" font-size="11">{_note(told)}</text>',
            "</svg>\n",
        ]
    )


def _panel(x: int, title: str, values: list[tuple[str, float]]) -> list[str]:
    most = max(value for _, value in values)
    least = min(max(value, most / 1e5) for _, value in values) / 2
    lines = [f'<text x="{x + 10}" y="22" font-weight="600">{title}</text>']
    for row, (name, value) in enumerate(values):
        share = math.log(max(value, least) / least) / math.log(most / least)
        lines += _bar(x + _LEFT, 36 + row * _ROW, name, value, share)
    return lines


def _bar(x: int, y: int, name: str, value: float, share: float) -> list[str]:
    width, colour = max(share * _BAR, 1), _COLOURS.get(name, "#8a94a6")
    text = f"{value:,.2f}" if value < 100 else f"{value:,.0f}"  # noqa: PLR2004
    return [
        f'<text x="{x - 8}" y="{y + 15}" text-anchor="end">{name}</text>',
        f'<rect x="{x}" y="{y}" width="{width:.1f}" height="{_ROW - 6}" fill="{colour}"/>',
        f'<text x="{x + width + 6:.1f}" y="{y + 15}">{text}</text>',
    ]


def _note(told: dict[str, Any]) -> str:
    cores = told["machine"]["cores"]
    what = "Log scales. Only Spendra governs: see docs/benchmarks.md."
    return f"{told['at'][:10]}, {cores} cores. {what}"
