"""The response classes as users meet them: where they are, what they hold, what they turn into."""

from __future__ import annotations

import ast
import copy
import gc
import json
import pickle
import weakref
from datetime import UTC, datetime, timedelta, timezone
from importlib import import_module
from inspect import getsource, signature
from pathlib import Path
from typing import Any

import attrs
import pytest

from gradient_async import errors, types
from gradient_async._structure import decode
from gradient_async.resources import AsyncBackupsResource
from gradient_async.types import (
    Backup,
    BackupListResponse,
    BackupRetrievePolicyResponse,
    DropletBackupPolicy,
    DropletBackups,
    DropletNextBackupWindow,
    MetaProperties,
    PageLinks,
    Pages,
    Policy,
    gpu_droplets,
)

MOMENT = datetime(2026, 9, 1, 0, 0, tzinfo=UTC)
BACKUP = Backup(1, MOMENT, 20, "b", ["nyc3"], 2.5, "backup")
LISTING = BackupListResponse(MetaProperties(1), [BACKUP], PageLinks(Pages(next="n", last="l")))
POLICY = BackupRetrievePolicyResponse(
    Policy(
        backup_enabled=False,
        backup_policy=DropletBackupPolicy(hour=0, plan="daily", retention_period_days=7),
        droplet_id=5,
        next_backup_window=DropletNextBackupWindow(start=MOMENT),
    )
)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (
            "types.gpu_droplets",
            ["BackupListResponse", "BackupListPoliciesResponse", "BackupRetrievePolicyResponse"],
        ),
        (
            "types.gpu_droplets.backup_list_response",
            ["BackupListResponse", "Backup"],
        ),
        (
            "types.gpu_droplets.backup_list_policies_response",
            ["BackupListPoliciesResponse", "Policies"],
        ),
        (
            "types.gpu_droplets.backup_list_supported_policies_response",
            ["BackupListSupportedPoliciesResponse", "SupportedPolicy"],
        ),
        (
            "types.gpu_droplets.backup_retrieve_policy_response",
            ["BackupRetrievePolicyResponse", "Policy"],
        ),
        ("types.droplet_backup_policy", ["DropletBackupPolicy"]),
        (
            "types.shared",
            ["MetaProperties", "PageLinks", "ForwardLinks", "BackwardLinks"],
        ),
        ("types.shared.backward_links", ["BackwardLinks"]),
        ("types.shared.droplet_next_backup_window", ["DropletNextBackupWindow"]),
        ("types.shared.forward_links", ["ForwardLinks"]),
        ("types.shared.meta_properties", ["MetaProperties"]),
        ("types.shared.page_links", ["PageLinks", "Pages"]),
    ],
)
def test_nested_import_paths(module: str, names: list[str]) -> None:
    """The paths of the official SDK give the same classes as ``gradient_async.types``."""
    found = import_module(f"gradient_async.{module}")
    for name in names:
        assert getattr(found, name) is getattr(types, name)


@pytest.mark.parametrize("name", ["list", "list_policies"])
def test_parameters_have_a_class(name: str) -> None:
    """What the official SDK calls the parameters of a method is what the method takes."""
    module = import_module(f"gradient_async.types.gpu_droplets.backup_{name}_params")
    [params] = (getattr(module, public) for public in module.__all__)
    assert getattr(gpu_droplets, params.__name__) is params
    parameters = signature(getattr(AsyncBackupsResource, name)).parameters
    keywords = {key for key, value in parameters.items() if value.kind is value.KEYWORD_ONLY}
    assert params.__optional_keys__ == keywords == {"page", "per_page"}


def test_public_names_are_sorted_and_exist() -> None:
    """``types.__all__`` names what there is, in order."""
    assert types.__all__ == sorted(types.__all__)
    assert all(attrs.has(getattr(types, name)) for name in types.__all__)


