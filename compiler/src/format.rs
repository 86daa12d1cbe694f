//! `oomc fmt`: the canonical form of a policy.
//!
//! Takes a text and gives the same tokens and comments with other white space between them. Knows the shape of
//! the grammar's rules and nothing of their meaning: a rule that it has no layout for is written on one line.
//!
//! How a clause is written depends on its tokens and comments alone, not on the lines that its author wrote;
//! therefore what is in canonical form stays as it is. Of blank lines between clauses, and between the parts of
//! a block, one is kept. A clause that cannot be read stays byte for byte as it is.
//!
//! ```text
//! clause ─ grammar ─► tree ─ layout ─► pieces: tokens, and gaps that may be broken ─ print ─► lines
//! ```

use core::ops::Range;

use oomc_grammar::items::{self, Item, MAX_CLAUSE, Problem, ProblemKind};
use oomc_grammar::pest::Parser as _;
use oomc_grammar::pest::iterators::Pair;
use oomc_grammar::{OomParser, Rule};

use crate::source::MAX_BYTES;
use crate::syntax::trivia::{self, Gap};

/// Lines are no longer than this, where they can be broken.
pub const WIDTH: usize = 100;

/// What a part of a clause is indented by.
const INDENT: usize = 4;

/// A text in canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formatted {
    /// The text.
    pub text: String,
    /// Clauses that stay as they are, because they cannot be read.
    pub kept: usize,
}

/// Formats a policy.
#[must_use]
pub fn format(text: &str) -> Formatted {
    let unmarked = text.strip_prefix(MARK).unwrap_or(text);
    let items = items::split(unmarked);
    whole(unmarked, &items)
        // A mark that would become the first character would mean nothing any more.
        .filter(|formatted| !formatted.text.starts_with(MARK) && formatted.text.len() <= MAX_BYTES)
        .unwrap_or_else(|| Formatted { text: text.to_owned(), kept: items.len() })
}

/// The byte order mark, which says nothing at the beginning of a file and is left out.
const MARK: char = '\u{feff}';

/// None if white space and comments are not what they seem: a control character stands in them.
fn whole(text: &str, items: &[Item]) -> Option<Formatted> {
    let hidden = |problem: &Problem| matches!(problem.kind, ProblemKind::Control(_));
    if items.iter().any(|item| item.problem.as_ref().is_some_and(hidden)) {
        return None;
    }
    let mut out = Printer::default();
    let mut kept = 0;
    let mut at = 0;
    for item in items {
        out.gap(&trivia::gap(text, at..item.range.start)?, if at == 0 { OPENS } else { BETWEEN }, true, 0, 0);
        let written = text.get(item.range.clone())?;
        match clause(written, item) {
            Some(clause) => out.push(&clause),
            None => {
                kept += 1;
                out.push(indentation(text.get(at..item.range.start)?, at == 0));
                out.push(written);
            }
        }
        at = item.range.end;
    }
    out.comments(&trivia::gap(text, at..text.len())?, at != 0, 0);
    if !out.text.is_empty() {
        out.text.push('\n');
    }
    Some(Formatted { text: out.text, kept })
}

/// White space between the beginning of a line and what comes behind the gap, if only that stands there.
fn indentation(gap: &str, begins: bool) -> &str {
    match gap.rsplit_once('\n') {
        Some((_, line)) => line,
        None if begins => gap,
        None => "",
    }
}

/// A clause in canonical form; none if it cannot be read, or would be too long to be read again.
fn clause(text: &str, item: &Item) -> Option<String> {
    if item.problem.is_some() {
        return None;
    }
    let mut tokens = Tokens { text, list: Vec::new() };
    let node = tokens.node(OomParser::parse(Rule::item, text).ok()?.next()?);
    let gaps = tokens.gaps()?;
    let layout = Layout { tokens: &tokens.list };
    let pieces = layout.node(&node);
    let mut out = Printer::default();
    out.print(&pieces, &tokens, &gaps);
    (out.text.len() <= MAX_CLAUSE).then_some(out.text)
}

/// A token: a rule of the grammar that holds no other.
struct Token {
    rule: Rule,
    range: Range<usize>,
    /// Stands in a path: `task.signal.rlim[3]`.
    in_path: bool,
}

/// A part of the tree: one token, or several parts.
struct Node {
    rule: Rule,
    tokens: Range<usize>,
    parts: Vec<Node>,
}

