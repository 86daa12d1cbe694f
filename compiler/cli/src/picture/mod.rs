//! Pictures of a forecast: a drawing that stands alone, and a page that holds it beside all facts.
//!
//! Takes a [`Forecast`] and gives text; the same forecast gives the same bytes. Neither needs a script, a font or
//! anything else from outside. Knows nothing of policies, files, or how the forecast was found out.
//!
//! A forecast goes through these files in this order: `fold` chooses what is drawn when there is too much,
//! `layout` says where, `svg` draws it, `html` writes the page around it. All of them write through `markup`,
//! the only place that escapes.

mod colors;
mod fold;
mod html;
mod layout;
mod markup;
#[cfg(test)]
mod samples;
mod svg;
mod words;

use crate::forecast::Forecast;

/// A drawing in a file of its own.
pub(crate) fn svg(forecast: &Forecast) -> String {
    svg::document(forecast)
}

/// A page.
pub(crate) fn html(forecast: &Forecast) -> String {
    html::page(forecast)
}
