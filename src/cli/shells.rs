//! `gatepost completions` and `gatepost man`: what shells and `man` want to know of this command line, made of its own
//! description, so that they cannot drift from it.

use std::process::ExitCode;

use clap::{Args, Command, CommandFactory as _, ValueEnum};
use clap_complete::Generator as _;
use clap_complete::shells::{Bash, Fish, Zsh};

use super::{Arguments, print_bytes, refused_argument};

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Args)]
pub(super) struct Man {
    /// A command, such as `run` or `token decode` [default: gatepost itself]
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) fn completions(options: &Completions) -> ExitCode {
    let mut command = Arguments::command();
    command.set_bin_name("gatepost");
    command.build();
    let mut text = Vec::new();
    let written = match options.shell {
        Shell::Bash => Bash.try_generate(&command, &mut text),
        Shell::Zsh => Zsh.try_generate(&command, &mut text),
        Shell::Fish => Fish.try_generate(&command, &mut text),
    };
    match written {
        Ok(()) => print_bytes(&text),
        Err(error) => refused_argument(&error.to_string()),
    }
}

pub(super) fn man(options: &Man) -> ExitCode {
    let mut root = Arguments::command();
    root.build();
    let mut command: &Command = &root;
    for name in &options.command {
        let Some(found) = command.find_subcommand(name) else {
            let names: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
            let known = if names.is_empty() { "no further word".to_owned() } else { names.join(", ") };
            return refused_argument(&format!("{name:?} is no command here\n  expected: {known}"));
        };
        command = found;
    }
    let mut page = Vec::new();
    let title = command.get_display_name().unwrap_or("gatepost").to_owned();
    match clap_mangen::Man::new(command.clone()).title(title).source(VERSION).render(&mut page) {
        Ok(()) => print_bytes(&page),
        Err(error) => refused_argument(&error.to_string()),
    }
}

const VERSION: &str = concat!("gatepost ", env!("CARGO_PKG_VERSION"));
