use super::is_cut;

#[test]
fn a_pem_file_that_is_being_written_is_cut() {
    let whole = "-----BEGIN CERTIFICATE-----\nAAAA\nBBBB\n-----END CERTIFICATE-----\n";
    let two = format!("{whole}{whole}");
    // Between two sections, and without the last line's end, a cut cannot be told from a whole file.
    let wholes = [whole.len() - 1, whole.len(), two.len() - 1, two.len()];
    for length in 1..=two.len() {
        let part = &two.as_bytes()[..length];
        assert_eq!(is_cut(part), !wholes.contains(&length), "{length}");
    }
    assert!(!is_cut(whole.replace('\n', "\r\n").as_bytes()));
}

#[test]
fn what_is_no_pem_is_not_cut() {
    for other in ["no PEM", "{}", "\u{0}\u{1}", "AAAA\nBBBB"] {
        assert!(!is_cut(other.as_bytes()), "{other}");
    }
}
