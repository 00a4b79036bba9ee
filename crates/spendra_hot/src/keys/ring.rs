//! The snapshot's keys, by id, in shards that are replaced one by one.

use std::collections::HashMap;
use std::sync::Arc;

use subtle::ConstantTimeEq;

use super::KeyHash;
use super::segment::{HashRecord, KeyRecord, KeysSegment, State};
use super::text::{self, Pepper};
use crate::error::Unusable;
use crate::glob::Globs;
use crate::policy::KEY_DIMENSIONS;

/// Dimensions and their values, sorted by dimension.
pub type Scope = Box<[(Box<str>, Box<[Box<str>]>)]>;

/// Who asks: a valid key, what it is bound to and what it may do.
#[derive(Debug, Clone)]
pub struct Principal {
    pub key_id: Arc<str>,
    pub name: Box<str>,
    pub environment: Box<str>,
    /// What the key is bound to, ancestors included.
    pub scope: Scope,
    /// What it is bound to in each of the projects of which every request names one.
    pub projects: Box<[(Box<str>, Scope)]>,
    pub models: Option<Globs>,
    pub providers: Option<Globs>,
    pub tools: Option<Globs>,
    /// The keys that it was delegated from: what is theirs counts for it too.
    pub delegated_from: Box<[Box<str>]>,
    pub max_request_nanousd: Option<u64>,
}

impl Principal {
    /// The same, bound to one of its projects; `None` for another.
    #[must_use]
    pub fn in_project(&self, name: &str) -> Option<Self> {
        let (_, scope) = self.projects.iter().find(|(known, _)| **known == *name)?;
        Some(Self {
            scope: scope.clone(),
            projects: Box::default(),
            ..self.clone()
        })
    }
}

/// Why a presented key does not count, in the order in which it is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    Malformed,
    Unknown,
    Revoked,
    Paused,
    Expired,
}

impl Refused {
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "key_malformed",
            Self::Unknown => "key_unknown",
            Self::Revoked => "key_revoked",
            Self::Paused => "key_paused",
            Self::Expired => "key_expired",
        }
    }
}

/// Keys whose ids have the same shard, from one segment of the snapshot.
#[derive(Debug)]
pub struct KeyShard {
    number: u8,
    keys: HashMap<Box<str>, Entry>,
}

/// Of each shard at most one.
#[derive(Debug)]
pub struct KeyRing {
    pepper: Pepper,
    shards: Box<[Option<Arc<KeyShard>>]>,
}

const SHARDS: usize = 256;

#[derive(Debug)]
struct Entry {
    principal: Arc<Principal>,
    state: State,
    hashes: Box<[(KeyHash, Option<i64>)]>,
    expires_at_ms: Option<i64>,
}

/// An unknown id is compared with this: it costs what a known one costs.
const NOBODY: KeyHash = [0; 32];

impl KeyShard {
    /// From a segment `keys/<shard>` of the snapshot: at least one key, all of one shard.
    pub fn load(segment: &[u8]) -> Result<Self, Unusable> {
        let segment: KeysSegment = serde_json::from_slice(segment)
            .map_err(|error| Unusable::new(format!("a keys segment: {error}")))?;
        let mut shard = None;
        let mut keys = HashMap::with_capacity(segment.keys.len());
        for record in segment.keys {
            let (id, entry) = admit(record)?;
            let number = text::shard_of(&id);
            if *shard.get_or_insert(number) != number {
                return Err(Unusable::new(format!(
                    "key {id} is not of the shard of the keys beside it"
                )));
            }
            if keys.insert(id.clone(), entry).is_some() {
                return Err(Unusable::new(format!("a keys segment has key {id} twice")));
            }
        }
        match shard {
            Some(number) => Ok(Self { number, keys }),
            None => Err(Unusable::new("a keys segment has no keys")),
        }
    }
}

impl KeyRing {
    /// The pepper keys the hashes.
    pub fn new(
        shards: impl IntoIterator<Item = Arc<KeyShard>>,
        pepper: &[u8],
    ) -> Result<Self, Unusable> {
        let pepper = text::pepper(pepper)?;
        let mut placed = vec![None; SHARDS];
        for shard in shards {
            let place = placed
                .get_mut(usize::from(shard.number))
                .ok_or_else(|| Unusable::new("a shard of keys out of range"))?;
            if place.is_some() {
                let number = shard.number;
                return Err(Unusable::new(format!("shard {number:02x} of keys twice")));
            }
            *place = Some(shard);
        }
        let shards = placed.into_boxed_slice();
        Ok(Self { pepper, shards })
    }

