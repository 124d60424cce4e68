"""Which endpoint serves a path, and the responses to paths that no endpoint has."""

from sim_clients import Rest

from sellctl.sim.http.messages import SimRequest, SimResponse
from sellctl.sim.http.routing import Routes


def one(_request: SimRequest) -> SimResponse:
    return SimResponse()


def two(_request: SimRequest) -> SimResponse:
    return SimResponse()


def test_a_whole_path_takes_precedence_over_a_pattern() -> None:
    routes = Routes()
    routes.add("GET", "/v2/orders/{}", one)
    routes.add("GET", "/v2/orders/latest", two)
    assert routes.find("GET", "/v2/orders/latest") == (two, ())
    assert routes.find("GET", "/v2/orders/17") == (one, ("17",))


def test_a_pattern_matches_one_segment_and_one_method() -> None:
    routes = Routes()
    routes.add("POST", "/v2/positions/{}/exercise", one)
    assert routes.find("POST", "/v2/positions/F/exercise") == (one, ("F",))
    assert routes.find("GET", "/v2/positions/F/exercise") is None
    assert routes.find("POST", "/v2/positions/F/G/exercise") is None
    assert routes.find("POST", "/v2/positions//exercise") is None


def test_an_unknown_path_and_an_unknown_method_are_404_with_alpacas_body(client: Rest) -> None:
    for method, path in (("GET", "/v2/nothing"), ("PUT", "/v2/orders"), ("GET", "/v2/orders/")):
        response = client.ask(method, path)
        assert (response.status_code, response.content) == (404, b'{"message":"endpoint not found."}')
        assert response.headers["content-type"] == "application/json"
        assert response.headers["content-length"] == "33"
