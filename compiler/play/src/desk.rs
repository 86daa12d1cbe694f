//! Answers requests: which there are, what they bring, and who may make them.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use oomc_compiler::diag::Diagnostic;
use oomc_compiler::{KernelView, Source};
use oomc_sim::Kernel;
use oomc_snapshot::Snapshot;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::access::{self, Token};
use crate::request::Request;
use crate::response::Response;
use crate::{check, machine, page, press};

/// What the page's policy is called in diagnostics.
pub(crate) const NAME: &str = "policy.oom";

/// The largest policy, in bytes: each key asks for all of it to be compiled.
const POLICY: usize = 256 << 10;

/// Diagnostics for programs.
pub type Tell = fn(&Source, &[Diagnostic]) -> Vec<Value>;

/// What is on the page when it is opened.
#[derive(Debug, Default)]
pub struct Begin {
    /// A policy's text; none: one that shows what a policy is.
    pub policy: Option<String>,
    /// The name of its file, `NAME.oom`, beside which the page's tests go; none: [`NAME`].
    pub name: Option<String>,
    /// A machine; none: a small one.
    pub machine: Option<Snapshot>,
}

/// Policy and machine with which a page begins that nobody has given any.
const SAMPLE: &str = include_str!("sample.oom");

/// Answers requests. What it answers to a request does not depend on earlier ones.
#[derive(Debug)]
pub struct Desk {
    kernel: Kernel,
    tell: Tell,
    begin: Value,
    /// One policy is compiled at a time: a page asks at each key, and the machine has other things to do.
    works: Mutex<()>,
}

/// What is sent to be checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    policy: String,
}

/// What is sent to have a machine shown or changed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Machine {
    machine: String,
    edit: Option<machine::Edit>,
}

impl Desk {
    /// For policies of a kernel; `tell` is how diagnostics are given to programs.
    ///
    /// # Errors
    /// A sentence: the kernel cannot be modelled.
    pub fn new(view: &KernelView, tell: Tell, begin: Begin) -> Result<Self, String> {
        let kernel = oomc_forecast::kernel(view).map_err(|error| error.to_string())?;
        let machine = begin.machine.unwrap_or_else(machine::sample);
        let policy = begin.policy.unwrap_or_else(|| SAMPLE.to_owned());
        let name = oomc_picture::visible(begin.name.as_deref().unwrap_or(NAME));
        let words = oomc_grammar::words::all();
        let begin = json!({
            "policy": policy, "name": name, "machine": machine::text(&machine),
            "oom": machine::event(&machine), "words": words,
        });
        Ok(Self { kernel, tell, begin, works: Mutex::new(()) })
    }

    /// The kernel that policies are compiled for.
    pub(crate) fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Diagnostics for programs.
    pub(crate) fn tell(&self, source: &Source, diagnostics: &[Diagnostic]) -> Vec<Value> {
        (self.tell)(source, diagnostics)
    }

    /// Answers a request to the server at `here`.
    pub(crate) fn answer(&self, request: &Request, token: &Token, here: SocketAddr) -> Response {
        let path = match access::below(request, token, here) {
            Ok(path) => path,
            Err(refused) => return refused,
        };
        match (request.method.as_str(), path) {
            ("GET", "begin") => Response::json(&self.begin),
            ("GET", path) => {
                page::part(path).unwrap_or_else(|| Response::refusal(404, "there is no such part"))
            }
            ("POST", path) => {
                if request.content.as_deref() != Some("application/json") {
                    return Response::refusal(415, "what is sent is JSON");
                }
                self.work(path, &request.body)
            }
            _ => Response::refusal(405, "the page asks with GET and POST"),
        }
    }

    fn work(&self, path: &str, body: &[u8]) -> Response {
        let _one = self.works.lock().unwrap_or_else(PoisonError::into_inner);
        match path {
            "check" => of(body, |Check { policy }| Ok(check::check(self, of_size(&policy)?))),
            "machine" => of(body, |Machine { machine, edit }| {
                machine::changed(&machine, edit.as_ref()).map(|snapshot| machine::shown(&snapshot))
            }),
            "press" => of(body, |pressed: press::Press| {
                of_size(&pressed.policy)?;
                press::press(self, &pressed)
            }),
            _ => Response::refusal(404, "nothing is done by this name"),
        }
    }
}

/// Reads a body, and answers what is done with it.
fn of<T: DeserializeOwned>(body: &[u8], work: impl FnOnce(T) -> Result<Value, String>) -> Response {
    match serde_json::from_slice(body) {
        Ok(asked) => match work(asked) {
            Ok(value) => Response::json(&value),
            // Nothing is wrong with the request: what it brings cannot be.
            Err(sentence) => Response::json(&json!({ "error": oomc_picture::visible(&sentence) })),
        },
        Err(error) => Response::refusal(400, &format!("what was sent is not what is wanted: {error}")),
    }
}

fn of_size(policy: &str) -> Result<&str, String> {
    if policy.len() <= POLICY {
        return Ok(policy);
    }
    Err(format!(
        "the playground takes policies of at most {} KiB; `oomc check` takes larger ones",
        POLICY >> 10
    ))
}
