//! The command line.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

pub struct Options {
    pub host: String,
    pub port: u16,
    path: String,
    headers: Vec<String>,
    body_file: String,
    pub callers: usize,
    pub length: Duration,
    /// Calls after which to end early; 0 for no such end.
    pub calls: u64,
    pub warmup: Duration,
    /// Between the end of a call and the next one of the same caller.
    pub pause: Duration,
    /// 0: this process is no upstream.
    pub upstream_port: u16,
    pub events: usize,
    pub event_pause: Duration,
}

impl Options {
    pub fn from_args() -> Result<Self, Box<dyn Error>> {
        let mut options = Self::default();
        let mut args = env::args().skip(1);
        while let Some(name) = args.next() {
            let value = args.next().ok_or_else(|| format!("{name} wants a value"))?;
            options.set(&name, value)?;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), Box<dyn Error>> {
        match name {
            "--host" => self.host = value,
            "--port" => self.port = value.parse()?,
            "--path" => self.path = value,
            "--header" => self.headers.push(value),
            "--body" => self.body_file = value,
            "--callers" => self.callers = value.parse()?,
            "--seconds" => self.length = Duration::try_from_secs_f64(value.parse()?)?,
            "--requests" => self.calls = value.parse()?,
            "--warmup" => self.warmup = Duration::try_from_secs_f64(value.parse()?)?,
            "--pause-ms" => self.pause = Duration::from_millis(value.parse()?),
            "--upstream-port" => self.upstream_port = value.parse()?,
            "--chunks" => self.events = value.parse()?,
            "--chunk-ms" => self.event_pause = Duration::from_millis(value.parse()?),
            _ => return Err(format!("unknown option {name}").into()),
        }
        Ok(())
    }

    /// The one request that every call sends.
    pub fn request(&self) -> Result<Vec<u8>, Box<dyn Error>> {
        let body = fs::read(&self.body_file)?;
        let mut head = format!("POST {} HTTP/1.1\r\nhost: {}\r\n", self.path, self.host);
        for header in &self.headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        let length = body.len();
        let _ = write!(
            head,
            "content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        Ok([head.into_bytes(), body].concat())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: String::from("127.0.0.1"),
            port: 4141,
            path: String::from("/v1/chat/completions"),
            headers: Vec::new(),
            body_file: String::from("body.json"),
            callers: 1,
            length: Duration::from_secs(5),
            calls: 0,
            warmup: Duration::ZERO,
            pause: Duration::ZERO,
            upstream_port: 0,
            events: 50,
            event_pause: Duration::from_millis(2),
        }
    }
}
