//! Sockets: listens on this machine alone, hears one request on each connection, answers and closes it.
//!
//! A connection has its thread and its time; there are at most so many of them, and what is beyond is closed unheard.

use std::io::{self, Read as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::access::Token;
use crate::desk::Desk;
use crate::request;

/// In which a request has to be there.
const TIME: Duration = Duration::from_secs(10);

/// In which something has to move on a connection.
const PAUSE: Duration = Duration::from_secs(5);

/// In which the rest of a request that was refused is thrown away.
const LINGER: Duration = Duration::from_secs(1);

/// Connections at a time. A browser opens half a dozen.
const CONNECTIONS: usize = 32;

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    here: SocketAddr,
    token: Token,
    desk: Desk,
    ends: Arc<AtomicBool>,
}

/// Ends a server, from another thread.
#[derive(Debug)]
pub struct Stop {
    here: SocketAddr,
    ends: Arc<AtomicBool>,
}

impl Stop {
    /// Lets [`Server::run`] return.
    pub fn stop(&self) {
        self.ends.store(true, Ordering::SeqCst);
        // It waits for a connection; if this one cannot be made, nobody waits any more.
        drop(TcpStream::connect(self.here));
    }
}

impl Server {
    /// Listens on a port of 127.0.0.1; 0 is one that is free.
    ///
    /// # Errors
    /// The port is taken, or the kernel has no random numbers for the token.
    pub fn new(port: u16, desk: Desk) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let here = listener.local_addr()?;
        Ok(Self { listener, here, token: Token::new()?, desk, ends: Arc::default() })
    }

    /// The address of the page.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://{}/{}/", self.here, self.token.text())
    }

    /// What ends it.
    #[must_use]
    pub fn stop(&self) -> Stop {
        Stop { here: self.here, ends: Arc::clone(&self.ends) }
    }

    /// Answers until it is ended. What is being answered then is not waited for.
    ///
    /// # Errors
    /// Nobody can connect any more.
    pub fn run(self) -> io::Result<()> {
        let server = Arc::new(self);
        let open = Arc::new(AtomicUsize::new(0));
        loop {
            let accepted = server.listener.accept();
            if server.ends.load(Ordering::SeqCst) {
                return Ok(());
            }
            let stream = match accepted {
                Ok((stream, _)) => stream,
                // Whoever connected has gone again.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if open.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS {
                open.fetch_sub(1, Ordering::SeqCst);
                continue;
            }
            let (server, own) = (Arc::clone(&server), Arc::clone(&open));
            let hear = move || {
                // A connection that fails has nobody to be told.
                drop(server.hear(stream));
                own.fetch_sub(1, Ordering::SeqCst);
            };
            if thread::Builder::new().stack_size(STACK).spawn(hear).is_err() {
                open.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    fn hear(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PAUSE))?;
        stream.set_write_timeout(Some(PAUSE))?;
        let response = match request::read(&mut stream, Instant::now() + TIME) {
            Ok(request) => Some(self.desk.answer(&request, &self.token, self.here)),
            Err(refused) => refused.response(),
        };
        if let Some(response) = response {
            response.write(&mut stream)?;
        }
        stream.shutdown(Shutdown::Write)?;
        // What was not read would let the kernel throw away what was written: it is heard out for a moment.
        let (end, mut rest) = (Instant::now() + LINGER, [0; 16 << 10]);
        stream.set_read_timeout(Some(LINGER))?;
        while Instant::now() < end && stream.read(&mut rest)? > 0 {}
        Ok(())
    }
}

/// Of a thread that compiles: what the command line has.
const STACK: usize = 8 << 20;
