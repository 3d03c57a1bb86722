//! The program: reads the command line, runs the command, ends with its exit code. All of it is in [`gatepost::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    gatepost::cli::main().into()
}
