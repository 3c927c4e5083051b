"""What keeps web pages of others from using a server through the browser of somebody who reaches it.

A page can send requests to any address, and by its own name server let any name mean 127.0.0.1 (DNS rebinding). So the
Host header must give a name that cannot be somebody else's, and a request that changes something must not come from a
page of another origin. Programs that are no browsers send no Origin and need not care.
"""

import ipaddress
import re

from oncefold.serve.operations.access import Access, is_loopback

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]/@\s]+)(?::[0-9]{1,5})?")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({b"same-origin", b"none"})
_MOST_REMEMBERED = 64


class Hosts:
    """Judges Host headers; those that were found good are remembered as they were written."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._good: set[bytes] = set()

    def allows(self, host: bytes) -> bool:
        """Whether a request with this Host header is meant for this server."""
        if host in self._good:
            return True
        found = _HOST.fullmatch(host.decode("latin-1"))
        if found is None or not self._is_ours(found[1].lower()):
            return False
        if len(self._good) < _MOST_REMEMBERED:
            self._good.add(host)
        return True

    def _is_ours(self, name: str) -> bool:
        if is_loopback(name) or name in self._access.host_names or name.strip("[]") in self._access.host_names:
            return True
        return not self._access.loopback and (not self._access.host_names or _is_address(name))


def _is_address(name: str) -> bool:
    """An address cannot be made to mean another machine; a name can."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def comes_from_elsewhere(method: str, host: bytes, origin: bytes, site: bytes, access: Access) -> bool:
    """Whether a browser sends this for a page of another origin, to change something.

    `origin` and `site` are the headers Origin and Sec-Fetch-Site, empty where there are none.
    """
    if method in _SAFE or not (origin or site):
        return False
    if origin:
        return not is_own_origin(origin, host) and origin.decode("latin-1").lower() not in access.cors_origins
    return site not in _OWN_SITES


def is_own_origin(origin: bytes, host: bytes) -> bool:
    """Whether the page was served under the very name and port that it now asks."""
    scheme, separator, where = origin.lower().partition(b"://")
    return bool(separator) and scheme in {b"http", b"https"} and where == host.lower()
