//! Tools by name, and whether any of them runs at the provider.

use super::dialect::ToolForm;
use super::read;
use super::scan::{Kind, Opening, Scan, Scanner};

#[derive(Debug, Default)]
pub struct Tools {
    pub names: Vec<String>,
    /// One runs at the provider and brings input of its own.
    pub hosted: bool,
    pub searches_web: bool,
    pub searches_files: bool,
    /// Sum of the `max_uses` that were given (Anthropic).
    pub uses: u64,
    /// Tools that take a `max_uses` and have none.
    pub unlimited: Vec<Opening>,
}

impl Tools {
    pub fn read(&mut self, scanner: &mut Scanner<'_>, form: ToolForm, field: &str) -> Scan<()> {
        match scanner.kind()? {
            Kind::Null => scanner.null(),
            Kind::Array => scanner.array(|scanner| match form {
                ToolForm::Typed => self.typed(scanner, field),
                ToolForm::Keyed => self.keyed(scanner, field),
            }),
            // Google takes one for a list of one.
            Kind::Object if matches!(form, ToolForm::Keyed) => self.keyed(scanner, field),
            _ => Err(read::must_be(field, "a list")),
        }
    }

    fn typed(&mut self, scanner: &mut Scanner<'_>, field: &str) -> Scan<()> {
        if scanner.kind()? != Kind::Object {
            return Err(read::must_be(field, "a list of objects"));
        }
        let (mut kind, mut name, mut inner) = (None, None, None);
        let mut uses = None;
        let opening = scanner.object(|scanner, key| match key.decode().as_deref() {
            Some("type") => read::once(&mut kind, read::text(scanner, "tools.type")?, "tools.type"),
            Some("name") => read::once(&mut name, read::text(scanner, "tools.name")?, "tools.name"),
            Some(name @ "max_uses") => read::once(&mut uses, read::count(scanner, name, 0)?, name),
            Some(part @ ("function" | "custom")) => {
                read::once(&mut inner, definition(scanner, part)?, "tools.function")
            }
            _ => scanner.skip(),
        })?;
        if inner.is_none() && !is_callers(kind.as_deref()) {
            self.note_hosted(kind.as_deref().unwrap_or_default());
            self.note_uses(kind.as_deref().unwrap_or_default(), uses, opening);
        }
        let bare = if is_callers(kind.as_deref()) {
            name
        } else {
            kind
        };
        self.names.extend(inner.or(bare));
        Ok(())
    }

    fn note_hosted(&mut self, name: &str) {
        let plain = name.replace('_', "").to_ascii_lowercase();
        self.hosted = true;
        self.searches_web |= ["websearch", "googlesearch", "enterprisewebsearch"]
            .iter()
            .any(|start| plain.starts_with(start));
        self.searches_files |= plain.starts_with("filesearch");
    }

    /// Anthropic's tools that look things up take a limit each.
    fn note_uses(&mut self, kind: &str, uses: Option<u64>, opening: Opening) {
        match uses {
            Some(uses) => self.uses = self.uses.saturating_add(uses),
            None if kind.starts_with("web_search_2") || kind.starts_with("web_fetch_2") => {
                self.unlimited.push(opening);
            }
            None => {}
        }
    }

    fn keyed(&mut self, scanner: &mut Scanner<'_>, field: &str) -> Scan<()> {
        if scanner.kind()? != Kind::Object {
            return Err(read::must_be(field, "a list of objects"));
        }
        scanner
            .object(|scanner, key| match key.decode().as_deref() {
                Some("functionDeclarations" | "function_declarations") => {
                    self.read(scanner, ToolForm::Typed, "functionDeclarations")
                }
                key => {
                    self.note_hosted(key.unwrap_or_default());
                    self.names.extend(key.map(str::to_owned));
                    scanner.skip()
                }
            })
            .map(|_: Opening| ())
    }
}

fn is_callers(kind: Option<&str>) -> bool {
    matches!(kind, None | Some("function" | "custom"))
}

fn definition(scanner: &mut Scanner<'_>, part: &str) -> Scan<Option<String>> {
    let mut name = None;
    if read::is_object(scanner, part)? {
        scanner.object(|scanner, key| match key.decode().as_deref() {
            Some("name") => read::once(&mut name, read::text(scanner, "tools.name")?, "tools.name"),
            _ => scanner.skip(),
        })?;
    }
    Ok(name)
}
