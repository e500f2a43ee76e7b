//! Text that strangers had a part in, and people read: on terminals, in logs, in answers.
//!
//! Names on a chain are plain throughout, by rule. Everything else (a parser's complaint about a stranger's file, what a peer
//! calls itself) is shown through [`line`].

/// Whether a terminal draws this character and does nothing else: it is no control and no line end, turns no direction of writing and is not
/// invisible.
pub fn is_plain(c: char) -> bool {
    let unseen = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !c.is_control() && !unseen
}

/// The text on one line of at most so many characters; `?` stands for what is not plain, `…` for what is left out.
pub fn line(text: &str, most: usize) -> String {
    let plain = |c: char| if is_plain(c) { c } else { '?' };
    let mut line: String = text.chars().take(most).map(plain).collect();
    if text.chars().nth(most).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D: what a stranger wrote moves no cursor, starts no line, hides nothing and does not fill the screen.
    #[test]
    fn a_line_is_one_line_and_drawn_as_it_reads() {
        assert_eq!(line("nächt ✓ 夜", 20), "nächt ✓ 夜");
        assert_eq!(
            line("a\x1b[2J\nb\u{9b}c\u{202e}d\u{7f}\u{2028}", 40),
            "a?[2J?b?c?d??"
        );
        assert_eq!(line("abcdef", 3), "abc…");
        assert_eq!(line("abc", 3), "abc");
    }
}
