use tls_session_binding::base64url::{Malformed, decode, decode_array, encode};

#[test]
fn only_the_canonical_text_of_some_bytes_decodes() {
    let accepted: [(&str, &[u8]); 4] = [
        ("", b""),
        ("Zg", b"f"),
        ("Zm8", b"fo"),
        ("-_8", &[0xfb, 0xff]),
    ];
    for (text, bytes) in accepted {
        assert_eq!(decode(text.as_bytes()).as_deref(), Ok(bytes), "{text}");
        assert_eq!(encode(bytes), text);
    }
    let refused: [&[u8]; 10] = [
        b"Zg==",
        b"Zm8=",
        b"Zh",
        b"Z",
        b"Zm9vY",
        b"+/8",
        b" Zg",
        b"Zg\n",
        b"Z\0",
        "Zé".as_bytes(),
    ];
    for text in refused {
        assert_eq!(decode(text), Err(Malformed), "{text:?}");
    }
}

#[test]
fn an_array_takes_exactly_its_length() {
    assert_eq!(decode_array::<2>(b"-_8"), Ok([0xfb, 0xff]));
    assert_eq!(decode_array::<1>(b"-_8"), Err(Malformed));
    assert_eq!(decode_array::<3>(b"-_8"), Err(Malformed));
}
