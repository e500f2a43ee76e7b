//! The `tender` binary: everything is in the library.

fn main() -> std::process::ExitCode {
    tender_p2p::cli::main()
}
