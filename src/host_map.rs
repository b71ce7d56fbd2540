//! A map of the host's, such as the claims in dynamic metadata, as the host writes it into a property: the
//! number of pairs, the lengths of each name and value, then names and values, each with a zero byte behind.
//! All numbers have 32 bits, the lowest byte first. A list is written as pairs whose values are empty.

/// What the host says of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Property {
    /// It is not there. Hosts do not tell an empty value from an absent one.
    Absent,
    /// Its bytes.
    Bytes(Vec<u8>),
    /// It is there, and the host cannot write it.
    Unreadable,
}

/// The pairs of a map, in no particular order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostMap<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a> HostMap<'a> {
    /// Reads a map; `None` for anything that is not exactly one.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (count, rest) = take_number(bytes)?;
        // The lengths take eight bytes a pair, so that `count` cannot exceed what is there.
        let lengths = rest.get(..count.checked_mul(8)?)?;
        let mut left = rest.get(lengths.len()..)?;
        let mut pairs = Vec::with_capacity(count);
        for pair in lengths.chunks_exact(8) {
            let (name, pair) = take_number(pair)?;
            let (value, _) = take_number(pair)?;
            pairs.push((take_text(&mut left, name)?, take_text(&mut left, value)?));
        }
        left.is_empty().then_some(Self(pairs))
    }

    /// The value of a member.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        let found = self.0.iter().find(|(own, _)| *own == name.as_bytes());
        found.map(|&(_, value)| value)
    }

    /// Whether it may be a list: nothing in it has a value.
    #[must_use]
    pub fn may_be_a_list(&self) -> bool {
        self.0.iter().all(|(_, value)| value.is_empty())
    }
}

fn take_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

fn take_text<'a>(left: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (text, rest) = left.split_at_checked(length)?;
    *left = rest.strip_prefix(&[0])?;
    Some(text)
}