FIELDS = {
    "Backup": "id created_at min_disk_size name regions size_gigabytes type",
    "BackupListPoliciesResponse": "meta links policies",
    "BackupListResponse": "meta backups links",
    "BackupListSupportedPoliciesResponse": "supported_policies",
    "BackupRetrievePolicyResponse": "policy",
    "BackwardLinks": "first prev",
    "Droplet": "id name status region tags size_slug created_at features backup_ids snapshot_ids "
    "next_backup_window gpu_info vcpus memory disk locked vpc_uuid",
    "DropletBackupPolicy": "hour plan retention_period_days weekday window_length_hours",
    "DropletBackups": "droplet_id backups error droplet",
    "DropletListResponse": "meta droplets links",
    "DropletNextBackupWindow": "start end",
    "ForwardLinks": "last next",
    "GPUInfo": "count model vram",
    "GPUInfoVram": "amount unit",
    "MetaProperties": "total",
    "PageLinks": "pages",
    "Pages": "first prev last next",
    "Policies": "backup_enabled backup_policy droplet_id next_backup_window",
    "Policy": "backup_enabled backup_policy droplet_id next_backup_window",
    "Region": "slug name",
    "SupportedPolicy": "name possible_days possible_window_starts retention_period_days "
    "window_length_hours",
}


def test_new_fields_go_last() -> None:
    """The order of the fields stays: positions are what users give, and what a pickle holds."""
    assert {name: fields_of(getattr(types, name)) for name in types.__all__} == FIELDS


def fields_of(cls: Any) -> str:
    """Give the names of the fields of a class."""
    return " ".join(field.name for field in attrs.fields(cls))


def test_response_classes_are_written_as_fields_and_methods() -> None:
    """A class that is made a struct has nothing that would be lost by it."""
    sources = [path.read_text("utf-8") for path in Path(types.__path__[0]).rglob("*.py")]
    statements = [node for source in sources for node in ast.parse(source).body]
    written = [node for node in statements if isinstance(node, ast.ClassDef)]
    structs = [node for node in written if {"response", "tracked_response"} & decorators(node)]
    assert {"Backup", "DropletBackups"} <= {node.name for node in structs}
    assert [node.name for node in structs if not all(map(is_kept, node.body[1:]))] == []


def decorators(node: ast.ClassDef) -> set[str]:
    """Give the names of what decorates a class."""
    return set(map(ast.unparse, node.decorator_list))


def is_kept(node: ast.stmt) -> bool:
    """Tell whether this is a field with at most a default, or a method that needs no ``super``."""
    if isinstance(node, ast.FunctionDef):
        names = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
        return not node.decorator_list and not names & {"super", "__class__"}
    if not isinstance(node, ast.AnnAssign):
        return False
    default = "None" if node.value is None else ast.unparse(node.value)
    return default in ("None", "attrs.field(factory=list)", "attrs.field(factory=dict)")


def test_response_classes_are_known_to_attrs_and_to_inspect() -> None:
    """What they are made of can be evolved, looked into, and shown as it was written."""
    assert attrs.evolve(BACKUP, name="c").name == "c"
    assert attrs.asdict(BACKUP) == BACKUP.to_dict()
    assert getsource(Backup).startswith(("@response", "class Backup"))
    if hasattr(attrs, "inspect"):
        assert attrs.inspect(Backup).is_frozen


@pytest.mark.parametrize("value", [BACKUP, DropletBackups(3)], ids=lambda value: type(value))
@pytest.mark.parametrize("change", [setattr, lambda value, name, _: delattr(value, name)])
def test_response_objects_cannot_be_changed(change: Any, value: Any) -> None:
    """A field can be neither set nor deleted, and the error is that of attrs."""
    before = copy.copy(value)
    for name in fields_of(type(value)).split():
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            change(value, name, "c")
    assert value == before


def test_to_dict_keeps_every_value() -> None:
    """Zero and ``False`` stay, times stay datetimes, and what was not sent is ``None``."""
    assert POLICY.to_dict() == {
        "policy": {
            "backup_enabled": False,
            "backup_policy": {
                "hour": 0,
                "plan": "daily",
                "retention_period_days": 7,
                "weekday": None,
                "window_length_hours": None,
            },
            "droplet_id": 5,
            "next_backup_window": {"start": MOMENT, "end": None},
        }
    }


def test_to_json_indents_unless_told_otherwise() -> None:
    """`to_json` indents by two spaces, by another number, or writes a single line."""
    assert MetaProperties(3).to_json() == '{\n  "total": 3\n}'
    assert MetaProperties(3).to_json(indent=4) == '{\n    "total": 3\n}'
    assert MetaProperties(3).to_json(indent=None) == '{"total":3}'


