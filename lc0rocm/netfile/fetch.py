"""Nets by name: each of a table is fetched once, into the cache folder, and used without a network from then on.

What is there is believed by its hash alone, whoever wrote it, at every use. A fetch goes on where the one before it was cut, also where that
was another process; LC0ROCM_NETS_MIRROR names a web address whose files are taken instead of the table's."""
import json
import os
import pathlib
import re
import time
from typing import TYPE_CHECKING, Callable, NamedTuple

from lc0rocm import config, files, report
from lc0rocm._core import Error
from lc0rocm.netfile.net import NETS
from lc0rocm.report import Progress

if TYPE_CHECKING:
    import requests

MIRROR = "LC0ROCM_NETS_MIRROR"
_FOLDER = "nets"  # of the cache
_SILENCE_S = 10.0  # after which a connection counts as cut
_PAUSE_S = 0.5  # before the second try; before the third twice as long
_TRIES = 3  # in a row that bring nothing new


class Net(NamedTuple):
    """A net that has a name. size: bytes; rating: of whom it plays like, on lichess."""
    name: str
    size: int
    sha256: str
    licence: str
    rating: int
    url: str
    about: str

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def address(self) -> str:
        mirror = os.environ.get(MIRROR)
        return f"{mirror.rstrip('/')}/{self.file}" if mirror else self.url

    def here(self) -> pathlib.Path | None:
        """Its file, if that is there and no bit of it is wrong."""
        try:
            path = config.cache_folder() / _FOLDER / self.file
            return path if path.is_file() and files.sha256(path) == self.sha256 else None
        except OSError:
            return None


def nets() -> dict[str, Net]:
    """By name."""
    return {entry["name"]: Net(**entry) for entry in json.loads((NETS / "by_name.json").read_text())}


def get(net: Net, tell: Callable[[Progress], None] = lambda _: None) -> pathlib.Path:
    """Its file; fetched, if it is not there or damaged. tell: hears how far that is. Raises Error with what to do."""
    return net.here() or _fetch(net, tell)


def _fetch(net: Net, tell: Callable[[Progress], None]) -> pathlib.Path:
    try:
        import pooch
        from requests import RequestException
    except ImportError as error:
        raise Error(f"{net.name} is not here yet, and to fetch it the Python package {error.name} is missing: pip install pooch, or download "
                    f"{net.address} and give the path of the file") from None
    try:
        folder = files.own_cache(_FOLDER)
        with files.alone(folder / f".{net.name}.lock"):
            if path := net.here():  # by now, of another process
                return path
            cache = pooch.create(path=folder, base_url="", registry={net.file: net.sha256}, urls={net.file: net.address})
            part = folder / f".{net.file}.part"
            for is_begun in (_size(part) > 0, False):
                try:
                    return pathlib.Path(cache.fetch(net.file, downloader=lambda url, goal, _: _download(net, url, goal, part, tell)))
                except ValueError:
                    if not is_begun:  # else that may have been wrong which is not of this fetch
                        raise
            raise AssertionError("the second one returns or raises")
    except RequestException as error:
        raise Error(f"{net.name} cannot be fetched from {net.address}: {_reason(error)}; try again later, or let {MIRROR} name "
                    "another address") from None
    except OSError as error:
        raise Error(f"{net.name} cannot be kept: {error.strerror or error}{f': {error.filename}' if error.filename else ''}; let XDG_CACHE_HOME "
                    f"name a folder of yours, or download {net.address} and give the path of the file") from None
    except ValueError:  # of pooch: the hash; or _download's
        raise Error(f"what {net.address} gave is not {net.name}: its sha256 is another; nothing of it was kept; let {MIRROR} name another "
                    "address") from None


def _download(net: Net, url: str, goal: str, part: pathlib.Path, tell: Callable[[Progress], None]) -> None:
    """Into `part`, from where that ends; to `goal` when all is there. Raises RequestException, OSError, and ValueError for a file of another size."""
    import requests
    start, tries, most = time.monotonic(), 0, _size(part)
    while (have := _size(part)) < net.size:
        try:
            with requests.get(url, stream=True, timeout=_SILENCE_S, headers={"Accept-Encoding": "identity", "Range": f"bytes={have}-"}) as answer:
                answer.raise_for_status()
                begin, size = _place(answer, have)
                if begin > have or size not in (net.size, None):  # a page that asks for a password, as likely as not
                    raise ValueError
                with open(part, "r+b" if have else "wb") as file:
                    file.seek(begin)
                    file.truncate()
                    for block in answer.iter_content(1 << 12):  # of one that is not whole nothing comes
                        file.write(block)
                        tell(Progress(f"fetching {net.name} (KB)", min(file.tell(), net.size) // 1000, net.size // 1000, time.monotonic() - start))
                        if file.tell() > net.size:
                            break
            failure: requests.RequestException = requests.exceptions.ChunkedEncodingError()  # an answer of unknown length ended early
        except requests.RequestException as error:
            if error.response is not None and error.response.status_code < 500:
                if error.response.status_code != 416 or not have:
                    raise
                part.unlink()  # it is longer than the file of this server, or that cannot begin in the middle
            failure = error
        tries = 0 if _size(part) > most else tries + 1
        most = max(most, _size(part))
        if most < net.size:
            if tries == _TRIES:
                raise failure
            time.sleep(_PAUSE_S * tries)
    os.replace(part, goal)


def _place(answer: "requests.Response", asked: int) -> tuple[int, int | None]:
    """At which byte of the file an answer begins, and how long it says that the file is: RFC 9110, 14.4 and 15.3.7. A server, or what stands before
    it, may give other bytes than were asked for."""
    if answer.status_code == 206:
        said = re.match(r"bytes (\d+)-\d+/(\d+)?", answer.headers.get("Content-Range", ""))
        return (int(said[1]), int(said[2]) if said[2] else None) if said else (asked, None)
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() and not answer.headers.get("Content-Encoding") else None


def _size(path: pathlib.Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: Exception) -> str:
    import requests
    if isinstance(error, requests.RequestException) and error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "no answer"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was cut, again and again"
    return "no connection" if isinstance(error, requests.ConnectionError) else str(error)


def listing() -> list[dict]:
    """What `lc0rocm nets` tells of each: the table's entry, and its path, None if it is not here."""
    return [net._asdict() | {"path": path and str(path)} for net in nets().values() for path in [net.here()]]


def table(entries: list[dict]) -> str:
    rows = [[entry["name"], entry["rating"], f"{entry['size'] / 1e6:.1f} MB", entry["licence"], "yes" if entry["path"] else "no", entry["about"]]
            for entry in entries]
    return report.table(["name", "rating", "size", "licence", "here", "about"], rows)
