"""Frames on the pipe."""

from hypothesis import given
from hypothesis import strategies as st

from perflab.systems.loadgen.wire import Frames, frame

KINDS = st.sampled_from([b"S", b"R", b"E"])


@given(st.lists(st.tuples(KINDS, st.binary(max_size=300))), st.integers(1, 50))
def test_frames_come_out_as_they_went_in_however_they_are_cut(sent, piece):
    """A pipe may break the stream anywhere."""
    stream = b"".join(frame(kind, payload) for kind, payload in sent)
    frames, got = Frames(), []
    for at in range(0, len(stream), piece):
        got += frames.feed(stream[at : at + piece])
    assert got == sent
