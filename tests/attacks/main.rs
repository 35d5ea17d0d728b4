//! The catalogue of threats as attacks, section by section, fired over real sockets at a gateway in front of a server that
//! keeps every byte. Prints a table and how many attacks there were; fails when one reached the server, when an answer was
//! not the right one, or when a well-behaved client was not served right after.

#[cfg(test)]
#[path = "../it/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "written for tests/it, which uses the rest of it")]
mod support;

#[cfg(test)]
mod exchange; // bytes on a connection, and every answer to them
#[cfg(test)]
mod h2; // HTTP/2 frame by frame
#[cfg(test)]
mod readings; // what a lenient server could read out of what reached it
#[cfg(test)]
mod recorder; // keeps every byte that the gateway sends to the server
#[cfg(test)]
mod requirements; // what the catalogue demands, and what holds it
#[cfg(test)]
mod run; // fires everything and prints the table
#[cfg(test)]
mod scene; // a gateway under attack

#[cfg(test)]
mod a_tokens;
#[cfg(test)]
mod a_tokens_2;
#[cfg(test)]
mod b_authorization;
#[cfg(test)]
mod c_bodies;
#[cfg(test)]
mod d_headers;
#[cfg(test)]
mod e_answers;
#[cfg(test)]
mod f_http1;
#[cfg(test)]
mod f_surface;
#[cfg(test)]
mod g_http2;
#[cfg(test)]
mod h_keys;
#[cfg(test)]
mod i_exhaustion;
#[cfg(test)]
mod j_discovery;
#[cfg(test)]
mod k_configuration;

fn main() -> std::process::ExitCode {
    run::main()
}
