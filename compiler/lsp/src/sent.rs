//! The tokens that a client has, so that it can be told only what is not as it was.

use std::collections::BTreeMap;

use lsp_types::{SemanticToken, SemanticTokens, SemanticTokensDelta, SemanticTokensEdit};
use serde_json::Value;

use crate::convert::value;

/// How many numbers a token is, by which the protocol counts.
const NUMBERS: u32 = 5;

/// What was sent last, by URI: each time with another number.
#[derive(Default)]
pub(crate) struct Sent {
    last: u64,
    tokens: BTreeMap<String, (u64, Vec<SemanticToken>)>,
}

impl Sent {
    /// All tokens of a document; they are remembered.
    pub(crate) fn whole(&mut self, uri: &str, data: Vec<SemanticToken>) -> Value {
        let result_id = Some(self.remember(uri, data.clone()));
        value(SemanticTokens { result_id, data })
    }

    /// What makes today's tokens of those that a client has; all of them if nobody knows which it has.
    pub(crate) fn change(&mut self, uri: &str, known: &str, data: Vec<SemanticToken>) -> Value {
        let before = match self.tokens.remove(uri) {
            Some((number, before)) if number.to_string() == known => before,
            _ => return self.whole(uri, data),
        };
        let edits = edit(&before, &data).into_iter().collect();
        let result_id = Some(self.remember(uri, data));
        value(SemanticTokensDelta { result_id, edits })
    }

    /// A document is not open any more.
    pub(crate) fn forget(&mut self, uri: &str) {
        self.tokens.remove(uri);
    }

    fn remember(&mut self, uri: &str, data: Vec<SemanticToken>) -> String {
        self.last += 1;
        self.tokens.insert(uri.to_owned(), (self.last, data));
        self.last.to_string()
    }
}

/// The one stretch outside of which both are alike.
fn edit(before: &[SemanticToken], now: &[SemanticToken]) -> Option<SemanticTokensEdit> {
    let alike = |pairs: &mut dyn Iterator<Item = (&SemanticToken, &SemanticToken)>| {
        pairs.take_while(|(one, other)| one == other).count()
    };
    let start = alike(&mut before.iter().zip(now));
    let (before, now) = (before.get(start..)?, now.get(start..)?);
    let end = alike(&mut before.iter().rev().zip(now.iter().rev()));
    let gone = before.len() - end;
    let come = now.get(..now.len() - end)?.to_vec();
    (gone > 0 || !come.is_empty()).then(|| SemanticTokensEdit {
        start: start as u32 * NUMBERS,
        delete_count: gone as u32 * NUMBERS,
        data: Some(come),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(numbers: &[u32]) -> Vec<SemanticToken> {
        let token = |length: &u32| SemanticToken {
            delta_line: 0,
            delta_start: 1,
            length: *length,
            token_type: 0,
            token_modifiers_bitset: 0,
        };
        numbers.iter().map(token).collect()
    }

    #[test]
    fn an_edit_makes_one_list_of_the_other() {
        let lists: [&[u32]; 7] = [&[], &[1], &[1, 2, 3], &[1, 3], &[3, 2, 1], &[1, 2, 2, 3], &[2, 2]];
        for before in lists {
            for now in lists {
                let mut made = before.to_vec();
                if let Some(edit) = edit(&tokens(before), &tokens(now)) {
                    let (start, count) =
                        ((edit.start / NUMBERS) as usize, (edit.delete_count / NUMBERS) as usize);
                    let come = edit.data.unwrap();
                    made.splice(start..start + count, come.iter().map(|token| token.length));
                } else {
                    assert_eq!(before, now);
                }
                assert_eq!(made, now, "of {before:?}");
            }
        }
    }
}