struct Tokens<'a> {
    text: &'a str,
    list: Vec<Token>,
}

impl Tokens<'_> {
    /// Takes a pair with all that is in it.
    fn node(&mut self, pair: Pair<'_, Rule>) -> Node {
        let (rule, span) = (pair.as_rule(), pair.as_span());
        let start = self.list.len();
        let parts: Vec<Node> = pair
            .into_inner()
            .filter(|part| part.as_rule() != Rule::EOI)
            .map(|part| self.node(part))
            .collect();
        if parts.is_empty() {
            self.list.push(Token { rule, range: span.start()..span.end(), in_path: false });
        }
        if rule == Rule::path {
            for token in self.list.get_mut(start + 1..).unwrap_or_default() {
                token.in_path = true;
            }
        }
        Node { rule, tokens: start..self.list.len(), parts }
    }

    fn get(&self, at: usize) -> &str {
        self.list.get(at).and_then(|token| self.text.get(token.range.clone())).unwrap_or_default()
    }

    /// What stands before each token. None if there is more than white space and comments: a token that the
    /// grammar has no name for.
    fn gaps(&self) -> Option<Vec<Gap<'_>>> {
        let mut at = 0;
        let mut gaps = Vec::new();
        for token in &self.list {
            gaps.push(trivia::gap(self.text, at..token.range.start)?);
            at = token.range.end;
        }
        (at == self.text.trim_end().len()).then_some(gaps)
    }
}

/// How a gap between two tokens is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Break {
    /// As nothing.
    None,
    /// As a space.
    Space,
    /// As a space, or as a new line where the group around it does not fit.
    Line,
    /// As nothing, or as a new line where the group around it does not fit.
    Soft,
    /// As a new line.
    Hard {
        /// Behind an opening brace, or at the beginning of the file.
        opens: bool,
        /// Before a closing brace, or at the end of the file.
        closes: bool,
    },
}

/// A piece of a clause on its way to lines.
enum Piece {
    /// A token, by its number.
    Token(usize),
    /// The gap before a token. Comments in it are indented by so much more than the token.
    Gap(usize, Break, usize),
    /// New lines in here are indented, if the group around it is broken.
    Indent(Vec<Piece>),
    /// New lines in here are indented.
    Block(Vec<Piece>),
    /// Its lines are broken all together or not at all.
    Group(Vec<Piece>),
}

const BETWEEN: Break = Break::Hard { opens: false, closes: false };
const OPENS: Break = Break::Hard { opens: true, closes: false };
const CLOSES: Break = Break::Hard { opens: false, closes: true };

/// The layout of each rule.
struct Layout<'a> {
    tokens: &'a [Token],
}

