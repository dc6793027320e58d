"""What the simulator answers: the endpoints, paging, scopes, limits and error bodies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gradient_async.testing import ALL_SCOPES, Fleet, Simulator

from .calls import Caller


async def test_backups_look_like_the_api_describes(
    fleet: Fleet, backups_path: str, caller: Caller
) -> None:
    """A page on which everything fits: oldest first, undeclared members, ``links`` empty."""
    async with Simulator(fleet) as simulator:
        reply = await caller.get(simulator, backups_path)
    backups = reply.json["backups"]
    assert set(backups[0]) == {
        *("id", "name", "distribution", "slug", "public"),
        *("regions", "created_at", "min_disk_size", "size_gigabytes", "type"),
    }
    assert backups[0]["slug"] is None
    assert backups[0]["public"] is False
    assert backups[0]["type"] == "backup"
    assert backups[0]["created_at"].endswith("Z")
    assert [b["created_at"] for b in backups] == sorted(b["created_at"] for b in backups)
    assert reply.json["links"] == {}
    assert reply.json["meta"] == {"total": 7}
    assert reply.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("page", "names"),
    [
        (1, ["next", "last"]),
        (2, ["first", "prev", "next", "last"]),
        (3, ["first", "prev"]),
        (9, ["first", "prev"]),
    ],
)
async def test_pages_are_linked(
    fleet: Fleet,
    droplet_with: Callable[[int], int],
    caller: Caller,
    page: int,
    names: list[str],
) -> None:
    """First, middle, last page and one beyond it have the links that make sense; all work."""
    path = f"/v2/droplets/{droplet_with(42)}/backups"
    async with Simulator(fleet) as simulator:
        reply = await caller.get(simulator, path, params={"page": page})
        links = reply.json["links"]["pages"]
        assert list(links) == names
        assert all(url.startswith(f"{simulator.url}{path}?") for url in links.values())
        for url in links.values():
            followed = await caller.get(simulator, url.removeprefix(simulator.url))
            assert followed.json["backups"]
    assert len(reply.json["backups"]) == {1: 20, 2: 20, 3: 2, 9: 0}[page]
    assert reply.json["meta"]["total"] == 42


async def test_following_next_visits_everything_once(
    fleet: Fleet, droplet_with: Callable[[int], int], caller: Caller
) -> None:
    """``next`` leads over all pages, keeps the other parameters and ends on the last page."""
    droplet = fleet.droplets[droplet_with(201)]
    seen: list[int] = []
    async with Simulator(fleet) as simulator:
        path: str | None = f"/v2/droplets/{droplet.id}/backups?per_page=50"
        while path:
            body = (await caller.get(simulator, path)).json
            seen += [backup["id"] for backup in body["backups"]]
            path = body["links"]["pages"].get("next", "").removeprefix(simulator.url)
        assert {request.query["per_page"] for request in simulator.requests} == {"50"}
    assert seen == [backup.id for backup in droplet.backups]


@pytest.mark.parametrize(
    ("options", "links"),
    [
        ({"links": "missing"}, None),
        ({"links": "empty"}, {"pages": {}}),
        (
            {"link_origin": ""},
            {
                "pages": {
                    "next": "/v2/droplets/backups/policies?page=2",
                    "last": "/v2/droplets/backups/policies?page=2",
                }
            },
        ),
        (
            {"links": "trailing_slash", "link_origin": "http://api.example.com"},
            {
                "pages": {
                    "next": "http://api.example.com/v2/droplets/backups/policies/?page=2",
                    "last": "http://api.example.com/v2/droplets/backups/policies/?page=2",
                }
            },
        ),
    ],
)
async def test_links_come_in_other_forms(
    fleet: Fleet, caller: Caller, options: Any, links: object
) -> None:
    """Links can be missing, empty, written with a slash, and point elsewhere."""
    async with Simulator(fleet, **options) as simulator:
        reply = await caller.get(simulator, "/v2/droplets/backups/policies")
    assert reply.json.get("links") == links


async def test_the_last_value_of_a_parameter_counts(
    fleet: Fleet, backups_path: str, caller: Caller
) -> None:
    """Of a parameter that is given twice the answer and the log take the last value."""
    async with Simulator(fleet) as simulator:
        reply = await caller.get(simulator, f"{backups_path}?per_page=1&per_page=2")
        assert simulator.requests[0].query == {"per_page": "2"}
    assert len(reply.json["backups"]) == 2


@pytest.mark.parametrize(
    "query",
    ["page=0", "page=-1", "page=x", "page=", "per_page=0", "per_page=201", "page=1.5", "page=--5"],
)
async def test_pages_out_of_range_are_refused(
    fleet: Fleet, backups_path: str, caller: Caller, query: str
) -> None:
    """A page below 1 or a size outside 1 to 200 is a 422 that names the parameter."""
    async with Simulator(fleet) as simulator:
        reply = await caller.get(simulator, f"{backups_path}?{query}")
    assert reply.status == 422
    assert reply.json["id"] == "unprocessable_entity"
    assert query.partition("=")[0] in reply.json["message"]


async def test_pages_out_of_range_can_be_clamped(
    fleet: Fleet, droplet_with: Callable[[int], int], caller: Caller
) -> None:
    """With ``clamp`` the nearest allowed value is taken."""
    path = f"/v2/droplets/{droplet_with(201)}/backups"
    async with Simulator(fleet, clamp=True) as simulator:
        reply = await caller.get(simulator, f"{path}?page=-3&per_page=900")
    assert reply.status == 200
    assert len(reply.json["backups"]) == 200


async def test_policies_are_keyed_by_id_and_paged(fleet: Fleet, caller: Caller) -> None:
    """Policies of all Droplets; disabled ones have two members only, ``null`` windows are sent."""
    async with Simulator(fleet) as simulator:
        path = "/v2/droplets/backups/policies?per_page=15&page="
        pages = [(await caller.get(simulator, f"{path}{n}")).json for n in (1, 2, 3)]
    policies = {key: value for page in pages for key, value in page["policies"].items()}
    assert list(policies) == [str(droplet_id) for droplet_id in fleet.droplets]
    assert all(policies[key]["droplet_id"] == int(key) for key in policies)
    assert {page["meta"]["total"] for page in pages} == {40}
    disabled = [policy for policy in policies.values() if not policy["backup_enabled"]]
    assert disabled
    assert all(set(policy) == {"droplet_id", "backup_enabled"} for policy in disabled)
    enabled = [policy for policy in policies.values() if policy["backup_enabled"]]
    assert any(policy["next_backup_window"] is None for policy in enabled)
    assert any(policy["backup_policy"]["hour"] == 0 for policy in enabled)
    assert all(
        "weekday" not in p["backup_policy"]
        for p in enabled
        if p["backup_policy"]["plan"] == "daily"
    )


async def test_one_policy_and_the_supported_ones(
    fleet: Fleet, backups_path: str, caller: Caller
) -> None:
    """A single policy equals that of the listing; the supported plans are not paged."""
    async with Simulator(fleet) as simulator:
        one = await caller.get(simulator, backups_path.removesuffix("s") + "s/policy")
        listed = await caller.get(simulator, "/v2/droplets/backups/policies")
        supported = await caller.get(simulator, "/v2/droplets/backups/supported_policies")
    policy = one.json["policy"]
    assert policy == listed.json["policies"][str(policy["droplet_id"])]
    assert set(supported.json) == {"supported_policies"}
    by_name = {plan["name"]: plan for plan in supported.json["supported_policies"]}
    assert by_name["weekly"]["retention_period_days"] == 28
    assert by_name["daily"]["possible_days"] == []


async def test_droplets_are_listed_by_type(fleet: Fleet, caller: Caller) -> None:
    """Without a type GPU Droplets are left out; ``type=gpus`` lists those alone."""
    async with Simulator(fleet) as simulator:
        plain = await caller.get(simulator, "/v2/droplets?per_page=200")
        gpus = await caller.get(simulator, "/v2/droplets?per_page=200&type=gpus")
    ids = [{droplet["id"] for droplet in reply.json["droplets"]} for reply in (plain, gpus)]
    assert ids[0] == {d.id for d in fleet.droplets.values() if not d.is_gpu}
    assert ids[1] == {d.id for d in fleet.droplets.values() if d.is_gpu}
    assert all("gpu_info" in droplet for droplet in gpus.json["droplets"])
    first = gpus.json["droplets"][0]
    held = fleet.droplets[first["id"]]
    assert first["backup_ids"] == [backup.id for backup in held.backups]
    assert first["name"] == held.name
    assert first["region"]["slug"] == held.region


async def test_droplets_are_found_by_tag_and_name(fleet: Fleet, caller: Caller) -> None:
    """A tag matches exactly, a name in any case, and the two do not go together."""
    droplet = next(iter(fleet.droplets.values()))
    tag = droplet.tags[0]
    async with Simulator(fleet) as simulator:
        tagged = await caller.get(simulator, "/v2/droplets?per_page=200", params={"tag_name": tag})
        named = await caller.get(simulator, f"/v2/droplets?type=gpus&name={droplet.name.upper()}")
        both = [
            await caller.get(simulator, f"/v2/droplets?tag_name=x&{other}=gpus")
            for other in ("type", "name")
        ]
        wrong = await caller.get(simulator, "/v2/droplets?type=cpus")
    assert {d["id"] for d in tagged.json["droplets"]} == {
        d.id for d in fleet.droplets.values() if tag in d.tags
    }
    assert [d["id"] for d in named.json["droplets"]] == [droplet.id]
    assert [reply.status for reply in [*both, wrong]] == [422, 422, 422]


async def test_a_single_droplet_is_as_in_the_listing(fleet: Fleet, caller: Caller) -> None:
    """``GET /v2/droplets/{id}`` gives the record of the listing, whatever the type."""
    droplet_id = next(iter(fleet.droplets))
    async with Simulator(fleet) as simulator:
        one = await caller.get(simulator, f"/v2/droplets/{droplet_id}")
        listed = await caller.get(simulator, "/v2/droplets?type=gpus")
    assert one.json["droplet"] == listed.json["droplets"][0]


async def test_images_hold_the_backups(fleet: Fleet, caller: Caller) -> None:
    """Private images are the backups of all Droplets and others, with all that a backup has."""
    async with Simulator(fleet) as simulator:
        first = await caller.get(simulator, "/v2/images?private=true&per_page=200")
        public = await caller.get(simulator, "/v2/images?per_page=200")
        droplet_id = next(d.id for d in fleet.droplets.values() if d.backups)
        backups = await caller.get(simulator, f"/v2/droplets/{droplet_id}/backups?per_page=200")
    total = sum(len(d.backups) for d in fleet.droplets.values()) + len(fleet.images)
    assert first.json["meta"]["total"] == total
    assert set(first.json["images"][0]) > set(backups.json["backups"][0])
    assert public.json["images"] == []


async def test_scopes_take_things_away(fleet: Fleet, caller: Caller) -> None:
    """Without ``image:read`` images are forbidden and Droplets lack their image members."""
    async with Simulator(fleet, scopes=ALL_SCOPES - {"image:read", "tag:read"}) as simulator:
        images = await caller.get(simulator, "/v2/images?private=true")
        droplets = await caller.get(simulator, "/v2/droplets?type=gpus")
        tagged = await caller.get(simulator, "/v2/droplets?tag_name=x")
    assert images.status == tagged.status == 403
    assert images.json["id"] == "forbidden"
    droplet = droplets.json["droplets"][0]
    assert not {"backup_ids", "snapshot_ids", "image", "tags"} & set(droplet)
    assert "vpc_uuid" in droplet


async def test_without_droplet_read_nothing_is_shown(
    fleet: Fleet, backups_path: str, caller: Caller
) -> None:
    """The four endpoints of backups need ``droplet:read``."""
    async with Simulator(fleet, scopes={"image:read"}) as simulator:
        assert (await caller.get(simulator, backups_path)).status == 403


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic simulated-token", "Bearer"])
async def test_only_the_token_opens(
    fleet: Fleet, backups_path: str, caller: Caller, authorization: str | None
) -> None:
    """Anything but the token is a 401 with the API's error body, and uses up no limit."""
    headers = {"Authorization": authorization} if authorization else {}
    async with Simulator(fleet, limits=[(10, 60.0)]) as simulator:
        reply = await caller.get(simulator, backups_path, headers=headers)
    assert reply.status == 401
    assert reply.json["id"] == "unauthorized"
    assert reply.json["request_id"] == reply.headers["x-request-id"]
    assert reply.headers["ratelimit-remaining"] == "10"


