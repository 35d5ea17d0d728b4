//! Integration tests: one binary. The gateway runs inside the test on a real socket, between a client that shows the bytes
//! and fakes of the authorization server and the MCP server. What must hold in every test is checked by `support`.

#[cfg(test)]
mod support; // the fakes, the gateway, the client, and the invariants

#[cfg(test)]
mod admin; // the listener for operators
#[cfg(test)]
mod agree; // explain, test and token decode say what the gateway does
#[cfg(test)]
mod answers; // every reason word with its whole answer
#[cfg(test)]
mod audit; // what a record says
#[cfg(test)]
mod audit_outputs; // records and log lines whose reader stalls, whose disk is full, whose file moves
#[cfg(test)]
mod batches; // several messages in one body
#[cfg(test)]
mod bodies; // what cannot be inspected is never forwarded
#[cfg(test)]
mod cli; // the binary as a process, and the README's commands
#[cfg(test)]
mod commands; // explain, test, token decode, completions, man
#[cfg(test)]
mod discovery; // documents, relay, CORS, Origin, Host
#[cfg(test)]
mod drain; // the way to the end: nobody who honours it loses a request
#[cfg(test)]
mod harness; // the harness sees what it promises to see
#[cfg(test)]
mod hosts; // several public_urls: each host its own routes, tokens, sessions, pages
#[cfg(test)]
mod keys; // issuers that are down, broken, or change their keys
#[cfg(test)]
mod lasting; // streams that nothing but their token ends
#[cfg(test)]
mod limits; // rates, and requests under way
#[cfg(test)]
mod lists; // an entry that policy hides, on every road to the client
#[cfg(test)]
mod metrics; // what is counted, and the documents about it
#[cfg(test)]
mod modes; // routes that report, and routes that hide
#[cfg(test)]
mod policies; // rules that routes share, words for people, merged claims
#[cfg(test)]
mod process; // the program itself
#[cfg(test)]
mod reload; // another file takes over while requests are under way
#[cfg(test)]
mod scale; // ten thousand routes
#[cfg(test)]
mod sessions; // session ids are worthless to anybody else
#[cfg(test)]
mod smuggling; // the corpus of requests that readers take differently
#[cfg(test)]
mod specification; // sentences of the specification that no other file holds
#[cfg(test)]
mod sse_transport; // HTTP+SSE: the stream, its address, and who may post there
#[cfg(test)]
mod standards; // sentences of the RFCs that nothing else here holds
#[cfg(test)]
mod streams; // events one by one, ends and breaks
#[cfg(test)]
mod survey; // init, check --online and suggest, before servers and issuers of all kinds
#[cfg(test)]
mod tidy; // the shape of the source
#[cfg(test)]
mod tls; // https on both sides
#[cfg(test)]
mod tools;
#[cfg(test)]
mod traces; // spans at a collector, and the context of a trace in and out // calls, lists, headers: the main job
