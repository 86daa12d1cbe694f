//! What the words of the language mean, in a sentence each; the grammar shows how they stand.
//!
//! The list of words is the grammar's: a test holds this table to it.

use oomc_grammar::GRAMMAR;

/// Each word with its meaning.
const MEANINGS: &[(&str, &str)] = &[
    ("above", "the event is there while the value is larger than this"),
    ("after", "how long a counter's window lasts; in a test: so much time passes"),
    ("all", "every candidate, not the best one alone"),
    ("and", "true if both are; unknown if neither decides"),
    ("any", "true if the condition holds for one element; behind `trust`: whoever owns the cgroup"),
    ("asc", "the smallest first"),
    ("asked", "`expect not asked`: no rule was asked"),
    ("at", "`at most N`: so many victims at the most"),
    ("avg10", "the average over the last 10 seconds"),
    ("avg300", "the average over the last 300 seconds"),
    ("avg60", "the average over the last 60 seconds"),
    ("avoid", "these are chosen last: behind all that no such clause is about"),
    ("bool", "yes or no"),
    (
        "budget",
        "so many kills in so much time, in all `on` blocks together; what is beyond makes no progress",
    ),
    ("by", "what candidates are compared by, instead of the default; in a test: which rule must have acted"),
    ("bytes", "an amount of memory"),
    ("candidates", "in a test: the candidates of the selection, the best one first"),
    (
        "cgroup",
        "the cgroup whose limit was hit, or a cgroup with everything below it as the unit of a clause",
    ),
    ("children", "the children of a cgroup that are online"),
    ("const", "a value with a name, known when the policy is built"),
    ("cooldown", "for so long the block is not asked again after it made progress"),
    ("count", "one more in a counter; as a quantifier: how many there are; as a type: a plain number"),
    ("counter", "a number that each cgroup has and that rules count up"),
    ("default", "what is done when no rule made progress; `defer` unless it is written"),
    ("defer", "ends the policy without progress: the parent's policy is asked next, then the kernel decides"),
    ("define", "a condition with a name"),
    ("desc", "the largest first"),
    ("duration", "a time"),
    ("else", "otherwise, or if what stands before it made no progress"),
    ("every", "true if the condition holds for every element; of nothing it is true"),
    ("expect", "what must have happened, in a test"),
    ("false", "no"),
    ("for", "it has to hold for so long"),
    ("freed", "goes on down the ranking until so much is freed, by estimate"),
    ("full", "the share of time in which nobody could work for want of memory"),
    ("given", "what a machine is like, in a test"),
    ("grace", "the victims get SIGTERM, and after so long SIGKILL"),
    ("growth", "by how much an amount grew in so much time; missing before there are two looks"),
    ("has", "all of these bits are set"),
    ("if", "when the condition is true; unknown is not true"),
    ("in", "where candidates are looked for; in a condition: is one of these"),
    ("kill", "kills whom the selection finds, and their memory comes back"),
    ("kills", "so many"),
    ("label", "a number that an administrator puts on cgroups; those below inherit it"),
    ("largest", "the one with the most: footprint of a process, usage of a cgroup, or the key behind `by`"),
    ("leaves", "the cgroups below that have no online child"),
    ("limit", "the cgroup is about to run out of memory"),
    ("max", "the largest value among the elements; missing if there are none"),
    ("min", "the smallest value among the elements; missing if there are none"),
    ("mode", "`enforce` acts, `audit` only writes down what would be done"),
    ("most", "`at most N`: so many victims at the most"),
    ("never", "these are not killed by this policy; what is unknown is protected"),
    ("nobody", "in a test: nobody is killed"),
    ("not", "true becomes false; unknown stays unknown"),
    ("notify", "writes a record with this text"),
    ("now", "without looking for a victim that is already on its way out"),
    ("of", "a part of: `10% of cgroup.limit`; the cgroup that a place begins at"),
    ("oldest", "the one that was started first"),
    ("on", "rules that are asked while memory is still there; in a test: what happens"),
    ("oom", "the event: memory has run out"),
    ("or", "what is done if that made no progress; in a condition: true if one of both is"),
    ("owner", "the labels of root and of the owner of the attached cgroup count"),
    ("param", "a number that can be changed while the policy runs"),
    ("per", "whose counter it is; in so much time"),
    ("percent", "a ratio"),
    ("pick", "a cgroup that is chosen once for each event, for the rules to name"),
    ("policy", "the name of the policy; the file's name unless it is written"),
    ("prefer", "these are chosen first"),
    ("pressure", "the share of time in which tasks waited for memory"),
    ("process", "a process: the unit that kills the least"),
    ("raise_limit", "raises the limit of the cgroup; no progress if the machine has no room for it"),
    ("range", "what a param can be set to"),
    ("rate", "growth per second between the last two looks; missing before there are two"),
    ("reason", "a text for the record; the kernel's log gets what is constant in it"),
    ("reclaim", "takes memory back without killing; progress if a tenth of it came"),
    ("resets", "when a counter begins anew"),
    ("root", "only labels that root has put there count"),
    ("rule", "an action with a name; rules are asked from top to bottom until one makes progress"),
    ("smallest", "the one with the least: footprint of a process, usage of a cgroup, or the key behind `by`"),
    ("some", "the share of time in which somebody waited for memory"),
    ("state", "a counter of each cgroup, which the policy itself counts up"),
    ("stepwise", "compares the children, goes into the best one, and so on down"),
    ("subtree", "the cgroup and everything below it: where memory is needed"),
    ("sum", "the sum of a field over the elements"),
    ("swap", "swap space, of the cgroup or of the machine"),
    ("system", "the whole machine is out of memory"),
    ("test", "a machine, an event and what is expected; `oomc test` runs it"),
    ("then", "what is done when the condition is true"),
    ("to", "up to this limit"),
    ("true", "yes"),
    ("trust", "whose labels count"),
    ("until", "goes on down the ranking until so much is freed, by estimate"),
    ("up", "`up to`: never above this"),
    ("usage", "how much memory the cgroup uses"),
    ("wait", "progress if a victim is already on its way out"),
    ("where", "which candidates: those of which the condition is true"),
    ("worst", "the process with the most badness, as the kernel's own killer counts it"),
    ("youngest", "the one that was started last"),
];

