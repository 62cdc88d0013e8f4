//! The word someone meant.

/// The candidate that needs the fewest edits, if these are few for its length.
pub fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    const LONGEST_WORD: usize = 64;
    if word.len() > LONGEST_WORD {
        return None;
    }
    let distance = |candidate: &&&str| edits(word, candidate);
    let best = candidates.iter().min_by_key(distance)?;
    (edits(word, best) <= (best.len() / 2).max(2)).then_some(*best)
}

/// Insertions, deletions, substitutions and swaps of neighbours that turn one word into the other.
fn edits(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![(0..=to.len()).collect::<Vec<usize>>()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let substituted = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut least = substituted.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_its_key_and_an_unrelated_word_finds_none() {
        let keys = ["interval", "expire", "percentiles"];
        for (word, key) in
            [("intervall", Some("interval")), ("exprie", Some("expire")), ("percentile", Some("percentiles")), ("xyzzyxyz", None)]
        {
            assert_eq!(nearest(word, &keys), key, "{word}");
        }
    }
}
