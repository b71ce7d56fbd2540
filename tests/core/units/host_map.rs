use tls_session_binding::host_map::HostMap;

/// `{"a": "bc", "d": ""}`.
const MAP: &[u8] = b"\x02\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0a\0bc\0d\0\0";

#[test]
fn a_map_is_read_with_its_empty_values() {
    let map = HostMap::parse(MAP).unwrap();
    assert_eq!(map.get("a"), Some(&b"bc"[..]));
    assert_eq!(map.get("d"), Some(&b""[..]));
    assert_eq!(map.get("x"), None);
    assert!(!map.may_be_a_list());
    assert!(HostMap::parse(&[0; 4]).unwrap().may_be_a_list());
}

#[test]
fn anything_else_is_no_map() {
    for length in 0..MAP.len() {
        assert_eq!(HostMap::parse(&MAP[..length]), None, "{length}");
    }
    assert_eq!(HostMap::parse(&[MAP, b"x"].concat()), None);
    assert_eq!(HostMap::parse(&[0xff; 64]), None);
    for at in 0..20 {
        let mut changed = MAP.to_vec();
        changed[at] ^= 1;
        assert_ne!(HostMap::parse(&changed), HostMap::parse(MAP), "{at}");
    }
}
