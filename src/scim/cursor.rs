//! The position of a cursor page (RFC 9865): a keyset cursor, so the server keeps nothing for it.
//!
//! This is the plain content; whoever sends it to clients seals it first (RFC 9865 §5).

use super::error::{Error, ScimType};

/// Where a page ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// A hash of the query, the connection and the caller: a cursor serves no other.
    pub query: [u8; 16],
    /// When the page was made, in seconds since 1970.
    pub issued_at_seconds: i64,
    /// The sort key of the last resource; `None` if the query does not sort.
    pub sort: Option<SortValue>,
    /// The surrogate key of the last resource.
    pub last: i64,
    /// The page size; it may not change between pages (RFC 9865 §2.1).
    pub count: u32,
}

/// The sort key of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SortValue {
    /// The resource has no value to sort by.
    Missing,
    /// The value as the index holds it.
    Text(String),
}

const UNSORTED: u8 = 0;
const MISSING: u8 = 1;
const TEXT: u8 = 2;

impl Cursor {
    /// The query hash, three numbers in big-endian order, a tag, and the sort text to the end.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend(self.query);
        bytes.extend(self.issued_at_seconds.to_be_bytes());
        bytes.extend(self.last.to_be_bytes());
        bytes.extend(self.count.to_be_bytes());
        match &self.sort {
            None => bytes.push(UNSORTED),
            Some(SortValue::Missing) => bytes.push(MISSING),
            Some(SortValue::Text(text)) => {
                bytes.push(TEXT);
                bytes.extend(text.as_bytes());
            }
        }
        bytes
    }

    /// Reads what [`Cursor::to_bytes`] wrote; anything else is `invalidCursor`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Cursor, Error> {
        read(bytes).ok_or_else(|| Error::new(ScimType::InvalidCursor, "cursor: not one of this server's"))
    }
}

fn read(bytes: &[u8]) -> Option<Cursor> {
    let (query, rest) = bytes.split_first_chunk()?;
    let (issued_at_seconds, rest) = rest.split_first_chunk()?;
    let (last, rest) = rest.split_first_chunk()?;
    let (count, rest) = rest.split_first_chunk()?;
    let sort = match rest.split_first()? {
        (&UNSORTED, []) => None,
        (&MISSING, []) => Some(SortValue::Missing),
        (&TEXT, text) => Some(SortValue::Text(String::from_utf8(text.to_vec()).ok()?)),
        _ => return None,
    };
    Some(Cursor {
        query: *query,
        issued_at_seconds: i64::from_be_bytes(*issued_at_seconds),
        sort,
        last: i64::from_be_bytes(*last),
        count: u32::from_be_bytes(*count),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cursor(sort: Option<SortValue>) -> Cursor {
        Cursor { query: [7; 16], issued_at_seconds: 1_795_334_400, sort, last: -3, count: 100 }
    }

    #[test]
    fn is_compact() {
        assert_eq!(cursor(None).to_bytes().len(), 37);
        assert_eq!(cursor(Some(SortValue::Text("éva".into()))).to_bytes().len(), 41);
    }

    #[test]
    fn refuses_what_it_did_not_write() {
        let whole = cursor(None).to_bytes();
        for length in 0..whole.len() {
            let error = Cursor::from_bytes(&whole[..length]).unwrap_err();
            assert_eq!(error, Error::new(ScimType::InvalidCursor, "cursor: not one of this server's"), "{length}");
        }
        for tail in [&[0, 0][..], &[1, 0], &[2, 0xff], &[3], &[]] {
            let bytes = [&whole[..36], tail].concat();
            assert!(Cursor::from_bytes(&bytes).is_err(), "{tail:?}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote(query: [u8; 16], issued_at_seconds: i64, last: i64, count: u32, text: Option<Option<String>>) {
            let sort = text.map(|text| text.map_or(SortValue::Missing, SortValue::Text));
            let cursor = Cursor { query, issued_at_seconds, sort, last, count };
            prop_assert_eq!(Cursor::from_bytes(&cursor.to_bytes()), Ok(cursor));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Cursor::from_bytes(&bytes);
        }
    }
}