@pytest.mark.parametrize("value", [LISTING, POLICY])
def test_to_json_decodes_to_an_equal_object(
    value: BackupListResponse | BackupRetrievePolicyResponse,
) -> None:
    """What `to_json` writes is read back as an equal object, by us and by ``json``."""
    assert decode(type(value), value.to_json().encode()) == value
    assert json.loads(value.to_json()) == json.loads(value.to_json(indent=None))


def test_time_with_another_offset_is_kept() -> None:
    """A time keeps its offset on the way to JSON and back."""
    eastern = timezone(timedelta(hours=-5))
    window = DropletNextBackupWindow(start=MOMENT.astimezone(eastern))
    start = json.loads(window.to_json())["start"]
    assert datetime.fromisoformat(start) == MOMENT
    assert start.endswith("-05:00")


@pytest.mark.parametrize("value", [LISTING, POLICY, LISTING.links])
def test_values_can_be_pickled_and_copied(value: object) -> None:
    """A response crosses a process boundary or is copied as an equal object."""
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.deepcopy(value) == value


def test_only_scalar_classes_are_hashable_by_value() -> None:
    """Equal objects without lists have equal hashes, so they can be put into sets."""
    assert len({MetaProperties(3), MetaProperties(3), MetaProperties(4)}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(BACKUP)


def test_pages_are_forward_and_backward_links() -> None:
    """``links.pages`` has all four names, ``None`` where there is no such page."""
    pages = Pages(prev="p")
    assert isinstance(pages, types.ForwardLinks)
    assert isinstance(pages, types.BackwardLinks)
    assert (pages.first, pages.prev, pages.next, pages.last) == (None, "p", None, None)


def test_result_of_a_fan_out_has_backups_or_an_error() -> None:
    """A Droplet's result has no backups and no error until one is given, and can be pickled."""
    assert DropletBackups(3) == DropletBackups(3, [], None)
    failed = DropletBackups(3, error=errors.APIConnectionError("broken", droplet_id=3))
    again = pickle.loads(pickle.dumps(failed))
    assert (again.droplet_id, again.backups, str(again.error)) == (3, [], "broken (Droplet 3)")


def test_result_whose_error_refers_back_to_it_is_collected() -> None:
    """The traceback of an error that was raised holds the result that holds the error."""

    def raise_from_a_result() -> tuple[weakref.ref[Any], weakref.ref[Any]]:
        result = DropletBackups(3, error=errors.APIConnectionError("broken"))
        assert result.error is not None
        with pytest.raises(errors.APIConnectionError):
            raise result.error
        return weakref.ref(result.error), weakref.ref(result)

    error, result = raise_from_a_result()
    gc.collect()
    assert (error(), result()) == (None, None)


@pytest.mark.parametrize("value", [LISTING, DropletBackups(3)])
def test_unknown_mode_is_refused(value: Any) -> None:
    """A mode that there is not is named, and not taken for the default."""
    with pytest.raises(ValueError, match="mode must be 'python' or 'json', got 'bogus'"):
        value.to_dict(mode="bogus")


def test_result_of_a_fan_out_can_be_written() -> None:
    """The result for a Droplet can be turned into plain values and into JSON."""
    result = DropletBackups(3, [BACKUP])
    assert result.to_dict()["backups"] == [BACKUP.to_dict()]
    assert json.loads(result.to_json()) == {
        "droplet_id": 3,
        "backups": [BACKUP.to_dict(mode="json")],
        "error": None,
        "droplet": None,
    }


@pytest.mark.parametrize(
    ("error", "described"),
    [
        (
            errors.APIConnectionError("broken", droplet_id=3),
            {"type": "APIConnectionError", "message": "broken"},
        ),
        (
            errors.DeadlineExceededError(deadline=1.0, missing=(3,)),
            {"type": "DeadlineExceededError"},
        ),
    ],
)
def test_error_in_a_result_is_written_as_an_object(
    error: errors.GradientError, described: dict[str, Any]
) -> None:
    """An error is its class, message, status and request ID, in both modes."""
    result = DropletBackups(3, error=error)
    found = result.to_dict(mode="json")["error"]
    assert found == result.to_dict()["error"] == json.loads(result.to_json())["error"]
    assert found == {"message": str(error), "status_code": None, "request_id": None, **described}