@pytest.mark.parametrize(
    "path",
    [
        "/v2/droplets/1/backups",
        "/v2/droplets/1/backups/policy",
        "/v2/nothing",
        "/",
        "/v2/droplets/0/backups",
        "/v2/droplets/x/backups",
        "/v2/droplets/1",
    ],
)
async def test_what_is_not_there_is_not_found(fleet: Fleet, caller: Caller, path: str) -> None:
    """Unknown Droplets and paths are a 404 with the API's error body."""
    async with Simulator(fleet) as simulator:
        reply = await caller.get(simulator, path)
    assert reply.status == 404
    assert reply.json["id"] == "not_found"


async def test_only_get_is_known(fleet: Fleet, backups_path: str, caller: Caller) -> None:
    """Another method is a 405."""
    async with Simulator(fleet) as simulator:
        headers = {"Authorization": f"Bearer {simulator.token}"}
        async with caller.session.post(simulator.url + backups_path, headers=headers) as response:
            assert response.status == 405


async def test_every_answer_carries_the_limits(
    fleet: Fleet, backups_path: str, caller: Caller
) -> None:
    """Without limits the headers are there all the same, and never say that the end is near."""
    async with Simulator(fleet, clock=lambda: 1_000.9) as simulator:
        replies = [await caller.get(simulator, path) for path in (backups_path, "/nope")]
    for reply in replies:
        assert reply.headers["ratelimit-limit"] == "5000"
        assert reply.headers["ratelimit-remaining"] == "4999"
        assert reply.headers["ratelimit-reset"] == "4600"


