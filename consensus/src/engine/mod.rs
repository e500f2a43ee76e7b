//! The sans-io node around the kernel: decoded messages, timeouts and acknowledgements in, effects in order out.
//!
//! ```text
//! Engine::start(app: Arc<A>, chain: ChainState<A::State>, last_certificate: Option<CommitCertificate>,
//!               signer: Option<Box<dyn Signer>>, pool: Arc<dyn TxPool>, log: Vec<WalRecord>, now: TimeMs)
//!     -> Result<(Engine<A>, Vec<Effect<A>>), HaltReason>
//! engine.step(now: TimeMs, input: Input) -> Output<A>
//! engine.answer(&Request) -> Option<Response>      // None: committed blocks, which the shell's store serves
//! engine.chain() -> &ChainState<A::State>
//! ```
mod admission;
mod io;
mod outbox;

pub use admission::{Refusal, Signed, Verified};
pub use io::*;
pub use outbox::{Durable, WalBatch};
