import pytest
from api_stage import Api, Play, a_token

from sellctl.api.access import Access, AccessError, check_exposed
from sellctl.api.throttle import BURST_SECONDS, MAX_CALLERS, Throttle
from sellctl.core.config.schema import ApiConfig
from sellctl.core.errors import SafetyRefusalError

PROXIED = ApiConfig(host="192.0.2.1", allow=("198.51.100.0/24",), proxies=("192.0.2.0/28", "2001:db8::/64"))
WITH_TLS = ApiConfig(host="::", allow=("198.51.100.0/24",), tls_cert="c.pem", tls_key="k.pem")


def comes_from(api: ApiConfig, peer: str | None, *forwarded: str) -> str:
    return str(Access.of(api).caller(peer, forwarded))


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("192.0.2.7", ("198.51.100.9",), "198.51.100.9"),
        ("192.0.2.7", ("203.0.113.1, 198.51.100.9",), "198.51.100.9"),
        ("192.0.2.7", ("198.51.100.9, 192.0.2.8",), "198.51.100.9"),
        ("192.0.2.7", ("203.0.113.1", "198.51.100.9"), "198.51.100.9"),
        ("2001:db8::5", ("198.51.100.9",), "198.51.100.9"),
        ("::ffff:192.0.2.7", ("::ffff:198.51.100.9",), "198.51.100.9"),
    ],
)
def test_a_configured_proxy_determines_the_callers_address(peer: str, forwarded: tuple[str, ...], caller: str) -> None:
    assert comes_from(PROXIED, peer, *forwarded) == caller


@pytest.mark.parametrize(
    ("peer", "forwarded"),
    [
        ("203.0.113.1", ("198.51.100.9",)),  # no proxy of ours
        ("203.0.113.1", ("127.0.0.1",)),
        ("198.51.100.9", ()),  # allowed, but only behind the proxy: there is no TLS
        ("192.0.2.7", ("198.51.100.9, 203.0.113.1",)),  # the caller wrote the first one itself
        ("192.0.2.7", ("198.51.100.9", "203.0.113.1")),
        ("192.0.2.7", ("198.51.100.9, nonsense",)),
        ("192.0.2.7", ("198.51.100.9:8080",)),
        ("192.0.2.7", ("unknown",)),
        ("192.0.2.7", ()),  # the proxy itself isn't a caller
        ("192.0.2.7", (",".join(["198.51.100.9"] * 100),)),
        (None, ("198.51.100.9",)),
        ("", ("198.51.100.9",)),
    ],
)
def test_a_forwarding_header_is_never_believed_from_anybody_else(peer: str | None, forwarded: tuple[str, ...]) -> None:
    with pytest.raises(AccessError):
        comes_from(PROXIED, peer, *forwarded)


def test_without_proxies_the_peer_is_the_caller_and_the_header_is_ignored() -> None:
    assert comes_from(ApiConfig(), "127.0.0.1", "203.0.113.1") == "127.0.0.1"
    assert comes_from(ApiConfig(), "::1") == "::1"
    for stranger in ("203.0.113.1", "10.0.0.1", "::ffff:203.0.113.1"):
        with pytest.raises(AccessError):
            comes_from(ApiConfig(), stranger, "127.0.0.1")


def test_with_tls_whoever_is_allowed_may_call() -> None:
    assert comes_from(WITH_TLS, "198.51.100.9") == "198.51.100.9"
    with pytest.raises(AccessError):
        comes_from(WITH_TLS, "203.0.113.1")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "2001:db8::1"])  # noqa: S104  what is refused
def test_an_exposed_address_needs_tls_or_a_proxy(host: str) -> None:
    with pytest.raises(SafetyRefusalError):
        check_exposed(ApiConfig(host=host))
    check_exposed(ApiConfig(host=host, tls_cert="c.pem", tls_key="k.pem"))
    check_exposed(ApiConfig(host=host, proxies=("192.0.2.7",)))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_neither(host: str) -> None:
    check_exposed(ApiConfig(host=host))


@pytest.mark.parametrize("host", ["localhost:8090", "LOCALHOST.", "127.0.0.1:8090", "[::1]:8090", "exits.example:443"])
def test_it_answers_to_its_own_names(host: str) -> None:
    assert Access.of(ApiConfig(names=("Exits.Example",))).answers_to(host)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "localhost.evil.example",
        "evil.example:8090",
        "127.0.0.1.nip.io",
        "[evil]:1",
        "localhost:evil.com",
        "localhost:8090.evil.com",
        "localhost:",
        "localhost:99999",
        "localhost:8\xb2",
        "localhost..",
        "user@localhost",
        "localhost/evil.com",
        " localhost",
        "[::1",
        "[::1]evil.com",
        "[::1]:evil.com",
        "[::1%evil.com]",
        "[127.0.0.1]",
        "[localhost]",
        "::1",
        "127.0.0.1:evil.com",
        "127.1",
    ],
)
def test_it_answers_to_no_other_name(host: str | None) -> None:
    assert not Access.of(ApiConfig(names=("exits.example",))).answers_to(host)


