//! Exports with large bodies: what the door is shown of them, how often, and how much is too much.

use std::cell::Cell;

use super::*;

/// Bytes that nothing packs any further, the same for each seed.
fn incompressible(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// A record whose second attempt has a packed body.
fn packed(raw: &[u8]) -> Record {
    let mut json = record();
    let body = &mut json["attempts"][1]["body"];
    body["raw_ref"] = json!("bodies:3:9");
    Record::from(json).with_bodies(|place| (place == "bodies:3:9").then(|| raw.to_vec()))
}

#[test]
fn a_packed_body_is_read_as_the_bytes_it_is() {
    let raw = incompressible(1, 64 << 10);
    let mut control = record();
    control["verdict"] = Value::from(BASE64.encode(&raw));
    assert!(
        exported(control, Form::Json).is_err(),
        "the control: its base64 looks like a token somewhere"
    );
    let mut tampered = raw.clone();
    let token = format!(" AQX1234{CANARY}abcdefghijklmnopqrstuvwxyz0123456789 ");
    tampered[1_000..1_000 + token.len()].copy_from_slice(token.as_bytes());

    for form in [Form::Json, Form::Zip] {
        let clean = export(&[packed(&raw)], form, &ByShape, &beside());
        let spoilt = export(&[packed(&tampered)], form, &ByShape, &beside());

        assert!(clean.is_ok(), "{form}: {clean:?}");
        let told = spoilt.unwrap_err().to_string();
        assert!(told.contains("body.raw_base64"), "{form}: {told}");
    }
}

/// Lets everything pass, and counts it.
#[derive(Default)]
struct Counting(Cell<usize>);

impl Door for Counting {
    fn finds(&self, text: &[u8]) -> Result<Vec<Find>, NotAsked> {
        self.0.set(self.0.get() + text.len());
        Ok(Vec::new())
    }
}

#[test]
fn an_archive_shows_each_body_to_the_door_once() {
    const BODY: usize = 64 << 10;
    let asked = |count: u64| {
        let records: Vec<Record> = (1..=count)
            .map(|seed| {
                let mut json = record();
                // Stands in the HAR and in the record itself.
                let blob = BASE64.encode(&incompressible(seed, BODY));
                json["attempts"][0]["body"]["base64"] = Value::from(blob);
                Record::from(json)
            })
            .collect();
        let door = Counting::default();
        export(&records, Form::Zip, &door, &beside()).unwrap();
        door.0.get()
    };

    let (few, many) = (asked(2), asked(8));

    assert!(many >= 8 * BODY, "{many}: each body is searched");
    assert!(many <= 8 * (BODY + (48 << 10)), "{many}: and once");
    assert!(many <= 4 * few + BODY, "{many} of four times {few}");
}

#[test]
fn more_bodies_than_fit_are_refused_with_what_to_do() {
    let half = packed(&vec![0xff; 3 * (MOST_BODIES / 8)]);
    let records = [half.clone(), half];

    let one = Weight::default().add(&records[0]);
    let both = export(&records, Form::Json, &Counting::default(), &beside());

    assert_eq!(one, Ok(()));
    // Without its bytes: a failure would print all of them.
    let refused = both.map(|bytes| bytes.len()).unwrap_err();
    assert_eq!(refused, Refused::TooLarge);
    assert!(
        refused
            .to_string()
            .ends_with("64 MiB: ask for fewer incidents"),
        "{refused}"
    );
}
