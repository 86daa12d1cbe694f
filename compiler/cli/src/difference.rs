//! What changes between two texts, as `diff -u` shows it.

use diffy::DiffOptions;

/// The changed lines with three around each, under the names of both.
pub(crate) fn unified([before, after]: [&str; 2], [old, new]: [&str; 2]) -> String {
    DiffOptions::new()
        .set_original_filename(old.to_owned())
        .set_modified_filename(new.to_owned())
        .create_patch(before, after)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::unified;

    #[test]
    fn a_changed_line_stands_between_three_that_stay() {
        let before = "a\nb\nc\nd\ne\nf\ng\nh\ni\n";
        let after = before.replace("e\n", "E\nEE\n");
        let shown = "--- old\n+++ new\n@@ -2,7 +2,8 @@\n b\n c\n d\n-e\n+E\n+EE\n f\n g\n h\n";
        assert_eq!(unified([before, &after], ["old", "new"]), shown);
    }

    #[test]
    fn a_text_may_begin_or_end_otherwise() {
        assert_eq!(unified(["", "a\n"], ["old", "new"]), "--- old\n+++ new\n@@ -0,0 +1 @@\n+a\n");
    }
}