def test_a_rebound_name_reaches_nothing(play: Play) -> None:
    async def test(api: Api) -> None:
        for path in ("/", "/page.js", "/healthz", "/api/v1/sell/status"):
            answer = await api.call("GET", path, headers={"host": "rebound.example"})
            assert answer.status == 421, path
        assert (await api.post("/halt", headers={"host": "rebound.example"})).status == 421
        assert not api.control.halted()

    play(test)


def test_a_refused_address_reaches_nothing_with_a_valid_token(play: Play) -> None:
    async def test(api: Api) -> None:
        for path in ("/", "/healthz", "/api/v1/sell/status"):
            spoofed = {"x-forwarded-for": "127.0.0.1", "forwarded": "for=127.0.0.1", "x-real-ip": "127.0.0.1"}
            assert (await api.call("GET", path, peer="203.0.113.1", headers=spoofed)).status == 403, path
        assert (await api.post("/halt", peer="203.0.113.1")).status == 403
        assert not api.control.halted()

    play(test)


def test_no_other_page_may_read_or_ask(play: Play) -> None:
    async def test(api: Api) -> None:
        headers = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        asked = await api.call("OPTIONS", "/api/v1/sell/halt", token=None, headers=headers)
        assert asked.status == 405
        read = await api.get("/status", headers=headers)
        assert not [name for name in (*asked.headers, *read.headers) if name.startswith("access-control")]
        assert not [name for name in (*asked.headers, *read.headers) if name == "set-cookie"]

    play(test)


def test_an_address_has_a_budget_that_refills() -> None:
    now = [100.0]
    throttle = Throttle(10, lambda: now[0])
    burst = int(10 * BURST_SECONDS)
    assert [throttle.wait("a") for _ in range(burst)] == [0.0] * burst
    assert 0 < throttle.wait("a") <= 0.1
    assert throttle.wait("b") == 0
    now[0] += 0.11
    assert throttle.wait("a") == 0
    assert throttle.wait("a") > 0


def test_a_throttle_forgets_the_oldest_caller() -> None:
    throttle = Throttle(1, lambda: 0.0)
    for number in range(3 * MAX_CALLERS):
        throttle.wait(str(number))
    assert len(throttle._callers) == MAX_CALLERS  # noqa: SLF001  its memory is what is bounded


def test_a_caller_over_its_rate_gets_429_with_retry_after(play: Play) -> None:
    async def test(api: Api) -> None:
        statuses = [(await api.get("/status")).status for _ in range(8)]
        assert statuses == [200, 200, 200, 200, 429, 429, 429, 429]
        assert (await api.get("/status")).headers["retry-after"] == "1"
        assert (await api.get("/status", token=a_token("viewer", "another"))).status == 200

    play(test, api=ApiConfig(requests_a_second=2, autostart=False))


def test_a_flood_without_a_token_leaves_the_budget_of_a_valid_one_alone(play: Play) -> None:
    async def test(api: Api) -> None:
        flood = [(await api.get("/status", token=None)).status for _ in range(8)]
        assert flood == [401, 401, 401, 401, 429, 429, 429, 429]
        assert (await api.get("/status")).status == 200

    play(test, api=ApiConfig(requests_a_second=2, autostart=False))


def test_each_subject_has_a_budget_of_its_own_whatever_its_address(play: Play) -> None:
    async def test(api: Api) -> None:
        eager = a_token("viewer", "eager")
        statuses = [(await api.get("/status", token=eager, peer=f"127.0.0.{n}")).status for n in range(1, 7)]
        assert statuses == [200, 200, 200, 200, 429, 429]
        assert (await api.get("/status")).status == 200

    play(test, api=ApiConfig(requests_a_second=2, autostart=False))


def test_the_health_check_is_never_refused_for_its_rate(play: Play) -> None:
    async def test(api: Api) -> None:
        statuses = {(await api.call("GET", "/healthz", token=None)).status for _ in range(20)}
        assert statuses == {200}

    play(test, api=ApiConfig(requests_a_second=1, autostart=False))
