"""What can be asked, by protocol. Paths are those of the providers' API references."""

from spendra.providers.words import Auth, Operation, Protocol, Treatment


def _free(name: str, *asked: str, form: bool = False, later: bool = False) -> list[Operation]:
    """`asked`: each a method and a path, such as `GET /v1/models`."""
    treatment: Treatment = "later" if later else "free"
    found = []
    for each in asked:
        method, path = each.split(" ")
        found.append(Operation(name=name, method=method, path=path, treatment=treatment, form=form))
    return found


def chat(
    path: str,
    body: str = "openai_chat",
    *,
    auth: Auth | None = None,
    protocol: Protocol | None = "openai",
) -> Operation:
    """OpenAI's chat, under a provider's own path."""
    return Operation(name="chat", method="POST", path=path, body=body, auth=auth, protocol=protocol)


def post(name: str, path: str, body: str, **more: str) -> Operation:
    return Operation(name=name, method="POST", path=path, body=body, model=more.get("model", ""))


def models(base: str) -> list[Operation]:
    return [
        *_free("models", f"GET {base}/models"),
        *_free("model", f"GET {base}/models/{{id}}"),
    ]


def responses(base: str) -> list[Operation]:
    one = f"{base}/responses/{{id}}"
    return [
        post("responses", f"{base}/responses", "openai_responses"),
        post("responses_compact", f"{base}/responses/compact", "openai_responses"),
        *_free("responses_count", f"POST {base}/responses/input_tokens"),
        *_free("responses_get", f"GET {one}", later=True),
        *_free("responses_cancel", f"POST {one}/cancel", later=True),
        *_free("responses_delete", f"DELETE {one}"),
        *_free("responses_items", f"GET {one}/input_items"),
    ]


def embeddings(base: str) -> Operation:
    return post("embeddings", f"{base}/embeddings", "openai_embeddings")


def completions(base: str) -> Operation:
    return post("completions", f"{base}/completions", "openai_completions")


def _files(base: str) -> list[Operation]:
    one = f"{base}/files/{{id}}"
    return [
        *_free("files_upload", f"POST {base}/files", form=True),
        *_free("files_list", f"GET {base}/files"),
        *_free("files_get", f"GET {one}"),
        *_free("files_delete", f"DELETE {one}"),
        *_free("files_content", f"GET {one}/content"),
    ]


def _conversations(base: str) -> list[Operation]:
    """Stored for the Responses API; only its answers are billed."""
    one = f"{base}/conversations/{{id}}"
    return [
        *_free("conversations_create", f"POST {base}/conversations"),
        *_free("conversations_get", f"GET {one}"),
        *_free("conversations_update", f"POST {one}"),
        *_free("conversations_delete", f"DELETE {one}"),
        *_free("conversations_items", f"GET {one}/items"),
    ]


def _media(base: str) -> list[Operation]:
    images, audio = f"{base}/images", f"{base}/audio"
    return [
        post("images", f"{images}/generations", "openai_images", model="dall-e-2"),
        _form("images_edit", f"{images}/edits", "image_form"),
        post("speech", f"{audio}/speech", "openai_speech"),
        _form("transcription", f"{audio}/transcriptions", "audio_form"),
        _form("translation", f"{audio}/translations", "audio_form"),
    ]


def _form(name: str, path: str, body: str) -> Operation:
    return Operation(name=name, method="POST", path=path, body=body, form=True)


def _batches(base: str) -> list[Operation]:
    one = f"{base}/batches/{{id}}"
    return [
        Operation(name="batches", method="POST", path=f"{base}/batches", treatment="batch"),
        *_free("batches_list", f"GET {base}/batches"),
        *_free("batches_get", f"GET {one}", later=True),
        *_free("batches_cancel", f"POST {one}/cancel", later=True),
    ]


def openai(base: str = "/v1") -> tuple[Operation, ...]:
    """All of OpenAI's API that is governed."""
    return (
        chat(f"{base}/chat/completions"),
        *responses(base),
        embeddings(base),
        completions(base),
        *_files(base),
        *models(base),
        *_media(base),
        *_batches(base),
        *_conversations(base),
        *_free("moderations", f"POST {base}/moderations"),
    )


def openai_like(base: str, body: str = "openai_chat") -> tuple[Operation, ...]:
    """What most providers with OpenAI's API have of it."""
    return (
        chat(f"{base}/chat/completions", body),
        *responses(base),
        embeddings(base),
        completions(base),
        *models(base),
    )


def anthropic() -> tuple[Operation, ...]:
    one, batches = "/v1/messages/batches/{id}", "/v1/messages/batches"
    return (
        post("messages", "/v1/messages", "anthropic"),
        post("complete", "/v1/complete", "anthropic_complete"),
        *_free("messages_count", "POST /v1/messages/count_tokens"),
        Operation(name="messages_batches", method="POST", path=batches, treatment="batch"),
        *_free("messages_batches_list", f"GET {batches}"),
        *_free("messages_batches_get", f"GET {one}", later=True),
        *_free("messages_batches_cancel", f"POST {one}/cancel", later=True),
        *_free("messages_batches_delete", f"DELETE {one}"),
        *_free("messages_batches_results", f"GET {one}/results", later=True),
        *_files("/v1"),
        *models("/v1"),
    )


def _google_model(name: str, paths: tuple[str, ...], verb: str, body: str) -> list[Operation]:
    """A verb of a model, under each of these paths."""
    return [
        Operation(
            name=name,
            method="POST",
            path=f"{path}:{verb}",
            treatment="metered" if body else "free",
            body=body,
            stream=verb.startswith("stream"),
        )
        for path in paths
    ]


