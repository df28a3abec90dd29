from vggexport.system.user_cache import user_cache


def test_the_cache_is_the_users_or_the_one_that_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("VGGEXPORT_CACHE_DIR", str(tmp_path))
    assert user_cache() == tmp_path
    monkeypatch.delenv("VGGEXPORT_CACHE_DIR")
    assert user_cache().name == "vggexport"
