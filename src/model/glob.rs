//! Globs: `*` is any run of characters, `?` any one.

/// A pattern over a whole text. Neither dots nor slashes are special.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Box<[u8]>);

impl Glob {
    pub fn new(text: &str) -> Glob {
        Glob(text.as_bytes().into())
    }

    /// Whether the whole text, UTF-8 or not, matches. Goes back only to the last star, so it is quadratic at worst.
    pub fn matches(&self, text: impl AsRef<[u8]>) -> bool {
        let (pattern, text) = (&self.0, text.as_ref());
        let (mut p, mut t, mut retry) = (0, 0, None);
        while t < text.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    p += 1;
                    retry = Some((p, t));
                }
                Some(b'?') => (p, t) = (p + 1, after(text, t)),
                Some(byte) if *byte == text[t] => (p, t) = (p + 1, t + 1),
                _ => {
                    let Some((star, from)) = retry else { return false };
                    retry = Some((star, from + 1));
                    (p, t) = (star, from + 1);
                }
            }
        }
        pattern[p..].iter().all(|&byte| byte == b'*')
    }
}

/// Where the character after the one at `at` begins: every byte from 0x80 to 0xbf goes on with one.
fn after(text: &[u8], at: usize) -> usize {
    at + 1 + text[at + 1..].iter().take_while(|byte| **byte & 0xc0 == 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_cover_the_whole_text_and_cross_dots() {
        for (glob, text, expected) in [
            ("debug.*", "debug.a.b", true),
            ("debug.*", "debug", false),
            ("debug.*", "x.debug.a", false),
            ("*_us", "a.b_us", true),
            ("*_us", "a.b_us2", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a", "a", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("a*b*c", "a.b.b.c", true),
            ("a*b*c", "a.c.b", false),
            ("*ab*ab", "abab", true),
            ("**a", "bba", true),
            ("é*", "éa", true),
            ("?", "", false),
            ("?", "é", true),
            ("??", "é", false),
            ("*??", "é", false),
            ("a?c*", "abc", true),
            ("a?c", "ac", false),
        ] {
            assert_eq!(Glob::new(glob).matches(text), expected, "{glob:?} {text:?}");
        }
        assert!(Glob::new("a?b").matches(b"a\xffb"));
    }
}
