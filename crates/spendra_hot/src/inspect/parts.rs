//! What hides in the conversation: parts whose tokens their bytes do not bound.

use super::scan::{Kind, Scan, Scanner};

/// Types of content parts that stand for more than their text.
const MEDIA_TYPES: &[&str] = &[
    "image_url",
    "input_image",
    "image_file",
    "image",
    "input_audio",
    "audio",
    "audio_url",
    "video",
    "video_url",
    "input_video",
    "file",
    "input_file",
    "document",
    "computer_screenshot",
    "container_upload",
];

const MEDIA_KEYS: &[&str] = &[
    "image_url",
    "input_audio",
    "inlineData",
    "inline_data",
    "fileData",
    "file_data",
];

/// Types of input items that name something the provider keeps.
const STORED_TYPES: &[&str] = &[
    "item_reference",
    "image_generation_call",
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "computer_call",
];

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    pub media: bool,
    pub stored: bool,
}

impl Parts {
    /// Passes any value and notes what is in it.
    pub fn walk(&mut self, scanner: &mut Scanner<'_>) -> Scan<()> {
        match scanner.kind()? {
            Kind::Object => self.object(scanner),
            Kind::Array => scanner.array(|scanner| self.walk(scanner)),
            _ => scanner.skip(),
        }
    }

    /// Walks the items of a list; anything else counts as one item, null as none.
    pub fn items(&mut self, scanner: &mut Scanner<'_>) -> Scan<u64> {
        let mut items = 0_u64;
        match scanner.kind()? {
            Kind::Array => scanner.array(|scanner| {
                items = items.saturating_add(1);
                self.walk(scanner)
            })?,
            kind => {
                items = u64::from(kind != Kind::Null);
                self.walk(scanner)?;
            }
        }
        Ok(items)
    }

    fn object(&mut self, scanner: &mut Scanner<'_>) -> Scan<()> {
        let (mut reasoning, mut enclosed) = (false, false);
        scanner.object(|scanner, key| {
            let key = key.decode().unwrap_or_default();
            self.media |= MEDIA_KEYS.contains(&&*key);
            if key == "type" && scanner.kind()? == Kind::Text {
                let name = scanner.text()?.decode().unwrap_or_default();
                self.note_type(&name);
                reasoning |= name == "reasoning";
                return Ok(());
            }
            enclosed |= key == "encrypted_content" && scanner.kind()? == Kind::Text;
            self.walk(scanner)
        })?;
        self.stored |= reasoning && !enclosed;
        Ok(())
    }

    fn note_type(&mut self, name: &str) {
        self.media |= MEDIA_TYPES.contains(&name);
        self.stored |= STORED_TYPES.contains(&name);
    }
}
