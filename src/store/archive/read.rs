//! Reading an archive: nothing in it is believed before it is checked, and content is passed on part by part.

use std::io::{BufRead, ErrorKind, Read};

use super::{ArchiveError, BEGIN, MOST_HEAD, MOST_LINE, SPOILED, VERSION, head};
use crate::cache::stored::Meta;
use crate::store::Checksum;

/// An archive that is being read.
#[derive(Debug)]
pub struct ArchiveReader<R: BufRead> {
    input: R,
    at: u64,
    count: u64,
}

/// A response whose content comes next.
#[derive(Debug)]
pub struct Archived {
    /// Its metadata.
    pub meta: Meta,
    /// The length of its content.
    pub content: u64,
    checksum: Checksum,
}

/// Tells if a response is what was archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is what was archived.
    Whole,
    /// It was damaged since it was archived.
    Damaged,
    /// It was damaged when it was archived.
    Spoiled,
}

impl<R: BufRead> ArchiveReader<R> {
    /// Reads the beginning.
    pub fn open(input: R) -> Result<ArchiveReader<R>, ArchiveError> {
        let (at, count) = (0, 0);
        let mut reader = ArchiveReader { input, at, count };
        let first = match reader.line() {
            Err(ArchiveError::Io(error)) => return Err(ArchiveError::Io(error)),
            line => line.unwrap_or_default(),
        };
        let Some(version) = first.strip_prefix(BEGIN) else {
            let why = "this is no archive that `cacheproxy export` made";
            return Err(ArchiveError::Other(why.to_owned()));
        };
        if version != VERSION.to_string() {
            return Err(ArchiveError::Other(format!(
                "the archive is of version {}, and this cacheproxy reads version {VERSION}",
                version.escape_default()
            )));
        }
        Ok(reader)
    }

    /// The next response; None at the end. What was wrong with its metadata stands in an inner error, and its
    /// content is to be read all the same.
    pub fn next_response(&mut self) -> Result<Option<Archived>, ArchiveError> {
        let begin = self.at;
        let line = self.line()?;
        let damaged = |why| ArchiveError::Damaged { at: begin, why };
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("end"), Some(count), None, None) => {
                if count.parse() != Ok(self.count) {
                    return Err(damaged("its end counts another number of responses"));
                }
                Ok(None)
            }
            (Some("response"), Some(head), Some(content), None) => {
                let lengths = head.parse::<usize>().ok().zip(content.parse().ok());
                let lengths = lengths.filter(|(head, _)| *head <= MOST_HEAD);
                let (head, content) = lengths.ok_or(damaged("lengths that make no sense"))?;
                self.archived(begin, head, content).map(Some)
            }
            _ => Err(damaged("neither a response nor the end")),
        }
    }

    fn archived(&mut self, at: u64, head: usize, content: u64) -> Result<Archived, ArchiveError> {
        let mut text = vec![0; head];
        self.exact(&mut text)?;
        let mut checksum = Checksum::new();
        checksum.update(&text);
        let meta = head::decode(&text).map_err(|why| ArchiveError::Damaged { at, why })?;
        if !meta.extent.has_room_for(content) {
            let why = "content that is no part of its representation";
            return Err(ArchiveError::Damaged { at, why });
        }
        Ok(Archived {
            meta,
            content,
            checksum,
        })
    }

    /// Passes the content of a response on part by part, and says whether all of it is what was archived.
    pub fn content(
        &mut self,
        mut archived: Archived,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(Meta, Verdict), ArchiveError> {
        let mut buffer = vec![0; archived.content.min(256 << 10) as usize];
        let mut left = archived.content;
        while left > 0 {
            let step = left.min(buffer.len() as u64) as usize;
            self.exact(&mut buffer[..step])?;
            archived.checksum.update(&buffer[..step]);
            take(&buffer[..step]);
            left -= step as u64;
        }
        let at = self.at;
        let line = self.line()?;
        let expected = format!("whole {:032x}", archived.checksum.finish());
        let verdict = match line.as_str() {
            SPOILED => Verdict::Spoiled,
            line if line == expected => Verdict::Whole,
            line if line.starts_with("whole ") && line.len() == expected.len() => Verdict::Damaged,
            _ => {
                let why = "no checksum where a response's content ends";
                return Err(ArchiveError::Damaged { at, why });
            }
        };
        self.count += u64::from(verdict != Verdict::Spoiled);
        Ok((archived.meta, verdict))
    }

    fn exact(&mut self, bytes: &mut [u8]) -> Result<(), ArchiveError> {
        match self.input.read_exact(bytes) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(ArchiveError::CutShort(self.at));
            }
            outcome => outcome?,
        }
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// A line without its end.
    fn line(&mut self) -> Result<String, ArchiveError> {
        let mut line = Vec::new();
        let mut limited = (&mut self.input).take(MOST_LINE as u64);
        limited.read_until(b'\n', &mut line)?;
        let at = self.at;
        self.at += line.len() as u64;
        let damaged = |why| ArchiveError::Damaged { at, why };
        match line.pop() {
            Some(b'\n') => String::from_utf8(line).map_err(|_| damaged("a line that is no text")),
            _ if line.len() + 1 < MOST_LINE => Err(ArchiveError::CutShort(self.at)),
            _ => Err(damaged("a line that is too long")),
        }
    }
}
