//! Writing an archive, content part by part.

use std::io::{self, Write};

use super::{BEGIN, SPOILED, VERSION, head};
use crate::store::{Checksum, Object};

/// An archive that is being written.
#[derive(Debug)]
pub struct ArchiveWriter<W: Write> {
    out: W,
    count: u64,
    bytes: u64,
}

/// The fate of a response.
#[derive(Debug)]
pub enum PutOutcome {
    /// It is in the archive.
    Done,
    /// It is not, since the store's copy of it is damaged or can't be read; the text says how.
    Left(String),
}

impl<W: Write> ArchiveWriter<W> {
    /// Begins an archive.
    pub fn begin(mut out: W) -> io::Result<ArchiveWriter<W>> {
        writeln!(out, "{BEGIN}{VERSION}")?;
        let (count, bytes) = (0, 0);
        Ok(ArchiveWriter { out, count, bytes })
    }

    /// The responses that were put into it, and their bytes of content.
    pub fn written(&self) -> (u64, u64) {
        (self.count, self.bytes)
    }

    /// Puts a stored response into the archive. An error is the archive's.
    pub fn put(&mut self, object: &Object) -> io::Result<PutOutcome> {
        let Some(head) = head::encode(&object.meta) else {
            return Ok(PutOutcome::Left("its metadata makes no sense".to_owned()));
        };
        let len = object.content.len();
        writeln!(self.out, "response {} {len}", head.len())?;
        self.out.write_all(&head)?;
        let (mut all, mut content) = (Checksum::new(), Checksum::new());
        all.update(&head);
        let mut failed = Ok(());
        let mut written = 0;
        let read = object.content.each_part(&mut |part| {
            all.update(part);
            content.update(part);
            written += part.len() as u64;
            failed = self.out.write_all(part);
            failed.is_ok()
        });
        failed?;
        let spoiled = match read {
            Err(error) => Some(error.to_string()),
            Ok(()) if written != len || content.finish() != object.checksum => {
                Some("its content does not check".to_owned())
            }
            Ok(()) => None,
        };
        match spoiled {
            None => {
                self.count += 1;
                self.bytes += len;
                writeln!(self.out, "whole {:032x}", all.finish())?;
                Ok(PutOutcome::Done)
            }
            Some(why) => {
                fill(&mut self.out, len.saturating_sub(written))?;
                writeln!(self.out, "{SPOILED}")?;
                Ok(PutOutcome::Left(why))
            }
        }
    }

    /// Ends the archive.
    pub fn end(mut self) -> io::Result<()> {
        writeln!(self.out, "end {}", self.count)?;
        self.out.flush()
    }
}

/// Zeros for what is missing of content that was announced, so that what follows is found.
fn fill(out: &mut impl Write, mut bytes: u64) -> io::Result<()> {
    let nothing = [0; 4096];
    while bytes > 0 {
        let step = bytes.min(nothing.len() as u64);
        out.write_all(&nothing[..step as usize])?;
        bytes -= step;
    }
    Ok(())
}
