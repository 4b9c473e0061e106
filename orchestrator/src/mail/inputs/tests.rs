use std::io::{Cursor, Write as _};

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use zip::{ZipWriter, write::SimpleFileOptions};

use super::*;

fn file(name: &str, bytes: &[u8]) -> Attachment {
    Attachment {
        name: name.to_owned(),
        media_type: "application/octet-stream".to_owned(),
        bytes: bytes.to_vec(),
        inline: false,
    }
}

fn taken(files: &[Attachment]) -> (Vec<String>, Vec<String>) {
    let (inputs, left_out) = take(files, &["exe".to_owned(), "scr".to_owned()], &[], Limits::default());
    (inputs.into_iter().map(|input| input.name).collect(), left_out)
}

fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A tar with names as they are: the library would refuse to write some of them.
fn tarred(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append(&header, *content).unwrap();
    }
    archive.into_inner().unwrap()
}

/// What is said about a file that is left out.
fn refused(name: &str, bytes: &[u8]) -> String {
    let (names, left_out) = taken(&[file(name, bytes)]);
    assert_eq!(names, [""; 0], "{name} came along");
    left_out.concat()
}

#[test]
fn names_are_safe_and_unique() {
    let names =
        ["a.csv", "A.csv", "../../etc/passwd", "C:\\x\\b.txt", ".git", "..", "a\u{202e}gpj.txt\r\nX: y", "", "-rf"];
    let files: Vec<Attachment> = names.iter().map(|name| file(name, b"x")).collect();
    let (taken, left_out) = taken(&files);
    assert_eq!(taken, ["a.csv", "A-2.csv", "passwd", "b.txt", "git", "file-6", "agpj.txt X_ y", "file-8", "rf"]);
    assert_eq!(left_out, [""; 0]);
    let long = self::taken(&[file(&format!("{}.xlsx", "ä".repeat(300)), b"x")]).0;
    assert!(long[0].chars().count() == NAME_CHARS && long[0].ends_with(".xlsx"));
}

#[test]
fn what_is_too_much_is_named() {
    let many: Vec<Attachment> = (0..22).map(|n| file(&format!("{n}.txt"), b"x")).collect();
    let (names, left_out) = taken(&many);
    assert_eq!((names.len(), left_out.len()), (20, 2));
    assert!(left_out[0].starts_with("20.txt: only 20 files"), "{left_out:?}");
    let limits = Limits { files: 9, one: 10, all: 15 };
    let files = [file("a", &[1; 11]), file("b", &[1; 10]), file("c", &[1; 6]), file("d", &[1; 5])];
    let (inputs, left_out) = take(&files, &[], &[], limits);
    assert_eq!(inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>(), ["b", "d"]);
    assert_eq!(left_out.len(), 2);
}

#[test]
fn endings_are_refused_however_they_are_written() {
    for name in ["a.exe", "A.EXE", "a.pdf.exe", "a.exe. ", "x/../b.Scr"] {
        assert!(refused(name, b"MZ").contains("are not taken"), "{name}");
    }
    assert!(refused("empty.txt", b"").contains("is empty"));
    assert_eq!(taken(&[file("exe", b"x")]).0, ["exe"]);
}

#[test]
fn what_programs_add_is_left_out_without_a_word() {
    let mut logo = file("image001.png", &[1; 5_000]);
    (logo.inline, logo.media_type) = (true, "image/png".to_owned());
    let mut shot = file("image002.png", &[1; 90_000]);
    (shot.inline, shot.media_type) = (true, "image/png".to_owned());
    let mut signature = file("sign.asc", b"x");
    signature.media_type = "application/pgp-signature".to_owned();
    let files = [logo, shot, signature, file("invite.ics", b"x"), file("smime.p7s", b"x"), file("winmail.dat", b"x")];
    assert_eq!(taken(&files), (vec!["image002.png".to_owned()], Vec::new()));
}

#[test]
fn honest_archives_come_along() {
    let inner = zipped(&[("a/b.txt", b"hello")]);
    for (name, bytes) in [
        ("a.zip", zipped(&[("a/b.txt", b"hello"), ("inner.zip", &inner)])),
        ("a.tar", tarred(&[("a.txt", b"hello")])),
        ("a.tar.gz", gzipped(&tarred(&[("a.txt", b"hello"), ("x.zip", &inner)]))),
        ("a.tgz", gzipped(&tarred(&[("a.txt", b"hello")]))),
        ("log.txt.gz", gzipped(b"hello")),
        ("report.docx", zipped(&[("word/document.xml", &[b'x'; 200_000])])),
        ("a.txt", b"PKhello".to_vec()),
    ] {
        assert_eq!(taken(&[file(name, &bytes)]), (vec![name.to_owned()], Vec::new()), "{name}");
    }
}

