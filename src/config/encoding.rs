//! The texts of a configuration on the way from the supervisor to the workers, which parse them again with the
//! same pure function.

use std::path::PathBuf;

use super::error::ConfigError;
use super::parse::parse;
use super::settings::Settings;
use super::text::{ConfigText, Role};

const MAGIC: &[u8; 8] = b"CPCONF\0\x01";

/// Writes the texts, and the number of workers they come to, as bytes that [`decode`] reads.
pub fn encode(texts: &[ConfigText], workers: usize) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&(workers as u32).to_le_bytes());
    for text in texts {
        out.push(text.role as u8);
        let path = text.path.as_os_str().as_encoded_bytes();
        for part in [path, text.toml.as_bytes()] {
            out.extend_from_slice(&(part.len() as u32).to_le_bytes());
            out.extend_from_slice(part);
        }
    }
    out
}

/// Reads the settings of an encoded configuration. "auto" workers are as many as the supervisor found them to be.
pub fn decode(bytes: &[u8]) -> Result<Settings, ConfigError> {
    let (texts, workers) = decoded(bytes)?;
    let mut settings = parse(&texts)?;
    settings.workers = workers;
    Ok(settings)
}

/// Reads the texts of an encoded configuration.
pub fn decode_texts(bytes: &[u8]) -> Result<Vec<ConfigText>, ConfigError> {
    decoded(bytes).map(|(texts, _)| texts)
}

fn decoded(bytes: &[u8]) -> Result<(Vec<ConfigText>, usize), ConfigError> {
    let foreign = ConfigError::Damaged("it doesn't begin as one of this version");
    let mut rest = bytes.strip_prefix(MAGIC).ok_or(foreign)?;
    let workers = take_number(&mut rest)?;
    let mut texts = Vec::new();
    while let Some((&role, after)) = rest.split_first() {
        rest = after;
        let roles = [Role::Main, Role::Dropin, Role::CommandLine];
        let role = roles.into_iter().find(|known| *known as u8 == role);
        let role = role.ok_or(ConfigError::Damaged("a text of unknown kind"))?;
        let path = PathBuf::from(take_text(&mut rest)?);
        let toml = take_text(&mut rest)?;
        texts.push(ConfigText { role, path, toml });
    }
    Ok((texts, workers))
}

fn take_number(rest: &mut &[u8]) -> Result<usize, ConfigError> {
    let (number, after) = rest.split_first_chunk().ok_or(CUT_SHORT)?;
    *rest = after;
    Ok(u32::from_le_bytes(*number) as usize)
}

fn take_text(rest: &mut &[u8]) -> Result<String, ConfigError> {
    let length = take_number(rest)?;
    let (text, after) = rest.split_at_checked(length).ok_or(CUT_SHORT)?;
    *rest = after;
    Ok(String::from_utf8_lossy(text).into_owned())
}

const CUT_SHORT: ConfigError = ConfigError::Damaged("it is cut short");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn texts() -> Vec<ConfigText> {
        let text = |role, path: &str, toml: &str| ConfigText {
            role,
            path: PathBuf::from(path),
            toml: toml.to_string(),
        };
        vec![
            text(
                Role::Main,
                "/etc/a.toml",
                "max_clients = 5\nworkers = \"auto\"\n",
            ),
            text(Role::Dropin, "/etc/b.toml", "ttl = \"1h\""),
            text(Role::CommandLine, "command line", "store_path = \"/x\""),
        ]
    }

    #[test]
    fn decoding_gives_the_settings_that_were_encoded() {
        let mut expected = parse(&texts()).unwrap();
        expected.workers = 7;
        assert_eq!(decode(&encode(&texts(), 7)).unwrap(), expected);
        assert_eq!(decode_texts(&encode(&texts(), 7)).unwrap(), texts());
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let whole = encode(&texts(), 2);
        let ends_of_texts: Vec<usize> = (0..=3).map(|n| encode(&texts()[..n], 2).len()).collect();
        for length in 0..whole.len() {
            if !ends_of_texts.contains(&length) {
                assert!(decode(&whole[..length]).is_err(), "{length} bytes");
            }
        }
        let mut unknown = encode(&[], 2);
        unknown.push(9);
        assert_eq!(
            decode(&unknown),
            Err(ConfigError::Damaged("a text of unknown kind"))
        );
    }
}
