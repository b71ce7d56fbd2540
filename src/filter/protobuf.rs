//! As much of the protobuf encoding as the host's functions want of their arguments.

/// Appends a field of bytes or of text. `number` is below 16.
pub(super) fn push_bytes(message: &mut Vec<u8>, number: u8, value: &[u8]) {
    const LENGTH_DELIMITED: u8 = 2;
    message.push(number << 3 | LENGTH_DELIMITED);
    let mut length = value.len();
    loop {
        let [low, ..] = length.to_le_bytes();
        length >>= 7;
        message.push(if length > 0 { low | 0x80 } else { low & 0x7f });
        if length == 0 {
            break;
        }
    }
    message.extend_from_slice(value);
}

/// Appends a field of an enumeration. `number` is below 16, `value` below 128.
pub(super) fn push_enum(message: &mut Vec<u8>, number: u8, value: u8) {
    message.extend_from_slice(&[number << 3, value]);
}
