//! The `keyroll` program: everything is in the library.

fn main() -> std::process::ExitCode {
    keyroll::cli::main()
}