    pub fn len(&self) -> usize {
        self.shards
            .iter()
            .flatten()
            .map(|shard| shard.keys.len())
            .sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The principal of a presented key, or why not. Takes as long for unknown as for known ids.
    pub fn authenticate(&self, presented: &str, now_ms: i64) -> Result<&Arc<Principal>, Refused> {
        let id = text::id_of(presented).ok_or(Refused::Malformed)?;
        let digest = text::digest(&self.pepper, presented);
        let Some(entry) = self.find(id) else {
            std::hint::black_box(digest.ct_eq(&NOBODY));
            return Err(Refused::Unknown);
        };
        entry.judge(&digest, now_ms).map(|()| &entry.principal)
    }

    fn find(&self, id: &str) -> Option<&Entry> {
        let shard = self.shards.get(usize::from(text::shard_of(id)))?.as_ref()?;
        shard.keys.get(id)
    }
}

impl Entry {
    fn judge(&self, digest: &KeyHash, now_ms: i64) -> Result<(), Refused> {
        if !self.knows(digest, now_ms) {
            return Err(Refused::Unknown);
        }
        match self.state {
            State::Revoked => Err(Refused::Revoked),
            State::Paused => Err(Refused::Paused),
            State::Active if is_over(self.expires_at_ms, now_ms) => Err(Refused::Expired),
            State::Active => Ok(()),
        }
    }

    fn knows(&self, digest: &KeyHash, now_ms: i64) -> bool {
        let valid = self
            .hashes
            .iter()
            .filter(|(_, ends)| !is_over(*ends, now_ms));
        let hit = valid.fold(subtle::Choice::from(0), |hit, (hash, _)| {
            hit | hash.ct_eq(digest)
        });
        hit.into()
    }
}

fn is_over(ends_ms: Option<i64>, now_ms: i64) -> bool {
    ends_ms.is_some_and(|ends| ends <= now_ms)
}

fn admit(record: KeyRecord) -> Result<(Box<str>, Entry), Unusable> {
    let id = record.id.into_boxed_str();
    let hashes = record
        .hashes
        .iter()
        .map(|hash| decode(&id, hash))
        .collect::<Result<_, _>>()?;
    let principal = Principal {
        key_id: id.as_ref().into(),
        name: record.name.into(),
        environment: record.environment.into(),
        scope: scope(&id, record.scope)?,
        projects: record
            .projects
            .into_iter()
            .map(|(name, bound)| Ok((name.into(), scope(&id, bound)?)))
            .collect::<Result<_, _>>()?,
        models: record.models.as_deref().map(Globs::new),
        providers: record.providers.as_deref().map(Globs::new),
        tools: record.tools.as_deref().map(Globs::new),
        delegated_from: record
            .delegated_from
            .into_iter()
            .map(String::into_boxed_str)
            .collect(),
        max_request_nanousd: record.max_request_nanousd,
    };
    let (state, expires_at_ms) = (record.state, record.expires_at_ms);
    Ok((
        id,
        Entry {
            principal: Arc::new(principal),
            state,
            hashes,
            expires_at_ms,
        },
    ))
}

fn decode(id: &str, record: &HashRecord) -> Result<(KeyHash, Option<i64>), Unusable> {
    let mut hash = KeyHash::default();
    hex::decode_to_slice(&record.hash, &mut hash).map_err(|error| {
        Unusable::new(format!("key {id}: its hash is not 64 hex digits: {error}"))
    })?;
    Ok((hash, record.expires_at_ms))
}

fn scope(
    id: &str,
    scope: std::collections::BTreeMap<String, Vec<String>>,
) -> Result<Scope, Unusable> {
    let bind = |(dimension, values): (String, Vec<String>)| {
        if !KEY_DIMENSIONS.contains(&dimension.as_str()) {
            return Err(Unusable::new(format!(
                "key {id}: a key cannot be bound to {dimension:?}"
            )));
        }
        Ok((
            dimension.into(),
            values.into_iter().map(Into::into).collect(),
        ))
    };
    scope.into_iter().map(bind).collect()
}
