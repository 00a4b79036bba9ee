"""One example of each body that a person types, for the OpenAPI document; a test reads them all."""

from typing import Any, Final

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "NewOrganization": {"name": "Example"},
    "Settings": {"default_output_tokens": 8192},
    "Freeze": {"reason": "a runaway agent"},
    "NewMember": {"name": "ada", "roles": ["manager"], "manages": {"team": ["payments"]}},
    "EditMember": {"state": "suspended"},
    "NewToken": {"name": "laptop", "expires_at": "2999-01-01T00:00:00Z"},
    "NewKey": {
        "name": "checkout",
        "scope": {"project": "checkout"},
        "models": ["gpt-4o-mini*"],
        "max_request_usd": "0.50",
        "expires_at": "2999-01-01T00:00:00Z",
    },
    "Rotation": {"grace_seconds": 3600},
    "NewBudget": {
        "name": "checkout daily",
        "scope": {"project": "checkout"},
        "period": "day",
        "timezone": "Europe/Zurich",
        "limit_usd": "25.00",
        "kind": "hard",
    },
    "EditBudget": {"limit_usd": "40.00"},
    "NewPolicy": {
        "name": "small models",
        "scope": {"project": "checkout"},
        "rules": {"models_allow": ["gpt-4o-mini*"], "max_output_tokens": 200},
    },
    "EditPolicy": {"rules": {"models_allow": ["gpt-4o-mini*"]}},
    "ProviderBody": {"base_url": "https://openrouter.ai/api", "models": ["openrouter/*"]},
    "NewPrice": {
        "name": "committed use",
        "provider": "openai",
        "model": "gpt-4o",
        "rates": {
            "input_mtok": {
                "base": "2.25",
                "steps": [{"above_input_tokens": 128000, "price": "4.50"}],
            },
            "cache_read_mtok": "1.10",
            "output_mtok": "9.00",
        },
        "starts_at": "2026-11-01T00:00:00Z",
    },
    "EndPrice": {"at": "2027-01-01T00:00:00Z"},
    "Quote": {
        "provider": "openai",
        "model": "gpt-4o",
        "usage": {"input_tokens": 1000, "output_tokens": 200},
    },
    "Rerating": {
        "from": "2026-11-01T00:00:00Z",
        "to": "2026-12-01T00:00:00Z",
        "provider": "openai",
        "reason": "the new contract holds since November",
    },
    "NewTeam": {"name": "payments", "display_name": "Payments"},
    "EditTeam": {"display_name": "Payments and invoices"},
    "NewProject": {"name": "checkout", "team": "payments"},
    "EditProject": {"state": "archived"},
    "NewPerson": {"name": "ada", "email": "ada@example.com", "team": "payments"},
    "EditPerson": {"team": None},
    "NewAgent": {"name": "reviewer", "project": "checkout"},
    "EditAgent": {"parent": "planner"},
    "NewAdjustment": {
        "account_id": "bud_u8f7a537rek5jfc8@1793491200",
        "amount_usd": "-0.25",
        "reason": "the provider gave a credit",
    },
    "ReleaseLost": {"reason": "the provider never saw it"},
    "PostLost": {"amount_usd": "0.012", "reason": "from the provider's own records"},
    "LostRule": {"rule": "estimate", "after_s": 600},
}