async def test_a_full_window_rejects(fleet: Fleet, backups_path: str, caller: Caller) -> None:
    """Beyond the limit comes a 429 with whole seconds, until the window has slid on."""
    now = 1_000.0
    async with Simulator(fleet, limits=[(2, 10.0)], clock=lambda: now) as simulator:
        first = await caller.get(simulator, backups_path)
        now = 1_003.5
        await caller.get(simulator, backups_path)
        now = 1_004.2
        rejected = await caller.get(simulator, backups_path)
        now = 1_010.0
        later = await caller.get(simulator, backups_path)
    assert [first.headers[f"ratelimit-{name}"] for name in ("limit", "remaining", "reset")] == [
        *("2", "1", "1010")
    ]
    assert rejected.status == 429
    assert rejected.json["id"] == "too_many_requests"
    assert rejected.headers["retry-after"] == "6"
    assert rejected.headers["ratelimit-remaining"] == "0"
    assert later.status == 200
    assert later.headers["ratelimit-reset"] == "1013"


async def test_limits_can_be_used_up_at_any_time(
    fleet: Fleet, backups_path: str, caller: Caller
) -> None:
    """What is spent before the start and between two runs counts as what is spent while it runs."""
    simulator = Simulator(fleet, limits=[(4, 60.0)], clock=lambda: 1_000.0)
    simulator.spend(2)
    async with simulator:
        first = await caller.get(simulator, backups_path)
    simulator.spend()
    async with simulator:
        second = await caller.get(simulator, backups_path)
    assert (first.status, first.headers["ratelimit-remaining"]) == (200, "1")
    assert second.status == 429


