"""Requests that wait for a review: who sees them, who decides, and that it is decided once."""

from tests.control_plane.books import Books
from tests.control_plane.running import Organization
from tests.control_plane.test_budget_requests import SignIn, sign_in

__all__ = ["sign_in"]
USD = 10**9


async def review_of(books: Books, org: Organization, person: str) -> str:
    books.facts = {"person": [person], "team": ["web"], "model": ["gpt-5"]}
    key = org.post("/v1/keys", {"name": "k", "scope": {"person": person}})
    return await books.ask_review(key["id"], USD)


async def test_a_manager_decides_within_what_is_theirs(
    org: Organization, books: Books, sign_in: SignIn
) -> None:
    org.post("/v1/teams", {"name": "web"})
    review = await review_of(books, org, "ada")
    ada, other = sign_in("ada", ["employee"]), sign_in("eve", ["employee"])
    manager = sign_in("max", ["manager"], {"team": ["web"]})
    stranger = sign_in("sam", ["manager"], {"team": ["shop"]})
    assert [one["id"] for one in ada.get("/v1/reviews").json()["items"]] == [review]
    assert other.get("/v1/reviews").json()["items"] == []
    assert ada.post(f"/v1/reviews/{review}/approve", json={}).status_code == 403
    assert stranger.post(f"/v1/reviews/{review}/approve", json={}).status_code == 404
    approved = manager.post(f"/v1/reviews/{review}/approve", json={"note": "go"}).json()
    assert (approved["state"], approved["decided_by"], approved["amount_usd"]) == (
        "approved", "person max", "1.00",
    )  # fmt: skip
    assert manager.post(f"/v1/reviews/{review}/deny", json={}).status_code == 409
    (entry,) = org.get("/v1/audit?what=review_requests")["items"]
    assert (entry["actor"], entry["after"]["decision"]) == ("person max", "approved")


async def test_nobody_decides_about_their_own(
    org: Organization, books: Books, sign_in: SignIn
) -> None:
    fin = sign_in("fin", ["finance"])
    review = await review_of(books, org, "fin")
    assert fin.post(f"/v1/reviews/{review}/approve", json={}).status_code == 403
    assert org.post(f"/v1/reviews/{review}/approve", {}, 200)["state"] == "approved"


async def test_states_can_be_asked_for(org: Organization, books: Books) -> None:
    review = await review_of(books, org, "ada")
    assert [one["id"] for one in org.get("/v1/reviews?state=waiting")["items"]] == [review]
    org.post(f"/v1/reviews/{review}/deny", {"lasts_s": 1}, 200)
    assert org.get("/v1/reviews?state=waiting")["items"] == []
