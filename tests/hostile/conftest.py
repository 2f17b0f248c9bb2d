"""A rogue server and certificates, for all of a file's tests."""

from collections.abc import Iterator

import pytest

from hostile.rogue import Rogue
from scripted import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def rogue(authority: Authority) -> Iterator[Rogue]:
    with Rogue(authority) as opened:
        yield opened