async def test_nothing_happens_to_what_is_not_there(fleet: Fleet) -> None:
    """With no request held and no connection open there is nothing to release and to drop."""
    simulator = Simulator(fleet)
    simulator.release()
    simulator.drop_connections(idle_only=False)
    assert (simulator.held, simulator.connections, simulator.open_connections) == (0, 0, 0)


async def test_the_hour_names_no_time(fleet: Fleet, backups_path: str, caller: Caller) -> None:
    """The longest of several windows answers without ``retry-after``; its reset may be past."""
    for in_past, reset in ((False, "4600"), (True, "940")):
        simulator = Simulator(
            fleet,
            limits=[(2, 60.0), (2, 3600.0)],
            reset_in_past=in_past,
            clock=lambda: 1_000.0,
        )
        async with simulator:
            simulator.spend(2)
            reply = await caller.get(simulator, backups_path)
        assert reply.status == 429
        assert "retry-after" not in reply.headers
        assert reply.headers["ratelimit-reset"] == reset


async def test_the_account_may_change_between_pages(
    fleet: Fleet, droplet_with: Callable[[int], int], caller: Caller
) -> None:
    """A hook that deletes the oldest backup before page 2 shifts what that page shows."""
    droplet_id = droplet_with(42)
    before = [backup.id for backup in fleet.droplets[droplet_id].backups]

    def shrink(request: Any) -> None:
        """Delete the oldest backup when page 2 is asked for."""
        if request.query.get("page") == "2":
            fleet.delete_backup(droplet_id, before[0])

    async with Simulator(fleet) as simulator:
        remove = simulator.before(shrink)
        path = f"/v2/droplets/{droplet_id}/backups"
        one, two = [await caller.get(simulator, f"{path}?page={n}") for n in (1, 2)]
        remove()
        again = await caller.get(simulator, f"{path}?page=2")
    assert [b["id"] for b in one.json["backups"]] == before[:20]
    assert [b["id"] for b in two.json["backups"]] == before[21:41]
    assert two.json["meta"]["total"] == 41
    assert again.json == two.json


async def test_answers_are_compressed_on_demand(
    fleet: Fleet, backups_path: str, caller: Caller
) -> None:
    """With ``compress`` a client that accepts gzip gets it, one that does not does not."""
    async with Simulator(fleet, compress=True) as simulator:
        token = {"Authorization": f"Bearer {simulator.token}"}
        packed = await caller.get(
            simulator, backups_path, headers={**token, "Accept-Encoding": "gzip"}
        )
        plain = await caller.get(
            simulator, backups_path, headers={**token, "Accept-Encoding": "identity"}
        )
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json == plain.json
