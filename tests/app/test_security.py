import base64
import hashlib
import re
from http.cookies import SimpleCookie

import pytest
from dash import Input, Output, html

from landscope_app.security import is_loopback
from landscope_app.server import create_server

TOKEN = "s3cret-token"
PAGE, API, COMMAND = "/", "/api/v1/runs", "/api/v1/runs/latest/commands"


def blank(app):
    app.layout = html.Div()


@pytest.fixture
def local(tmp_path):
    return create_server(tmp_path, page=blank).server.test_client()


@pytest.fixture
def guarded(tmp_path):
    return create_server(tmp_path, host="0.0.0.0", token=TOKEN, page=blank).server.test_client()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.2", False),
        ("example.org", False),
        ("localhost.evil.org", False),
    ],
)
def test_loopback(host, expected):
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8050", "localhost:8050", "localhost", "[::1]:8050", "LOCALHOST:1", "x.localhost"]
)
def test_names_of_this_machine_are_answered(local, host):
    for path in (PAGE, API, "/health"):
        assert local.get(path, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8050",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "192.168.0.2",
        "",
        "[::1",
        "a b",
    ],
)
def test_other_names_are_refused(local, host):
    for path in (PAGE, API, "/health", "/_dash-layout"):
        assert local.get(path, headers={"Host": host}).status_code in (400, 403)


def test_on_a_public_address_numbers_are_answered_and_names_are_not(guarded):
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.get(API, headers={"Host": "192.168.0.2:8050", **bearer}).status_code == 200
    assert guarded.get(API, headers={"Host": "evil.example", **bearer}).status_code == 403


def test_a_bound_name_is_answered(tmp_path):
    client = create_server(tmp_path, host="lab.example", token=TOKEN, page=blank).server.test_client()
    headers = {"Host": "lab.example:80", "Authorization": f"Bearer {TOKEN}"}
    assert client.get(API, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize("path", [COMMAND, "/_dash-update-component"])
def test_other_pages_cannot_change_anything(local, headers, path):
    assert local.post(path, json={"kind": "stop"}, headers=headers).status_code == 403


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://localhost"}, {"Sec-Fetch-Site": "same-origin"}])
def test_our_own_pages_may(local, headers):
    assert local.post(COMMAND, json={"kind": "stop"}, headers=headers).status_code == 404  # there is no run


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
@pytest.mark.parametrize("path", [COMMAND, "/_dash-update-component"])
def test_only_json_changes_anything(local, content_type, path):
    """What a form on another site can send without asking is none of these."""
    response = local.post(path, data='{"kind": "stop"}', headers={"Content-Type": content_type})
    assert response.status_code == 415


def test_long_bodies_are_refused(local):
    assert local.post(COMMAND, data=b"x" * (2**20 + 1), content_type="application/json").status_code == 413
    assert local.post(COMMAND, data=b"x" * (2**20 - 1), content_type="application/json").status_code == 400


def test_every_answer_restricts_the_browser(local):
    for path in (PAGE, API, "/health", "/nope", "/api/v1/nope", "/_dash-layout"):
        headers = local.get(path).headers
        assert "default-src 'self'" in headers["Content-Security-Policy"], path
        assert headers["X-Frame-Options"] == "SAMEORIGIN"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
    assert "Content-Security-Policy" in local.get(PAGE, headers={"Host": "evil.example"}).headers


def test_the_policy_allows_exactly_the_inline_scripts_of_the_page(tmp_path):
    def page(app):
        app.layout = html.Div([html.Button(id="a"), html.Div(id="b")])
        app.clientside_callback("function (n) { return n; }", Output("b", "children"), Input("a", "n_clicks"))

    client = create_server(tmp_path, page=page).server.test_client()
    response = client.get(PAGE)
    live = re.sub(r"<!--.*?-->", "", response.text, flags=re.DOTALL)
    scripts = re.findall(r"<script(?![^>]*src=)(?![^>]*application/json)[^>]*>(.*?)</script>", live, re.DOTALL)
    policy = response.headers["Content-Security-Policy"]
    (directive,) = [part.strip() for part in policy.split(";") if part.strip().startswith("script-src")]
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts}
    assert len(scripts) >= 2
    assert set(directive.split()) == {"script-src", "'self'"} | hashes
    assert "unsafe-eval" not in policy
    assert "http:" not in policy
    assert "*" not in policy


def test_a_public_address_needs_a_token(tmp_path):
    for token in (None, ""):
        with pytest.raises(ValueError, match=r"a server on 0\.0\.0\.0 can be reached from other machines"):
            create_server(tmp_path, host="0.0.0.0", token=token, page=blank)


@pytest.mark.parametrize("path", [PAGE, API, "/_dash-layout", "/assets/x.js", "/nope", "/_dash-dependencies"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": "Bearer \xff"},
        {"Cookie": f"landscope={TOKEN}"},
    ],
)
def test_without_the_token_nothing_is_shown(guarded, path, headers):
    response = guarded.get(path, headers=headers)
    assert response.status_code == 401
    assert TOKEN not in response.text


def test_health_needs_no_token(guarded):
    assert guarded.get("/health").status_code == 200


def test_programs_present_the_token_in_a_header(guarded):
    assert guarded.get(API, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert guarded.get(API, headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200
    assert "Set-Cookie" not in guarded.get(API, headers={"Authorization": f"Bearer {TOKEN}"}).headers


def test_browsers_bring_the_token_once(guarded):
    first = guarded.get(f"/?run=latest&token={TOKEN}&step=3")
    assert first.status_code == 302
    assert first.headers["Location"] == "/?run=latest&step=3"
    assert first.headers["Cache-Control"] == "no-store"
    (cookie,) = SimpleCookie(first.headers["Set-Cookie"]).values()
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert guarded.get("/?run=latest&step=3").status_code == 200  # the client kept the cookie
    assert guarded.get(API).status_code == 200


def test_a_wrong_token_in_the_address_gives_no_cookie(guarded):
    response = guarded.get("/?token=wrong")
    assert response.status_code == 401
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example/", "///evil.example"])
def test_the_redirect_stays_here(guarded, path):
    response = guarded.get(f"http://localhost{path}?token={TOKEN}")
    assert response.status_code == 302
    assert re.match(r"/(?![/\\])", response.headers["Location"])


def test_the_token_in_the_address_does_not_authorise_changes(guarded):
    """Addresses end up in logs and histories; and a redirected POST would lose its body."""
    assert guarded.post(f"{COMMAND}?token={TOKEN}", json={"kind": "stop"}).status_code == 401


def test_servers_side_by_side_have_cookies_of_their_own(tmp_path):
    names = set()
    for token in ("one", "two"):
        client = create_server(tmp_path, token=token, page=blank).server.test_client()
        names |= set(SimpleCookie(client.get(f"/?token={token}").headers["Set-Cookie"]))
    assert len(names) == 2


def test_a_token_on_loopback_is_asked_for_when_given(tmp_path):
    client = create_server(tmp_path, token=TOKEN, page=blank).server.test_client()
    assert client.get(API).status_code == 401