/// What a word means.
pub(crate) fn meaning(word: &str) -> Option<&'static str> {
    MEANINGS.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning)
}

/// An example of the construct that a word begins or joins; none if the grammar shows the word alone.
pub(crate) fn example(word: &str) -> Option<&'static str> {
    let mut example = None;
    let mut best: Option<&'static str> = None;
    for line in GRAMMAR.lines() {
        if let Some(text) = line.strip_prefix("/// ") {
            example = Some(text);
        } else if line.contains('=')
            && let Some(text) = example.take()
            && text.contains(' ')
        {
            let mut parts = text.split(|c: char| !super::tokens::is_letter(c));
            let first = parts.next() == Some(word);
            // The shortest that begins with it says the most about it.
            if (first || parts.any(|part| part == word))
                && best.is_none_or(|best| (!best.starts_with(word), best.len()) > (!first, text.len()))
            {
                best = Some(text);
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use oomc_grammar::words;

    use super::*;

    #[test]
    fn every_word_of_the_grammar_has_its_meaning() {
        let known: Vec<&str> = MEANINGS.iter().map(|(word, _)| *word).collect();
        assert_eq!(known, words::all());
    }

    #[test]
    fn the_grammar_shows_words_in_use() {
        assert_eq!(example("until"), Some("until freed 512MiB at most 4"));
        assert_eq!(example("nobody"), Some("kill nobody"));
        assert_eq!(example("no_word"), None);
    }
}
