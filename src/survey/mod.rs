//! What there is, before anything is decided: the tools of a running server as the beginning of a file, what is wrong round
//! the gateway, and what an audit log says about rules. It proposes and warns; it permits nothing, and what servers, issuers
//! and clients say of themselves never becomes YAML, a pattern or a wider rule.

pub mod file;
pub mod kind;
pub mod online;
pub mod server;
pub mod suggest;
mod text;

/// Lines of text that grow.
#[derive(Debug, Default)]
struct Lines(String);

impl Lines {
    fn push(&mut self, line: impl std::fmt::Display) {
        self.0.push_str(&line.to_string());
        self.0.push('\n');
    }
}
