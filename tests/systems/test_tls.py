"""The shop's web API over TLS, by a certificate made at its start."""

import socket
import ssl

import pytest

from perflab.systems import Closed, run_load, webapp


@pytest.fixture(scope="module", params=["1.2", "1.3"])
def app(small_shop, request):
    with webapp(small_shop, tls=request.param) as running:
        yield running


def connected(app, context):
    bare = socket.create_connection(("127.0.0.1", app.port), timeout=10)
    try:
        return context.wrap_socket(bare, server_hostname="127.0.0.1")
    except BaseException:
        bare.close()
        raise


def test_it_answers_who_trusts_its_authority(app):
    """The same pages, at an address that says so."""
    assert app.url.startswith("https://")
    assert app.get("/health")[0] == 200
    with connected(app, ssl.create_default_context(cafile=app.authority)) as one:
        assert one.version() == f"TLSv{app.settings.tls}"


def test_nobody_else_is_fooled_by_it(app):
    """A client that knows nothing of the authority refuses the certificate."""
    with pytest.raises(ssl.SSLCertVerificationError):
        connected(app, ssl.create_default_context())


def test_it_speaks_one_version_alone(app):
    """A client that speaks only the other one gets no connection."""
    context = ssl.create_default_context(cafile=app.authority)
    other = ssl.TLSVersion.TLSv1_2 if app.settings.tls == "1.3" else ssl.TLSVersion.TLSv1_3
    context.minimum_version = context.maximum_version = other
    with pytest.raises(ssl.SSLError):
        connected(app, context)


def test_its_key_is_closed_to_others_and_gone_with_it(small_shop):
    """Every start makes a certificate of its own."""
    with webapp(small_shop, tls="1.3") as app:
        folder = app._folder
        assert (folder / "key.pem").stat().st_mode & 0o077 == 0
        first = app.authority.read_bytes()
    assert not folder.exists()
    with webapp(small_shop, tls="1.3") as app:
        assert app.authority.read_bytes() != first


def test_without_tls_there_is_no_authority(small_shop):
    """Plain HTTP, as everywhere else in the book."""
    with webapp(small_shop) as app:
        assert app.authority is None
        assert app.url.startswith("http://")


def test_a_load_test_over_tls_counts_its_handshakes(app):
    """Ten requests by one user: one connection, one handshake, and its time."""
    result = run_load(app, Closed(1, requests=10), route="/health")
    assert (result.ok.sum(), result.connections_opened) == (10, 1)
    assert (result.tls_time > 0).sum() == 1


def test_a_certificate_that_nobody_vouches_for_is_an_error_of_each_request(app):
    """By its address alone the server is not trusted; the errors say why."""
    result = run_load(app.url, Closed(1, requests=5), route="/health")
    assert dict(result.errors) == {"tls": 5}