impl Layout<'_> {
    fn node(&self, node: &Node) -> Vec<Piece> {
        let parts: Vec<&Node> = node.parts.iter().collect();
        match node.rule {
            _ if parts.is_empty() => node.tokens.clone().map(Piece::Token).collect(),
            Rule::named => self.named(&parts),
            Rule::action => self.alternatives(&parts),
            Rule::conditional => vec![Piece::Group(self.conditional(&parts))],
            Rule::block | Rule::given | Rule::test | Rule::watch => {
                self.braces(&parts, OPENS, BETWEEN, CLOSES)
            }
            Rule::object | Rule::circumstances => {
                vec![Piece::Group(self.braces(&parts, Break::Line, Break::Line, Break::Line))]
            }
            Rule::list => vec![Piece::Group(self.list(&parts))],
            Rule::paren => vec![Piece::Group(self.paren(&parts))],
            Rule::expr => self.expr(&parts),
            _ => self.phrase(&parts),
        }
    }

    /// The gap before a part.
    fn gap(&self, part: &Node, kind: Break) -> Piece {
        Piece::Gap(part.tokens.start, kind, 0)
    }

    /// Space or nothing, as it must be between two tokens that stay on one line.
    fn tight(&self, part: &Node) -> Break {
        let at = part.tokens.start;
        let (Some(before), Some(token)) = (self.tokens.get(at.saturating_sub(1)), self.tokens.get(at)) else {
            return Break::None;
        };
        let opens = matches!(before.rule, Rule::open_paren | Rule::open_bracket | Rule::dot | Rule::minus);
        let closes = matches!(
            token.rule,
            Rule::close_paren | Rule::close_bracket | Rule::comma | Rule::colon | Rule::dot
        );
        let empty = before.rule == Rule::open_brace && token.rule == Rule::close_brace;
        let called = matches!(before.rule, Rule::kw_rate | Rule::kw_growth);
        if opens || closes || empty || called || token.in_path { Break::None } else { Break::Space }
    }

    /// Parts on one line.
    fn line(&self, parts: &[&Node]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            if number > 0 {
                pieces.push(self.gap(part, self.tight(part)));
            }
            pieces.extend(self.node(part));
        }
        pieces
    }

    /// Parts on one line, or those that say more about what comes before them on lines of their own.
    fn phrase(&self, parts: &[&Node]) -> Vec<Piece> {
        // The parts of a selection are parts of what it is selected for.
        let mut flat: Vec<&Node> = Vec::new();
        for part in parts {
            if part.rule == Rule::selection { flat.extend(&part.parts) } else { flat.push(part) }
        }
        let mut pieces = Vec::new();
        let mut more = Vec::new();
        let mut broken = false;
        for (number, part) in flat.iter().enumerate() {
            let adds = matches!(
                part.rule,
                Rule::filter
                    | Rule::order
                    | Rule::now
                    | Rule::until
                    | Rule::grace
                    | Rule::reason
                    | Rule::up_to
                    | Rule::by_rule
            );
            let item = flat.get(number.saturating_sub(1)).is_some_and(|before| before.rule == Rule::comma);
            let line = number > 0 && (adds || item);
            broken |= line;
            let into = if broken { &mut more } else { &mut pieces };
            if number > 0 {
                into.push(self.gap(part, if line { Break::Line } else { self.tight(part) }));
            }
            into.extend(self.node(part));
        }
        if broken {
            pieces.push(Piece::Indent(more));
            vec![Piece::Group(pieces)]
        } else {
            pieces
        }
    }

    /// `rule "name": ACTION`
    fn named(&self, parts: &[&Node]) -> Vec<Piece> {
        let Some((action, head)) = parts.split_last() else { return Vec::new() };
        let mut pieces = self.line(head);
        pieces.extend(self.below(action));
        vec![Piece::Group(pieces)]
    }

    /// An action below the words that lead to it; a block begins beside them.
    fn below(&self, action: &Node) -> Vec<Piece> {
        let kind = if is_block(action) { Break::Space } else { Break::Line };
        let mut pieces = vec![self.gap(action, kind)];
        pieces.extend(self.node(action));
        if is_block(action) { pieces } else { vec![Piece::Indent(pieces)] }
    }

    /// `ACTION or ACTION`
    fn alternatives(&self, parts: &[&Node]) -> Vec<Piece> {
        let Some((first, others)) = parts.split_first() else { return Vec::new() };
        let mut pieces = self.node(first);
        if others.is_empty() {
            return pieces;
        }
        let mut more = Vec::new();
        let mut after_block = first.rule == Rule::block;
        for part in others {
            let kind = match part.rule {
                Rule::kw_or if !after_block => Break::Line,
                _ => Break::Space,
            };
            more.push(self.gap(part, kind));
            more.extend(self.node(part));
            after_block = part.rule == Rule::block;
        }
        pieces.push(Piece::Indent(more));
        vec![Piece::Group(pieces)]
    }

    /// `if CONDITION then ACTION else ACTION`; an `if` behind an `else` goes on as part of the same.
    fn conditional(&self, parts: &[&Node]) -> Vec<Piece> {
        let [kw_if, condition, kw_then, then, otherwise @ ..] = parts else { return self.line(parts) };
        let mut head = self.node(kw_if);
        head.push(self.gap(condition, Break::Space));
        let condition: Vec<&Node> = condition.parts.iter().collect();
        let (first, more) = self.operands(&condition);
        head.extend(first);
        head.push(Piece::Indent(more));
        head.push(self.gap(kw_then, Break::Line));
        head.extend(self.node(kw_then));
        let mut pieces = vec![Piece::Group(head)];
        pieces.extend(self.below(then));
        if let [kw_else, action] = otherwise {
            pieces.push(self.gap(kw_else, if is_block(then) { Break::Space } else { Break::Line }));
            pieces.extend(self.node(kw_else));
            match action.parts.as_slice() {
                [next] if next.rule == Rule::conditional => {
                    pieces.push(self.gap(next, Break::Space));
                    let next: Vec<&Node> = next.parts.iter().collect();
                    pieces.extend(self.conditional(&next));
                }
                _ => pieces.extend(self.below(action)),
            }
        }
        pieces
    }

    /// `WORDS { PART PART }`
    fn braces(&self, parts: &[&Node], opens: Break, between: Break, closes: Break) -> Vec<Piece> {
        let open = parts.iter().position(|part| part.rule == Rule::open_brace);
        let (Some(open), Some((close, before))) = (open, parts.split_last()) else { return self.line(parts) };
        let (Some(head), Some(inside)) = (before.get(..=open), before.get(open + 1..)) else {
            return self.line(parts);
        };
        let mut pieces = self.line(head);
        let mut inner = Vec::new();
        for (number, part) in inside.iter().enumerate() {
            inner.push(self.gap(part, if number == 0 { opens } else { between }));
            inner.extend(self.node(part));
        }
        let closes = if inside.is_empty() { Break::None } else { closes };
        pieces.push(Piece::Block(inner));
        pieces.push(Piece::Gap(close.tokens.start, closes, INDENT));
        pieces.extend(self.node(close));
        pieces
    }

    /// `[ITEM, ITEM]`
    fn list(&self, parts: &[&Node]) -> Vec<Piece> {
        let [open, inside @ .., close] = parts else { return self.line(parts) };
        let mut inner = Vec::new();
        for (number, part) in inside.iter().enumerate() {
            let kind = match part.rule {
                Rule::comma => Break::None,
                _ if number == 0 => Break::Soft,
                _ => Break::Line,
            };
            inner.push(self.gap(part, kind));
            inner.extend(self.node(part));
        }
        let mut pieces = self.node(open);
        pieces.push(Piece::Indent(inner));
        pieces.push(Piece::Gap(close.tokens.start, Break::Soft, INDENT));
        pieces.extend(self.node(close));
        pieces
    }

    /// `(EXPRESSION)`
    fn paren(&self, parts: &[&Node]) -> Vec<Piece> {
        let [open, inside, close] = parts else { return self.line(parts) };
        let mut pieces = self.node(open);
        let mut inner = vec![self.gap(inside, Break::Soft)];
        let inside: Vec<&Node> = inside.parts.iter().collect();
        let (first, more) = self.operands(&inside);
        inner.extend(first);
        inner.extend(more);
        pieces.push(Piece::Indent(inner));
        pieces.push(Piece::Gap(close.tokens.start, Break::Soft, INDENT));
        pieces.extend(self.node(close));
        pieces
    }

    /// An expression, its operators at the beginning of indented lines if it does not fit.
    fn expr(&self, parts: &[&Node]) -> Vec<Piece> {
        let (mut pieces, more) = self.operands(parts);
        pieces.push(Piece::Indent(more));
        vec![Piece::Group(pieces)]
    }

    /// The first operand of the loosest operator at which a line may be broken, and the others with it.
    fn operands(&self, parts: &[&Node]) -> (Vec<Piece>, Vec<Piece>) {
        let levels = [&[Rule::or] as &[Rule], &[Rule::and], &[Rule::plus, Rule::minus_from]];
        let level = levels.iter().find(|level| parts.iter().any(|part| level.contains(&part.rule)));
        let Some(level) = level else { return (self.line(parts), Vec::new()) };
        let mut operands = parts.split(|part| level.contains(&part.rule));
        let first = self.expr(operands.next().unwrap_or_default());
        let mut more = Vec::new();
        for (operator, operand) in parts.iter().filter(|part| level.contains(&part.rule)).zip(operands) {
            more.push(self.gap(operator, Break::Line));
            more.extend(self.node(operator));
            if let Some(begin) = operand.first() {
                more.push(self.gap(begin, Break::Space));
            }
            more.extend(self.expr(operand));
        }
        (first, more)
    }
}

