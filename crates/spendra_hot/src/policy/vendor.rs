//! Who made a model, whoever serves it.

/// What owners are called by those who serve many, where that is not the vendor's own name.
const OWNERS: [(&str, &str); 13] = [
    ("amazon", "amazon"),
    ("deepseek-ai", "deepseek"),
    ("google", "google"),
    ("meta-llama", "meta"),
    ("meta-models", "meta"),
    ("minimaxai", "minimax"),
    ("mistralai", "mistral"),
    ("moonshotai", "moonshot"),
    ("qwen", "alibaba"),
    ("x-ai", "xai"),
    ("z-ai", "zhipu"),
    ("zai-org", "zhipu"),
    ("thudm", "zhipu"),
];

/// What the names of a vendor's models begin with.
const FAMILIES: [(&str, &[&str]); 17] = [
    ("anthropic", &["claude", "anthropic."]),
    ("google", &["gemini", "gemma", "imagen", "veo", "google."]),
    (
        "openai",
        &[
            "gpt-",
            "gpt4",
            "chatgpt",
            "o1",
            "o3",
            "o4",
            "codex",
            "computer-use",
            "dall-e",
            "sora",
            "text-embedding-3",
            "text-embedding-ada",
            "text-davinci",
            "whisper",
            "tts-",
            "davinci",
            "babbage",
            "omni-moderation",
            "openai.",
        ],
    ),
    (
        "mistral",
        &[
            "mistral",
            "ministral",
            "magistral",
            "mixtral",
            "codestral",
            "devstral",
            "pixtral",
            "voxtral",
            "open-mistral",
            "open-mixtral",
        ],
    ),
    (
        "cohere",
        &["command", "c4ai", "embed-", "rerank", "cohere."],
    ),
    ("meta", &["llama", "meta-llama", "meta.", "muse-"]),
    ("deepseek", &["deepseek"]),
    ("alibaba", &["qwen", "qwq"]),
    ("xai", &["grok"]),
    ("moonshot", &["kimi", "moonshot"]),
    ("zhipu", &["glm"]),
    ("amazon", &["amazon.", "nova-", "titan-"]),
    ("microsoft", &["phi-", "mai-"]),
    ("minimax", &["minimax"]),
    ("perplexity", &["sonar"]),
    ("ai21", &["jamba", "ai21."]),
    ("voyageai", &["voyage"]),
];

/// Begin the paths of those who serve models, and name no vendor.
const PLACES: [&str; 5] = ["models", "publishers", "accounts", "projects", "@cf"];

/// By the owner before the model's name (`anthropic/claude-sonnet-4`), else by how the name
/// begins; where neither says anything, whoever serves it.
pub fn vendor(provider: &str, model: &str) -> String {
    let model = model.to_lowercase();
    let model = model.trim_start_matches("ft:").trim_start_matches('~');
    let name = model.rsplit('/').next().unwrap_or(model);
    if let Some((owner, _)) = model.split_once('/')
        && !PLACES.contains(&owner)
    {
        let known = OWNERS.iter().find(|(alias, _)| *alias == owner);
        return known.map_or(owner, |(_, vendor)| vendor).to_owned();
    }
    FAMILIES
        .iter()
        .find(|(_, prefixes)| prefixes.iter().any(|prefix| name.starts_with(prefix)))
        .map_or(provider, |(vendor, _)| vendor)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::vendor;

    #[test]
    fn whoever_serves_it_the_vendor_is_who_made_it() {
        for (provider, model, expected) in [
            ("openrouter", "anthropic/claude-sonnet-4.5", "anthropic"),
            ("openrouter", "~openai/gpt-5", "openai"),
            ("openrouter", "meta-llama/llama-3.3-70b", "meta"),
            ("openrouter", "qwen/qwen3-32b", "alibaba"),
            ("openrouter", "nousresearch/hermes-4", "nousresearch"),
            ("together", "Qwen/Qwen3-32B", "alibaba"),
            ("vertex", "claude-opus-4-5@20251101", "anthropic"),
            ("vertex", "publishers/meta/models/llama-3.3-70b", "meta"),
            ("google", "models/gemini-2.5-pro", "google"),
            ("azure", "gpt-4o-mini-2024-07-18", "openai"),
            ("azure", "DeepSeek-R1", "deepseek"),
            ("openai", "ft:gpt-4o-mini:acme::abc", "openai"),
            ("groq", "llama-3.1-8b-instant", "meta"),
            ("mistral", "codestral-2508", "mistral"),
            ("cohere", "command-a-03-2025", "cohere"),
            ("inhouse", "our-own-7b", "inhouse"),
            ("inhouse", "", "inhouse"),
        ] {
            assert_eq!(vendor(provider, model), expected, "{provider} {model}");
        }
    }
}
