//! What must be shown to have the peer sign with its home's agent key or choose its peers: a secret in a file that only the home's owner can
//! read.
//!
//! Without it any program on the machine that reaches the port, and any user of the machine, could bid with the owner's key, or cut the peer off
//! from its chain. It is made
//! once and stays; whoever deletes the file and starts the peer again gets another.

use crate::{agent::bidding::random, files};
use axum::http::{HeaderMap, header};
use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// 32 bytes of randomness as hex digits.
const DIGITS: usize = 64;

/// The token. Shown nowhere.
pub(super) struct Token(Zeroizing<Vec<u8>>);

impl Token {
    /// Reads the token's file, or makes one.
    pub(super) fn at(path: &Path) -> Result<Self, String> {
        match File::open(path) {
            Ok(file) => Self::read(file),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Self::make(path),
            Err(e) => Err(e.to_string()),
        }
    }

    fn read(file: File) -> Result<Self, String> {
        let meta = file.metadata().map_err(|e| e.to_string())?;
        if meta.permissions().mode() & 0o077 != 0 {
            return Err("others may read it: delete it, and the peer makes another".into());
        }
        let mut text = Zeroizing::new(Vec::with_capacity(DIGITS.saturating_mul(2)));
        file.take(DIGITS.saturating_mul(2) as u64)
            .read_to_end(&mut text)
            .map_err(|e| e.to_string())?;
        let token = text.trim_ascii();
        if token.len() != DIGITS || !token.iter().all(u8::is_ascii_hexdigit) {
            return Err(format!(
                "it does not hold {DIGITS} hex digits: delete it, and the peer makes another"
            ));
        }
        Ok(Token(Zeroizing::new(token.to_vec())))
    }

    fn make(path: &Path) -> Result<Self, String> {
        let bytes = Zeroizing::new(random().map_err(|e| e.what)?);
        let mut text = Zeroizing::new(hex::encode(bytes.as_ref()).into_bytes());
        text.push(b'\n');
        files::create_new(path, &text).map_err(|e| e.to_string())?;
        text.pop();
        Ok(Token(text))
    }

    /// Whether a request shows it, as `Authorization: Bearer <token>`.
    pub(super) fn is_shown(&self, headers: &HeaderMap) -> bool {
        let shown = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.as_bytes().split_at_checked("Bearer ".len()));
        shown.is_some_and(|(scheme, token)| {
            scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(self.0.ct_eq(token.trim_ascii()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use std::fs::{self, Permissions};

    fn shows(token: &Token, value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        token.is_shown(&headers)
    }

    #[test]
    fn it_is_made_once_for_its_owner_alone_and_nothing_else_passes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api-token");
        let made = Token::at(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        let text = text.trim();
        for token in [made, Token::at(&path).unwrap()] {
            assert!(shows(&token, &format!("Bearer {text}")));
            assert!(shows(&token, &format!("bearer {text} ")));
            for wrong in [
                "Bearer ",
                "Bearer",
                "",
                text,
                &format!("Basic {text}"),
                &format!("Bearer {text}0"),
                &format!("Bearer {}", "0".repeat(64)),
            ] {
                assert!(!shows(&token, wrong), "{wrong}");
            }
            assert!(!token.is_shown(&HeaderMap::new()));
        }
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(Token::at(&path).err().unwrap().contains("others may read"));
        fs::remove_file(&path).unwrap();
        for broken in ["", "xyz", &"g".repeat(64), &"0".repeat(65)] {
            files::replace(&path, broken.as_bytes()).unwrap();
            assert!(Token::at(&path).err().unwrap().contains("64 hex digits"));
        }
    }
}
