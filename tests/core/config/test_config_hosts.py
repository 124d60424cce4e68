import pytest

from sellctl.core.config.hosts import host_of, is_loopback


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("localhost", "localhost"),
        ("Exits.Example.:443", "exits.example"),
        ("127.0.0.1:8090", "127.0.0.1"),
        ("[::1]:8090", "::1"),
        ("[2001:DB8::5]", "2001:db8::5"),
    ],
)
def test_the_host_is_read_without_its_port(text: str, host: str) -> None:
    assert host_of(text) == host


@pytest.mark.parametrize(
    "text",
    ["", ":80", "a:b", "localhost:evil.com", "localhost:99999", "[::1", "[::1]x", "[::1%x]", "a@b", "a/b"],
)
def test_anything_else_has_no_host(text: str) -> None:
    assert host_of(text) is None


@pytest.mark.parametrize("host", ["localhost", "sim.localhost", "127.8.8.8", "::1"])
def test_this_machine_is_known_by_its_names_and_addresses(host: str) -> None:
    assert is_loopback(host)
    assert not is_loopback(f"{host}.evil.com")
