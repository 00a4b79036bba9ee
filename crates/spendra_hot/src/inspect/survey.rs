//! The one pass: what a body says, and where its governed members stand.

use std::ops::Range;

use super::Inspected;
use super::dialect::{self, Dialect, Field, Shape};
use super::parts::Parts;
use super::read;
use super::scan::{Kind, Opening, Scan, Scanner};
use super::tools::Tools;
use crate::error::Unusable;

/// A governed member's value, and inside it the one member that may be rewritten.
#[derive(Debug, Clone)]
pub struct Place {
    pub field: Field,
    pub value: Range<usize>,
    pub opening: Option<Opening>,
    pub inner: Option<Range<usize>>,
}

pub struct Survey {
    pub found: Inspected,
    pub shape: &'static Shape,
    pub root: Opening,
    pub places: Vec<Place>,
    /// Tools that are to get a limit of their own.
    pub unlimited_tools: Vec<Opening>,
}

/// Members seen so far, and what they said.
struct Pass {
    dialect: &'static Dialect,
    seen: u32,
    found: Inspected,
    parts: Parts,
    tools: Tools,
    limits: Vec<(Field, u64)>,
    prompts: Option<u64>,
    best_of: u64,
    tool_calls: Option<u64>,
    documents: u64,
    pages: Option<u64>,
    places: Vec<Place>,
}

pub fn survey(body: &[u8], dialect: &'static Dialect) -> Scan<Survey> {
    let mut scanner = Scanner::new(body)?;
    let mut pass = Pass::new(dialect);
    if scanner.kind()? != Kind::Object {
        return Err(Unusable::new("the body is not a JSON object"));
    }
    let root = scanner.object(|scanner, key| match key.decode() {
        Some(key) => pass.member(scanner, &key),
        None => scanner.skip(),
    })?;
    scanner.end()?;
    pass.found.body_bytes = bytes(body.len());
    pass.found.text_bytes = bytes(scanner.text_bytes);
    pass.conclude(root)
}

impl Pass {
    fn new(dialect: &'static Dialect) -> Self {
        Self {
            dialect,
            seen: 0,
            found: Inspected {
                choices: 1,
                ..Inspected::default()
            },
            parts: Parts::default(),
            tools: Tools::default(),
            limits: Vec::new(),
            prompts: None,
            best_of: 1,
            tool_calls: None,
            documents: 0,
            pages: None,
            places: Vec::new(),
        }
    }

    fn member(&mut self, scanner: &mut Scanner<'_>, key: &str) -> Scan<()> {
        let Some((name, field)) = self.dialect.field(key) else {
            return self.parts.walk(scanner);
        };
        if name != key {
            return Err(Unusable::new(format!("`{key}` must be written `{name}`")));
        }
        if self.seen & field.bit() != 0 {
            return Err(read::twice(name));
        }
        self.seen |= field.bit();
        scanner.kind()?;
        let start = scanner.at();
        let (opening, inner) = self.value(scanner, name, field)?;
        self.places.push(Place {
            field,
            value: start..scanner.at(),
            opening,
            inner,
        });
        Ok(())
    }

    fn value(&mut self, scanner: &mut Scanner<'_>, name: &str, field: Field) -> Scan<Inside> {
        match field {
            Field::StreamOptions => return self.stream_options(scanner, name),
            Field::GenerationConfig => return self.generation_config(scanner, name),
            Field::Model => self.found.model = read::text(scanner, name)?,
            Field::ServiceTier => self.found.service_tier = read::text(scanner, name)?,
            Field::Stream => self.found.stream = read::flag(scanner, name)?.unwrap_or(false),
            Field::MaxTokens | Field::MaxCompletionTokens | Field::MaxOutputTokens => {
                self.limit(scanner, name, field)?;
            }
            Field::Choices => self.found.choices = read::count(scanner, name, 1)?.unwrap_or(1),
            Field::BestOf => self.best_of = read::count(scanner, name, 1)?.unwrap_or(1),
            Field::Tools | Field::Functions => {
                self.tools.read(scanner, self.dialect.tools, name)?;
            }
            Field::HostedTool => {
                let present = read::is_present(scanner)?;
                self.tools.hosted |= present;
                self.tools.searches_web |= present && name == "web_search_options";
            }
            Field::MaxToolCalls => self.tool_calls = read::count(scanner, name, 0)?,
            Field::Documents => self.documents = self.parts.items(scanner)?,
            Field::Pages => self.pages = pages(scanner)?,
            Field::AudioBytes => {
                let size = read::count(scanner, name, 0)?.unwrap_or(0);
                self.found.fees.audio_ms = size.saturating_mul(LONGEST_MS_PER_BYTE);
            }
            Field::Speech => self.speech(scanner, name)?,
            Field::Labels => self.labels(scanner, name)?,
            Field::Messages | Field::Input => self.found.messages = self.parts.items(scanner)?,
            Field::Prompt => self.prompt(scanner)?,
            Field::PreviousResponse | Field::Conversation | Field::CachedContent => {
                self.parts.stored |= read::is_present(scanner)?;
            }
        }
        Ok((None, None))
    }

