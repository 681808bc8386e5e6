//! A value as JSON: what `serde_json` writes of it, with one look at each text.
//!
//! Of a record's two hundred texts and names of fields nearly all are written as they stand. `serde_json` looks at each
//! byte in a table, hands pieces to a formatter that had to look at them again, and writes each piece by itself: 71,000
//! of the 366,000 instructions that an incident takes the writer.
//!
//! **Invariant:** byte for byte what `serde_json` with the formatter [`OneLine`] writes.
//!
//! **Neighbours:** `line` writes lines with it; `record::heads` hands it JSON that was made before.

use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::{Error, Result, ser};

use super::OneLine;

/// The name of a newtype whose text is JSON already.
pub(in crate::incident) const MADE: &str = "JSON";

/// Appends to `out`.
pub(super) struct Json<'o> {
    out: &'o mut Vec<u8>,
    /// Whether the next text is JSON already.
    is_made: bool,
}

impl<'o> Json<'o> {
    pub(super) fn to(out: &'o mut Vec<u8>) -> Self {
        Self {
            out,
            is_made: false,
        }
    }

    fn put(&mut self, json: &[u8]) {
        self.out.extend_from_slice(json);
    }

    /// The name of a field, which a type of ours has: none needs to be looked at.
    fn name(&mut self, name: &'static str) {
        debug_assert!(is_as_it_stands(name.as_bytes()), "{name} needs escapes");
        self.quote(name);
        self.out.push(b':');
    }

    fn quote(&mut self, text: &str) {
        // With what mostly follows: a colon, a comma.
        self.out.reserve(text.len() + 3);
        self.out.push(b'"');
        self.put(text.as_bytes());
        self.out.push(b'"');
    }

    /// Opens a list or an object.
    fn open<'j>(&'j mut self, open: &[u8], close: &'static [u8]) -> Members<'j, 'o> {
        self.put(open);
        Members {
            json: self,
            close,
            is_first: true,
        }
    }

    /// Opens a list or an object as the one thing in an object.
    fn open_named<'j>(
        &'j mut self,
        name: &'static str,
        open: &[u8],
        close: &'static [u8],
    ) -> Result<Members<'j, 'o>> {
        self.out.push(b'{');
        self.name(name);
        Ok(self.open(open, close))
    }
}

/// Whether `text` stands between quotation marks as it is: ASCII that shows, without quotation mark and backslash. Eight
/// bytes at once.
fn is_as_it_stands(text: &[u8]) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = EACH * 0x80;
    // The highest bit of a byte that is 0; of those above it maybe as well.
    let zero = |word: u64| word.wrapping_sub(EACH) & !word;
    let (words, rest) = text.as_chunks::<8>();
    let all = words.iter().all(|word| {
        let word = u64::from_le_bytes(*word);
        // A byte is beyond ASCII, becomes so by one more, or by 32 less.
        let odd = word | word.wrapping_add(EACH) | word.wrapping_sub(EACH * 0x20);
        let marks = zero(word ^ (EACH * 0x22)) | zero(word ^ (EACH * 0x5c));
        (odd | marks) & HIGH == 0
    });
    all && rest
        .iter()
        .all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'))
}

/// Numbers and the like: as `serde_json` writes them.
macro_rules! as_serde_json {
    ($($name:ident: $type:ty),*) => {
        $(fn $name(self, value: $type) -> Result<()> {
            ser::Serializer::new(&mut *self.out).$name(value)
        })*
    };
}

