import httpx
import pytest

from spendra._hot import inspect
from spendra_sidecar.serving.forms import summary
from spendra_sidecar.serving.refusals import Refusal


def encoded(**fields: str) -> tuple[bytes, str]:
    """As httpx, and with it the SDKs, writes a form."""
    files = {"file": ("speech.mp3", b"\x00\r\n--x" * 500, "audio/mpeg")}
    request = httpx.Request("POST", "http://x", data=fields, files=files)
    return request.read(), request.headers["content-type"]


def test_the_fields_that_decide_are_read_and_the_file_is_measured() -> None:
    inspected = inspect(summary(*encoded(model="whisper-1", stream="true")), "audio_form")
    assert (inspected.model, inspected.stream, inspected.text_only) == ("whisper-1", True, False)


@pytest.mark.parametrize("broken", [b"", b"--nothing", b'{"model": "x"}'])
def test_what_is_not_a_whole_form_is_refused(broken: bytes) -> None:
    with pytest.raises(Refusal, match="not whole"):
        summary(broken, "multipart/form-data; boundary=abc")
    with pytest.raises(Refusal, match="multipart/form-data"):
        summary(broken, "application/json")


def test_a_cut_form_is_refused() -> None:
    body, content_type = encoded(model="whisper-1")
    with pytest.raises(Refusal, match="not whole"):
        summary(body[:-60], content_type)


def test_a_field_that_comes_twice_is_refused() -> None:
    body, content_type = encoded(model="whisper-1")
    boundary = content_type.partition("boundary=")[2].encode()
    again = b"--" + boundary + b'\r\nContent-Disposition: form-data; name="model"\r\n\r\nx\r\n'
    with pytest.raises(Refusal, match="twice"):
        summary(again + body, content_type)