    fn speech(&mut self, scanner: &mut Scanner<'_>, name: &str) -> Scan<()> {
        let text = read::text(scanner, name)?.unwrap_or_default();
        self.found.fees.billable_characters = bytes(text.chars().count());
        Ok(())
    }

    fn limit(&mut self, scanner: &mut Scanner<'_>, name: &str, field: Field) -> Scan<()> {
        // None at all is a limit too: Anthropic only fills its cache then, OpenAI refuses.
        let limit = read::count(scanner, name, 0)?;
        self.limits.extend(limit.map(|limit| (field, limit)));
        Ok(())
    }

    fn stream_options(&mut self, scanner: &mut Scanner<'_>, name: &str) -> Scan<Inside> {
        if !read::is_object(scanner, name)? {
            return Ok((None, None));
        }
        let mut inner = None;
        let opening = scanner.object(|scanner, key| match key.decode().as_deref() {
            Some(key @ "include_usage") => {
                let span = spanned(scanner, |scanner| {
                    self.found.include_usage = read::flag(scanner, key)?.unwrap_or(false);
                    Ok(())
                })?;
                read::once(&mut inner, Some(span), key)
            }
            _ => scanner.skip(),
        })?;
        Ok((Some(opening), inner))
    }

    fn generation_config(&mut self, scanner: &mut Scanner<'_>, name: &str) -> Scan<Inside> {
        if !read::is_object(scanner, name)? {
            return Ok((None, None));
        }
        let (mut inner, mut candidates) = (None, None);
        let opening = scanner.object(|scanner, key| match key.decode().as_deref() {
            Some(key @ ("maxOutputTokens" | "max_output_tokens")) => {
                let field = Field::GenerationConfig;
                let span = spanned(scanner, |scanner| self.limit(scanner, key, field))?;
                read::once(&mut inner, Some(span), key)
            }
            Some(key @ ("candidateCount" | "candidate_count")) => {
                let count = read::count(scanner, key, 1)?.unwrap_or(1);
                self.found.choices = count;
                read::once(&mut candidates, Some(count), key)
            }
            _ => scanner.skip(),
        })?;
        Ok((Some(opening), inner))
    }

    fn labels(&mut self, scanner: &mut Scanner<'_>, name: &str) -> Scan<()> {
        if !read::is_object(scanner, name)? {
            return Ok(());
        }
        scanner.object(|scanner, key| {
            if scanner.kind()? != Kind::Text {
                return scanner.skip();
            }
            let (Some(key), Some(value)) = (key.decode(), scanner.text()?.decode()) else {
                return Err(read::must_be(name, "Unicode text"));
            };
            match self
                .found
                .labels
                .insert(key.to_string(), value.into_owned())
            {
                Some(_) => Err(read::twice(&format!("{name}.{key}"))),
                None => Ok(()),
            }
        })?;
        Ok(())
    }

    /// A stored prompt, one text, one list of tokens, or a list of prompts.
    fn prompt(&mut self, scanner: &mut Scanner<'_>) -> Scan<()> {
        match scanner.kind()? {
            Kind::Null => scanner.null(),
            Kind::Object => {
                self.parts.stored = true;
                self.parts.walk(scanner)
            }
            Kind::Array => {
                let (mut prompts, mut tokens) = (0_u64, true);
                scanner.array(|scanner| {
                    prompts = prompts.saturating_add(1);
                    tokens &= scanner.kind()? == Kind::Number;
                    self.parts.walk(scanner)
                })?;
                self.prompts = Some(if tokens { 1 } else { prompts });
                Ok(())
            }
            _ => {
                self.prompts = Some(1);
                scanner.skip()
            }
        }
    }

    fn conclude(mut self, root: Opening) -> Scan<Survey> {
        let shape = match self.dialect.shape {
            Some(shape) => shape,
            None => self.inferred()?,
        };
        self.found.output_limit = self.agreed_limit(shape)?;
        self.found.implied_limit = shape.implied_limit;
        self.found.generates = shape.generates;
        self.found.include_usage |= !shape.usage_on_request;
        let each = self.found.choices.max(self.best_of);
        self.found.choices = each.saturating_mul(self.prompts.unwrap_or(1));
        self.found.text_only = !self.parts.media;
        self.found.stored_state = self.parts.stored;
        self.found.hosted_tools = self.tools.hosted;
        self.found.overshoots = shape.overshoots;
        self.found.takes_cap = !shape.cap.is_empty();
        self.bound_fees(shape);
        self.found.tools = self.tools.names;
        Ok(Survey {
            unlimited_tools: self.tools.unlimited,
            found: self.found,
            shape,
            root,
            places: self.places,
        })
    }

