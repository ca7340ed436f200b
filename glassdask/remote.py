"""Addresses of what is not on this machine: ``s3://``, ``https://`` and all that fsspec knows, for reading.

How one is reached (an endpoint, no credentials) is a matter of fsspec's configuration and of the environment:
``AWS_ENDPOINT_URL``, ``FSSPEC_S3_ANON=true``; obstore takes a protocol over with ``obstore.fsspec.register("s3")``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PosixPath
from typing import Any
from urllib.parse import quote, unquote

from glassdask.errors import MissingPackageError, StoreError, brief, install

LOCAL, WEB = "file://", ("http:", "https:")
# what Path makes of an address; there are folders whose name ends in a colon, but none that is called like these
MERGED = re.compile(r"^((?:s3|gs|gcs|az|abfs|https?|file):)/(?=[^/])")


def place(path: str | os.PathLike[str]) -> Path:
    """A path, or an `Address` where the text is one.

    >>> place("runs/KA.zarr"), place("s3://runs/KA.zarr") / "zarr.json"
    (PosixPath('runs/KA.zarr'), Address('s3://runs/KA.zarr/zarr.json'))
    >>> place(Path("s3://runs/KA.zarr"))
    Address('s3://runs/KA.zarr')
    """
    text = MERGED.sub(r"\1//", os.fspath(path))
    if text.startswith(LOCAL):
        return Path(text.removeprefix(LOCAL))
    return Address(text) if "://" in text else Path(path)


class Address(PosixPath):
    """A path somewhere else, of which is known what reading a store needs.

    Nothing is asked of hosts that do not list what is in a folder: a folder is there where it has a ``zarr.json``.
    """

    def __str__(self) -> str:
        return super().__str__().replace(":/", "://", 1)

    def __fspath__(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"

    @property
    def url(self) -> str:
        """The text by which it is asked for: of web servers, what is in names only is escaped."""
        scheme, host, *names = self.parts
        return f"{scheme}//{'/'.join([host, *map(quote, names)])}" if scheme in WEB else str(self)

    @property
    def parents(self) -> Sequence[Address]:
        """What is above it, down to the bucket or the host."""
        return [type(self)(*self.parts[:n]) for n in range(len(self.parts) - 1, 1, -1)]

    def absolute(self) -> Address:
        """The address itself."""
        return self

    def is_file(self) -> bool:
        """Whether it can be read."""
        try:
            return bool(self._asked("info")["type"] == "file")
        except (FileNotFoundError, PermissionError):  # S3 tells the two apart only who may list the bucket
            return False

    def exists(self) -> bool:
        """Whether it is a file or a node of Zarr."""
        return self.is_dir() or self.is_file()

    def is_dir(self) -> bool:
        """Whether it is a node of Zarr."""
        return (self / "zarr.json").is_file()

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Its size."""
        return os.stat_result((0, 0, 0, 0, 0, 0, int(self._asked("info")["size"] or 0), 0, 0, 0))

    def is_symlink(self) -> bool:
        """There are none."""
        return False

    def iterdir(self) -> Iterator[Address]:  # type: ignore[override]
        """What is in it, where the host tells."""
        try:
            names = self._asked("ls", detail=False)
        except (FileNotFoundError, PermissionError):
            raise StoreError(
                f"{self}: the host does not list what is there: name the descriptors that you want"
            ) from None
        read = unquote if self.parts[0] in WEB else str
        return (self / read(name.rstrip("/").rpartition("/")[2]) for name in names)

    def read_bytes(self) -> bytes:
        """The content."""
        content: bytes = self._asked("cat_file")
        return content

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        """The content as text."""
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def _asked(self, what: str, **options: Any) -> Any:
        """What the file system answers; `FileNotFoundError` and `PermissionError` are its own, all else is one line."""
        import fsspec

        try:
            system, name = fsspec.core.url_to_fs(self.url)
            return getattr(system, what)(name, **options)
        except FileNotFoundError as error:
            # fsspec says so of whatever goes wrong with a web server, such as one that is busy or not there
            cause = error.__cause__
            if cause is None or isinstance(cause, FileNotFoundError) or getattr(cause, "status", 0) in (401, 403, 404):
                raise
            raise self._unread(cause) from None
        except PermissionError:
            raise
        except ImportError as error:
            raise MissingPackageError(f"{self}: {error}: {install('remote')}") from None
        except Exception as error:  # of whatever library speaks to the host
            if getattr(error, "status", None) in (401, 403):
                raise PermissionError(str(error)) from None
            raise self._unread(error) from None

    def _unread(self, error: BaseException) -> StoreError:
        reason = brief(error) or type(error).__name__
        return StoreError(f"{self}: cannot be read ({reason}): check the address and the connection")
