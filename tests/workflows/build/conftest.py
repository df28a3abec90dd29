"""Where files are built."""

import pytest


@pytest.fixture
def workplace(tmp_path, monkeypatch, any_int8_will_do):
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
