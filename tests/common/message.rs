//! A small strict reader of HTTP/1 messages for the tests: anything that RFC 9112 doesn't allow a
//! sender is an error, so that the proxy's mistakes show instead of being forgiven.

use super::wire::{Ended, Wire};

/// A message's head.
#[derive(Debug, Clone)]
pub struct Head {
    /// The bytes as they came, with the empty line.
    pub raw: Vec<u8>,
    /// The request line or status line.
    pub line: String,
    /// Names and values, as written, in order.
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// Reads a head off the wire.
    pub fn read(wire: &mut Wire) -> Result<Head, Ended> {
        let raw = wire.until(b"\r\n\r\n")?;
        Head::parse(raw)
    }

    fn parse(raw: Vec<u8>) -> Result<Head, Ended> {
        let bad = |why: &str| Ended::Malformed(format!("{why}: {}", String::from_utf8_lossy(&raw)));
        // Latin-1: every byte is a character, so that obs-text survives.
        let text: String = raw[..raw.len() - 4]
            .iter()
            .map(|&byte| char::from(byte))
            .collect();
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        if text.replace("\r\n", "").contains(['\r', '\n', '\0']) {
            return Err(bad("a bare CR, bare LF or NUL"));
        }
        let fields = fields(lines).map_err(bad)?;
        Ok(Head { raw, line, fields })
    }

    /// The value of the first field with this name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// The values of all fields with this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self
            .fields
            .iter()
            .filter(|field| field.0.eq_ignore_ascii_case(name));
        named.map(|field| field.1.as_str()).collect()
    }

    /// True when a field has this name.
    pub fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// True when a list field has this element.
    pub fn has_element(&self, name: &str, element: &str) -> bool {
        let lines = self.all(name);
        let mut elements = lines.iter().flat_map(|line| line.split(',')).map(str::trim);
        elements.any(|found| found.eq_ignore_ascii_case(element))
    }
}

fn fields<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<(String, String)>, &'static str> {
    let is_tchar = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or("a field without a colon")?;
        if name.is_empty() || !name.chars().all(is_tchar) {
            return Err("a bad field name");
        }
        fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }
    Ok(fields)
}

/// The end of a message's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// After so many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

impl Framing {
    fn of_fields(head: &Head) -> Result<Option<Framing>, Ended> {
        let lengths = head.all("content-length");
        let codings = head.all("transfer-encoding");
        let bad = |why: &str| Err(Ended::Malformed(format!("{why}: {:?}", head.fields)));
        match (lengths.as_slice(), codings.as_slice()) {
            ([], []) => Ok(None),
            ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => length
                .parse()
                .map(|length| Some(Framing::Length(length)))
                .or(bad("a bad length")),
            ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Ok(Some(Framing::Chunked)),
            _ => bad("doubtful framing"),
        }
    }

    /// The framing of a request.
    pub fn of_request(head: &Head) -> Result<Framing, Ended> {
        Ok(Framing::of_fields(head)?.unwrap_or(Framing::None))
    }

    /// The framing of a response to a request with this method.
    pub fn of_response(method: &str, status: u16, head: &Head) -> Result<Framing, Ended> {
        let framing = Framing::of_fields(head)?;
        let no_fields = status < 200 || status == 204 || (method == "CONNECT" && status < 300);
        if no_fields && framing.is_some() {
            return Err(Ended::Malformed(format!(
                "a {status} with framing: {:?}",
                head.fields
            )));
        }
        if no_fields || status == 304 || method == "HEAD" {
            return Ok(Framing::None);
        }
        Ok(framing.unwrap_or(Framing::UntilClose))
    }
}

