from dataclasses import replace
from pathlib import Path

import pytest

from spendra.arguments import CommandError
from spendra.command.options import ExternalStores, Upstream, read


def test_nothing_asked_is_one_sidecar_with_the_simulated_provider() -> None:
    options = read([], {})
    assert options.data_dir == Path(".spendra/data")
    assert (options.sidecar_ports, options.control_plane_port) == ((4141,), 4142)
    assert (options.upstreams, options.external) == ((), None)


def test_further_sidecars_listen_ten_ports_on() -> None:
    assert read(["--sidecars", "3", "--sidecar-port", "5000"], {}).sidecar_ports == (
        5000,
        5010,
        5011,
    )


def test_an_upstream_replaces_the_origin_and_the_environment_gives_the_credential() -> None:
    upstreams = read(["--upstream", "openai=http://127.0.0.1:9100/"], {}).upstreams
    expected = Upstream(provider="openai", base_url="http://127.0.0.1:9100", credential="unset")
    assert upstreams == (expected,)
    words = ["--upstream", "openai=http://a", "--upstream", "anthropic=https://b/prefix"]
    upstreams = read(words, {"OPENAI_API_KEY": "sk-o", "ANTHROPIC_API_KEY": "sk-a"}).upstreams
    assert [(each.base_url, each.credential) for each in upstreams] == [
        ("http://a", "sk-o"),
        ("https://b/prefix", "sk-a"),
    ]


def test_a_key_alone_means_openai_itself() -> None:
    (upstream,) = read([], {"OPENAI_API_KEY": "sk-o"}).upstreams
    assert upstream == Upstream(
        provider="openai", base_url="https://api.openai.com", credential="sk-o"
    )


def test_external_stores_are_both_or_neither() -> None:
    urls = {"SPENDRA_DATABASE_URL": "postgresql://db", "SPENDRA_REDIS_URL": "redis://cache"}
    expected = ExternalStores(
        database_url="postgresql://db",
        sidecar_database_url="postgresql://db",
        redis_url="redis://cache",
    )
    assert read([], urls).external == expected
    fewer_rights = {"SPENDRA_SIDECAR_DATABASE_URL": "postgresql://sidecar@db"}
    told = read([], urls | fewer_rights).external
    assert told == replace(expected, sidecar_database_url="postgresql://sidecar@db")
    for name, url in urls.items():
        with pytest.raises(CommandError, match="both SPENDRA_DATABASE_URL and SPENDRA_REDIS_URL"):
            read([], {name: url})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--upstream", "openai"], "is not NAME=URL"),
        (["--upstream", "openai=ftp://x"], "is not NAME=URL"),
        (["--upstream", "openai=http://"], "is not NAME=URL"),
        (["--upstream", "nobody=http://x"], "is not a provider"),
        (["--sidecar-port", "0"], "is not a port"),
        (["--control-plane-port", "70000"], "is not a port"),
        (["--sidecars", "-1"], "is not a whole number"),
        (["--sidecars", "0"], "no sidecar at all"),
        (["--sidecars", "two"], "is not a whole number"),
        (["--sidecar-port", "4142"], "used twice"),
        (["--sidecars", "3", "--sidecar-port", "65530"], "out of range"),
        (["--colour"], "unrecognized arguments"),
        (["stray"], "unrecognized arguments"),
    ],
)
def test_a_bad_option_is_one_sentence_and_64(words: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said) as raised:
        read(words, {})
    assert raised.value.code == 64
    assert "\n" not in str(raised.value)
