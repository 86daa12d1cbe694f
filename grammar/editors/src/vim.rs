//! The colours for Vim and Neovim.
//!
//! Words that are reserved are keywords of Vim's; those that may be names are found by their neighbour.

use crate::colour::{self, Colour};
use crate::context::{Before, Behind, GOES_ON, NAMING, ROWS};

const HEAD: &str = "\
\" Colours of oom policies. Made from oom.pest; the test `editors` writes this.
if exists('b:current_syntax')
  finish
endif
syn case match
";

/// What is no word: a group, what it looks like, and where it is.
const OTHERS: [(&str, &str, &str); 5] = [
    ("Sign", "Operator", r"[-+*/<>=|]\|!=\|??\|\.\."),
    // From the dot on, so that a word of the language is none behind it.
    ("Member", "Identifier", r"\.\@1<!\.\.\@!\s*\h\w*"),
    ("Number", "Number", r"\<\d\%(\w\|\.\d\)*%\?"),
    ("String", "String", "\"[^\"]*\\%(\"\\|$\\)"),
    ("Comment", "Comment", "#.*$"),
];

/// `syntax/oom.vim`.
#[must_use]
pub fn syntax() -> String {
    let mut out = HEAD.to_owned();
    for colour in Colour::ALL {
        let (words, _) = colour::words_of(colour);
        if !words.is_empty() {
            out.push_str(&format!("syn keyword oom{} {}\n", colour.names().vim.0, words.join(" ")));
        }
    }
    // Of two matches at one place, the later one holds.
    for (words, before, behind) in ROWS {
        for word in *words {
            if let Some(colour) = colour::of_word(word) {
                let pattern = format!(r"{}\<{word}\>{}", looks_back(*before), looks_ahead(*behind));
                out.push_str(&matched(colour.names().vim.0, &pattern));
            }
        }
    }
    let named = format!(r"\%(\<\%({}\)\_s\+\)\@40<=\h\w*", NAMING.join(r"\|"));
    out.push_str(&matched("Definition", &named));
    // Before a name that is declared, this word is one.
    out.push_str(&matched(Colour::Clause.names().vim.0, r"\<define\>\%(\_s\+\h\w*\_s*=\)\@="));
    for (group, _, pattern) in OTHERS {
        out.push_str(&matched(group, pattern));
    }
    for (group, like) in Colour::ALL.map(|colour| colour.names().vim) {
        out.push_str(&format!("hi def link oom{group} {like}\n"));
    }
    out.push_str("hi def link oomDefinition Identifier\n");
    for (group, like, _) in OTHERS {
        out.push_str(&format!("hi def link oom{group} {like}\n"));
    }
    out.push_str("let b:current_syntax = 'oom'\n");
    out
}

fn matched(group: &str, pattern: &str) -> String {
    format!("syn match oom{group} ~{pattern}~\n")
}

fn looks_back(before: Before) -> String {
    match before {
        Before::Anything => String::new(),
        Before::Word(words) => format!(r"\%(\<\%({}\)\_s\+\)\@40<=", words.join(r"\|")),
        Before::Colon => r"\%(:\_s*\)\@40<=".to_owned(),
        Before::Number => r"\%(\d\_s\+\)\@40<=".to_owned(),
    }
}

fn looks_ahead(behind: Behind) -> String {
    match behind {
        Behind::Anything => String::new(),
        Behind::Word(words) => format!(r"\%(\_s\+\%({}\)\>\)\@=", words.join(r"\|")),
        Behind::Value => format!(r"\%(\_s\+\%(\%({}\)\>\)\@![[:alnum:]_(-]\)\@=", GOES_ON.join(r"\|")),
        Behind::Text => "\\%(\\_s*\"\\)\\@=".to_owned(),
        Behind::Brace => r"\%(\_s*{\)\@=".to_owned(),
        Behind::PathOf => r"\%(\_s\+\h[[:alnum:]_.]*\_s\+of\>\)\@=".to_owned(),
    }
}
