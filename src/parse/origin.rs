//! The fields that say where a line came from: `c:`, `e:` and `card:`.

use super::number::digits;
use super::scrutiny::{Field, Scrutiny};
use super::{Cardinality, Origin, ParseError};

impl Cardinality {
    /// The word of the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Cardinality::None => "none",
            Cardinality::Low => "low",
            Cardinality::Orchestrator => "orchestrator",
            Cardinality::High => "high",
        }
    }
}

impl<'a> Origin<'a> {
    /// Reads a field when it is one of the origin's; any other is unknown.
    pub(super) fn read(&mut self, field: &'a [u8], scrutiny: &mut Scrutiny) -> Result<(), ParseError> {
        match field {
            [b'c', b':', data @ ..] => {
                scrutiny.note(Field::LocalData)?;
                (self.container_id, self.inode) = (None, None);
                self.local_data(data, scrutiny)
            }
            [b'e', b':', data @ ..] => {
                scrutiny.note(Field::ExternalData)?;
                self.external_data = present(data);
                Ok(())
            }
            [b'c', b'a', b'r', b'd', b':', word @ ..] => {
                scrutiny.note(Field::Cardinality)?;
                self.cardinality(word, scrutiny)
            }
            _ => scrutiny.unknown_field(),
        }
    }

    fn local_data(&mut self, data: &'a [u8], scrutiny: &mut Scrutiny) -> Result<(), ParseError> {
        if data.contains(&b',') {
            return data.split(|&byte| byte == b',').try_for_each(|item| match item {
                [b'c', b'i', b'-', id @ ..] => {
                    self.container_id = present(id);
                    Ok(())
                }
                [b'i', b'n', b'-', inode @ ..] => self.inode(inode, scrutiny),
                _ => Ok(()),
            });
        }
        match data {
            [b'c', b'i', b'-', id @ ..] | [b'c', b'i', b'd', b'-', id @ ..] => self.container_id = present(id),
            [b'i', b'n', b'-', inode @ ..] => return self.inode(inode, scrutiny),
            id => self.container_id = present(id),
        }
        Ok(())
    }

    fn inode(&mut self, text: &[u8], scrutiny: &mut Scrutiny) -> Result<(), ParseError> {
        match digits(text) {
            Some(inode) => self.inode = Some(inode),
            None => scrutiny.bad_metadata()?,
        }
        Ok(())
    }

    fn cardinality(&mut self, word: &[u8], scrutiny: &mut Scrutiny) -> Result<(), ParseError> {
        use Cardinality::{High, Low, None, Orchestrator};
        match [None, Low, Orchestrator, High].into_iter().find(|known| word.eq_ignore_ascii_case(known.as_str().as_bytes())) {
            Some(known) => self.cardinality = Some(known),
            Option::None if word.is_empty() => {}
            Option::None => scrutiny.bad_metadata()?,
        }
        Ok(())
    }
}

/// Empty is absent.
fn present(data: &[u8]) -> Option<&[u8]> {
    (!data.is_empty()).then_some(data)
}
