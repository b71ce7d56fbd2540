use tls_session_binding::numeric_date::NumericDate;

fn parse(text: &str) -> Option<u64> {
    serde_json::from_str(text).ok().map(NumericDate::floor)
}

#[test]
fn numbers_in_range_are_dates_in_any_notation() {
    let accepted = [
        ("0", 0),
        ("1700000000", 1_700_000_000),
        ("1.7e9", 1_700_000_000),
        ("1700000000.999", 1_700_000_000),
        ("-0", 0),
        ("1e-400", 0),
        ("253402300799", 253_402_300_799),
    ];
    for (text, seconds) in accepted {
        assert_eq!(parse(text), Some(seconds), "{text}");
    }
}

#[test]
fn everything_else_is_refused_without_wrapping() {
    let digits = "9".repeat(400);
    let refused = [
        "-1",
        "-0.5",
        "253402300800",
        "9007199254740993",
        "9223372036854775808",
        "-9223372036854775808",
        "18446744073709551616",
        "1e309",
        "1e300",
        &digits,
        "\"1\"",
        "true",
        "null",
        "[1]",
        "{}",
        "NaN",
    ];
    for text in refused {
        assert_eq!(parse(text), None, "{text}");
    }
}