/// Reads content piece by piece; gives the trailers.
pub fn read_content(
    wire: &mut Wire,
    framing: Framing,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<Vec<(String, String)>, Ended> {
    let within = |ended: Ended| {
        if ended == Ended::Closed {
            return Ended::Partial("the content isn't complete".to_owned());
        }
        ended
    };
    match framing {
        Framing::None => {}
        Framing::Length(length) => counted(wire, length, sink).map_err(within)?,
        Framing::Chunked => return chunked(wire, sink).map_err(within),
        Framing::UntilClose => loop {
            wire.allow(super::TIMEOUT);
            match wire.some(64 * 1024) {
                Ok(piece) => sink(&piece),
                Err(Ended::Closed) => break,
                Err(ended) => return Err(ended),
            }
        },
    }
    Ok(Vec::new())
}

fn counted(wire: &mut Wire, length: u64, sink: &mut dyn FnMut(&[u8])) -> Result<(), Ended> {
    let mut left = length;
    while left > 0 {
        wire.allow(super::TIMEOUT);
        let piece = wire.some(left.min(64 * 1024) as usize)?;
        left -= piece.len() as u64;
        sink(&piece);
    }
    Ok(())
}

fn chunked(wire: &mut Wire, sink: &mut dyn FnMut(&[u8])) -> Result<Vec<(String, String)>, Ended> {
    let bad = |why: &str, line: &[u8]| {
        Ended::Malformed(format!("{why}: {:?}", String::from_utf8_lossy(line)))
    };
    loop {
        wire.allow(super::TIMEOUT);
        let line = wire.until(b"\r\n")?;
        let digits = std::str::from_utf8(&line[..line.len() - 2]).unwrap_or("?");
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad("a bad chunk size", &line));
        }
        let size = u64::from_str_radix(digits, 16).map_err(|_| bad("a bad chunk size", &line))?;
        if size == 0 {
            return trailers(wire);
        }
        counted(wire, size, sink)?;
        let end = wire.exactly(2)?;
        if end != b"\r\n" {
            return Err(bad("no CRLF after a chunk", &end));
        }
    }
}

fn trailers(wire: &mut Wire) -> Result<Vec<(String, String)>, Ended> {
    let mut lines = Vec::new();
    loop {
        let line = wire.until(b"\r\n")?;
        if line == b"\r\n" {
            break;
        }
        lines.push(String::from_utf8_lossy(&line[..line.len() - 2]).into_owned());
    }
    fields(lines.iter().map(String::as_str)).map_err(|why| Ended::Malformed(why.to_owned()))
}

/// A whole response.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The status line's version.
    pub version: String,
    /// Status line and fields.
    pub head: Head,
    /// The content's framing.
    pub framing: Framing,
    /// The content.
    pub content: Vec<u8>,
    /// The trailer fields.
    pub trailers: Vec<(String, String)>,
}

impl Response {
    /// Reads a response's head; `content` and `trailers` are still to be read.
    pub fn read_head(wire: &mut Wire, method: &str) -> Result<Response, Ended> {
        let head = Head::read(wire)?;
        let bad = || Ended::Malformed(format!("a bad status line: {}", head.line));
        let mut parts = head.line.splitn(3, ' ');
        let version = parts.next().unwrap_or_default().to_owned();
        let status = parts.next().unwrap_or_default();
        let whole = parts.next().is_some() && status.len() == 3;
        let status: u16 = status.parse().map_err(|_| bad())?;
        if !whole || !["HTTP/1.1", "HTTP/1.0"].contains(&version.as_str()) {
            return Err(bad());
        }
        let framing = Framing::of_response(method, status, &head)?;
        Ok(Response {
            status,
            version,
            framing,
            head,
            content: Vec::new(),
            trailers: Vec::new(),
        })
    }

    /// Reads a whole response.
    pub fn read(wire: &mut Wire, method: &str) -> Result<Response, Ended> {
        let mut response = Response::read_head(wire, method)?;
        let framing = response.framing;
        let mut content = Vec::new();
        let trailers = read_content(wire, framing, &mut |piece| content.extend_from_slice(piece));
        response.trailers = trailers?;
        response.content = content;
        Ok(response)
    }

    /// The value of the first field with this name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.head.first(name)
    }

    /// The content as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }

    /// This proxy's member of Cache-Status: the last of the list.
    pub fn cache_status(&self) -> String {
        let lines = self.head.all("cache-status");
        let last = lines.last().and_then(|line| line.rsplit(',').next());
        last.unwrap_or_default().trim().to_owned()
    }

    fn cache_parameters(&self) -> Vec<(String, String)> {
        let status = self.cache_status();
        let parameters = status.split(';').skip(1).map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            (name.trim().to_owned(), value.trim().to_owned())
        });
        parameters.collect()
    }

    /// The value of one parameter of Cache-Status; empty for a parameter without one.
    pub fn cache_parameter(&self, name: &str) -> Option<String> {
        let parameters = self.cache_parameters();
        parameters
            .into_iter()
            .find(|parameter| parameter.0 == name)
            .map(|found| found.1)
    }

    /// True when the proxy says that it answered without the origin.
    pub fn is_hit(&self) -> bool {
        self.cache_parameter("hit").is_some()
    }

    /// The value of Age.
    pub fn age(&self) -> Option<u64> {
        self.first("age").and_then(|age| age.parse().ok())
    }
}
