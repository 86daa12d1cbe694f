//! The playground: one page, served to a browser on this machine, on which policies are tried.
//!
//! Takes requests and gives responses; what is answered follows from the request alone, because the page holds the
//! policy and the machine, and sends both. Knows no files: whoever starts it brings what the page begins with.
//!
//! ```text
//! bytes ─ request ─► Request ─ access ─► Desk ─ check, machine, press ─► Response ─ response ─► bytes
//! ```
//!
//! A page of somebody else that is open in the same browser must not reach it, and no other user of the machine:
//! `access` says who may ask. What stands in policies and names reaches the page as data, or as markup that
//! `oomc-picture` has written, which escapes it; and the page may run no script but its own.

mod server;

mod request;
mod response;

mod access;

mod desk;
mod page;

mod check;
mod fields;
mod machine;
mod press;
mod written;

pub use access::Token;
pub use desk::{Begin, Desk, Tell};
pub use server::{Server, Stop};
