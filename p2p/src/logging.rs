//! Structured logs, to standard error.
//!
//! Invariant: the constraint system's own tracing targets are always off. Their spans format field elements: at `info` they stall a
//! prover for minutes, and they would write witnesses, which are secret, into the log.

use serde::{Deserialize, Serialize};
use std::io::IsTerminal;
use tracing_subscriber::{
    EnvFilter, filter::ParseError, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

/// Appended to every filter; later directives win.
const ALWAYS_OFF: &str = "gr1cs=off,r1cs=off";
/// Used when no filter is given.
pub const DEFAULT_FILTER: &str = "info,libp2p=warn,libp2p_gossipsub=error";

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter does not parse.
    #[error("log filter `{filter}`: {source}; write for example `info` or `warn,tender_p2p=debug`")]
    Filter {
        /// The filter.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Logging was set up before.
    #[error("logging is set up already")]
    Twice,
}

/// Sends this process's logs to standard error.
///
/// # Errors
/// [`LoggingError`] if the filter does not parse, or on a second call.
pub fn init(filter: &str, format: LogFormat) -> Result<(), LoggingError> {
    let registry = tracing_subscriber::registry().with(parse(filter)?);
    let layer = fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => registry
            .with(layer.with_ansi(std::io::stderr().is_terminal()))
            .try_init(),
        LogFormat::Json => registry.with(layer.json()).try_init(),
    }
    .map_err(|_| LoggingError::Twice)
}

/// Whether a filter would be accepted by [`init`].
///
/// # Errors
/// [`LoggingError::Filter`].
pub fn check(filter: &str) -> Result<(), LoggingError> {
    parse(filter).map(drop)
}

fn parse(filter: &str) -> Result<EnvFilter, LoggingError> {
    let filter = match filter.trim() {
        "" => DEFAULT_FILTER,
        given => given,
    };
    EnvFilter::builder()
        .parse(filter)
        .and_then(|_| EnvFilter::builder().parse(format!("{filter},{ALWAYS_OFF}")))
        .map_err(|source| LoggingError::Filter {
            filter: filter.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::registry()
            .with(parse(filter).unwrap())
            .with(fmt::layer().with_writer(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "tender_p2p", "hello");
            tracing::error!(target: "r1cs", "witness 42");
            tracing::error!(target: "gr1cs", "witness 42");
            let _span = tracing::info_span!(target: "gr1cs", "witness 42").entered();
            tracing::info!(target: "tender_p2p", "inside");
        });
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn witnesses_stay_out_whatever_the_filter_says() {
        for filter in [
            "info",
            "trace",
            "r1cs=trace,gr1cs=trace,info",
            "",
            "trace,gr1cs=info",
        ] {
            let text = logged(filter);
            assert!(text.contains("hello"), "{filter}: {text}");
            assert!(!text.contains("witness"), "{filter}: {text}");
        }
    }

    #[test]
    fn a_bad_filter_is_named() {
        let error = check("tender=louder").unwrap_err().to_string();
        assert!(error.contains("tender=louder"), "{error}");
        check(DEFAULT_FILTER).unwrap();
    }
}
