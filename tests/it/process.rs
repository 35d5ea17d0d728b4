//! The program as a process: what it does when the other end of its standard output is not there.

use std::process::{Command, Stdio};

#[test]
fn a_check_whose_reader_has_left_is_no_crash() {
    let file = crate::support::gateway::write_file(include_str!("../../config/minimal.yaml"));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut check = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    let check = check.arg("check").arg("--config").arg(&file).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(
        (check.status.code(), String::from_utf8(check.stderr).unwrap()),
        (Some(1), "error: cannot write to standard output: Broken pipe (os error 32)\n".to_owned())
    );
}
