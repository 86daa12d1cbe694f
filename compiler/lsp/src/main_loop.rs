//! The loop: one kind of event, one after the other.
//!
//! A thread reads, so that a client may write all it has before it reads, and another one makes code
//! ([`crate::background`]); this one answers, and waits for neither. Owns the life of a connection: `initialize`,
//! work, `shutdown`, `exit`. What a message is about is the state's.

use std::io::{self, BufReader, Read, Write};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;

use lsp_server::{ErrorCode, Message, Notification, Request, RequestId, Response};
use lsp_types::notification::{
    DidChangeTextDocument, DidCloseTextDocument, DidOpenTextDocument, Exit, Initialized, LogMessage,
    Notification as _,
};
use lsp_types::request::{CodeLensRefresh, Initialize, Request as _, Shutdown, WorkspaceDiagnosticRefresh};
use serde_json::{Value, json};

use crate::background::{Background, Done};
use crate::frames::{self, Frame};
use crate::state::{Outside, Problem, State};

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As agreed: `shutdown`, then `exit`.
    Agreed,
    /// `exit` or the end of the stream without `shutdown`.
    Sudden,
}

/// Serves one client until it goes.
///
/// # Errors
/// If the output cannot be written.
pub fn run(input: impl Read + Send + 'static, output: impl Write, outside: Outside<'_>) -> io::Result<End> {
    let (events, queue) = channel();
    let done = events.clone();
    // Where nobody listens any more, nobody wants to know.
    let background = Background::start(move |result| _ = done.send(Event::Done(result)));
    thread::spawn(move || {
        let mut input = BufReader::new(input);
        loop {
            // A stream that cannot be read any more has ended.
            let event = match frames::read(&mut input) {
                Ok(Some(frame)) => event(frame),
                Ok(None) | Err(_) => Event::End,
            };
            let end = matches!(event, Event::End);
            if events.send(event).is_err() || end {
                return;
            }
        }
    });
    let state = State::new(outside, background);
    let mut server = Server { output, state, phase: Phase::New, lost: false, asked: 0 };
    server.serve(&queue)
}

/// What happens.
enum Event {
    /// The client wants an answer.
    Request(Request),
    /// The client tells something.
    Notification(Notification),
    /// The client answers; nothing is asked of it, so this means nothing.
    Response,
    /// JSON that is no message, and the id to answer to.
    Invalid(Value),
    /// Bytes that are no JSON.
    Broken(String),
    /// Code was made of a policy.
    Done(Done),
    /// The client is gone.
    End,
}

fn event(frame: Frame) -> Event {
    let value = match frame {
        Frame::Json(value) => value,
        Frame::Broken(problem) => return Event::Broken(problem),
    };
    let id = value.get("id").cloned();
    if value.get("method").is_none() && id.is_some() {
        return Event::Response;
    }
    match (id, serde_json::from_value(value)) {
        (_, Ok(Message::Request(request))) => Event::Request(request),
        (None, Ok(Message::Notification(notification))) => Event::Notification(notification),
        (id, _) => Event::Invalid(id.unwrap_or(Value::Null)),
    }
}

/// Where in its life a connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    New,
    Open,
    ShutDown,
}

struct Server<'a, W> {
    output: W,
    state: State<'a>,
    phase: Phase,
    /// What came last was no message: one complaint is enough for a stream of garbage.
    lost: bool,
    /// How often the client was asked for something.
    asked: i32,
}