#[test]
fn bombs_and_traps_are_refused() {
    let zeros = vec![0; 8 << 20];
    let bomb = zipped(&[("zeros", &zeros)]);
    assert!(refused("a.zip", &bomb).contains("times its size"));
    assert!(refused("a.gz", &gzipped(&zeros)).contains("times its size"));
    assert!(refused("a.tgz", &gzipped(&tarred(&[("zeros", &zeros)]))).contains("times its size"));
    assert!(refused("innocent.txt", &bomb).contains("times its size"), "the content says what it is");
    assert!(refused("a.zip", &zipped(&[("x.zip", &bomb)])).contains("times its size"));
    let deep = zipped(&[("b.zip", &zipped(&[("c.zip", &zipped(&[("d", b"x")]))]))]);
    assert!(refused("a.zip", &deep).contains("archives in archives"));
    for name in ["/etc/passwd", "../x", "a/../../x", "C:\\x", "\\\\host\\x"] {
        assert!(refused("a.zip", &zipped(&[(name, b"x")])).contains("leaves it"), "zip {name}");
        assert!(refused("a.tar", &tarred(&[(name, b"x")])).contains("leaves it"), "tar {name}");
    }
    let many: Vec<(String, &[u8])> = (0..10_001).map(|n| (n.to_string(), &b""[..])).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, content)| (name.as_str(), *content)).collect();
    assert!(refused("a.zip", &zipped(&many)).contains("10000 files"));
    assert!(refused("a.zip", b"PK\x03\x04broken").contains("broken"));
}

/// Of 64 MiB of zeros, and a small tar, as the programs of a usual Linux pack them; of others, how they begin.
const SEALED: [(&str, &[u8]); 12] = [
    ("zeros.xz", include_bytes!("bombs/zeros.xz")),
    ("zeros.bz2", include_bytes!("bombs/zeros.bz2")),
    ("zeros.zst", include_bytes!("bombs/zeros.zst")),
    ("zeros.lz4", include_bytes!("bombs/zeros.lz4")),
    ("zeros.lzma", include_bytes!("bombs/zeros.lzma")),
    ("small.tar.xz", include_bytes!("bombs/small.tar.xz")),
    ("small.tar.zst", include_bytes!("bombs/small.tar.zst")),
    ("x.7z", b"7z\xbc\xaf\x27\x1c\0\x04"),
    ("x.rar", b"Rar!\x1a\x07\x01\0"),
    ("x.cab", b"MSCF\0\0\0\0"),
    ("x.z", b"\x1f\x9d\x90"),
    ("x.lzh", b"\x20\x21-lh5-"),
];

#[test]
fn archives_that_cannot_be_looked_into_are_refused_by_their_type() {
    for (name, bytes) in SEALED {
        let form = name.rsplit_once('.').unwrap().1;
        let why = refused(name, bytes);
        assert!(
            why.contains(&format!("type {form} cannot be looked into")) && why.contains("send it as .zip"),
            "{why}"
        );
        // LZMA has no mark of its own: it is known by its name only.
        if form != "lzma" {
            assert!(refused("innocent.txt", bytes).contains("cannot be looked into"), "{name}");
            assert!(refused("a.zip", &zipped(&[("innocent", bytes)])).contains("cannot be looked into"), "{name}");
        }
        for archive in [zipped(&[(name, bytes)]), tarred(&[(name, bytes)]), gzipped(&tarred(&[(name, bytes)]))] {
            assert!(refused("a", &archive).contains("cannot be looked into"), "{name} in an archive");
        }
        let (inputs, left_out) = take(&[file(name, bytes)], &[], &[form.to_uppercase()], Limits::default());
        assert_eq!((inputs.len(), left_out), (1, Vec::new()), "{name} is allowed");
    }
    assert!(refused("x.bz2", b"not packed at all").contains("type bz2"), "by its name alone");
    let texts: [(&str, &[u8]); 3] = [("a.txt", b"BZhello"), ("b.txt", b"LZIPped"), ("c.txt", b"xx-lhasa")];
    for (name, text) in texts {
        assert_eq!(taken(&[file(name, text)]).0, [name]);
    }
}

