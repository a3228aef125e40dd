"""What a server takes from strangers, and the pictures that they send: data URLs, and addresses of hosts that are allowed."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import socket
import time
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes, urlsplit

from skymm.images import UnreadableImage, read_header


class Refusal(Exception):
    """A request that is not answered: its status, a sentence, and a short name as OpenAI's errors have it."""

    def __init__(self, status: int, message: str, code: str = "invalid_request", retry_after: float | None = None):
        super().__init__(message)
        self.status, self.code, self.retry_after = status, code, retry_after


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one request. `num_pixels` and `num_images` are of all its pictures together, `num_characters` of all its text.

    `seconds`: until the whole answer; `body_seconds`: until the whole request is here. `hosts`: names, with a port where it
    is not the usual one, whose pictures may be fetched; without any only data URLs are taken.
    """

    num_bytes: int = 32 << 20
    num_pixels: int = 32 << 20
    num_images: int = 64
    num_messages: int = 256
    num_characters: int = 100_000
    num_tokens: int = 1024
    seconds: float = 300.0
    body_seconds: float = 30.0
    fetch_seconds: float = 10.0
    hosts: frozenset[str] = frozenset()


class Pictures:
    """The pictures of one request, read one after another into `data`. Whatever is wrong with one is a Refusal."""

    def __init__(self, limits: Limits):
        self.limits, self.data, self._num_pixels = limits, [], 0
        self._known: dict[str, bytes] = {}

    def begin(self) -> None:
        """For another question of the same request; what was read for the one before is not read again."""
        self.data = []

    def add(self, url: str) -> None:
        if url not in self._known:
            self._known[url] = self._read(url, f"image {len(self.data) + 1}")
        self.data.append(self._known[url])

    def _read(self, url: str, where: str) -> bytes:
        data = _from_data_url(url, where) if url[:5].lower() == "data:" else self._fetched(url, where)
        try:
            header = read_header(data, where)
        except UnreadableImage as error:
            raise Refusal(400, str(error), "invalid_image") from None
        self._num_pixels += header.width * header.height
        if self._num_pixels > self.limits.num_pixels:
            found = f"{where} has {header.width} x {header.height} pixels, with those before it {self._num_pixels}"
            raise Refusal(400, f"{found}; a request may have {self.limits.num_pixels}", "image_too_large")
        return data

    def _fetched(self, url: str, where: str) -> bytes:
        """From an allowed host, at the address that its name had when it was looked up, which has to be a public one."""
        try:
            parts = urlsplit(url)
            scheme, host, port = parts.scheme, parts.hostname, parts.port
        except ValueError:
            raise Refusal(400, f"{where}: no address, expected a data URL", "invalid_image_url") from None
        usual = {"http": 80, "https": 443}.get(scheme)
        if usual is None or not host or "@" in parts.netloc:
            found = f"{where}: found an address of kind {scheme[:20]!r}"
            raise Refusal(400, f"{found}, expected data:image/...;base64,...", "invalid_image_url")
        name = host if port in (None, usual) else f"{host}:{port}"
        if name not in self.limits.hosts:
            problem = f"{where}: pictures are not fetched from {name[:100]!r}; send the picture itself as a data URL"
            raise Refusal(400, problem, "invalid_image_url")
        address = public_address(host, port or usual, where)
        return self._download(url, host, name, address, where)

    def _download(self, url: str, host: str, name: str, address: str, where: str) -> bytes:
        import httpx

        until, data = time.monotonic() + self.limits.fetch_seconds, bytearray()
        numeric = f"[{address}]" if ":" in address else address
        # Asked by its number, so that a name that changes meanwhile leads nowhere else.
        target = httpx.URL(url).copy_with(host=numeric)
        try:
            with (
                httpx.Client(trust_env=False, follow_redirects=False, timeout=self.limits.fetch_seconds) as client,
                client.stream(
                    "GET",
                    target,
                    headers={"Host": name, "Accept-Encoding": "identity"},
                    extensions={"sni_hostname": host},
                ) as response,
            ):
                if response.status_code != 200:
                    raise Refusal(400, f"{where}: its host answers {response.status_code}", "image_not_fetched")
                for chunk in response.iter_raw():
                    data += chunk
                    if len(data) > self.limits.num_bytes or time.monotonic() > until:
                        raise Refusal(400, f"{where}: too large, or too slow to fetch", "image_not_fetched")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Refusal(400, f"{where}: cannot be fetched ({type(error).__name__})", "image_not_fetched") from None
        return bytes(data)


def _from_data_url(url: str, where: str) -> bytes:
    kind, comma, data = url[5:].partition(",")
    if not comma or not kind.lower().endswith(";base64"):
        raise Refusal(400, f"{where}: found a data URL without base64, expected data:image/...;base64,...")
    encoded = unquote_to_bytes(data) if "%" in data else data
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):  # ValueError: characters beyond ASCII
        raise Refusal(400, f"{where}: its base64 is damaged", "invalid_base64") from None


def public_address(host: str, port: int, where: str) -> str:
    """The first address of a host. Refused where any of its addresses is not on the public internet."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Refusal(400, f"{where}: its host is not known", "image_not_fetched") from None
    addresses = [entry[4][0] for entry in found]
    for address in addresses:
        if not is_public(address):
            raise Refusal(400, f"{where}: its host is not on the public internet", "invalid_image_url")
    return addresses[0]


def is_public(address: str) -> bool:
    """Also of an IPv4 address that is written inside an IPv6 one (mapped, 6to4, NAT64, Teredo)."""
    one = ipaddress.ip_address(address.partition("%")[0])
    inside: list[ipaddress.IPv4Address] = []
    if isinstance(one, ipaddress.IPv6Address):
        if one in ipaddress.ip_network("64:ff9b::/96") or one in ipaddress.ip_network("::/96"):
            inside.append(ipaddress.IPv4Address(int(one) & 0xFFFFFFFF))
        inside += [each for each in (one.ipv4_mapped, one.sixtofour, *(one.teredo or ())) if each is not None]
    return all(each.is_global and not each.is_multicast for each in (one, *inside))
