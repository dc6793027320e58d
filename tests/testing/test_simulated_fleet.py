"""The simulated account itself."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_async.testing import Fleet, SimulatedDroplet


def test_the_same_seed_gives_the_same_account() -> None:
    """IDs, names, times and policies depend on the arguments alone."""
    one, same, other = Fleet.generate(60), Fleet.generate(60), Fleet.generate(60, seed=1)
    assert one.droplets == same.droplets
    assert one.images == same.images
    assert one.droplets != other.droplets


@pytest.mark.parametrize("hour", range(24))
def test_times_are_relative_to_now(hour: int) -> None:
    """At any hour, what is backed up daily has a backup of the last 29 hours and a next window."""
    now = datetime(2031, 3, 5, hour, 12, 13, 14, tzinfo=UTC)
    fleet = Fleet.generate(1, now=now)
    (droplet,) = fleet.droplets.values()
    assert timedelta() < now - droplet.backups[-1].created_at < timedelta(hours=29)
    assert droplet.next_backup_window is not None
    assert now < droplet.next_backup_window[0] <= now + timedelta(days=1, hours=4)


def test_an_account_has_all_that_real_ones_have() -> None:
    """The mix covers every plan, more than a page, no backups, disabled ones, hour 0, no window."""
    droplets = list(Fleet.generate(300).droplets.values())
    plans = Counter((d.backup_policy or {}).get("plan") for d in droplets)
    assert {"daily", "weekly", "intra_daily_4h", None} == set(plans)
    assert any(len(d.backups) == 42 for d in droplets)
    assert any(len(d.backups) > 200 for d in droplets)
    fresh = [d for d in droplets if d.backup_policy and not d.backups]
    assert {d.next_backup_window is None for d in fresh} == {True, False}
    assert any(d.backups and not d.backup_policy for d in droplets)
    assert any((d.backup_policy or {}).get("hour") == 0 for d in droplets)
    assert any(d.backup_policy and d.next_backup_window is None for d in droplets)
    assert {True, False} == {d.is_gpu for d in droplets}
    assert any(d.snapshot_ids for d in droplets)
    assert len({d.name for d in droplets}) == 300


def test_even_a_small_account_is_varied() -> None:
    """The first eight Droplets show all eight kinds, and all have GPUs."""
    droplets = list(Fleet.generate(8).droplets.values())
    assert all(d.is_gpu for d in droplets)
    assert len({len(d.backups) for d in droplets}) >= 5


@given(st.integers(0, 12), st.integers(0, 50), st.integers(0, 3))
def test_backups_are_listed_oldest_first(droplets: int, images: int, seed: int) -> None:
    """In every account image IDs are unique and rise with the age going down."""
    fleet = Fleet.generate(droplets, seed=seed, unrelated_images=images)
    listed = fleet.private_images()
    assert listed == sorted(listed, key=lambda image: (image.created_at, image.id))
    assert [image.id for image in listed] == sorted({image.id for image in listed})
    for droplet in fleet.droplets.values():
        shown = fleet.visible_backups(droplet, "backups")
        assert shown == sorted(shown, key=lambda image: image.created_at)


def test_a_uniform_account_is_for_benchmarks() -> None:
    """Every Droplet has a GPU, a policy and the same number of backups."""
    fleet = Fleet.uniform(10, 42, unrelated_images=5)
    assert {len(d.backups) for d in fleet.droplets.values()} == {42}
    assert all(d.is_gpu and d.backup_policy for d in fleet.droplets.values())
    assert len(fleet.private_images()) == 425


def test_every_change_raises_the_version() -> None:
    """Each way to change the account is noticed by what caches its answers."""
    fleet = Fleet.generate(3)
    versions = [fleet.version]
    droplet = fleet.add_droplet()
    versions.append(fleet.version)
    backup = fleet.add_backup(droplet.id)
    versions.append(fleet.version)
    fleet.set_policy(droplet.id, "daily", hour=0)
    versions.append(fleet.version)
    fleet.delete_backup(droplet.id, backup.id)
    versions.append(fleet.version)
    fleet.remove_droplet(droplet.id)
    versions.append(fleet.version)
    fleet.images_include_backups = False
    versions.append(fleet.version)
    with fleet.edit() as droplets:
        next(iter(droplets.values())).name = "renamed"
    versions.append(fleet.version)
    assert versions == sorted(set(versions))


def test_a_policy_takes_what_the_plan_supports() -> None:
    """The retention is that of the supported plan unless given; None disables backups."""
    fleet = Fleet.generate(1)
    (droplet,) = fleet.droplets.values()
    fleet.set_policy(droplet.id, "weekly", weekday="SUN")
    assert droplet.backup_policy == {
        "plan": "weekly",
        "weekday": "SUN",
        "hour": 0,
        "window_length_hours": 4,
        "retention_period_days": 28,
    }
    fleet.set_policy(droplet.id, "hourly", retention_period_days=2)
    assert droplet.backup_policy is not None
    assert droplet.backup_policy["retention_period_days"] == 2
    fleet.set_policy(droplet.id, None)
    assert droplet.backup_policy is None


def test_a_falsy_value_is_a_value() -> None:
    """No days of retention, and a plan, weekday and name without text, are kept as given."""
    fleet = Fleet()
    droplet = fleet.add_droplet()
    fleet.set_policy(droplet.id, "", weekday="", retention_period_days=0)
    assert droplet.backup_policy == {
        "plan": "",
        "weekday": "",
        "hour": 0,
        "window_length_hours": 4,
        "retention_period_days": 0,
    }
    assert fleet.add_backup(droplet.id, name="").name == ""


def test_added_backups_get_new_ids_and_their_place() -> None:
    """A backup is put where its age belongs, with an ID that nothing else has."""
    fleet = Fleet.generate(1)
    (droplet,) = fleet.droplets.values()
    ids = {image.id for image in fleet.private_images()}
    oldest = fleet.add_backup(droplet.id, created_at=datetime(2020, 1, 1, tzinfo=UTC))
    newest = fleet.add_backup(droplet.id, name="mine", size_gigabytes=1.5)
    assert [droplet.backups[0], droplet.backups[-1]] == [oldest, newest]
    assert not {oldest.id, newest.id} & ids
    assert newest.name == "mine"


def test_new_ids_are_higher_than_those_set_by_hand() -> None:
    """A backup put into a record by hand keeps its ID to itself, and so does a deleted one."""
    fleet = Fleet()
    droplet = fleet.add_droplet()
    first = fleet.add_backup(droplet.id)
    with fleet.edit():
        droplet.backups.append(attrs.evolve(first, id=first.id + 1))
    newest = fleet.add_backup(droplet.id)
    assert newest.id > first.id + 1
    fleet.delete_backup(droplet.id, newest.id)
    assert fleet.next_id() > newest.id


def test_unknown_ids_are_key_errors() -> None:
    """A Droplet or backup that is not there cannot be changed."""
    fleet = Fleet.generate(1)
    (droplet_id,) = fleet.droplets
    for change in (
        lambda: fleet.add_backup(1),
        lambda: fleet.delete_backup(droplet_id, 1),
        lambda: fleet.remove_droplet(1),
        lambda: fleet.set_policy(1, "daily"),
    ):
        with pytest.raises(KeyError):
            change()


def test_a_lagging_listing_shows_changes_when_it_settles() -> None:
    """New backups are missing from it and deleted ones still in it; others show the truth."""
    fleet = Fleet.generate(1)
    (droplet,) = fleet.droplets.values()
    before = list(droplet.backups)
    fleet.lag("images", "droplets")
    gone = fleet.delete_backup(droplet.id, before[2].id)
    made = fleet.add_backup(droplet.id)
    brief = fleet.add_backup(droplet.id)
    fleet.delete_backup(droplet.id, brief.id)
    backups = [image for image in fleet.private_images() if image.type == "backup"]
    assert backups == before
    assert fleet.visible_backups(droplet, "droplets") == before
    truth = [backup for backup in [*before, made] if backup is not gone]
    assert fleet.visible_backups(droplet, "backups") == truth
    fleet.settle()
    assert [image for image in fleet.private_images() if image.type == "backup"] == truth
    assert fleet.visible_backups(droplet, "droplets") == truth


def test_one_backup_can_be_hidden_from_one_listing() -> None:
    """A hidden backup is missing from the named listing only."""
    fleet = Fleet.generate(1)
    (droplet,) = fleet.droplets.values()
    hidden = droplet.backups[3]
    fleet.hide(hidden.id, "images")
    assert hidden not in fleet.private_images()
    assert hidden in fleet.visible_backups(droplet, "droplets")


def test_images_can_lack_all_backups() -> None:
    """With ``images_include_backups`` off only the other images are listed."""
    fleet = Fleet.generate(5, unrelated_images=3)
    fleet.images_include_backups = False
    assert Counter(image.type for image in fleet.private_images())["backup"] == 0
    assert len(fleet.private_images()) == 3


def test_a_removed_droplet_takes_its_backups_along() -> None:
    """Neither the Droplet nor its backups are listed any more."""
    fleet = Fleet.generate(2, unrelated_images=0)
    first = fleet.remove_droplet(next(iter(fleet.droplets)))
    assert first.id not in fleet.droplets
    assert not {b.id for b in first.backups} & {image.id for image in fleet.private_images()}


def test_changes_from_many_threads_are_all_kept() -> None:
    """Eight threads that add 50 backups each leave 400 more, with different IDs."""
    fleet = Fleet(droplets={7: SimulatedDroplet(7, "gpu-train-01")})

    def add() -> None:
        for _ in range(50):
            fleet.add_backup(7)
            fleet.private_images()

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({backup.id for backup in fleet.droplets[7].backups}) == 400