/// An action that is one block.
fn is_block(action: &Node) -> bool {
    matches!(action.parts.as_slice(), [only] if only.rule == Rule::block)
}

/// Writes pieces as lines.
#[derive(Default)]
struct Printer {
    text: String,
    /// Characters on the present line.
    column: usize,
}

/// A piece that is still to be written: its indentation, and whether the group around it is broken.
type Work<'a> = (usize, bool, &'a Piece);

impl Printer {
    fn print(&mut self, pieces: &[Piece], tokens: &Tokens<'_>, gaps: &[Gap<'_>]) {
        let mut work: Vec<Work<'_>> = pieces.iter().rev().map(|one| (0, true, one)).collect();
        while let Some((indent, broken, next)) = work.pop() {
            match next {
                Piece::Token(at) => self.push(tokens.get(*at)),
                Piece::Gap(at, kind, more) => {
                    if let Some(gap) = gaps.get(*at) {
                        self.gap(gap, *kind, broken, indent, *more);
                    }
                }
                Piece::Indent(inside) if !broken => {
                    work.extend(inside.iter().rev().map(|one| (indent, broken, one)));
                }
                Piece::Indent(inside) | Piece::Block(inside) => {
                    work.extend(inside.iter().rev().map(|one| (indent + INDENT, broken, one)));
                }
                Piece::Group(inside) => {
                    let broken = !fits(WIDTH.saturating_sub(self.column), inside, &work, tokens, gaps);
                    work.extend(inside.iter().rev().map(|one| (indent, broken, one)));
                }
            }
        }
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.column += text.chars().count();
    }

    fn new_line(&mut self, apart: bool, indent: usize) {
        // The file does not begin with one.
        if self.text.is_empty() {
            return;
        }
        self.text.push_str(if apart { "\n\n" } else { "\n" });
        self.text.extend(core::iter::repeat_n(' ', indent));
        self.column = indent;
    }

    /// Writes what stands between two tokens. Comments are indented by so much more than the second.
    fn gap(&mut self, gap: &Gap<'_>, kind: Break, broken: bool, indent: usize, more: usize) {
        match kind {
            Break::Hard { opens, closes } => {
                let apart = self.comments(gap, !opens, indent + more);
                self.new_line(gap.apart && apart && !closes, indent);
            }
            Break::Line | Break::Soft if broken => {
                self.comments(gap, false, indent + more);
                self.new_line(false, indent);
            }
            _ if !gap.comments.is_empty() => {
                self.comments(gap, false, indent + INDENT);
                self.new_line(false, indent + INDENT);
            }
            Break::Line | Break::Space => self.push(" "),
            Break::Soft | Break::None => {}
        }
    }

    /// Writes comments: one behind a token, the others on lines of their own. `apart`: a blank line may come
    /// first. Gives whether one may come next.
    fn comments(&mut self, gap: &Gap<'_>, apart: bool, indent: usize) -> bool {
        let mut next = apart;
        for comment in &gap.comments {
            if comment.trails {
                self.push(" ");
            } else {
                self.new_line(comment.apart && next, indent);
                next = true;
            }
            self.push(comment.text);
        }
        next
    }
}

