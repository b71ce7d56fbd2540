//! Signatures whose verification is known, to try the host's library with before trusting it. The keys
//! were made for this and thrown away.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::algorithm::Algorithm;

/// What every known signature is over.
pub(super) const MESSAGE: &[u8] = b"session binding known answer";

/// A key and its signature over [`MESSAGE`], as base64 of what the host takes.
pub(super) struct KnownAnswer {
    pub(super) algorithm: Algorithm,
    spki: &'static str,
    signature: &'static str,
}

impl KnownAnswer {
    /// The key, its good signature and a bad one.
    pub(super) fn decode(&self) -> Option<(Vec<u8>, Vec<u8>, Vec<u8>)> {
        let key = STANDARD.decode(self.spki).ok()?;
        let good = STANDARD.decode(self.signature).ok()?;
        let mut bad = good.clone();
        *bad.last_mut()? ^= 1;
        Some((key, good, bad))
    }
}

/// One known answer per algorithm that a host may verify.
pub(super) const ALL: [KnownAnswer; 5] = [
    KnownAnswer {
        algorithm: Algorithm::Es256,
        spki: P256_KEY,
        signature: "MEYCIQDDKEih49KKYF/142OzVLQYf5dtkL8X+Oe0230tv2Ki2gIhAIYx05qSx1jrWubWkEaFtq0lLsg2MIXJ\
                    siLo7yWstdsj",
    },
    KnownAnswer {
        algorithm: Algorithm::Es384,
        spki: P384_KEY,
        signature: "MGUCMGqojSddEhEKZjqOYeZ2ucoUHHQUcAhZI/3n9UMmvtPpih9UNYLNU+gedNNktZP1yQIxANJm03HsgUs+\
                    gI+b5BlXzjIr0XklSVNBpvV0nk/WFFc25uowNuTIcdTw4JDIu67RnA==",
    },
    KnownAnswer {
        algorithm: Algorithm::Rs256,
        spki: RSA_KEY,
        signature: "GpkdJjqpOnXYIk2FwnOCT9iWP1HAh61G01WyTIA19m0SpTBFdX6IC7ITpxag0pHeeUSL/GW7bGqlVjC4MdVh\
                    VvbcLc8whfw5nSELLGk3PEZBmUdZCoiyO0bIVIxsTg3geGjDP34qNGHTSP84p2zhSrotZHxdMIFL1A+N0TyR\
                    2cH8vg0L3CA3X8qbcuWcxJkAemhiDfE5DoNZAMV1WeRCuCDu5/NuD03bwiP/qaPADLRN5dT4k2FQ827yHuZR\
                    eLUBxnLJiNsVS6Ar6Qmrg1RHmjjsroiGp8p0w3l9dpCC/CQJ5g3iZTswDzpUIc00XjbRWnG8Fhmc9sljDYxk\
                    xysijg==",
    },
    KnownAnswer {
        algorithm: Algorithm::Rs384,
        spki: RSA_KEY,
        signature: "qaEPZDwrLHNWjP5f2vBo3R2zcPdpeMu+fc61s+Aulo73n+PIb8L4EJrQBlZN53SKfzVT4iwhsELdR6z6tkp+\
                    qPKrU+sXDP04wRfCIn1HyeH6Z6mLYZ5ywT4QmnhIcZwXS381HDkHq5Bou208noK2xhkqmXNGuRxQetlCUILX\
                    cuMthE6bTuuEkdD1DFQYQlYjBA7g+0EudyqTFLVh2do3b3C5DnSeXrT9co1kL/UVVYLYbp9xD4AadXkg4woO\
                    TXXi6JYCzsfAoVhnOy9JeR1vKISOp/0hcfDCItbiMfchkuOIzNhtjbSM34D1wt1nIv88g+fAVhrjYDFExNqS\
                    gnF2ZA==",
    },
    KnownAnswer {
        algorithm: Algorithm::Rs512,
        spki: RSA_KEY,
        signature: "rWiiDlyjJzx1qtAVIWuNff3Oz0+oAdvXh/8p84fnMeX2Q9pGGDWXC0dstNSmXe2MYUXcftWZFMR61dUZM3yr\
                    1DcNuqz8vaOWGdrrZlkEGkBO9xX22lsIpUb12kDb9MWMNk8gt5nVWb+dDc2af/BGs5vAtiPndSlYIsSZb9BS\
                    wo0QjSlObCXbE6gH7jv+Ut/aOydiMDwSPr7UuyYVyRt3/0lYLbwk+XqDpOAbM6DytVqnwRd1anF9qbpBSvmx\
                    GcR2ewShiAJmykAHVcHN6SdebklLwAoJsoUj9MZUWnyDNT2S0EpgXb8ieZNC7KYA/Yp0F92lSdgIYF13a5gW\
                    GcoTCQ==",
    },
];

const P256_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAENT9MME8G8THbd2ZB8hWzQ4v18SaY5PEy7nNWGo5c1yAAQUJw\
    feTVzwOAgzQqXTwtPzL4PQep2MGfXaOMIjhp5Q==";

const P384_KEY: &str = "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEnvj1L7aBClGv/tiRG3I2THfCGIPCJdOdls6yDnN3LlFXRXCsWmFq\
    Pkitf6oRuGuEkCcQzOS4YMkZsbUhWQPzTRsb0nnck6ZQcnUNYJEtYgq+YeHVSACJ2TydGAisNI3g";

const RSA_KEY: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEArYmOMF9AhY9b3xD8vGhQHRm9VRn1nuF1fGMZMy2a\
    KKXMkWjRnc+bbR6BP5Rt7k3u+0Vd5leSWLveILytrjTtlwQbTUizkfzTjz1FuUj+xCCoV+fmZpVzRS1FXslK\
    8YhtrvoKDKOHuCFTiLJ5LiaQqFUFRr31+EnOVQ9PZGzVYzGJ1dYNjeGOnjMfg+xyYvpurXoypMh37cM8mKux\
    baFqMHxLEzILZVAYXjrf4Z/zXm4CCXYvOSbWIpVzlPTV+UEspGU/Z+xWiVpiPOHMkwVdV7axm5tFjrzpZD1J\
    UKShjZMJSYHkAV79LSqWT1DPnzrXeH3KwVSOV7t4xPyZxKSUkwIDAQAB";