/// A tar with one entry of this kind before `a.txt`.
fn tarred_after(kind: tar::EntryType, said: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (kind, content) in [(kind, said), (tar::EntryType::Regular, &b"hello"[..])] {
        let mut header = tar::Header::new_ustar();
        header.set_path("a.txt").unwrap();
        header.set_size(content.len() as u64);
        header.set_entry_type(kind);
        header.set_cksum();
        archive.append(&header, content).unwrap();
    }
    archive.into_inner().unwrap()
}

#[test]
fn what_a_tar_says_about_its_names_is_bounded_and_believed() {
    use tar::EntryType as Kind;
    for kind in [Kind::GNULongName, Kind::GNULongLink, Kind::XHeader, Kind::XGlobalHeader] {
        // 3 MiB of a name, packed into some KiB: less than what may grow, and far more than a name.
        let long = tarred_after(kind, &vec![b'x'; 3 << 20]);
        assert!(refused("a.tar.gz", &gzipped(&long)).contains("name that is longer than 64 KiB"), "{kind:?}");
    }
    for (kind, said) in
        [(Kind::GNULongName, &b"../../etc/passwd\0"[..]), (Kind::XHeader, b"25 path=../../etc/passwd\n")]
    {
        assert!(refused("a.tar", &tarred_after(kind, said)).contains("leaves it"), "{kind:?}");
    }
    for (kind, said, why) in [
        (Kind::XHeader, &b"12 size=999\n"[..], "two ways"),
        (Kind::XGlobalHeader, b"14 path=x/y/z\n", "two ways"),
        (Kind::XHeader, b"26 GNU.sparse.realsize=99\n", "holes"),
        (Kind::GNUSparse, b"", "holes"),
    ] {
        assert!(refused("a.tar", &tarred_after(kind, said)).contains(why), "{kind:?}");
    }
    for (kind, said) in [
        (Kind::GNULongName, &b"a/long/name.txt\0"[..]),
        (Kind::XHeader, b"20 path=a/long/name\n"),
        (Kind::XGlobalHeader, b"19 comment=0123456\n"),
    ] {
        assert_eq!(taken(&[file("a.tar", &tarred_after(kind, said))]).1, [""; 0], "{kind:?}");
    }
    let mut chain = tar::Builder::new(Vec::new());
    for _ in 0..10_001 {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(Kind::XGlobalHeader);
        header.set_size(0);
        header.set_cksum();
        chain.append(&header, &b""[..]).unwrap();
    }
    let chain = gzipped(&chain.into_inner().unwrap());
    assert!(refused("a.tgz", &chain).contains("more than 10000 files"), "they have an end, too");
}

#[test]
fn what_is_locked_is_refused() {
    let mut locked = zipped(&[("a.txt", b"hello")]);
    // The flag of encryption, in the entry's own header and in the list at the end.
    for (signature, offset) in [(&b"PK\x03\x04"[..], 6), (&b"PK\x01\x02"[..], 8)] {
        let at = locked.windows(4).position(|four| four == signature).unwrap();
        locked[at + offset] |= 1;
    }
    assert!(refused("a.zip", &locked).contains("password"));
}

proptest! {
    #[test]
    fn any_bytes_under_any_name(name in any::<String>(), mut bytes in proptest::collection::vec(any::<u8>(), 0..600), zip in any::<bool>()) {
        if zip {
            bytes.splice(0..0, *b"PK\x03\x04");
        }
        let (names, left_out) = taken(&[file(&name, &bytes)]);
        prop_assert!(names.len() + left_out.len() <= 1);
        for name in names {
            prop_assert!(!name.contains(['/', '\\', '\n', '\r', '\0']) && !name.starts_with('.') && !name.is_empty());
        }
    }

    #[test]
    fn broken_archives_do_no_harm(at in 0..200_usize, byte in any::<u8>()) {
        for mut bytes in [zipped(&[("a.txt", b"hello"), ("b", b"x")]), gzipped(&tarred(&[("a.txt", b"hello")]))] {
            if let Some(there) = bytes.get_mut(at) {
                *there = byte;
            }
            drop(taken(&[file("a", &bytes)]));
        }
    }
}
