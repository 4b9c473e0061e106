//! Archives that are not looked into: known by how they begin, or by how they are called.

/// How they begin: the ending they are refused under, where, and what stands there.
const BEGINNINGS: [(&str, usize, &[u8]); 17] = [
    ("xz", 0, b"\xfd7zXZ\0"),
    ("bz2", 0, b"BZh"),
    ("zst", 0, b"\x28\xb5\x2f\xfd"),
    ("lz4", 0, b"\x04\x22\x4d\x18"),
    ("lz4", 0, b"\x02\x21\x4c\x18"),
    ("7z", 0, b"7z\xbc\xaf\x27\x1c"),
    ("rar", 0, b"Rar!\x1a\x07"),
    ("lz", 0, b"LZIP"),
    ("z", 0, b"\x1f\x9d"),
    ("z", 0, b"\x1f\xa0"),
    ("cab", 0, b"MSCF"),
    ("arj", 0, b"\x60\xea"),
    ("ace", 7, b"**ACE**"),
    ("lzh", 2, b"-lh"),
    ("xar", 0, b"xar!"),
    ("wim", 0, b"MSWIM\0\0\0"),
    ("rpm", 0, b"\xed\xab\xee\xdb"),
];
/// Endings of each: what is called so is refused, whatever it begins with.
const ENDINGS: [(&str, &[&str]); 17] = [
    ("xz", &["xz", "txz"]),
    ("bz2", &["bz2", "bz", "tbz", "tbz2"]),
    ("zst", &["zst", "zstd", "tzst"]),
    ("lz4", &["lz4", "tlz4"]),
    ("7z", &["7z"]),
    ("rar", &["rar"]),
    ("lz", &["lz", "tlz"]),
    ("lzma", &["lzma"]),
    ("z", &["z", "taz"]),
    ("cab", &["cab"]),
    ("arj", &["arj"]),
    ("ace", &["ace"]),
    ("lzh", &["lzh", "lha"]),
    ("xar", &["xar", "pkg"]),
    ("wim", &["wim"]),
    ("rpm", &["rpm"]),
    ("br", &["br"]),
];

/// Which of them a file is, if it is one.
pub(super) fn form(name: &str, beginning: &[u8]) -> Option<&'static str> {
    let stands = |at: usize, mark: &[u8]| beginning.get(at..).is_some_and(|rest| rest.starts_with(mark));
    let by_beginning = BEGINNINGS.into_iter().find(|(form, at, mark)| {
        // Texts begin with these letters, too: what follows tells them apart.
        let is_sure = match *form {
            "bz2" => {
                matches!(beginning.get(3), Some(b'1'..=b'9')) && (stands(4, b"1AY&SY") || stands(4, b"\x17rE8P\x90"))
            }
            "lzh" => beginning.get(6) == Some(&b'-'),
            "lz" => matches!(beginning.get(4), Some(0 | 1)),
            "arj" => beginning.get(2..4).is_some_and(|size| u16::from_le_bytes([size[0], size[1]]) <= 2_600),
            _ => true,
        };
        is_sure && stands(*at, mark)
    });
    // A frame of zstd or lz4 that is to be skipped, before the first one that counts.
    let is_skipped = matches!(beginning.first(), Some(0x50..=0x5f)) && stands(1, b"\x2a\x4d\x18");
    let name = name.trim_end_matches(['.', ' ']).to_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let by_ending = || ENDINGS.into_iter().find(|(_, endings)| endings.contains(&ending)).map(|(form, _)| form);
    by_beginning.map(|(form, ..)| form).or_else(|| is_skipped.then_some("zst")).or_else(by_ending)
}