impl<'j, 'o> Serializer for &'j mut Json<'o> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Members<'j, 'o>;
    type SerializeTuple = Members<'j, 'o>;
    type SerializeTupleStruct = Members<'j, 'o>;
    type SerializeTupleVariant = Members<'j, 'o>;
    type SerializeMap = Members<'j, 'o>;
    type SerializeStruct = Members<'j, 'o>;
    type SerializeStructVariant = Members<'j, 'o>;

    as_serde_json! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_f32: f32,
        serialize_f64: f64,
        serialize_bytes: &[u8]
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<()> {
        if std::mem::take(&mut self.is_made) {
            self.put(text.as_bytes());
        } else if is_as_it_stands(text.as_bytes()) {
            self.quote(text);
        } else {
            ser::Serializer::with_formatter(&mut *self.out, OneLine).serialize_str(text)?;
        }
        Ok(())
    }

    fn serialize_none(self) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        self.put(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<()> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        self.is_made = name == MADE;
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        self.out.push(b'{');
        self.name(variant);
        value.serialize(&mut *self)?;
        self.out.push(b'}');
        Ok(())
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Members<'j, 'o>> {
        Ok(self.open(b"[", b"]"))
    }

    fn serialize_tuple(self, _length: usize) -> Result<Members<'j, 'o>> {
        Ok(self.open(b"[", b"]"))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Members<'j, 'o>> {
        Ok(self.open(b"[", b"]"))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Members<'j, 'o>> {
        self.open_named(variant, b"[", b"]}")
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Members<'j, 'o>> {
        Ok(self.open(b"{", b"}"))
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Members<'j, 'o>> {
        Ok(self.open(b"{", b"}"))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Members<'j, 'o>> {
        self.open_named(variant, b"{", b"}}")
    }
}

/// What stands in a list or an object.
pub(super) struct Members<'j, 'o> {
    json: &'j mut Json<'o>,
    close: &'static [u8],
    is_first: bool,
}

impl Members<'_, '_> {
    fn next(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.json.out.push(b',');
        }
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.next();
        value.serialize(&mut *self.json)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        self.next();
        self.json.name(name);
        value.serialize(&mut *self.json)
    }

    fn close(self) {
        self.json.put(self.close);
    }
}

/// The traits of lists, which differ in their names alone.
macro_rules! list {
    ($($kind:ident: $element:ident),*) => {
        $(impl $kind for Members<'_, '_> {
            type Ok = ();
            type Error = Error;

            fn $element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.element(value)
            }

            fn end(self) -> Result<()> {
                self.close();
                Ok(())
            }
        })*
    };
}

list! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
}

/// The traits of objects whose names are known.
macro_rules! object {
    ($($kind:ident),*) => {
        $(impl $kind for Members<'_, '_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<()> {
                self.field(name, value)
            }

            fn end(self) -> Result<()> {
                self.close();
                Ok(())
            }
        })*
    };
}

object! { SerializeStruct, SerializeStructVariant }

impl SerializeMap for Members<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.next();
        let start = self.json.out.len();
        key.serialize(&mut *self.json)?;
        match self.json.out.get(start) {
            Some(b'"') => Ok(()),
            _ => Err(Error::custom("no line has a key that is no text")),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.json.out.push(b':');
        value.serialize(&mut *self.json)
    }

    fn end(self) -> Result<()> {
        self.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Serialize;
    use serde_json::Value;

    use super::*;

    fn ours(value: &impl Serialize) -> String {
        let mut out = Vec::new();
        value.serialize(&mut Json::to(&mut out)).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn theirs(value: &impl Serialize) -> String {
        let mut out = Vec::new();
        value
            .serialize(&mut ser::Serializer::with_formatter(&mut out, OneLine))
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof!["[ -~]{0,20}", "[a-z\"\\\\\n\u{7f}\u{e9}\u{200d}]{0,20}"]
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            text().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 30, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(text(), inner, 0..5)
                    .prop_map(|all| Value::Object(all.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_is_written_as_serde_json_writes_it(value in value()) {
            prop_assert_eq!(ours(&value), theirs(&value));
        }
    }

    #[test]
    fn any_byte_at_any_place_is_seen() {
        for place in 0..17 {
            for byte in 0..=u8::MAX {
                let mut text = *b"a ~text of 17 byt";
                text[place] = byte;
                let expected = matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
                assert_eq!(is_as_it_stands(&text), expected, "{byte} at {place}");
            }
        }
    }

    #[derive(Serialize)]
    enum Shape {
        Unit,
        New(u8),
        Tuple(char, f32),
        Struct {
            a: Option<i8>,
            b: Option<&'static str>,
        },
    }

    #[derive(Serialize)]
    struct Named {
        first: (u64, [i16; 2]),
        #[serde(flatten)]
        flat: Flat,
        shapes: Vec<Shape>,
        unit: (),
    }

    #[derive(Serialize)]
    struct Flat {
        text: &'static str,
        not_a_number: f64,
        map: BTreeMap<String, u8>,
    }

    #[test]
    fn whatever_a_line_may_hold_is_written_as_serde_json_writes_it() {
        let named = Named {
            first: (u64::MAX, [-1, 2]),
            flat: Flat {
                text: "said \"no\"\n",
                not_a_number: f64::NAN,
                map: [("a".to_owned(), 1), ("b\u{85}".to_owned(), 2)].into(),
            },
            shapes: vec![
                Shape::Unit,
                Shape::New(7),
                Shape::Tuple('"', 0.1),
                Shape::Struct {
                    a: None,
                    b: Some("x"),
                },
            ],
            unit: (),
        };

        assert_eq!(ours(&named), theirs(&named));
        assert_eq!(ours(&Vec::<u8>::new()), "[]");
    }

    #[test]
    fn what_is_json_already_stands_as_it_is_and_nothing_behind_it() {
        struct Made(&'static str);
        impl Serialize for Made {
            fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
                to.serialize_newtype_struct(MADE, self.0)
            }
        }

        assert_eq!(ours(&(Made("[\"a\"]"), "[\"b\"]")), r#"[["a"],"[\"b\"]"]"#);
    }

    #[test]
    fn a_key_that_is_no_text_is_an_error() {
        let map = BTreeMap::from([(1, 2)]);
        assert!(map.serialize(&mut Json::to(&mut Vec::new())).is_err());
    }
}