impl<W: Write> Server<'_, W> {
    fn serve(&mut self, queue: &Receiver<Event>) -> io::Result<End> {
        loop {
            // While the client types, only the last state of a document is looked at.
            let event = match queue.try_recv() {
                Err(TryRecvError::Empty) => {
                    self.publish()?;
                    queue.recv().unwrap_or(Event::End)
                }
                event => event.unwrap_or(Event::End),
            };
            if !matches!(&event, Event::Notification(notification) if is_about_text(&notification.method)) {
                self.publish()?;
            }
            if let Some(end) = self.take(event)? {
                return Ok(end);
            }
        }
    }

    fn take(&mut self, event: Event) -> io::Result<Option<End>> {
        let complain = !self.lost;
        self.lost = matches!(event, Event::Broken(_));
        match event {
            Event::Request(request) => {
                let begins = self.phase == Phase::New && request.method == Initialize::METHOD;
                let problems = if begins { self.state.choose_machine(&request.params) } else { Vec::new() };
                let response = self.request(request);
                self.send(&response)?;
                for problem in problems {
                    let message = format!("oomc: {problem}");
                    self.tell(LogMessage::METHOD, json!({ "type": 2, "message": message }))?;
                }
            }
            Event::Notification(notification) if notification.method == Exit::METHOD => {
                return Ok(Some(self.end()));
            }
            Event::Notification(notification) => self.notification(notification)?,
            Event::Response => {}
            Event::Done(done) => {
                if self.phase == Phase::Open {
                    let (news, client) = (self.state.compiled(done), self.state.client);
                    if news.said && client.refreshes {
                        self.ask(WorkspaceDiagnosticRefresh::METHOD)?;
                    }
                    if news.lenses && client.refreshes_lenses {
                        self.ask(CodeLensRefresh::METHOD)?;
                    }
                }
            }
            Event::Invalid(id) => self.refuse(&id, ErrorCode::InvalidRequest, "this is no message")?,
            Event::Broken(problem) if complain => {
                self.refuse(&Value::Null, ErrorCode::ParseError, &problem)?;
            }
            Event::Broken(_) => {}
            Event::End => return Ok(Some(self.end())),
        }
        Ok(None)
    }

    /// Asks the client to ask again.
    fn ask(&mut self, method: &str) -> io::Result<()> {
        self.asked += 1;
        let id = format!("oomc-{}", self.asked);
        let ask = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": null });
        frames::write(&mut self.output, &ask)
    }

    fn end(&self) -> End {
        if self.phase == Phase::ShutDown { End::Agreed } else { End::Sudden }
    }

    fn request(&mut self, request: Request) -> Response {
        let Request { id, method, params } = request;
        let refused = |id, code: ErrorCode, text: String| Response::new_err(id, code as i32, text);
        match (self.phase, method.as_str()) {
            (Phase::New, Initialize::METHOD) => {
                self.phase = Phase::Open;
                ok(id, self.state.initialize(&params))
            }
            (Phase::New, _) => {
                refused(id, ErrorCode::ServerNotInitialized, "`initialize` comes first".to_owned())
            }
            (_, Initialize::METHOD) => {
                refused(id, ErrorCode::InvalidRequest, "`initialize` comes once".to_owned())
            }
            (Phase::ShutDown, _) => {
                refused(id, ErrorCode::InvalidRequest, "nothing but `exit` comes after `shutdown`".to_owned())
            }
            (Phase::Open, Shutdown::METHOD) => {
                self.phase = Phase::ShutDown;
                ok(id, Value::Null)
            }
            (Phase::Open, _) => match self.state.request(&method, params) {
                Ok(result) => ok(id, result),
                Err(Problem::Unknown) => {
                    refused(id, ErrorCode::MethodNotFound, format!("`{method}` is not known here"))
                }
                Err(Problem::Params(problem)) => refused(id, ErrorCode::InvalidParams, problem),
                Err(Problem::Refused(why)) => refused(id, ErrorCode::RequestFailed, why),
            },
        }
    }

    fn notification(&mut self, notification: Notification) -> io::Result<()> {
        let Notification { method, params } = notification;
        if self.phase != Phase::Open || method == Initialized::METHOD {
            return Ok(());
        }
        match self.state.notification(&method, params) {
            // A notification that is not known may be ignored; one that is not understood must not vanish.
            Ok(()) | Err(Problem::Unknown) => Ok(()),
            Err(Problem::Params(problem) | Problem::Refused(problem)) => {
                let message = format!("oomc: {method}: {problem}");
                self.tell(LogMessage::METHOD, json!({ "type": 2, "message": message }))
            }
        }
    }

    /// Sends what is to be said of the documents that changed.
    fn publish(&mut self) -> io::Result<()> {
        while let Some(changed) = self.state.next_diagnostics() {
            for params in changed {
                self.tell(lsp_types::notification::PublishDiagnostics::METHOD, params)?;
            }
        }
        Ok(())
    }

    fn tell(&mut self, method: &str, params: Value) -> io::Result<()> {
        frames::write(&mut self.output, &json!({ "jsonrpc": "2.0", "method": method, "params": params }))
    }

    fn send(&mut self, response: &Response) -> io::Result<()> {
        let id = json!(response.id);
        let message = match &response.response_result {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
        };
        frames::write(&mut self.output, &message)
    }

    /// An error without a request that could be named in the way of its kind.
    fn refuse(&mut self, id: &Value, code: ErrorCode, message: &str) -> io::Result<()> {
        let error = json!({ "code": code as i32, "message": message });
        frames::write(&mut self.output, &json!({ "jsonrpc": "2.0", "id": id, "error": error }))
    }
}

fn ok(id: RequestId, result: Value) -> Response {
    Response { id, response_result: Ok(result) }
}

/// Whether a notification changes a document.
fn is_about_text(method: &str) -> bool {
    [DidOpenTextDocument::METHOD, DidChangeTextDocument::METHOD, DidCloseTextDocument::METHOD]
        .contains(&method)
}
