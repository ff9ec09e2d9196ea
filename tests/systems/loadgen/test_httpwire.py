"""HTTP without a socket: answers in whatever pieces they come, requests as bytes."""

import io
import itertools
from http.client import HTTPResponse

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perflab.systems import Closed, Route
from perflab.systems.loadgen.httpwire import (
    CHUNKED,
    MOST_HEAD,
    UNTIL_CLOSE,
    Answer,
    Head,
    MalformedError,
    TooLargeError,
    read_head,
    request_bytes,
)
from perflab.systems.loadgen.scenario import Scenario

MOST = 1 << 20


class Wire(io.BytesIO):
    """What http.client takes for a socket."""

    def makefile(self, mode):
        return self


def read(pieces, most=MOST):
    """What an answer comes to: its end if it has one, or the error, with what is known then."""
    answer = Answer(most)
    try:
        ended = [answer.feed(piece) for piece in pieces if piece]
    except (MalformedError, TooLargeError) as error:
        return type(error), answer.status
    return answer.status, answer.size, answer.keep, any(ended), answer.ends_by_close()


def cut(data, places):
    """The same bytes in pieces."""
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[left:right] for left, right in itertools.pairwise(bounds)]


def chunked(parts, extension=b"", trailer=b""):
    body = b"".join(b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in parts if part)
    return (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + body
        + (b"0\r\n" + trailer + b"\r\n")
    )


bodies = st.lists(st.binary(max_size=40), max_size=4)
answers = st.one_of(
    st.builds(
        chunked, bodies, st.sampled_from([b"", b";a=b"]), st.sampled_from([b"", b"X: y\r\n"])
    ),
    st.builds(
        lambda status, body, version: b"HTTP/1.%d %d Fine\r\nX: y\r\nContent-Length: %d\r\n\r\n%s"
        % (version, status, len(body), body),
        st.sampled_from([200, 404, 503]), st.binary(max_size=200), st.sampled_from([0, 1]),
    ),
    st.builds(lambda body: b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n" + body, st.binary(max_size=99)),
)  # fmt: skip
places = st.lists(st.integers(0, 10**6), max_size=12)


@given(answers, places)
def test_an_answer_is_what_the_standard_library_takes_it_for(data, places):
    """Status, bytes of body, and whether the connection is kept."""
    reference = HTTPResponse(Wire(data))
    reference.begin()
    size = len(reference.read())
    status, own, keep, ended, by_close = read(cut(data, places))
    assert (status, own) == (reference.status, size)
    assert keep is not reference.will_close
    assert ended is not by_close


@given(st.one_of(st.binary(max_size=60), answers), st.binary(max_size=9), places, places)
@example(b"HTTP/1.1 200 OK\r\n", b"\r\n", [], [17])
def test_pieces_change_nothing(data, more, few, many):
    """Anything at all, cut anywhere, comes to the same: an end, an error, or neither."""
    spoilt = data[: (few or [len(data)])[0] % (len(data) + 1)] + more
    if read([spoilt])[0] in (MalformedError, TooLargeError):
        assert read(cut(spoilt, many))[0] == read([spoilt])[0]
    else:
        assert read(cut(spoilt, many))[:2] == read([spoilt])[:2]


@given(st.binary(max_size=80))
def test_whatever_comes_is_read_or_refused(data):
    """No other exception, behind headers that are good too."""
    read([data])
    read([b"HTTP/1.1 200 OK\r\n" + data + b"\r\n\r\n"])
    read([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data])


@pytest.mark.parametrize(
    ("lines", "head"),
    [
        (b"HTTP/1.1 200 OK", Head(200, UNTIL_CLOSE, True)),
        (b"HTTP/1.1 204 No", Head(204, 0, True)),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3", Head(200, 3, False)),
        (b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH :3\r\nConnection: x, Close", Head(200, 3, False)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3", Head(200, 3, True)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: Chunked",
         Head(200, CHUNKED, True)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity", Head(200, UNTIL_CLOSE, True)),
        (b"HTTP/1.1 200 OK\r\nX-Content-Length: 3", Head(200, UNTIL_CLOSE, True)),
        (b"HTTP/1.1 200 OK\r\nX: y\r\n  folded\r\nContent-Length: 3", Head(200, 3, True)),
    ],
)  # fmt: skip
def test_headers_tell_where_the_body_ends(lines, head):
    """RFC 9112, section 6.3."""
    assert read_head(lines + b"\r\n\r\n") == head


@pytest.mark.parametrize(
    "lines",
    [
        b"HTTP/2 200 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1200 OK", b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3, 3", b"HTTP/1.1 200 OK\r\nContent-Length: +3",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked", b"HTTP/1.1 200 OK\r\nno colon",
        b"HTTP/1.1 200 OK\r\nContent-Length:",
    ],
)  # fmt: skip
def test_headers_that_contradict_themselves_are_malformed(lines):
    """Where the body ends is not guessed."""
    with pytest.raises(MalformedError):
        read_head(lines + b"\r\n\r\n")


@pytest.mark.parametrize("size", [b"", b"-1", b"0x5", b"+5", b"5 5", b"g", b"1" * 17, b"_1"])
def test_the_size_of_a_chunk_is_a_number(size):
    """Hexadecimal digits and nothing else before the semicolon."""
    start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert read([start + size + b"\r\nhello\r\n"])[0] is MalformedError


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 1000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 1000),
        (b"HTTP/1.1 ", b"2" * 1000),
        (b"", b"HTTP/1.1 103 Wait\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0" * 1000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"x" * 1000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 100),
    ],
)
def test_what_has_no_end_is_given_up(start, more):
    """Whatever is kept to be understood later is bounded."""
    answer = Answer(MOST)
    with pytest.raises(MalformedError):
        any(answer.feed(piece) for piece in [start] + [more] * (2 * MOST_HEAD // len(more) + 1))


def test_a_body_is_too_large_when_it_says_so_or_when_it_is():
    """The cap itself is allowed."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    assert read([head % 10 + b"x" * 10], most=10)[:2] == (200, 10)
    assert read([head % 11], most=10) == (TooLargeError, 200)
    assert read([chunked([b"x" * 10])], most=10)[:2] == (200, 10)
    assert read([chunked([b"x" * 6, b"x" * 5])], most=10) == (TooLargeError, 200)
    assert read([b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 11], most=10) == (TooLargeError, 200)


def test_a_request_in_bytes():
    """Own headers take the place of the usual ones; the default port is not named."""
    told = Scenario(Closed(1), route=Route("/a", "POST", "x", {"host": "b", "X": ""})).settings("")
    assert request_bytes("http://127.0.0.1:80/base", told["routes"][0]) == (
        b"POST /base/a HTTP/1.1\r\nUser-Agent: perflab\r\nAccept: */*\r\nhost: b\r\nX:\r\n"
        b"Content-Length: 1\r\n\r\nx"
    )
