"""An attached instance: sections when first asked for, closed together."""

import pytest
from spreadcore import Instance, region
from spreadcore.errors import CoreError, RegionMissing
from spreadcore.layout import SECTIONS

FACES = ("quotes", "dirty", "ring", "active", "health", "control", "funding")


def test_a_wrong_name_fails_at_once(instance_name):
    with pytest.raises(RegionMissing):
        Instance(instance_name)


@pytest.mark.parametrize("writable", [(), ("quotes", "dirty"), SECTIONS])
def test_sections_are_writable_as_asked(instance_name, writable):
    region.create(instance_name, n_sources=1, n_symbols=1, n_edges=1)
    instance = Instance(instance_name, writable=writable)
    assert set(writable) == {s for s in SECTIONS if instance.region(s).writable}
    instance.close()


def test_faces_are_made_once(make_instance):
    instance = make_instance(n_sources=1, n_symbols=1, n_edges=1)
    for face in FACES:
        assert getattr(instance, face) is getattr(instance, face)


def test_closing_lets_go_of_its_own_faces_only(make_instance):
    instance = make_instance(n_sources=1, n_symbols=1, n_edges=1)
    for face in FACES:
        getattr(instance, face)
    kept = instance.health
    with pytest.raises(BufferError, match="health: 1 object"):
        instance.close()
    assert "off" == kept.info(0)["state"]  # refused means still mapped
    del kept
    instance.close()
    instance.close()


def test_another_root(tmp_path, instance_name):
    tmp_path.chmod(0o700)
    assert 1 == region.create(instance_name, root=str(tmp_path), n_symbols=4)
    assert not region.exists(instance_name)
    instance = Instance(instance_name, root=str(tmp_path))
    assert 4 == instance.region("quotes").n_symbols
    instance.close()
    region.unlink(instance_name, str(tmp_path))
    assert [] == list(tmp_path.iterdir())


def test_an_unknown_section_is_missing(make_instance):
    instance = make_instance(n_sources=1, n_symbols=1, n_edges=1)
    with pytest.raises(CoreError, match="kwotes"):
        instance.region("kwotes")