    /// What the request can use besides tokens, and how often its input may be read again.
    fn bound_fees(&mut self, shape: &Shape) {
        let unlimited = bytes(self.tools.unlimited.len()).saturating_mul(shape.rounds.uses);
        let given = self.tools.uses.saturating_add(unlimited);
        let uses = match (self.tool_calls, given) {
            (Some(calls), _) => calls,
            (None, 0) => shape.rounds.uses,
            (None, given) => given,
        };
        if self.tools.hosted {
            self.found.rereads = uses;
            self.found.rounds_have_output = shape.rounds.each_has_output;
        }
        let searches_web = self.tools.searches_web || self.is_of_a_search_model();
        let fees = &mut self.found.fees;
        fees.web_searches = if searches_web { uses.max(1) } else { 0 };
        fees.file_searches = if self.tools.searches_files {
            uses.max(1)
        } else {
            0
        };
        fees.search_units = search_units(self.documents, self.found.text_bytes);
        if self.dialect.name == "ocr" {
            fees.pages = self.pages.unwrap_or(MAX_PAGES);
            fees.annotated_pages = fees.pages;
        }
    }

    /// Such a model of OpenAI's searches once for each answer, asked or not.
    fn is_of_a_search_model(&self) -> bool {
        let model = self.found.model.as_deref().unwrap_or_default();
        self.dialect.name == "openai_chat" && model.contains("-search-preview")
    }

    /// Of OpenAI's endpoints, the one that this body is for.
    fn inferred(&self) -> Scan<&'static Shape> {
        let has = |field: Field| self.seen & field.bit() != 0;
        let (chat, completion) = (has(Field::Messages), self.prompts.is_some());
        let input = has(Field::Input) || has(Field::PreviousResponse) || has(Field::Conversation);
        match (chat, input, completion) {
            (_, false, false) if chat || !self.parts.stored => Ok(&dialect::CHAT),
            (false, _, false) => Ok(&dialect::RESPONSES),
            (false, false, true) => Ok(&dialect::COMPLETIONS),
            _ => Err(Unusable::new(
                "the body must have only one of `messages`, `input` and `prompt`",
            )),
        }
    }

    fn agreed_limit(&self, shape: &Shape) -> Scan<Option<u64>> {
        let mut binding = self
            .limits
            .iter()
            .filter(|(field, _)| shape.limits.contains(field));
        let first = binding.next().map(|(_, limit)| *limit);
        if binding.any(|(_, limit)| Some(*limit) != first) {
            return Err(Unusable::new(
                "`max_tokens` and `max_completion_tokens` differ; give one of them",
            ));
        }
        Ok(first)
    }
}

/// Speech needs at least four kilobits a second, so a byte is at most two milliseconds of it.
const LONGEST_MS_PER_BYTE: u64 = 2;
/// Mistral reads at most so many pages of a document.
const MAX_PAGES: u64 = 1_000;
/// A search unit is one query over at most so many texts (Cohere, pricing) ...
const UNIT_TEXTS: u64 = 100;
/// ... and a text of more tokens than this counts as several.
const TEXT_TOKENS: u64 = 500;

fn search_units(documents: u64, text_bytes: u64) -> u64 {
    if documents == 0 {
        return 0;
    }
    // Tokens are never more than bytes; each document may begin a piece of its own.
    let pieces = text_bytes.div_ceil(TEXT_TOKENS).saturating_add(documents);
    pieces.div_ceil(UNIT_TEXTS)
}

/// Pages that are named one by one; None: all of them.
fn pages(scanner: &mut Scanner<'_>) -> Scan<Option<u64>> {
    if scanner.kind()? != Kind::Array {
        return scanner.skip().map(|()| None);
    }
    let mut pages = 0_u64;
    scanner.array(|scanner| {
        pages = pages.saturating_add(1);
        scanner.skip()
    })?;
    Ok(Some(pages))
}

type Inside = (Option<Opening>, Option<Range<usize>>);

fn spanned(
    scanner: &mut Scanner<'_>,
    read: impl FnOnce(&mut Scanner<'_>) -> Scan<()>,
) -> Scan<Range<usize>> {
    scanner.kind()?;
    let start = scanner.at();
    read(scanner)?;
    Ok(start..scanner.at())
}

fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