/// Whether pieces fit into the rest of the line when no group in them is broken, together with what follows up
/// to the next new line.
fn fits(room: usize, pieces: &[Piece], rest: &[Work<'_>], tokens: &Tokens<'_>, gaps: &[Gap<'_>]) -> bool {
    let mut room = room;
    let mut inside: Vec<&Piece> = pieces.iter().rev().collect();
    let mut rest = rest.iter().rev();
    let mut outside: Vec<(bool, &Piece)> = Vec::new();
    loop {
        let within = !inside.is_empty();
        let (broken, next) = match inside.pop() {
            Some(next) => (false, next),
            None => match outside.pop().or_else(|| rest.next().map(|(_, broken, next)| (*broken, *next))) {
                Some(next) => next,
                None => return true,
            },
        };
        let width = match next {
            Piece::Token(at) => tokens.get(*at).chars().count(),
            Piece::Gap(at, kind, _) => {
                let comments = gaps.get(*at).is_some_and(|gap| !gap.comments.is_empty());
                match kind {
                    Break::Hard { .. } => return true,
                    // A comment ends its line.
                    _ if comments => return !within,
                    Break::Line | Break::Soft if broken => return true,
                    Break::Line | Break::Space => 1,
                    Break::Soft | Break::None => 0,
                }
            }
            Piece::Indent(pieces) | Piece::Block(pieces) | Piece::Group(pieces) if within => {
                inside.extend(pieces.iter().rev());
                0
            }
            Piece::Indent(pieces) | Piece::Block(pieces) => {
                outside.extend(pieces.iter().rev().map(|one| (broken, one)));
                0
            }
            // What follows may be broken by itself.
            Piece::Group(pieces) => {
                outside.extend(pieces.iter().rev().map(|one| (true, one)));
                0
            }
        };
        if width > room {
            return false;
        }
        room -= width;
    }
}