def google_models(paths: tuple[str, ...]) -> list[Operation]:
    """What Gemini and Vertex ask of Google's models alike."""
    return [
        *_google_model("generate", paths, "generateContent", "google"),
        *_google_model("generate_stream", paths, "streamGenerateContent", "google"),
        *_google_model("count", paths, "countTokens", ""),
        *_google_model("embed", paths, "embedContent", "google_embed"),
        *_google_model("embed_batch", paths, "batchEmbedContents", "google_embed"),
    ]


def _cached(base: str) -> list[Operation]:
    """Making one is not here: storage is billed by the hour, and the catalog has no such price."""
    one = f"{base}/cachedContents/{{id}}"
    return [
        *_free("cached_list", f"GET {base}/cachedContents"),
        *_free("cached_get", f"GET {one}"),
        *_free("cached_delete", f"DELETE {one}"),
    ]


def gemini() -> tuple[Operation, ...]:
    found: list[Operation] = []
    for version in ("/v1beta", "/v1", "/v1alpha"):
        found += google_models((f"{version}/models/{{model}}", f"{version}/tunedModels/{{model}}"))
        found += _cached(version)
        found += _free("google_models", f"GET {version}/models")
        found += _free("google_model", f"GET {version}/models/{{id}}")
        found += _free("google_files", f"GET {version}/files")
        found += _free(
            "google_file", f"GET {version}/files/{{id}}", f"DELETE {version}/files/{{id}}"
        )
        found.append(post("interactions", f"{version}/interactions", "google_interaction"))
        one = f"{version}/interactions/{{id}}"
        found += _free("interactions_get", f"GET {one}", later=True)
        found += _free("interactions_delete", f"DELETE {one}")
    compatible = "/v1beta/openai"
    return (
        *found,
        chat(f"{compatible}/chat/completions", "google_chat", auth="bearer"),
        Operation(
            name="embeddings", method="POST", path=f"{compatible}/embeddings",
            body="openai_embeddings", auth="bearer", protocol="openai",
        ),
    )  # fmt: skip


def vertex() -> tuple[Operation, ...]:
    found: list[Operation] = []
    for version in ("/v1beta1", "/v1"):
        project = f"{version}/projects/{{project}}/locations/{{location}}"
        paths = (
            f"{project}/publishers/google/models/{{model}}",
            f"{version}/publishers/google/models/{{model}}",
        )
        found += google_models(paths)
        found += _google_model("predict", paths, "predict", "google_embed")
        found += _cached(project)
        claude = f"{project}/publishers/anthropic/models/{{model}}"
        for verb in ("rawPredict", "streamRawPredict"):
            found.append(
                Operation(
                    name=verb, method="POST", path=f"{claude}:{verb}", body="anthropic",
                    protocol="anthropic",
                )
            )  # fmt: skip
        count = f"{project}/publishers/anthropic/models/count-tokens:rawPredict"
        found.insert(0, _free("messages_count", f"POST {count}")[0])
    openapi = "/v1/projects/{project}/locations/{location}/endpoints/openapi"
    return (*found, chat(f"{openapi}/chat/completions", "google_chat"))


def azure() -> tuple[Operation, ...]:
    """The v1 surface, the deployments before it, and Foundry's models."""
    deployment = "/openai/deployments/{model}"
    return (
        *openai("/openai/v1"),
        chat(f"{deployment}/chat/completions"),
        completions(deployment),
        embeddings(deployment),
        *_media(deployment),
        *responses("/openai"),
        *_files("/openai"),
        *_batches("/openai"),
        *models("/openai"),
        chat("/models/chat/completions"),
        embeddings("/models"),
        Operation(
            name="azure_anthropic", method="POST", path="/anthropic/v1/messages",
            body="anthropic", protocol="anthropic", auth="x-api-key",
        ),
    )  # fmt: skip


def openrouter() -> tuple[Operation, ...]:
    base = "/api/v1"
    return (
        chat(f"{base}/chat/completions", "openai_chat_quiet"),
        post("responses", f"{base}/responses", "openai_responses"),
        post("completions", f"{base}/completions", "openai_completions"),
        embeddings(base),
        post("rerank", f"{base}/rerank", "rerank"),
        *models(base),
        *_free("generation", f"GET {base}/generation"),
        *_free("credits", f"GET {base}/credits", f"GET {base}/key"),
    )


def mistral() -> tuple[Operation, ...]:
    base = "/v1"
    return (
        Operation(
            name="chat", method="POST", path=f"{base}/chat/completions", body="mistral"
        ),
        post("fim", f"{base}/fim/completions", "mistral"),
        post("agents", f"{base}/agents/completions", "mistral", model="mistral-large-latest"),
        post("embeddings", f"{base}/embeddings", "openai_embeddings"),
        post("ocr", f"{base}/ocr", "ocr"),
        _form("transcription", f"{base}/audio/transcriptions", "audio_form"),
        *_files(base),
        *models(base),
    )  # fmt: skip


def cohere() -> tuple[Operation, ...]:
    found = []
    for version in ("/v2", "/v1"):
        found += [
            post("cohere_chat", f"{version}/chat", "cohere", model="command-r"),
            post(
                "cohere_embed", f"{version}/embed", "openai_embeddings", model="embed-english-v2.0"
            ),
            post("rerank", f"{version}/rerank", "rerank", model="rerank-english-v2.0"),
        ]
    return (
        *found,
        post("generate", "/v1/generate", "cohere", model="command"),
        *_free("tokenize", "POST /v1/tokenize", "POST /v1/detokenize"),
        *_free("cohere_models", "GET /v1/models", "GET /v1/models/{id}"),
    )
